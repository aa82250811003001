package sqlstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func (db *DB) Record(ctx context.Context, events ...audit.Event) error { panic("contract") }

func (db *DB) ListEvents(ctx context.Context, q userstore.EventQuery) ([]audit.Event, error) {
	panic("contract")
}

func (db *DB) RemoveEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	panic("contract")
}

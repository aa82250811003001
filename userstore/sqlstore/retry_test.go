package sqlstore

import (
	"context"
	"errors"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// dying returns a row and breaks before the end; when it is asked again it has no row.
type dying struct {
	engine
	tries int
}

// blank is a row that leaves its columns as they are, except texts, which become an empty list.
type blank struct{}

func (blank) Scan(dest ...any) error {
	for _, d := range dest {
		if s, ok := d.(*string); ok {
			*s = "[]"
		}
	}
	return nil
}

func (d *dying) read(_ context.Context, _ stmt, row func(scanner) error) error {
	d.tries++
	if d.tries > 1 {
		return nil
	}
	if err := row(blank{}); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

func (d *dying) write(ctx context.Context, s stmt, row func(scanner) error) (int64, error) {
	return 0, d.read(ctx, s, row)
}

// A server may send the row of a refresh and die before it commits. The row of the first try must
// not become the answer of the second.
func TestARowOfALostTryIsNoAnswer(t *testing.T) {
	e := &dying{}
	db := &DB{engine: e, dialect: postgresDialect}
	v, err := db.AdvanceGrant(t.Context(), userstore.Advance{ClientID: "signet", Generation: 1, Now: time.Unix(1e9, 0)})
	if !errors.Is(err, userstore.ErrConflict) || !reflect.DeepEqual(v, userstore.GrantView{}) || e.tries != 2 {
		t.Errorf("a refresh: %+v, %v after %d tries, want ErrConflict after 2", v, err, e.tries)
	}
	e.tries = 0
	if err := db.as("ClientByID").one(t.Context(), bind(`SELECT 1`),
		func(scanner) error { return nil }); !errors.Is(err, userstore.ErrNotFound) || e.tries != 2 {
		t.Errorf("a read: %v after %d tries, want ErrNotFound after 2", err, e.tries)
	}
}

package sqlstore

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/signet-id/signet/userstore"
)

// UseAssertion is one statement: two uses of one jti meet at its row, whichever replicas they came
// to. The row of an expired assertion does not count, even if it has not been removed yet: every
// server refuses the assertion.
//
// It is not retried when its answer was lost, because it would find its own row. The caller answers
// 503, and the client makes a new assertion.
func (db *DB) UseAssertion(ctx context.Context, clientID, jti string, now, until time.Time) error {
	hash := sha256.Sum256([]byte(jti))
	n, err := db.as("UseAssertion").write(ctx, false, bind(`INSERT INTO client_assertions (client_id, jti, expires_at)
		VALUES ($1, $2, $3)
		ON CONFLICT (client_id, jti) DO UPDATE SET expires_at = excluded.expires_at WHERE client_assertions.expires_at <= $4`,
		clientID, hash[:], micros(until), micros(now)))
	if err == nil && n == 0 {
		return userstore.ErrExists
	}
	return err
}

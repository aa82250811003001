package sqlstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/userstore"
)

const (
	useDPoPProof = `INSERT INTO dpop_proofs (id, expires_at) VALUES ($1, $2)
		ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at WHERE dpop_proofs.expires_at <= $3`
	removeDPoPProofs = `DELETE FROM dpop_proofs WHERE id IN
		(SELECT p.id FROM dpop_proofs p WHERE p.expires_at >= $1 AND p.expires_at <= $2 ORDER BY p.expires_at LIMIT $3)
		RETURNING expires_at`
)

// UseDPoPProof works as UseAssertion does: one statement, which is not retried when its answer was
// lost, because it would find its own row. The caller answers 503, and the client makes a new proof.
func (db *DB) UseDPoPProof(ctx context.Context, id userstore.DPoPProofID, now, until time.Time) error {
	n, err := db.as("UseDPoPProof").write(ctx, false, bind(useDPoPProof, id[:], micros(until), micros(now)))
	if err == nil && n == 0 {
		return userstore.ErrExists
	}
	return err
}

package userstore

import (
	"context"
	"time"
)

// DPoPProofID names a DPoP proof (RFC 9449) by the SHA-256 of its key's thumbprint and its jti.
type DPoPProofID [32]byte

// DPoPProofs remembers the proofs that were used.
type DPoPProofs interface {
	// UseDPoPProof records until then that a proof was used. ErrExists: the proof was used before, and
	// that use is recorded at now. Of many uses of one proof, on whatever replicas, one succeeds.
	UseDPoPProof(ctx context.Context, id DPoPProofID, now, until time.Time) error
}

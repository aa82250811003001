package keys

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/audit"
)

// ErrConflict is returned by ChangeRing if another replica was first; the caller loads the ring
// again and plans anew.
var ErrConflict = errors.New("the key set was changed by somebody else")

// Ring is everything that the store knows of signing keys, read in one snapshot.
type Ring struct {
	Version       int64    // 0: never started
	Algorithms    []string // in force; the first is the fallback
	RefreshSecret string   // sealed HMAC key of refresh tokens
	FactorSecret  string   // sealed secret of second factors; empty: no server that has it has started
	Keys          []Key    // by algorithm, then seq

	Parameters Parameters // of the replica that started last; zero: none has started
}

// Change is one change of the ring, applied whole or not at all.
type Change struct {
	Algorithms    []string    // nil: unchanged
	RefreshSecret string      // empty: unchanged
	FactorSecret  string      // empty: unchanged
	Parameters    *Parameters // nil: unchanged
	Insert        []Key
	Update        []Key    // matched by ID; instants and Sealed are replaced
	Delete        []string // key ids

	Events []audit.Event // of the audit log, stored with the change
}

// Store keeps the ring. Its errors are ErrConflict or an infrastructure failure.
type Store interface {
	// RingVersion is one cheap read.
	RingVersion(ctx context.Context) (int64, error)
	LoadRing(ctx context.Context) (Ring, error)
	// ChangeRing applies c if the version is still version, and makes it
	// version+1, in one transaction.
	ChangeRing(ctx context.Context, version int64, c Change) error
}

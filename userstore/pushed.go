package userstore

import (
	"context"
	"time"
)

// PushedID is the SHA-256 of the reference of a pushed request, so that a copy of the store can begin
// none.
type PushedID [32]byte

// PushedRequest is an authorization request that a client has pushed (RFC 9126).
type PushedRequest struct {
	ID        PushedID
	ClientID  string
	Request   []byte    // JSON of the issuer
	ExpiresAt time.Time // until then the request can be begun
	// NoRow says that the client needs no row: Client.Stored is false.
	NoRow bool
}

// PushedLimits bound the rows of pushed requests that can still be begun.
type PushedLimits struct{ OfClient, InAll int }

// PushedUse is the use of a pushed request for a code.
type PushedUse struct {
	ID       PushedID
	ClientID string
	Code     CodeHash
	Now      time.Time
	Known    time.Time // until then the use is known
	NoRow    bool      // as of the PushedRequest
}

// PushedRequests stores pushed authorization requests.
type PushedRequests interface {
	// SavePushedRequest stores a request of an enabled client, if the limits have room at now.
	// ErrConflict: they have none, or the client is not enabled. The limit of a client holds
	// however many calls there are at once; the limit in all may be passed by as many rows as
	// calls run at once. All clients without a row share the limit of one: anybody can name any
	// number of them.
	SavePushedRequest(ctx context.Context, p PushedRequest, limits PushedLimits, now time.Time) error
	// PushedRequest reads a request of a client that has not ended at now. ErrNotFound; ErrExists:
	// the request was used.
	PushedRequest(ctx context.Context, id PushedID, clientID string, now time.Time) (PushedRequest, error)
	// UsePushedRequest records that a request is used for a code, whether or not its row is still
	// stored. It is idempotent. ErrConflict: the request was used for another code, or the client
	// is gone.
	UsePushedRequest(ctx context.Context, u PushedUse) error
}

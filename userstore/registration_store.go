package userstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// RegistrationTokenHash is the SHA-256 of an initial access token, so that a copy of the store lets
// nobody register.
type RegistrationTokenHash [32]byte

// RegistrationToken is an initial access token (RFC 7591 section 3): whoever holds it may register
// clients, as often as it has uses left, until it ends.
type RegistrationToken struct {
	ID        string // public: it names the token in lists and in the audit log
	Hash      RegistrationTokenHash
	Note      string // what the operator wrote about the token
	Uses      int64  // when it was made
	UsesLeft  int64
	CreatedAt time.Time
	ExpiresAt time.Time
}

// Registrations stores what lets clients register themselves, and the clients that never came back.
type Registrations interface {
	CreateRegistrationToken(ctx context.Context, t RegistrationToken, events ...audit.Event) error
	// RegistrationToken reads a token that has uses left and has not ended at now. ErrNotFound.
	RegistrationToken(ctx context.Context, hash RegistrationTokenHash, now time.Time) (RegistrationToken, error)
	// ListRegistrationTokens returns a page of the tokens, ended ones included, by (created_at, id),
	// oldest first. after is the last token of the page before.
	ListRegistrationTokens(ctx context.Context, after *RegistrationToken, limit int) ([]RegistrationToken, error)
	// DeleteRegistrationToken ends a token. ErrNotFound.
	DeleteRegistrationToken(ctx context.Context, id string, events ...audit.Event) error
	// RegisterClient is CreateClient that uses a token once, in one transaction. ErrConflict: the
	// token has no use left, or has ended at c.CreatedAt; nothing is stored.
	RegisterClient(ctx context.Context, c Client, by RegistrationTokenHash, events ...audit.Event) error
	// KeepClient records that a client was used: it does not expire any more. ErrNotFound.
	KeepClient(ctx context.Context, id string) error
	// UnusedClients lists at most limit ids of clients that were not used until now.
	UnusedClients(ctx context.Context, now time.Time, limit int) ([]string, error)
	// DeleteUnusedClient deletes a client, if it was not used until now. ErrNotFound: it is gone, or
	// was used.
	DeleteUnusedClient(ctx context.Context, id string, now time.Time, events ...audit.Event) error
	// RemoveRegistrationTokens deletes at most limit tokens that ended before now, and returns their
	// number.
	RemoveRegistrationTokens(ctx context.Context, now time.Time, limit int) (int, error)
}

// RegistrationTokenDocument is the JSON form of an initial access token.
type RegistrationTokenDocument struct {
	ID        string    `json:"id"`
	Token     string    `json:"token,omitempty"` // only in the answer that made it
	Note      string    `json:"note,omitempty"`
	Uses      int64     `json:"uses"`
	UsesLeft  int64     `json:"uses_left"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Document returns the token's document. token is the token itself, if it was just made.
func (t RegistrationToken) Document(token string) RegistrationTokenDocument {
	return RegistrationTokenDocument{t.ID, token, t.Note, t.Uses, t.UsesLeft, t.CreatedAt.UTC(), t.ExpiresAt.UTC()}
}

package registration

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// Bounds and defaults of an initial access token.
const (
	MaxTokenUses    = 100_000
	MaxTokenLasts   = 366 * 24 * time.Hour
	UsualTokenUses  = 1
	UsualTokenLasts = 24 * time.Hour
)

// NewToken is what an operator decides about an initial access token.
type NewToken struct {
	Note  string
	Uses  int64         // 0: UsualTokenUses
	Lasts time.Duration // 0: UsualTokenLasts
}

// CreateRegistrationToken makes an initial access token. The token itself is returned only here.
// ValidationError, with the fields note, uses and expires_in.
func (r *Registry) CreateRegistrationToken(
	ctx context.Context, n NewToken,
) (_ userstore.RegistrationToken, token string, err error) {
	if n.Uses == 0 {
		n.Uses = UsualTokenUses
	}
	if n.Lasts == 0 {
		n.Lasts = UsualTokenLasts
	}
	var fs userstore.Faults
	if n.Note != "" {
		fs.Add("note", line(n.Note, maxClientName))
	}
	if n.Uses < 1 || n.Uses > MaxTokenUses {
		fs.Add("uses", invalid("A token has 1 to 100000 uses."))
	}
	if n.Lasts < time.Minute || n.Lasts > MaxTokenLasts {
		fs.Add("expires_in", invalid("A token lasts for a minute at least and for 366 days at most."))
	}
	if err := fs.Err(); err != nil {
		return userstore.RegistrationToken{}, "", err
	}
	now := r.now()
	token = newSecret()
	t := userstore.RegistrationToken{
		ID: userstore.CommandLineID(r.NewID), Hash: sha256.Sum256([]byte(token)), Note: n.Note, Uses: n.Uses, UsesLeft: n.Uses,
		CreatedAt: now, ExpiresAt: now.Add(n.Lasts),
	}
	e := audit.New(ctx, now, audit.RegistrationTokenCreated, audit.Target{Type: audit.OnRegistrationToken, ID: t.ID})
	if err := audit.Stored(ctx, r.Log, r.Store.CreateRegistrationToken(ctx, t, e), e); err != nil {
		return userstore.RegistrationToken{}, "", err
	}
	return t, token, nil
}

// RegistrationToken returns the initial access token that is sent. ErrToken: it is unknown,
// has no use left, or has ended.
func (r *Registry) RegistrationToken(ctx context.Context, token string) (userstore.RegistrationToken, error) {
	t, err := r.Store.RegistrationToken(ctx, sha256.Sum256([]byte(token)), r.now())
	if errors.Is(err, userstore.ErrNotFound) {
		err = ErrToken
	}
	return t, err
}

// RevokeRegistrationToken ends an initial access token. Clients that were registered with it stay.
// ErrNotFound.
func (r *Registry) RevokeRegistrationToken(ctx context.Context, id string) error {
	e := audit.New(ctx, r.now(), audit.RegistrationTokenRevoked, audit.Target{Type: audit.OnRegistrationToken, ID: id})
	return audit.Stored(ctx, r.Log, r.Store.DeleteRegistrationToken(ctx, id, e), e)
}

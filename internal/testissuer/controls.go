package testissuer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// Controls are what a test may do to an issuer. All fields but Status are required; the methods may
// be called from any goroutine.
type Controls struct {
	Issuer   string // the issuer identifier
	Audience string // of minted tokens
	Clock    *Clock
	Vault    *Vault // which made the keys of Keys
	Keys     *keys.Manager
	Accounts *userstore.Accounts
	Grants   interface {
		GrantBySession(ctx context.Context, sessionID string) (userstore.GrantView, error)
	}
	Status *issuer.StatusLists // nil: tokens name no status list
}

// InvalidError is a mistake of the test's. Code is stable; Reason is one sentence without its stop.
type InvalidError struct{ Code, Reason string }

func (e *InvalidError) Error() string { return e.Reason }

// Start starts the keys as those of an issuer that has served for long enough: the successors of the
// signing keys have been published for as long as they must be before they sign.
func (c *Controls) Start(ctx context.Context) error {
	age := c.Keys.Policy.Propagation + time.Minute
	c.Clock.move(-age)
	if err := c.Keys.Start(ctx); err != nil {
		return err
	}
	return c.Advance(ctx, age)
}

// mostStep is how far the clock is moved at once, or by half of keys.rotation, if that is less. A
// running server would have looked at its keys many times meanwhile; what is due then is done near its
// time.
const mostStep = 24 * time.Hour

// Advance moves the clock by d, back if d is negative, and does what is due with the keys and the
// status lists by then. While it runs, the issuer may answer 503, as a real one does whose clock
// jumps.
func (c *Controls) Advance(ctx context.Context, d time.Duration) error {
	step := min(mostStep, c.Keys.Policy.Rotation/2)
	for {
		once := min(max(d, -step), step)
		c.Clock.move(once)
		if err := c.Keys.Step(ctx); err != nil {
			return err
		}
		if d -= once; d == 0 {
			return c.stepStatus(ctx)
		}
	}
}

// stepStatus lets the status lists see what has ended. A server looks each second of its own time;
// here it is done at once, so that no test has to wait for it.
func (c *Controls) stepStatus(ctx context.Context) error {
	if c.Status == nil {
		return nil
	}
	return c.Status.Step(ctx)
}

// Rotate makes the published successor of each key sign, as `signet keys rotate` does, and returns
// the kid of the key that signs access tokens now. A key is published for a while before it signs
// (keys.propagation); for what is left of that, Rotate moves the clock.
func (c *Controls) Rotate(ctx context.Context) (kid string, err error) {
	report, err := c.Keys.Rotate(ctx, false)
	if err != nil {
		return "", err
	}
	if err := c.Keys.Step(ctx); err != nil {
		return "", err
	}
	// The successors are the first pending keys after the rotation; another one of each follows them.
	var last time.Time
	for _, k := range report.Keys {
		if k.State == keys.Pending && k.ActivateAt.Before(report.Now.Add(c.Keys.Policy.Rotation)) &&
			k.ActivateAt.After(last) {
			last = k.ActivateAt
		}
	}
	if wait := last.Sub(c.Clock.Now()); !last.IsZero() && wait > 0 {
		if err := c.Advance(ctx, wait); err != nil {
			return "", err
		}
	}
	return c.SigningKey()
}

// SigningKey returns the kid of the key that signs access tokens now.
func (c *Controls) SigningKey() (kid string, err error) {
	signer, err := c.Keys.Signer(jose.RS256)
	if err != nil {
		return "", err
	}
	return signer.KeyID(), nil
}

// RevokeKeys takes keys out of the key set at once, as `signet keys revoke` does; no kid: all keys,
// and fresh ones sign that no verifier can know.
func (c *Controls) RevokeKeys(ctx context.Context, kids ...string) error {
	for _, kid := range kids {
		if _, known := c.Keys.KnownKey(kid); !known {
			return &InvalidError{Code: "unknown_key",
				Reason: fmt.Sprintf("this issuer has no key %.64q, so nothing was revoked; name one of its key set", kid)}
		}
	}
	if _, err := c.Keys.Revoke(ctx, kids, len(kids) == 0); err != nil {
		return err
	}
	return c.Keys.Step(ctx)
}

// EndSession revokes the session with this sid, as `signet users revoke-sessions --session` does.
func (c *Controls) EndSession(ctx context.Context, sid string) error {
	unknown := &InvalidError{Code: "unknown_session",
		Reason: "there is no session with this sid; take the sid of a token from a login"}
	view, err := c.Grants.GrantBySession(ctx, sid)
	if err == nil {
		err = c.Accounts.RevokeSession(ctx, view.Grant.UserID, sid)
	}
	if errors.Is(err, userstore.ErrNotFound) {
		return unknown
	}
	if err != nil {
		return err
	}
	return c.stepStatus(ctx)
}

// EndSessions revokes all sessions of a user.
func (c *Controls) EndSessions(ctx context.Context, subject string) error {
	_, err := c.Accounts.RevokeSessions(ctx, subject, "")
	if errors.Is(err, userstore.ErrNotFound) {
		return &InvalidError{Code: "unknown_user",
			Reason: "there is no user with this sub; take the sub of a token from a login"}
	}
	if err != nil {
		return err
	}
	return c.stepStatus(ctx)
}

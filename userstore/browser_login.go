package userstore

import (
	"context"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// AuthenticatePage is Authenticate for a login at the hosted pages, where one field takes an email address
// or a username, and no client has a say yet. What is verified has to be given to StartSession, or to Release.
func (a *Accounts) AuthenticatePage(ctx context.Context, name, password string) (Verified, error) {
	email, username := name, ""
	if !strings.Contains(name, "@") { // no username has one
		email, username = "", name
	}
	return a.authenticate(ctx, email, username, password, func(l Login) (User, bool, Client, error) {
		u, known, err := a.Store.UserForLogin(ctx, l)
		return u, known, Client{}, err
	}, nil)
}

// StartSession makes s of what AuthenticatePage verified: the store's one batch, in which the attempt is
// given back, and network and browser remembered. ErrConflict, and what the store says.
func (a *Accounts) StartSession(ctx context.Context, v Verified, s BrowserSession, replaces SessionHash) error {
	start := StartSession{Session: s, Replaces: replaces, PasswordHash: v.User.PasswordHash, Rehash: v.Rehash}
	if v.reservation != nil {
		device, err := a.Throttle.device(ctx, subject(v.User, true, ""))
		if err != nil {
			return err
		}
		start.Attempt, start.Device = v.reservation.attempt, device
		start.Remember = start.Attempt.At.Add(rememberedFor)
	}
	self := audit.Actor{Type: audit.ByUser, ID: v.User.ID} // proved by now
	e := audit.New(audit.As(ctx, self, "", s.ID), s.AuthTime, audit.LoginSucceeded, audit.User(v.User.ID))
	err := a.Store.StartSession(ctx, start, e)
	if err == nil {
		v.reservation.markReturned()
	}
	return audit.Stored(ctx, a.Log, err, e)
}

type deviceKey struct{}

// WithDevice notes in ctx the secret that a browser was given to be known again by, for Throttle.
func WithDevice(ctx context.Context, device string) context.Context {
	return context.WithValue(ctx, deviceKey{}, device)
}

// device is the key of the budget that this account and the browser of ctx share; zero: there is no
// browser, or none that can be told from others.
func (t *Throttle) device(ctx context.Context, subject string) (BudgetKey, error) {
	device, _ := ctx.Value(deviceKey{}).(string)
	if device == "" {
		return BudgetKey{}, nil
	}
	k, err := t.keys()
	if err != nil {
		return BudgetKey{}, err
	}
	return k.key("device", subject, device), nil
}

// byDevice lets a browser that has logged in to the account before try from its own budget, wherever it is now:
// strangers who share its network and spend that budget do not lock its user out (U-13). One
// that is not remembered is counted by its network, as anybody is. The read is made for known and unknown names alike.
func (t *Throttle) byDevice(ctx context.Context, subject string, r *Reserve, at time.Time) error {
	device, err := t.device(ctx, subject)
	if device == (BudgetKey{}) || err != nil {
		return err
	}
	byNetwork := *r
	r.Own, r.At = device, at
	tallies, err := t.Store.Tallies(ctx, *r)
	if err == nil && !tallies.Remembered {
		*r = byNetwork
	}
	return err
}

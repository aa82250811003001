package userstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// AuthenticatePage is Authenticate for a login at the hosted pages: one field takes an email
// address or a username, and there is no client yet. The caller passes the result to StartSession
// or to Release.
func (a *Accounts) AuthenticatePage(ctx context.Context, name, password string) (Verified, error) {
	email, username := name, ""
	if !strings.Contains(name, "@") { // no username contains one
		email, username = "", name
	}
	return a.authenticate(ctx, email, username, password, func(l Login) (User, bool, Client, error) {
		u, known, err := a.Store.UserForLogin(ctx, l)
		return u, known, Client{}, err
	}, nil)
}

// StartSession stores s for the user whom AuthenticatePage verified. The store's one batch also
// returns the attempt, and remembers network and browser. Sessions not used since idleSince are not
// live. ErrConflict, and any error of the store.
func (a *Accounts) StartSession(
	ctx context.Context, v Verified, s BrowserSession, replaces SessionHash, idleSince time.Time,
) error {
	start := StartSession{Session: s, Replaces: replaces, PasswordHash: v.User.PasswordHash, Rehash: v.Rehash,
		Second: v.Second, Continues: v.Continues, IdleSince: idleSince}
	if v.reservation != nil {
		device, err := a.Throttle.device(ctx, subject(v.User, true, ""))
		if err != nil {
			return err
		}
		start.Attempt, start.Device = v.reservation.attempt, device
		start.Remember = start.Attempt.At.Add(rememberedFor)
	}
	self := audit.Actor{Type: audit.ByUser, ID: v.User.ID} // proved by the password
	e := audit.New(audit.As(ctx, self, "", s.ID), s.CreatedAt, audit.LoginSucceeded, audit.User(v.User.ID))
	var err error
	if e.Messages, err = a.newDevice(ctx, v, s.CreatedAt); err != nil {
		return err
	}
	events := append([]audit.Event{e}, v.events...)
	if v.Second.Trust != nil {
		events = append(events, audit.New(audit.As(ctx, self, "", s.ID), s.CreatedAt, audit.BrowserTrusted, audit.User(v.User.ID)))
	}
	err = a.Store.StartSession(ctx, start, events...)
	if err == nil {
		v.reservation.markReturned()
	}
	err = a.afterSecond(ctx, v, err)
	a.Counts.loginEnded(v, err)
	return audit.Stored(ctx, a.Log, err, events...)
}

type deviceKey struct{}

// WithDevice returns ctx with the secret of the browser's device cookie, by which Throttle
// recognises the browser.
func WithDevice(ctx context.Context, device string) context.Context {
	return context.WithValue(ctx, deviceKey{}, device)
}

// device returns the key of the budget of this account and the browser of ctx; zero: ctx has no
// device secret.
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

// byDevice lets a browser that has logged in to the account before use a budget of its own, from
// any network: strangers on its network who use up that network's budget do not lock its user out
// (U-13). A browser that is not remembered is counted by its network. The read is made for known
// and unknown names alike. known reports whether the browser is remembered.
func (t *Throttle) byDevice(ctx context.Context, subject string, r *Reserve, at time.Time) (known bool, err error) {
	device, err := t.device(ctx, subject)
	if device == (BudgetKey{}) || err != nil {
		return false, err
	}
	byNetwork := *r
	r.Own, r.At = device, at
	tallies, err := t.Store.Tallies(ctx, *r)
	if err == nil && !tallies.Remembered {
		*r = byNetwork
	}
	return tallies.Remembered, err
}

type trustKey struct{}

// WithTrust returns ctx with the secret of the browser's trust cookie, by which a login with a
// password needs no second factor.
func WithTrust(ctx context.Context, secret string) context.Context {
	return context.WithValue(ctx, trustKey{}, secret)
}

// TrustHash is what is stored of a trust cookie.
func TrustHash(secret string) SessionHash { return sha256.Sum256([]byte(secret)) }

// trusted reports whether the browser of ctx is trusted for u, and returns its hash.
func (a *Accounts) trusted(ctx context.Context, u User, now time.Time) (hash SessionHash, ok bool, err error) {
	secret, _ := ctx.Value(trustKey{}).(string)
	if secret == "" {
		return SessionHash{}, false, nil
	}
	hash = TrustHash(secret)
	b, err := a.Store.TrustedBrowser(ctx, hash, now)
	if errors.Is(err, ErrNotFound) {
		return SessionHash{}, false, nil
	}
	return hash, err == nil && b.UserID == u.ID, err
}

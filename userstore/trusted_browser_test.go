package userstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// A trusted browser skips the second factor of its own user, until password or factors change or its
// time is over.
func TestATrustedBrowser(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		a := w.replicas[0]
		from := func(secret string) context.Context { return userstore.WithTrust(t.Context(), secret) }
		session := func(p *person) userstore.BrowserSession {
			s := userstore.BrowserSession{ID: newID(), UserID: p.ID, AuthTime: *w.clock, ACR: "1", CreatedAt: *w.clock,
				LastUsedAt: *w.clock, ExpiresAt: w.clock.Add(time.Hour)}
			copy(s.Hash[:], newID())
			return s
		}
		trusting := func() (*person, string) {
			p, secret := w.person().withApp(), newID()
			v, err := a.AuthenticateSecond(t.Context(), p.waiting(), p.byCode(p.code(0)))
			w.must(err)
			v.Second.Trust = &userstore.NewTrust{Hash: userstore.TrustHash(secret), ID: newID(), EndsAt: w.clock.Add(24 * time.Hour)}
			w.must(a.StartSession(t.Context(), v, session(p), userstore.SessionHash{}, time.Time{}))
			return p, secret
		}
		for what, c := range map[string]struct {
			change func(p *person) error
			skips  bool
		}{
			"nothing happened": {func(*person) error { return nil }, true},
			"a day later":      {func(*person) error { w.wait(24 * time.Hour); return nil }, false},
			"new recovery codes": {func(p *person) error {
				_, err := a.NewRecoveryCodes(t.Context(), p.User, userstore.KeepAll)
				return err
			}, false},
			"signed out everywhere": {func(p *person) error {
				_, err := a.Store.RevokeUserGrants(t.Context(), p.ID, "", *w.clock)
				return err
			}, false},
			"the trust was ended": {func(p *person) error { return a.Store.EndTrust(t.Context(), p.ID, "") }, false},
		} {
			p, secret := trusting()
			w.must(c.change(p))
			v, err := a.AuthenticatePage(from(secret), p.Email, password)
			if c.skips {
				w.must(err)
				w.want(what+": factors", fmt.Sprintf("%d %s", len(v.Proved), v.Proved[0].Factor), "1 password")
				w.must(a.StartSession(t.Context(), v, session(p), userstore.SessionHash{}, time.Time{}))
			} else if !errors.Is(err, userstore.ErrSecondFactor) {
				t.Errorf("%s: %v", what, err)
			}
		}
		p, secret := trusting()
		for what, secret := range map[string]string{"no cookie": "", "another value": newID()} {
			if _, err := a.AuthenticatePage(from(secret), p.Email, password); !errors.Is(err, userstore.ErrSecondFactor) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := a.AuthenticatePage(from(secret), w.person().withApp().Email, password); !errors.Is(err, userstore.ErrSecondFactor) {
			t.Errorf("the cookie of another user: %v", err)
		}
		if _, err := a.AuthenticatePage(from(secret), p.Email, wrong); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("a wrong password in a trusted browser: %v", err)
		}
		v, err := a.AuthenticatePage(from(secret), p.Email, password)
		w.must(err)
		w.must(a.Store.EndTrust(t.Context(), p.ID, ""))
		if err := a.StartSession(t.Context(), v, session(p), userstore.SessionHash{}, time.Time{}); !errors.Is(err, userstore.ErrConflict) {
			t.Errorf("the trust ends during a login: %v", err)
		}
		a.Release(t.Context(), v)
	})
}

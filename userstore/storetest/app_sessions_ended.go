package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// Each operation that ends sessions of a user tells the apps of exactly these.
func endedAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	type world struct {
		u     userstore.User
		c     userstore.Client
		s     userstore.BrowserSession
		token string // that resets the password
		// Of browser session s: one, one that holds offline_access, one whose grant ended long ago with
		// its access token, and one that its client gave back.
		g, offline, over, given userstore.Grant
		elsewhere               userstore.Grant // of another browser session of the user
		direct                  userstore.Grant // of no browser session
		ofOther                 userstore.Grant // of s at another client
		begun                   userstore.Grant // of s, with tokens from the authorization endpoint
	}
	all := func(w world) []userstore.Grant {
		return []userstore.Grant{w.g, w.offline, w.over, w.given, w.elsewhere, w.direct, w.ofOther, w.begun}
	}
	ofBrowser := func(w world) []userstore.Grant {
		return []userstore.Grant{w.g, w.offline, w.over, w.given, w.ofOther, w.begun}
	}
	without := func(grants []userstore.Grant, but userstore.Grant) []userstore.Grant {
		return slices.DeleteFunc(grants, func(g userstore.Grant) bool { return g.ID == but.ID })
	}
	none := func(world) []userstore.Grant { return nil }
	one := func(w world) []userstore.Grant { return []userstore.Grant{w.g} }
	replacedBy := func(u userstore.User, w world, id string) error {
		next := f.newSession(u)
		if id != "" {
			next.ID = id
		}
		return f.StartSession(ctx, userstore.StartSession{Session: next, Replaces: w.s.Hash, PasswordHash: u.PasswordHash})
	}
	for _, test := range []struct {
		name string
		end  func(world) error
		want func(world) []userstore.Grant
	}{
		{"the browser logs out", func(w world) error { return f.EndSession(ctx, w.s.ID, f.now) }, ofBrowser},
		{"the user ends the browser session from elsewhere", func(w world) error {
			return f.RevokeBrowserSession(ctx, w.u.ID, w.s.ID, f.now)
		}, ofBrowser},
		{"a stranger wants to", func(w world) error {
			is(t, f.RevokeBrowserSession(ctx, f.user(t).ID, w.s.ID, f.now), userstore.ErrNotFound)
			return f.EndSession(ctx, "", f.now)
		}, none},
		{"another user logs in in that browser", func(w world) error { return replacedBy(f.user(t), w, "") }, ofBrowser},
		{"the same user logs in as if for the first time", func(w world) error { return replacedBy(w.u, w, "") }, ofBrowser},
		{"the same user proves the password again", func(w world) error { return replacedBy(w.u, w, w.s.ID) }, none},
		{"a grant is revoked after a replay", func(w world) error { return f.RevokeGrant(ctx, w.g.ID, f.now) }, one},
		{"the client gives its tokens back", func(w world) error { return f.RevokeByClient(ctx, w.g.ID, f.now) }, none},
		{"a session is ended by its id", func(w world) error {
			is(t, f.RevokeSession(ctx, f.user(t).ID, w.g.SessionID, f.now), userstore.ErrNotFound)
			return f.RevokeSession(ctx, w.u.ID, w.g.SessionID, f.now)
		}, one},
		{"everything is ended", func(w world) error {
			_, err := f.RevokeUserGrants(ctx, w.u.ID, "", f.now)
			return err
		}, all},
		{"everything but the grant that asked", func(w world) error {
			_, err := f.RevokeUserGrants(ctx, w.u.ID, w.g.SessionID, f.now)
			return err
		}, func(w world) []userstore.Grant { return without(all(w), w.g) }},
		{"everything but the browser session that asked, whose grants end", func(w world) error {
			_, err := f.RevokeUserGrants(ctx, w.u.ID, w.s.ID, f.now)
			return err
		}, all},
		{"the user is disabled", func(w world) error { return f.SetActive(ctx, w.u.ID, false, f.now) }, all},
		{"an edit disables the user", func(w world) error {
			w.u.IsActive, w.u.UpdatedAt = false, f.now
			return f.UpdateUser(ctx, w.u)
		}, all},
		{"an edit of something else", func(w world) error { return f.UpdateUser(ctx, w.u) }, none},
		{"an operator sets a password", func(w world) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, NewHash: id(), At: f.now})
		}, all},
		{"the user changes the password", func(w world) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, OldHash: w.u.PasswordHash, NewHash: id(),
				KeepSession: w.g.SessionID, At: f.now})
		}, func(w world) []userstore.Grant { return without(all(w), w.g) }},
		{"a wrong password changes nothing", func(w world) error {
			is(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, OldHash: "wrong", NewHash: id(), At: f.now}),
				userstore.ErrConflict)
			return nil
		}, none},
		{"a password that ends nothing", func(w world) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, NewHash: id(),
				KeepSession: userstore.KeepAll, At: f.now})
		}, none},
		{"the password is reset by mail", func(w world) error {
			return f.RedeemToken(ctx, userstore.Redemption{ID: w.token, Kind: outbox.ResetPassword, NewHash: id(), At: f.now})
		}, all},
		{"the second factors change", func(w world) error {
			p := f.newPasskey(w.u)
			c := newFactorChange(f, w.u)
			c.AddPasskey, c.PasskeyHandle, c.KeepSession = &p, "handle-"+w.u.ID, w.g.SessionID
			return f.ChangeFactors(ctx, c)
		}, func(w world) []userstore.Grant { return without(all(w), w.g) }},
		{"the consent is taken back", func(w world) error { return f.RevokeConsent(ctx, w.u.ID, w.c.ID, f.now) },
			func(w world) []userstore.Grant { return without(all(w), w.ofOther) }},
		{"the account is deleted", func(w world) error { return f.DeleteUser(ctx, w.u.ID, f.event(id())) }, all},
		{"the account is deleted, and no entry says when", func(w world) error { return f.DeleteUser(ctx, w.u.ID) }, all},
		{"the grants expire", func(w world) error {
			_, err := f.RemoveExpired(ctx, f.now.Add(90*24*time.Hour), 1000)
			return err
		}, none},
		{"the client is disabled", func(w world) error { return f.SetClientActive(ctx, w.c.ID, false, f.now) }, none},
	} {
		u := f.user(t)
		w := world{u: u, c: f.listener(t), s: f.session(t, u)}
		must(t, f.SaveCode(ctx, f.newCode(w.s, w.c), &userstore.Consent{Allowed: []userstore.Allowance{{}}}, time.Time{}))
		w.g, w.offline = f.login(t, w.s, w.c, "openid"), f.login(t, w.s, w.c, "openid", "offline_access")
		w.given = f.login(t, w.s, w.c, "openid")
		must(t, f.RevokeByClient(ctx, w.given.ID, f.now))
		over := f.redeem(f.code(t, w.s, w.c))
		over.Grant.ExpiresAt, over.Grant.Generation = f.now.Add(-time.Hour), 0
		must(t, f.RedeemCode(ctx, over))
		_, err := f.RemoveExpired(ctx, f.now, 1000)
		must(t, err)
		_, err = f.RemoveExpiredAppSessions(ctx, f.now, 1000)
		must(t, err)
		w.over = over.Grant
		w.elsewhere = f.login(t, f.session(t, u), w.c, "openid")
		w.direct = f.grant(t, u, func(g *userstore.Grant) { g.ClientID = w.c.ID })
		begun := f.beginning(w.s, w.c)
		must(t, f.SaveCode(ctx, begun, nil, time.Time{}))
		w.begun = begun.Begins.Grant
		w.ofOther = f.login(t, w.s, f.listener(t), "openid")
		w.token = f.issue(t, u).ID
		bystander := f.user(t)
		f.login(t, f.session(t, bystander), w.c, "openid")
		f.read(t, &w.u)
		f.told(t, test.name+": before")

		must(t, test.end(w))
		f.told(t, test.name, test.want(w)...)
		f.told(t, test.name+": once")
	}
}

// An app is not told if there is nobody to hear, whatever became of its client after the session
// ended.
func unheardAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	for name, change := range map[string]func(c userstore.Client) error{
		"disabled": func(c userstore.Client) error { return f.SetClientActive(ctx, c.ID, false, f.now) },
		"disabled and enabled": func(c userstore.Client) error {
			return errors.Join(f.SetClientActive(ctx, c.ID, false, f.now), f.SetClientActive(ctx, c.ID, true, f.now))
		},
		"without an address": func(c userstore.Client) error {
			c.BackchannelLogoutURI = ""
			return f.UpdateClient(ctx, c)
		},
		"deleted":               func(c userstore.Client) error { return f.DeleteClient(ctx, c.ID) },
		"deleted and made anew": func(c userstore.Client) error { return errors.Join(f.DeleteClient(ctx, c.ID), f.CreateClient(ctx, c)) },
	} {
		for _, before := range []bool{true, false} {
			u, c := f.user(t), f.listener(t)
			s := f.session(t, u)
			g := f.login(t, s, c, "openid")
			if before {
				must(t, change(c))
			}
			must(t, f.EndSession(ctx, s.ID, f.now))
			if !before {
				must(t, change(c))
			}
			for sid, e := range f.due(t, f.now) {
				if sid != g.SessionID || e.Heard || strings.HasPrefix(name, "deleted") {
					t.Errorf("%s: %+v", name, e)
				}
				must(t, f.ForgetAppSession(ctx, sid))
			}
		}
	}
}

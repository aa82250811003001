package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// untoldAppSessions: an app without a backchannel_logout_uri, which a browser tells or nobody, never
// waits in the outbox, whatever ends its session. An app at both addresses does.
func untoldAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	frame := func(c *userstore.Client) { c.FrontchannelLogoutURI = "https://app.test/out" }
	for _, test := range []struct {
		name string
		end  func(u userstore.User, s userstore.BrowserSession, g, both userstore.Grant) error
	}{
		{"the browser logs out", func(_ userstore.User, s userstore.BrowserSession, _, _ userstore.Grant) error {
			return f.EndSession(ctx, s.ID, f.now)
		}},
		{"the user ends the browser session", func(u userstore.User, s userstore.BrowserSession, _, _ userstore.Grant) error {
			return f.RevokeBrowserSession(ctx, u.ID, s.ID, f.now)
		}},
		{"another login replaces it", func(u userstore.User, s userstore.BrowserSession, _, _ userstore.Grant) error {
			return f.StartSession(ctx, userstore.StartSession{
				Session: f.newSession(u), Replaces: s.Hash, PasswordHash: u.PasswordHash})
		}},
		{"the grants are revoked", func(_ userstore.User, _ userstore.BrowserSession, g, both userstore.Grant) error {
			must(t, f.RevokeGrant(ctx, g.ID, f.now))
			return f.RevokeGrant(ctx, both.ID, f.now)
		}},
		{"they are ended by their ids", func(u userstore.User, _ userstore.BrowserSession, g, both userstore.Grant) error {
			must(t, f.RevokeSession(ctx, u.ID, g.SessionID, f.now))
			return f.RevokeSession(ctx, u.ID, both.SessionID, f.now)
		}},
		{"everything is ended", func(u userstore.User, _ userstore.BrowserSession, _, _ userstore.Grant) error {
			_, err := f.RevokeUserGrants(ctx, u.ID, "", f.now)
			return err
		}},
		{"the account is deleted", func(u userstore.User, _ userstore.BrowserSession, _, _ userstore.Grant) error {
			return f.DeleteUser(ctx, u.ID, f.event(id()))
		}},
	} {
		u, bystander := f.user(t), f.user(t)
		s, theirs := f.session(t, u), f.session(t, bystander)
		framed := f.client(t, frame)
		g := f.login(t, s, framed, "openid")
		f.login(t, theirs, framed, "openid")
		// Of this client the address is gone before the session ends.
		was := f.listener(t)
		f.login(t, s, was, "openid")
		was.BackchannelLogoutURI = ""
		must(t, f.UpdateClient(ctx, was))
		both := f.login(t, s, f.client(t, func(c *userstore.Client) {
			frame(c)
			c.BackchannelLogoutURI = "https://app.test/logout"
		}), "openid")
		listed, err := f.ListAppSessions(ctx, s.ID)
		must(t, err)
		equal(t, test.name+": before", len(listed), 3)

		must(t, test.end(u, s, g, both))
		state, err := f.AppSessionsState(ctx)
		must(t, err)
		equal(t, test.name+": what waits", state.Waiting, 1)
		f.told(t, test.name, both)
		listed, err = f.ListAppSessions(ctx, s.ID)
		must(t, err)
		for _, a := range listed {
			if a.SessionID == g.SessionID || a.SessionID == both.SessionID {
				t.Errorf("%s: still listed: %+v", test.name, a)
			}
		}
		listed, err = f.ListAppSessions(ctx, theirs.ID)
		must(t, err)
		equal(t, test.name+": of a bystander", len(listed), 1)
		_, err = f.RevokeUserGrants(ctx, bystander.ID, "", f.now)
		must(t, err)
		f.now = f.now.Add(time.Second)
	}
}

// withoutAppSession: no app session begins where the caller found a client without a logout URI.
func withoutAppSession(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.listener(t)
	s := f.session(t, u)
	for _, none := range []bool{false, true} {
		g := f.newGrant(u)
		g.ClientID, g.BrowserSession = c.ID, s.ID
		must(t, f.StartGrant(ctx, userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash, NoAppSession: none}))
		r := f.redeem(f.code(t, s, c))
		r.NoAppSession = none
		must(t, f.RedeemCode(ctx, r))
		begun := f.beginning(s, c)
		begun.Begins.NoAppSession = none
		must(t, f.SaveCode(ctx, begun, nil, time.Time{}))
		for what, g := range map[string]userstore.Grant{"a login": g, "a code": r.Grant, "a response": begun.Begins.Grant} {
			view, err := f.GrantBySession(ctx, g.SessionID)
			must(t, err)
			equal(t, "the grant of "+what, view.Grant.ID, g.ID)
		}
		all, err := f.ListAppSessions(ctx, s.ID)
		must(t, err)
		equal(t, "app sessions", len(all), 3)
	}
}

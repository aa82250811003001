package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// loggedInClients: each client of a browser session is listed once, with its latest login, also if the
// grant has ended by then.
func loggedInClients(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	s, other := f.session(t, u), f.session(t, u)
	one, two := f.client(t, nil), f.client(t, nil)
	login := func(s userstore.BrowserSession, c userstore.Client, after time.Duration) string {
		t.Helper()
		r := f.redeem(f.code(t, s, c))
		r.Grant.CreatedAt = f.now.Add(after)
		must(t, f.RedeemCode(ctx, r))
		return r.Grant.SessionID
	}
	login(s, one, 0)
	second := login(s, two, time.Second)
	last := login(s, one, 2*time.Second)
	login(other, two, 3*time.Second)

	list := func(id string, want ...userstore.ClientLogin) {
		t.Helper()
		got, err := f.LoggedInClients(ctx, id)
		must(t, err)
		equal(t, "logged in", got, want)
	}
	first := []userstore.ClientLogin{{ClientID: one.ID, SessionID: last}, {ClientID: two.ID, SessionID: second}}
	list(s.ID, first...)
	must(t, f.RevokeSession(ctx, u.ID, second, f.now))
	list(s.ID, first...)
	for _, unknown := range []string{"", id(), "a\x00", "\xff", "%"} {
		list(unknown)
	}
}

// loggedInAfterGrants: a client that wants to hear of logouts is listed as long as the browser session
// lives, also when its grant is gone.
func loggedInAfterGrants(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	s := f.session(t, u)
	hears := f.client(t, func(c *userstore.Client) { c.FrontchannelLogoutURI = "https://app.test/out" })
	deaf := f.client(t, nil)
	login := func(c userstore.Client) string {
		t.Helper()
		r := f.redeem(f.code(t, s, c))
		r.Grant.ExpiresAt = f.now.Add(time.Minute)
		must(t, f.RedeemCode(ctx, r))
		return r.Grant.SessionID
	}
	login(deaf)
	sid := login(hears)
	for {
		n, err := f.RemoveExpired(ctx, f.now.Add(time.Hour), 100)
		must(t, err)
		if n == 0 {
			break
		}
	}
	got, err := f.LoggedInClients(ctx, s.ID)
	must(t, err)
	equal(t, "logged in", got, []userstore.ClientLogin{{ClientID: hears.ID, SessionID: sid}})
	ended, err := f.ListAppSessions(ctx, s.ID)
	must(t, err)
	equal(t, "sessions of apps", len(ended), 1)
}

package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// appSessionsAfterGrants: a client that wants to hear of logouts by a frame is listed as long as the
// browser session lives, also when its grant is gone.
func appSessionsAfterGrants(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	s := f.session(t, u)
	hears := f.client(t, func(c *userstore.Client) { c.FrontchannelLogoutURI = "https://app.test/out" })
	deaf := f.client(t, nil)
	login := func(c userstore.Client) userstore.Grant {
		t.Helper()
		r := f.redeem(f.code(t, s, c))
		r.Grant.ExpiresAt = f.now.Add(time.Minute)
		must(t, f.RedeemCode(ctx, r))
		return r.Grant
	}
	login(deaf)
	g := login(hears)
	for {
		n, err := f.RemoveExpired(ctx, f.now.Add(time.Hour), 100)
		must(t, err)
		if n == 0 {
			break
		}
	}
	got, err := f.ListAppSessions(ctx, s.ID)
	must(t, err)
	equal(t, "sessions of apps", got, []userstore.AppSession{{
		SessionID: g.SessionID, UserID: u.ID, ClientID: hears.ID, BrowserSession: s.ID, CreatedAt: stored(g.CreatedAt),
	}})
}

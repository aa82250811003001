package flows_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// TestTheStoreIsDownForPages: people are told to try again, nobody is logged out or refused, and
// the same page is good for a second try.
func TestTheStoreIsDownForPages(t *testing.T) {
	for _, engine := range []struct {
		name  string
		reads bool
		open  func(t *testing.T) (db *sqlstore.DB, down, up func())
	}{
		{"sqlite, locked by another program", true, apitest.LockedSQLite},
		{"postgres, killed", false, apitest.KilledPostgres},
	} {
		t.Run(engine.name, func(t *testing.T) {
			db, down, up := engine.open(t)
			s := apitest.New(t, apitest.Impatient(db))
			alice, c := s.SignUp("alice"), s.WebClient()
			b, stranger := s.SignedIn(alice), s.Browser()
			login := stranger.Open(authorizePath(c)).WantPage(200, "login-submit").Form("login-submit", alice.Credentials())
			consent := b.Open(authorizePath(c)).WantPage(200, "consent-approve").Form("consent-approve", nil)
			logout := b.Open("/logout").WantPage(200, "logout-confirm").Form("logout-confirm", nil)
			hint := s.TokensOf(c, b.Open(authorizePath(c,
				set("scope", "openid"))).WantPage(200, "consent-approve").Submit("consent-approve", nil)).ID
			before := s.Snapshot()

			down()
			b.Replica, stranger.Replica = 1, 1
			unavailable := func(b *apitest.Browser, q apitest.Request) {
				t.Helper()
				cookies := len(b.Set)
				if p := b.Send(q); p.Status != 503 || p.Header.Get("Retry-After") == "" || p.Header.Get("Location") != "" ||
					!strings.HasPrefix(p.Header.Get("Content-Type"), "text/html") || len(b.Set) != cookies {
					t.Errorf("%s %.30s: %d %s", q.Method, q.Path, p.Status, p.Text())
				}
			}
			unavailable(stranger, login)
			unavailable(b, consent)
			unavailable(b, logout)
			unavailable(b, apitest.Request{Path: logoutPath("id_token_hint", hint)})
			if !engine.reads {
				unavailable(b, apitest.Request{Path: authorizePath(c)})
				unavailable(b, apitest.Request{Path: authorizePath(c, set("prompt", "none"))})
				unavailable(b, apitest.Request{Path: "/login"})
			}
			up()
			s.AwaitReady()
			b.Replica, stranger.Replica = 0, 0
			if after := s.Snapshot(); after != before {
				t.Errorf("something was done after all:\n%s\n%s", before, after)
			}
			if p := b.Send(consent); p.Status != 303 ||
				!strings.HasPrefix(p.Header.Get("Location"), "https://web.test/cb?code=") {
				t.Errorf("the same consent once more: %d %s", p.Status, p.Text())
			}
			if p := stranger.Send(login); p.Status != 303 {
				t.Errorf("the same login once more: %d %s", p.Status, p.Text())
			}
		})
	}
}

package accountpages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// U-40, U-22: what one ends is one's own, and ends at once.
func TestU40SessionsAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		b, other, bobs := s.SignedIn(alice), s.SignedIn(alice), s.SignedIn(bob)
		app, bobsApp := s.Login(alice), s.Login(bob)
		other.Agent = "Mozilla/5.0 (Windows NT 10.0) <script>alert(1)</script> Firefox/140.0"
		p := account(s, alice, b, "/account/sessions")
		if n := strings.Count(string(p.Body), `id="session-end-`); n != 2 {
			t.Fatalf("%d sessions can be ended: %s", n, p.Text())
		}
		p.Submit("session-end-"+app.SessionID(), nil).WantPage(200, "done")
		s.Do(apitest.Request{Path: "/v1/profile", Token: app.Access}).Want(401, "token_invalid")
		s.Refresh(app.Refresh).Want(401, "token_invalid")

		t.Run("U-22 other people's are like sessions that never were", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			s.Unchanged(func() {
				for _, id := range []string{bobsApp.SessionID(), "AAAAAAAAAAAAAAAAAAAAAA", "", "%00", "' OR 1=1--",
					userstore.KeepAll} {
					q := account(s, alice, b, "/account/sessions").Form("sessions-end-others", nil)
					q.Form.Set("session", id)
					if res := b.Send(q); res.Status != 303 || res.Header.Get("Location") != "/account/sessions?done=ended" {
						t.Errorf("%q: %d %q", id, res.Status, res.Header.Get("Location"))
					}
				}
			})
			s.Do(apitest.Request{Path: "/v1/profile", Token: bobsApp.Access}).Want(200, "")
		})
		again := s.Login(alice)
		account(s, alice, b, "/account/sessions").Submit("sessions-end-others", nil).WantPage(200, "done")
		s.Do(apitest.Request{Path: "/v1/profile", Token: again.Access}).Want(401, "token_invalid")
		other.Open("/account").WantPage(200, "login-submit")
		b.Open("/account").WantPage(200, "to-profile")
		bobs.Open("/account").WantPage(200, "to-profile")
		if p := account(s, alice, b, "/account/sessions"); p.Has("sessions-end-others") {
			t.Error("offers to end others, of which there are none")
		}
	})
}

func TestU40AppsAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "web", Name: `<b>Photos</b>`})
		b, answer := s.Allowed(alice, c)
		tokens := s.TokensOf(c, answer)
		p := account(s, alice, b, "/account/apps")
		if !strings.Contains(p.Text(), "<b>Photos</b>") || !strings.Contains(p.Text(), "see your email address") {
			t.Errorf("%s", p.Text())
		}
		p.Submit("app-end-web", nil).WantPage(200, "done")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		b.Open(apitest.AuthorizePath(c)).WantPage(200, "consent-approve") // asked again
		if p := account(s, alice, b, "/account/apps"); p.Has("app-end-web") {
			t.Error("the app is still there")
		}
		p.Submit("app-end-web", nil).WantPage(200, "done") // gone already: that is what was wanted
	})
}

func TestActivityAtThePage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, _ := s.Admin("root")
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": bob.Email, "password": wrongPassword}}).Want(401, "invalid_credentials")
		s.Advance(91 * 24 * time.Hour)
		b := s.SignedIn(alice)
		if text := account(s, alice, b, "/account/activity").Text(); strings.Contains(text, "Account created") ||
			!strings.Contains(text, "Signed in") {
			t.Errorf("91 days later: %s", text)
		}
		admin := s.Login(root, apitest.Fields{"scope": "profile admin"})
		s.Do(apitest.Request{Method: "PATCH", Path: "/v1/admin/users/" + alice.ID, Token: admin.Access,
			Header: http.Header{"User-Agent": {"Firefox/1 Windows"}},
			Body:   apitest.Fields{"zoneinfo": "Asia/Tokyo"}}).Want(200, "")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/login",
			Body: apitest.Fields{"email": alice.Email, "password": wrongPassword}}).Want(401, "invalid_credentials")
		text := account(s, alice, b, "/account/activity").Text()
		for _, want := range []string{"A sign-in failed", "Account changed", "by an administrator", "Time zone", "JST"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page does not say %q: %s", want, text)
			}
		}
		if strings.Contains(text, "Windows") {
			t.Errorf("the page tells of the admin's browser: %s", text)
		}
	})
}

package pages_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// In two tabs, with a login in one, the other goes on without a password.
func TestASecondTabContinuesAsTheUser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		for name, state := range map[string]string{"in an address": "the state", "in place": longStates["letters"]} {
			for _, mode := range []string{"query", "form_post"} {
				t.Run(name+" "+mode, func(t *testing.T) {
					s := s.With(t)
					b := s.Browser()
					b.Open("/login")
					request := authorizePath(c, set("state", state, "response_mode", mode, "prompt", "consent"))
					tab := b.Open(request).WantPage(200, "login-submit")
					if tab.Has("continue-submit") {
						t.Error("nobody is signed in")
					}
					b.SignIn("/login", alice)

					// The other tab shows the page again: with a wrong password, or loaded anew.
					again := tab.Submit("login-submit",
						map[string]string{"email": alice.Email, "password": "wrong"}).WantPage(403, "continue-submit")
					if !strings.Contains(again.Text(), "Continue as "+alice.Email) {
						t.Errorf("%s", again.Text())
					}
					if name == "in an address" {
						again = b.Open(tab.Path).WantPage(200, "continue-submit")
						b.Open(tab.Link("/signup?request=")).WantPage(200, "continue-submit").Submit("continue-submit", nil).
							WantPage(200, "consent-approve")
					}
					consent := again.Submit("continue-submit", nil).WantPage(200, "consent-approve")

					// Another account, and the way back.
					if name == "in an address" {
						again = b.Open(consent.Link("/login?request=")).WantPage(200, "continue-submit")
					} else {
						again = consent.Submit("to-login", nil).WantPage(200, "continue-submit")
					}
					consent = again.Submit("continue-submit", nil).WantPage(200, "consent-approve")
					p := consent.Submit("consent-approve", nil)
					if mode == "query" {
						wantCode(t, p)
					} else if _, fields := p.Posted(); fields.Get("code") == "" || fields.Get("state") != state {
						t.Errorf("%.200v", fields)
					}
				})
			}
		}
		t.Run("not where the request demands a login", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			_, answer := s.Allowed(bob, c)
			hint := s.TokensOf(c, answer).ID
			for _, demand := range [][2]string{{"prompt", "login"}, {"prompt", "select_account"}, {"max_age", "0"},
				{"id_token_hint", hint}} {
				p := b.Open(authorizePath(c, set(demand[0], demand[1]))).WantPage(200, "login-submit")
				if p.Has("continue-submit") {
					t.Errorf("%s=%.20s is continued", demand[0], demand[1])
				}
				// Nor by a form of another request of the same session.
				other := b.Open(b.Open(authorizePath(c, set("prompt", "consent"))).Link("/login?request=")).
					Form("continue-submit", nil)
				other.Form.Set("request", p.Form("login-submit", nil).Form.Get("request"))
				b.Send(other).WantPage(403, "")
			}
		})
		t.Run("refused", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			consent := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			form := func() apitest.Request {
				return b.Open(consent.Link("/login?request=")).WantPage(200, "continue-submit").Form("continue-submit", nil)
			}
			for _, token := range []string{"", "x",
				b.Open(consent.Link("/login?request=")).Form("login-submit", nil).Form.Get("csrf"),
				consent.Form("consent-approve", nil).Form.Get("csrf")} {
				q := form()
				q.Form.Set("csrf", token)
				b.Send(q).WantPage(403, "")
			}
			q := form()
			q.Header = http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": {"cross-site"}}
			b.Send(q).WantPage(403, "")

			q = form()
			b.Open("/logout").Submit("logout-confirm", nil)
			b.Follow(q).WantPage(200, "login-submit") // nobody is signed in any more
			b.SignIn("/login", bob)
			b.Send(q).WantPage(403, "") // the button said alice
		})
	})
}

// Pages that were opened without what they are about say the truth, and lead on.
func TestPagesOutOfPlaceLeadOn(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		for _, b := range []*apitest.Browser{s.Browser(), s.SignedIn(alice)} {
			for path, says := range map[string]string{
				"/consent":                 "No app is waiting for an answer",
				"/consent?request=":        "No app is waiting for an answer",
				"/consent?request=garbage": "This address is not complete",
				"/login?request=garbage":   "This address is not complete",
				"/signup?request=garbage":  "This address is not complete",
				"/logout?request=garbage":  "This address is not complete",
			} {
				p := b.Open(path).WantPage(400, "")
				if !strings.Contains(p.Text(), says) || strings.Contains(p.Text(), "too long") || p.Link("/login") != "/login" {
					t.Errorf("%s: %s", path, p.Text())
				}
				b.Open(p.Link("/login")).WantPage(200, "")
			}
		}
		b := s.SignedIn(alice)
		p := b.Open("/signup").WantPage(200, "")
		if !strings.Contains(p.Text(), "You are signed in") || !strings.Contains(p.Text(), alice.Email) ||
			p.Link("/logout") == "" || p.Has("signup-submit") {
			t.Errorf("%s", p.Text())
		}
	})
}

package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

const openForLong = "open for a long time"

// A page that stayed open for more than an hour goes on with the same request, as often as it
// takes.
func TestAPageThatStayedOpenBeginsAgain(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		for name, state := range map[string]string{"in an address": "the state",
			"in place": longStates["characters of three bytes"]} {
			for _, away := range []time.Duration{time.Hour, 23 * time.Hour} {
				t.Run(name+" "+away.String(), func(t *testing.T) {
					s := s.With(t)
					b := s.Browser()
					path := authorizePath(c, set("state", state, "prompt", "consent"))

					p := b.Open(path).WantPage(200, "login-submit")
					s.Advance(away)
					typed := alice.Credentials()
					typed["stay"] = "yes"
					p = p.Submit("login-submit", typed).WantPage(400, "login-submit")
					if !strings.Contains(p.Text(), openForLong) || p.Value("email") != alice.Email || p.Value("password") != "" ||
						!p.Form("login-submit", nil).Form.Has("stay") {
						t.Errorf("%q, %q: %s", p.Value("email"), p.Value("password"), p.Text())
					}
					p = p.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")

					s.Advance(away)
					p = p.Submit("consent-approve", nil)
					if away > time.Hour { // the session may have ended as well
						p = p.WantPage(400, "consent-approve")
					}
					if !strings.Contains(p.Text(), openForLong) {
						t.Errorf("%s", p.Text())
					}
					p = p.Submit("consent-approve", nil)
					wantCode(t, p)
					if got := p.Query().Get("state"); got != state {
						t.Errorf("the state came back as %.40q", got)
					}
				})
			}
		}
		t.Run("loaded again", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			old := b.Open(authorizePath(c)).WantPage(200, "login-submit")
			signup := old.Link("/signup?request=")
			s.Advance(2 * time.Hour)
			p := b.Open(old.Path).WantPage(200, "login-submit")
			if p.Path == old.Path || strings.Contains(p.Text(), openForLong) {
				t.Errorf("the address is the old one, or something is said of it")
			}
			b.Open(signup).WantPage(200, "signup-submit")
			wantPageOrCode(t, p.Submit("login-submit", alice.Credentials()))
			wantCode(t, b.Open("/consent?"+strings.SplitN(old.Path, "?", 2)[1]))
		})
		t.Run("sign-up keeps what was typed", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := b.Open(b.Open(authorizePath(c)).WantPage(200, "login-submit").Link("/signup")).WantPage(200, "signup-submit")
			s.Advance(2 * time.Hour)
			fields := map[string]string{"email": "late@example.test", "given_name": "Ada", "username": "late",
				"password": s.Secret(apitest.GoodPassword)}
			s.Unchanged(func() { p = p.Submit("signup-submit", fields).WantPage(400, "signup-submit") })
			if p.Value("email") != "late@example.test" || p.Value("given_name") != "Ada" || p.Value("username") != "late" ||
				p.Value("password") != "" {
				t.Errorf("%.900s", p.Body)
			}
			p.Submit("signup-submit", map[string]string{"password": apitest.GoodPassword}).WantPage(200, "consent-approve")
		})
		t.Run("a forgotten password", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			link := b.Open(authorizePath(c)).WantPage(200, "login-submit").Link("/forgot")
			open := b.Open(link).WantPage(200, "ask-submit")
			s.Advance(2 * time.Hour)
			if p := b.Open(link).WantPage(200, "ask-submit"); p.Path == open.Path {
				t.Errorf("the address is the old one: %s", p.Path)
			}
			open.Submit("ask-submit", map[string]string{"email": alice.Email}).WantPage(200, "reset-submit")
			done := open.Submit("ask-submit", map[string]string{"email": "x@example.test"}).WantPage(200, "reset-submit")
			wantLanguage(t, done.Submit("language-submit", map[string]string{"language": "fr"}).WantPage(200, "reset-submit"),
				"fr", "mot de passe")
		})
		t.Run("denied", func(t *testing.T) {
			s := s.With(t)
			p := s.SignedIn(alice).Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-deny")
			s.Advance(2 * time.Hour)
			wantError(t, p.Submit("consent-deny", nil), "access_denied")
		})
		t.Run("in another language", func(t *testing.T) {
			s := s.With(t)
			p := s.Browser().Open(authorizePath(c)).WantPage(200, "login-submit")
			s.Advance(2 * time.Hour)
			wantLanguage(t, p.Submit("language-submit", map[string]string{"language": "fr"}).WantPage(200, "login-submit"), "fr",
				"Se connecter")
		})
		t.Run("what the app demands of a login counts from now", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			for _, demand := range []func(url.Values){set("max_age", "5400", "prompt", "consent"),
				set("prompt", "login consent")} {
				p := b.Open(authorizePath(c, demand))
				if p.Has("login-submit") {
					p = p.Submit("login-submit", alice.Credentials())
				}
				p.WantPage(200, "consent-approve")
				s.Advance(2 * time.Hour)
				p.Submit("consent-approve", nil).WantPage(200, "login-submit")
			}
		})
		t.Run("logout", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			p := b.Open("/oauth2/logout?ui_locales=fr").WantPage(200, "logout-confirm")
			for _, away := range []time.Duration{2 * time.Hour, 20 * time.Hour} {
				s.Advance(away)
				wantLanguage(t, b.Open(p.Path).WantPage(200, "logout-confirm"), "fr", "Se déconnecter")
			}
			p.Submit("logout-confirm", nil).WantPage(200, "")
			b.Open("/login").WantPage(200, "login-submit")
		})
	})
}

// An expired handle keeps every check that a fresh one has.
func TestAnExpiredHandleIsWorthNoMore(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob := s.SignUp("alice"), s.SignUp("bob")
		for _, row := range []struct {
			name   string
			before func(t *testing.T, c apitest.Client, b *apitest.Browser, q *apitest.Request)
			status int
			says   string
		}{
			{"in another browser", func(_ *testing.T, _ apitest.Client, b *apitest.Browser, _ *apitest.Request) {
				other := b.Server.Browser()
				other.Open("/login")
				b.Cookies = other.Cookies
			}, 400, "another browser"},
			{"without cookies", func(_ *testing.T, _ apitest.Client, b *apitest.Browser, _ *apitest.Request) {
				clear(b.Cookies)
			}, 403, "Cookies are off"},
			{"a forged form", func(_ *testing.T, _ apitest.Client, _ *apitest.Browser, q *apitest.Request) {
				q.Form.Set("csrf", "x")
			}, 403, "not sent from here"},
			{"a handle that was changed", func(_ *testing.T, _ apitest.Client, _ *apitest.Browser, q *apitest.Request) {
				handle := q.Form.Get("request")
				q.Form.Set("request", handle[:len(handle)-4]+"AAAA")
			}, 400, ""},
			{"a client that was disabled", func(t *testing.T, c apitest.Client, b *apitest.Browser, _ *apitest.Request) {
				disable(t, b.Server, c)
			}, 400, "not known here"},
		} {
			for _, page := range []string{"login-submit", "consent-approve"} {
				t.Run(row.name+" "+page, func(t *testing.T) {
					s := s.With(t)
					c := s.Register(userstore.Client{ID: "c-" + strings.ReplaceAll(row.name, " ", "-") + "-" + page})
					b, fields := s.Browser(), alice.Credentials()
					if page == "consent-approve" {
						b, fields = s.SignedIn(alice), nil
					}
					q := b.Open(authorizePath(c)).WantPage(200, page).Form(page, fields)
					s.Advance(2 * time.Hour)
					row.before(t, c, b, &q)
					if p := b.Follow(q).WantPage(row.status, ""); !strings.Contains(p.Text(), row.says) || p.Has(page) {
						t.Errorf("%s", p.Text())
					}
				})
			}
		}
		t.Run("of another user's session", func(t *testing.T) {
			s := s.With(t)
			c := s.WebClient()
			b := s.SignedIn(alice)
			q := b.Open(authorizePath(c)).WantPage(200, "consent-approve").Form("consent-approve", nil)
			b.Open("/logout").Submit("logout-confirm", nil)
			b.SignIn("/login", bob)
			s.Advance(2 * time.Hour)
			b.Follow(q).WantPage(403, "")
		})
		t.Run("no password is looked at", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := b.Open(authorizePath(s.Register(userstore.Client{ID: "unlooked"}))).WantPage(200, "login-submit")
			s.Advance(2 * time.Hour)
			s.Unchanged(func() {
				right := p.Submit("login-submit", alice.Credentials()).WantPage(400, "login-submit").Text()
				wrong := p.Submit("login-submit",
					map[string]string{"email": alice.Email, "password": "wrong"}).WantPage(400, "login-submit").Text()
				if right != wrong {
					t.Errorf("%s\n%s", right, wrong)
				}
			})
		})
	})
}

// What is too old to begin again says so, and a button leads back to the app.
func TestARequestOfLongAgoLeadsBackToItsApp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		for _, mode := range []string{"query", "form_post"} {
			t.Run(mode, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				login := b.Open(authorizePath(c, set("response_mode", mode))).WantPage(200, "login-submit")
				s.Advance(24 * time.Hour)
				for _, p := range []*apitest.Page{b.Open(login.Path), login.Submit("login-submit", alice.Credentials())} {
					p = p.WantPage(400, "back-submit")
					if !strings.Contains(p.Text(), "took too long") || !strings.Contains(p.Text(), "Back to "+c.Name) {
						t.Errorf("%s", p.Text())
					}
					p = p.Submit("back-submit", nil)
					if mode == "query" {
						wantError(t, p, "access_denied")
						if p.Query().Get("state") != "the state" || !strings.HasPrefix(p.To, "https://web.test/cb?") {
							t.Errorf("%s", p.To)
						}
						continue
					}
					action, fields := p.Posted()
					if action != "https://web.test/cb" || fields.Get("error") != "access_denied" ||
						fields.Get("state") != "the state" || fields.Get("iss") != apitest.IssuerURL {
						t.Errorf("%s %v", action, fields)
					}
				}
				s.Advance(29 * 24 * time.Hour)
				if p := b.Open(login.Path).WantPage(400, ""); p.Has("back-submit") {
					t.Error("after a month, too")
				}
			})
		}
		t.Run("refused", func(t *testing.T) {
			s := s.With(t)
			c := s.Register(userstore.Client{ID: "gone"})
			b := s.Browser()
			login := b.Open(authorizePath(c)).WantPage(200, "login-submit")
			s.Advance(25 * time.Hour)
			q := b.Open(login.Path).WantPage(400, "back-submit").Form("back-submit", nil)

			forged := q
			forged.Form = url.Values{"request": q.Form["request"], "csrf": {login.Form("login-submit", nil).Form.Get("csrf")}}
			b.Send(forged).WantPage(403, "")
			foreign := q
			foreign.Header = http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": {"cross-site"}}
			b.Send(foreign).WantPage(403, "")
			other := s.Browser()
			other.Open("/login")
			if p := other.Send(q).WantPage(400, ""); p.Header.Get("Location") != "" {
				t.Error("it leads out of another browser")
			}
			if p := other.Open(login.Path).WantPage(400, ""); p.Has("back-submit") {
				t.Error("another browser has the button")
			}
			disable(t, s, c)
			b.Send(q).WantPage(400, "")
			if p := b.Open(login.Path).WantPage(400, ""); p.Has("back-submit") {
				t.Error("the button leads to a client that is disabled")
			}
		})
	})
}

func disable(t *testing.T, s *apitest.Server, c apitest.Client) {
	t.Helper()
	if err := s.Replicas[0].API.Clients.SetActive(t.Context(), c.ID, false); err != nil {
		t.Fatal(err)
	}
}

package secondpages_test

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestP07P10AtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		app, _ := s.WithApp(u)
		begin := func(b *apitest.Browser) *apitest.Page {
			return first(b, authorizePath(c), u).WantPage(200, "second-code")
		}
		over := func(t *testing.T, b *apitest.Browser, p *apitest.Page) {
			t.Helper()
			if p.Status != 403 || !p.Has("login-submit") || !strings.Contains(p.Text(), "Sign in again") || hasSession(b) {
				t.Fatalf("%d %s", p.Status, p.Text())
			}
			if p.Value("email") != u.Email {
				t.Errorf("the name is not filled in: %q", p.Value("email"))
			}
			// The pending request goes on.
			p = p.Submit("login-submit", u.Credentials()).WantPage(200, "second-code")
			wantCode(t, p.Submit("second-submit", map[string]string{"code": app.Code()}))
		}
		t.Run("a code counts once, also in another browser", func(t *testing.T) {
			s := s.With(t)
			one, two := s.Browser(), s.Browser()
			p, q := begin(one), begin(two)
			code := app.Code()
			wantCode(t, p.Submit("second-submit", map[string]string{"code": code}))
			if got := q.Submit("second-submit", map[string]string{"code": code}); got.Status != 403 || hasSession(two) {
				t.Errorf("%d %s", got.Status, got.Text())
			}
			wantCode(t, q.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("a login is used once", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			wantCode(t, p.Submit("second-submit", map[string]string{"code": app.Code()}))
			if got := b.Open(p.Path); got.To == "" { // going back: nothing is asked, the request goes on
				t.Errorf("%d %s", got.Status, got.Text())
			}
			for name := range b.Cookies {
				if strings.Contains(name, "session") {
					delete(b.Cookies, name)
				}
			}
			over(t, b, p.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("in another browser", func(t *testing.T) {
			s := s.With(t)
			p := begin(s.Browser())
			thief := s.Browser()
			thief.Open("/login")
			q := p.Form("second-submit", map[string]string{"code": app.Code()})
			for name, got := range map[string]*apitest.Page{"the page": thief.Open(p.Path), "the form": thief.Send(q)} {
				if got.Status != 400 || hasSession(thief) || !strings.Contains(got.Text(), "another browser") {
					t.Errorf("%s: %d %s", name, got.Status, got.Text())
				}
			}
			none := s.Browser()
			if got := none.Send(q); got.Status != 403 || hasSession(none) {
				t.Errorf("without cookies: %d %s", got.Status, got.Text())
			}
		})
		t.Run("after five minutes", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			s.Clock.Move(5 * time.Minute)
			s.Unchanged(func() { b.Open(p.Path).WantPage(403, "login-submit") })
			over(t, b, p.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("after the factors changed", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			key, _ := s.WithPasskey(u)
			got := p.Submit("second-submit", map[string]string{"code": app.Code()})
			if got.Status != 403 || !got.Has("login-submit") || hasSession(b) {
				t.Errorf("%d %s", got.Status, got.Text())
			}
			removed, err := s.DB.SecondFactors(t.Context(), u.ID)
			if err != nil {
				t.Fatal(err)
			}
			stored, err := s.DB.UserByID(t.Context(), u.ID)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Replicas[0].Accounts.RemoveFactors(t.Context(), stored,
				userstore.RemovedFactors{Passkey: removed.Passkeys[0].ID}, false, userstore.KeepAll); err != nil {
				t.Fatal(err)
			}
			// A passkey that was removed logs nobody in.
			b = s.Browser()
			login := b.Open("/login")
			if got := usePasskey(t, b, login, "login-passkey", key, nil); got.Status != 403 || hasSession(b) {
				t.Errorf("%d %s", got.Status, got.Text())
			}
		})
		t.Run("for another request", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p, q := begin(b), begin(b)
			f := p.Form("second-submit", map[string]string{"code": app.Code(), "request": q.Value("request")})
			if got := b.Follow(f); got.To != "" || got.Status != 403 || hasSession(b) {
				t.Errorf("%d to %q: %s", got.Status, got.To, got.Text())
			}
			f.Form.Del("request")
			if got := b.Follow(f); got.To != "" || hasSession(b) {
				t.Errorf("%d to %q: %s", got.Status, got.To, got.Text())
			}
			// Both tabs go on, each with its own request.
			wantCode(t, p.Submit("second-submit", map[string]string{"code": app.Code()}))
			wantCode(t, q.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("a handle of another kind", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			for _, handle := range []string{p.Value("request"), "x", strings.Repeat("A", 5000), p.Value("login") + "A"} {
				q := p.Form("second-submit", map[string]string{"code": app.Code(), "login": handle})
				if got := b.Send(q); got.Status != 400 || hasSession(b) {
					t.Errorf("%.20s: %d %s", handle, got.Status, got.Text())
				}
			}
			if got := b.Send(p.Form("second-submit", map[string]string{"login": ""})); hasSession(b) || got.Status/100 == 2 {
				t.Errorf("no login: %d", got.Status)
			}
		})
		t.Run("after the password changed", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			next := s.Secret("another planted password")
			if err := s.Replicas[0].Accounts.SetPassword(t.Context(), u.ID, next); err != nil {
				t.Fatal(err)
			}
			u.Password = next
			over(t, b, p.Submit("second-submit", map[string]string{"code": app.Code()}))
		})
		t.Run("of a user who is disabled", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			p := begin(b)
			if err := s.DB.SetActive(t.Context(), u.ID, false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			if got := p.Submit("second-submit", map[string]string{"code": app.Code()}); got.Status != 403 || hasSession(b) {
				t.Errorf("%d %s", got.Status, got.Text())
			}
		})
	})
}

func TestSecondStepKeepsItsHandles(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		app, codes := s.WithApp(u)
		for name, state := range map[string]string{"short": "x", "long": strings.Repeat("long ", 1000)} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				edit := set("state", state, "ui_locales", "fr")
				p := first(b, authorizePath(c, edit), u).WantPage(200, "second-code")
				if p.Header.Get("Content-Language") != "fr" {
					t.Errorf("the page speaks %s", p.Header.Get("Content-Language"))
				}
				p = p.Submit("language-submit", map[string]string{"language": "de"}).WantPage(200, "second-code")
				if p.Header.Get("Content-Language") != "de" || !p.Has("second-submit") || p.Value("login") == "" {
					t.Errorf("the page speaks %s: %s", p.Header.Get("Content-Language"), p.Text())
				}
				if name == "long" {
					p = p.Submit("second-recovery", nil)
				} else {
					p = b.Open(p.Link("/login/second?by=recovery"))
				}
				p = p.WantPage(200, "second-recovery-code").
					Submit("language-submit", map[string]string{"language": "en"}).WantPage(200, "second-recovery-code")
				p = p.Submit("second-submit", map[string]string{"recovery_code": codes[len(name)]})
				if q := p.Query(); q.Get("state") != state || q.Get("code") == "" {
					t.Errorf("%v", q)
				}
				// A step-up with the same request.
				b = s.Browser()
				first(b, "/login", u).Submit("second-submit", map[string]string{"code": app.Code()})
				p = b.Open(authorizePath(c, edit, set("prompt", "login"))).Submit("login-submit", u.Credentials())
				p = p.WantPage(200, "second-code").Submit("second-submit", map[string]string{"code": app.Code()})
				if q := p.Query(); q.Get("state") != state || q.Get("code") == "" {
					t.Errorf("%v", q)
				}
			})
		}
	})
}

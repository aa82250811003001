package secondpages_test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestP05ThePasswordAloneOpensNothingAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		for _, way := range []string{"totp", "recovery_code", "passkey"} {
			t.Run(way, func(t *testing.T) {
				s := s.With(t)
				u := s.SignUp("alice-" + way)
				old := s.SignedIn(u) // a session from before there was a second factor
				app, codes := s.WithApp(u)
				key, _ := s.WithPasskey(u)
				b := s.Browser()
				var p *apitest.Page
				typed := s.Clock.Now()
				s.Unchanged(func() { p = first(b, authorizePath(c), u).WantPage(200, "second-passkey") })
				if hasSession(b) {
					t.Fatal("there is a session before the last step")
				}
				apitest.WantError(t, b.With(s).Open(authorizePath(c, set("prompt", "none"))), "login_required")
				b.With(s).Open("/account").WantPage(200, "login-submit")
				sessions, err := s.DB.ListBrowserSessions(t.Context(), u.ID, s.Clock.Now(), time.Time{})
				if err != nil || len(sessions) > 1 {
					t.Errorf("%d sessions: %v", len(sessions), err)
				}
				// The session of before stands for one factor, and says so.
				if p := old.With(s).Open(authorizePath(c, set("prompt", "none"))); p.To != "" {
					wantStrength(t, s.TokensOf(c, p), "1", typed, "pwd")
				}
				apitest.WantError(t, old.With(s).Open(authorizePath(c, set("prompt", "none", "acr_values", "2"))), "login_required")

				s.Clock.Move(time.Minute)
				amr := []string{"pwd", "otp", "mfa"}
				switch way {
				case "totp":
					p = b.With(s).Open(p.Link("/login/second?by=totp")).WantPage(200, "second-code")
					p = p.Submit("second-submit", map[string]string{"code": app.Code()})
				case "recovery_code":
					p = b.With(s).Open(p.Link("/login/second?by=recovery")).WantPage(200, "second-recovery-code")
					p = p.Submit("second-submit", map[string]string{"recovery_code": strings.ToUpper(codes[3])})
				case "passkey":
					proved := s.Clock.Now()
					p = usePasskey(t, b.With(s), p, "second-passkey", key, nil)
					amr, typed = []string{"pwd", "pop", "user", "mfa"}, proved
				}
				wantStrength(t, s.TokensOf(c, p), "2", typed, amr...)
				wantCode(t, b.With(s).Open(authorizePath(c, set("prompt", "none", "acr_values", "2"))))
			})
		}
	})
}

func TestSecondStepIsTakenByWhatTheAccountHas(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		app, key, both := s.SignUp("app"), s.SignUp("key"), s.SignUp("both")
		s.WithApp(app)
		s.WithPasskey(key)
		s.WithApp(both)
		s.WithPasskey(both)
		for _, c := range []struct {
			user  apitest.User
			asks  string
			links []string
		}{
			{app, "second-code", []string{"recovery_code"}},
			{key, "second-passkey", []string{"recovery_code"}},
			{both, "second-passkey", []string{"totp", "recovery_code"}},
		} {
			b := s.Browser()
			p := first(b, "/login", c.user).WantPage(200, c.asks)
			var links []string
			for _, by := range []string{"passkey", "totp", "recovery_code"} {
				if p.Link("/login/second?by="+by) != "" {
					links = append(links, by)
				}
			}
			if !slices.Equal(links, c.links) {
				t.Errorf("%s: links to %v, want %v", c.user.Email, links, c.links)
			}
			// A method that the account has not is no way.
			for _, by := range []string{"passkey", "totp", "none", "\x00"} {
				q, _ := url.Parse(p.Path)
				values := q.Query()
				values.Set("by", by)
				b.Open("/login/second?"+values.Encode()).WantPage(200, "")
			}
		}
	})
	t.Run("where there are no passkeys", func(t *testing.T) {
		apitest.Each(t, func(t *testing.T, s *apitest.Server) {
			u := s.SignUp("alice")
			s.WithApp(u)
			b := s.Browser()
			p := b.Open("/login").WantPage(200, "login-submit")
			if p.Has("login-passkey") || strings.Contains(p.Header.Get("Content-Security-Policy"), "connect-src") ||
				strings.Contains(string(p.Body), "webauthn") {
				t.Error("the login page offers passkeys")
			}
			p.Submit("login-submit", u.Credentials()).WantPage(200, "second-code")
			if a := b.Send(optionsRequest(b.Open("/login"), "login-submit")); a.Status != 409 {
				t.Errorf("options: %d", a.Status)
			}
		}, apitest.WithoutPasskeys)
	})
}

func TestSecondStepRefusesWhatIsNotRight(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u, other := s.SignUp("alice"), s.SignUp("bob")
		app, codes := s.WithApp(u)
		otherApp, otherCodes := s.WithApp(other)
		b := s.Browser()
		page := func() *apitest.Page { return first(b, "/login", u).WantPage(200, "second-code") }
		p := page()
		before := s.Clock.Now()
		for _, c := range []struct{ name, field, value, says string }{
			{"a wrong code", "code", app.Wrong(), "This code is wrong"},
			{"no code", "code", "", ""},
			{"another user's code", "code", otherApp.Code(), "This code is wrong"},
			{"a recovery code as a code", "code", codes[0], "This code is wrong"},
			{"a code of seven digits", "code", app.Wrong() + "1", "This code is wrong"},
			{"text", "code", "what?", "This code is wrong"},
			{"another user's recovery code", "recovery_code", otherCodes[0], "none of your"},
			{"a wrong recovery code", "recovery_code", "aaaaa-bbbbb-ccccc", "none of your"},
			{"no recovery code", "recovery_code", "", ""},
			{"spaces", "recovery_code", " - ", ""},
		} {
			fields := map[string]string{"by": "totp", c.field: c.value}
			if c.field == "recovery_code" {
				fields["by"] = c.field
			}
			var got *apitest.Page
			s.Unchanged(func() { got = p.Submit("second-submit", fields) })
			if got.Status != 403 && got.Status != 400 || !got.Has("second-submit") || hasSession(b) ||
				got.Value(c.field) != "" {
				t.Errorf("%s: %d %s", c.name, got.Status, got.Text())
			}
			if c.field == "code" && !got.Has("second-code-problem") ||
				c.field == "recovery_code" && !got.Has("second-recovery-code-problem") {
				t.Errorf("%s: nothing is said beside the field: %s", c.name, got.Text())
			}
		}
		s.Clock.Move(before.Sub(s.Clock.Now()) + 2*time.Minute)
		s.Advance(2 * time.Hour) // the budgets are full again
		page().Submit("second-submit", map[string]string{"code": app.Code()}).WantPage(200, "to-profile")
		if !hasSession(b) {
			t.Error("there is no session after a right code")
		}
	})
}

func TestSecondStepWaitsAndIsBlocked(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		app, codes := s.WithApp(u)
		b := s.Browser()
		p := first(b, "/login", u).WantPage(200, "second-code")
		var last *apitest.Page
		for range 20 {
			if last = p.Submit("second-submit", map[string]string{"code": app.Wrong()}); last.Status == 429 {
				break
			}
		}
		wait, err := strconv.Atoi(last.Header.Get("Retry-After"))
		if last.Status != 429 || err != nil || wait <= 0 || !last.Has("problems") || !last.Has("second-code") {
			t.Fatalf("%d %v %s", last.Status, last.Header, last.Text())
		}
		if want := fmt.Sprintf("Try again in %d", max(1, (wait+59)/60)); !strings.Contains(last.Text(), want) {
			t.Errorf("the page does not say %q: %s", want, last.Text())
		}
		// The right code waits as well.
		if got := p.Submit("second-submit", map[string]string{"code": app.Code()}); got.Status != 429 || hasSession(b) {
			t.Errorf("%d %s", got.Status, got.Text())
		}
		s.Advance(time.Hour)

		for {
			if err := s.DB.CountWrongCode(t.Context(), u.ID, userstore.MaxWrongCodes); err != nil {
				break
			}
		}
		p = first(b, "/login", u).WantPage(200, "second-recovery-code")
		if !strings.Contains(p.Text(), "Too many codes from the app were wrong") || p.Link("/login/second?by=totp") != "" {
			t.Errorf("%s", p.Text())
		}
		got := p.Submit("second-submit", map[string]string{"by": "totp", "code": app.Code()})
		if got.Status != 403 || hasSession(b) || !strings.Contains(got.Text(), "Too many codes from the app were wrong") ||
			strings.Count(got.Text(), "Too many codes") != 1 {
			t.Errorf("%d %s", got.Status, got.Text())
		}
		p.Submit("second-submit", map[string]string{"recovery_code": codes[0]}).WantPage(200, "to-profile")
	})
}

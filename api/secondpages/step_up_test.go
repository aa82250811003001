package secondpages_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestStepUpAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u := s.SignUp("alice")
		b := s.SignedIn(u)
		typed := s.Clock.Now()
		app, codes := s.WithApp(u) // other sessions go on
		two := set("acr_values", "2")
		essential := set("claims", `{"id_token":{"acr":{"essential":true,"values":["2"]}}}`)

		wantStrength(t, s.TokensOf(c, b.Open(authorizePath(c))), "1", typed, "pwd")
		for _, edit := range []func(url.Values){two, essential} {
			apitest.WantError(t, b.Open(authorizePath(c, edit, set("prompt", "none"))), "login_required")
			p := b.Open(authorizePath(c, edit)).WantPage(200, "second-code")
			if p.Has("second-trust") || p.Has("login-submit") {
				t.Errorf("%s", p.Text())
			}
			if got := p.Submit("second-submit", map[string]string{"code": app.Wrong()}); got.Status != 403 {
				t.Errorf("%d %s", got.Status, got.Text())
			}
		}
		s.Clock.Move(time.Minute)
		old := cookieOf(b, "session")
		p := b.Open(authorizePath(c, two)).WantPage(200, "second-code")
		form := p.Form("second-submit", map[string]string{"code": app.Code(), "trust": "yes"})
		wantStrength(t, s.TokensOf(c, b.Follow(form)), "2", typed, "pwd", "otp", "mfa")
		if now := cookieOf(b, "session"); now == old || now == "" || cookieOf(b, "trusted") != "" {
			t.Errorf("the cookie after a step-up is %q, was %q; trusted %q", now, old, cookieOf(b, "trusted"))
		}
		stale := s.Browser()
		maps.Copy(stale.Cookies, b.Cookies)
		for name := range stale.Cookies {
			if strings.Contains(name, "-session-") {
				stale.Cookies[name] = old
			}
		}
		stale.Open("/account").WantPage(200, "login-submit")
		p = b.Open(authorizePath(c, essential, set("prompt", "none")))
		wantStrength(t, s.TokensOf(c, p), "2", typed, "pwd", "otp", "mfa")
		// The form once more, from an old tab: nothing is asked, and the request has had its code.
		if got := b.Follow(form); got.Status != 400 || !strings.Contains(got.Text(), "finished before") {
			t.Errorf("%d %s", got.Status, got.Text())
		}

		t.Run("max_age and prompt=login ask for all factors again", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			s.Advance(10 * time.Minute)
			for name, edit := range map[string]func(url.Values){
				"max_age": set("max_age", "60"), "prompt": set("prompt", "login"),
			} {
				apitest.WantError(t, b.Open(authorizePath(c, set("max_age", "60", "prompt", "none"))), "login_required")
				p := b.Open(authorizePath(c, edit)).WantPage(200, "login-submit")
				again := s.Clock.Now()
				p = p.Submit("login-submit", u.Credentials()).WantPage(200, "second-code")
				s.Clock.Move(31 * time.Second)
				tokens := s.TokensOf(c, p.Submit("second-submit", map[string]string{"code": app.Code()}))
				wantStrength(t, tokens, "2", again, "pwd", "otp", "mfa")
				s.Advance(10 * time.Minute)
				if t.Failed() {
					t.Fatal(name)
				}
			}
		})
		t.Run("with a session that ended", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			first(b, "/login", u).Submit("second-submit", map[string]string{"code": app.Code()})
			for _, g := range []string{"the form", "the race"} {
				p := b.Open("/login/second?next=account%2Fpassword").WantPage(200, "second-code")
				q := p.Form("second-submit", map[string]string{"code": app.Code()})
				if _, err := s.Replicas[0].Accounts.RevokeSessions(t.Context(), u.ID, ""); err != nil {
					t.Fatal(err)
				}
				if got := b.Follow(q); !got.Has("login-submit") || !strings.Contains(got.Path, "next=account") {
					t.Errorf("%s: %d %s %s", g, got.Status, got.Path, got.Text())
				}
				b.Open("/account").WantPage(200, "login-submit")
				first(b, "/login", u).Submit("second-submit", map[string]string{"code": app.Code()})
			}
		})
		t.Run("proof for a page of the account", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			first(b, "/login", u).Submit("second-submit", map[string]string{"code": app.Code()})
			p := b.Open("/login/second?next=account%2Fpassword").WantPage(200, "second-code")
			if p.Has("second-trust") || p.Link("/login?") != "" {
				t.Errorf("%s", p.Text())
			}
			at := s.Clock.Now()
			s.Clock.Move(time.Second)
			p = b.Open(p.Link("/login/second?by=recovery")).WantPage(200, "second-recovery-code")
			p.Submit("second-submit", map[string]string{"recovery_code": codes[5]}).WantPage(200, "password-submit")
			sessions, err := s.DB.ListBrowserSessions(t.Context(), u.ID, s.Clock.Now(), time.Time{})
			if err != nil || !slices.ContainsFunc(sessions[0].Proofs(), func(f userstore.ProvedFactor) bool {
				return f.Factor == userstore.FactorRecoveryCode && f.At.After(at)
			}) {
				t.Errorf("%+v %v", sessions[0].Proofs(), err)
			}
			for path, id := range map[string]string{
				"/login/second": "to-profile", "/login/second?next=https://evil.test": "to-profile",
				"/login/second?next=login": "to-profile",
			} {
				b.Open(path).WantPage(200, id)
			}
			plain := s.SignedIn(s.SignUp("plain"))
			plain.Open("/login/second?next=account%2Fpassword").WantPage(200, "password-submit")
			s.Browser().Open("/login/second?next=account%2Fpassword").WantPage(200, "login-submit")
			s.Browser().Open("/login/second").WantPage(200, "login-submit")
		})
	})
}

func TestStayingSignedInSurvivesAStepUp(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		app, _ := s.WithApp(u)
		for stay, want := range map[string]bool{"yes": true, "": false} {
			b := s.Browser()
			fields := u.Credentials()
			fields["stay"] = stay
			age := func() (seconds int) {
				for _, c := range b.Set {
					if strings.Contains(c.Name, "-session-") {
						seconds = c.MaxAge
					}
				}
				return seconds
			}
			b.Open("/login").Submit("login-submit", fields).Submit("second-submit", map[string]string{"code": app.Code()})
			if (age() > 0) != want {
				t.Errorf("stay %q: the cookie lasts %d s", stay, age())
			}
			b.Open("/login/second?next=account").Submit("second-submit", map[string]string{"code": app.Code()})
			if (age() > 0) != want {
				t.Errorf("stay %q: after a step-up the cookie lasts %d s", stay, age())
			}
		}
	})
}

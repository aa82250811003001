package secondpages_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestTrustedBrowsersAtThePages(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.Register(userstore.Client{ID: "first", FirstParty: true})
		u, other := s.SignUp("alice"), s.SignUp("bob")
		app, _ := s.WithApp(u)
		otherApp, _ := s.WithApp(other)
		b := s.Browser()
		p := first(b, authorizePath(c), u).WantPage(200, "second-trust")
		if !strings.Contains(p.Text(), "Trust this browser for 30 days") {
			t.Errorf("%s", p.Text())
		}
		wantCode(t, p.Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}))
		secret := cookieOf(b, "trusted")
		if secret == "" {
			t.Fatal("the browser is not trusted")
		}
		for _, cookie := range b.Set {
			if strings.Contains(cookie.Name, "-trusted-") &&
				(cookie.MaxAge != 30*24*3600 || !cookie.HttpOnly || !cookie.Secure) {
				t.Errorf("%v", cookie)
			}
		}
		logOut := func() { b.Open("/logout").Submit("logout-confirm", nil) }
		logOut()
		s.Advance(time.Hour)
		at := s.Clock.Now()
		wantStrength(t, s.TokensOf(c, first(b, authorizePath(c), u)), "1", at, "pwd")
		logOut()
		for name, edit := range map[string]func(url.Values){
			"prompt=login": set("prompt", "login"), "max_age": set("max_age", "3600"), "acr_values": set("acr_values", "2"),
			"an essential acr": set("claims", `{"id_token":{"acr":{"essential":true,"value":"2"}}}`),
		} {
			p := first(b, authorizePath(c, edit), u)
			if !p.Has("second-code") || hasSession(b) {
				t.Errorf("%s: %d to %q %s", name, p.Status, p.To, p.Text())
			}
		}
		p = first(b, authorizePath(c, set("acr_values", "2")), u)
		at = s.Clock.Now()
		p = p.Submit("second-submit", map[string]string{"code": app.Code()})
		wantStrength(t, s.TokensOf(c, p), "2", at, "pwd", "otp", "mfa")
		logOut()
		// It is trusted for one user, and is another browser's by the cookie alone.
		first(b, "/login", other).WantPage(200, "second-code")
		thief := s.Browser()
		for name, value := range b.Cookies {
			if strings.Contains(name, "-trusted-") {
				thief.Cookies[name] = strings.ToUpper(value)
			}
		}
		first(thief, "/login", u).WantPage(200, "second-code")
		// Changed factors end the trust.
		s.WithPasskey(u)
		first(b, "/login", u).WantPage(200, "second-passkey")
		first(b, "/login", other).Submit("second-submit", map[string]string{"code": otherApp.Code()}).
			WantPage(200, "to-profile")
	}, apitest.Configured(trusting))
	t.Run("where there are none", func(t *testing.T) {
		apitest.Each(t, func(t *testing.T, s *apitest.Server) {
			u := s.SignUp("alice")
			app, _ := s.WithApp(u)
			b := s.Browser()
			p := first(b, "/login", u).WantPage(200, "second-code")
			if p.Has("second-trust") {
				t.Error("the choice is offered")
			}
			p.Submit("second-submit", map[string]string{"code": app.Code(), "trust": "yes"}).WantPage(200, "to-profile")
			if cookieOf(b, "trusted") != "" {
				t.Error("the browser is trusted")
			}
		})
	})
}

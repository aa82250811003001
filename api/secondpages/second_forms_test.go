package secondpages_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

func TestA27A30A37AtTheSecondStep(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		app, _ := s.WithApp(u)
		b := s.Browser()
		p := first(b, "/login", u).WantPage(200, "second-code")
		q := p.Form("second-submit", map[string]string{"code": app.Code()})
		refused := func(name string, change func(*apitest.Request)) {
			t.Helper()
			sent := q
			sent.Form = maps.Clone(q.Form)
			change(&sent)
			s.Unchanged(func() {
				if got := b.Send(sent); got.Status != 403 || got.Header.Get("Location") != "" || hasSession(b) {
					t.Errorf("%s: %d %s", name, got.Status, got.Text())
				}
			})
		}
		refused("another site", func(q *apitest.Request) {
			q.Header = http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": nil}
		})
		refused("a foreign Origin", func(q *apitest.Request) {
			q.Header = http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": nil}
		})
		refused("no token", func(q *apitest.Request) { q.Form.Del("csrf") })
		refused("a token of the login page", func(q *apitest.Request) { q.Form.Set("csrf", b.Open("/login").Value("csrf")) })
		refused("a token of another login", func(q *apitest.Request) {
			q.Form.Set("csrf", first(b, "/login", u).Value("csrf"))
		})
		// The options are asked for from our pages only.
		o := optionsRequest(b.Open("/login"), "login-passkey")
		o.Header = http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": nil}
		if got := b.Send(o); got.Status != 403 {
			t.Errorf("options for another site: %d", got.Status)
		}
		o.Header = nil
		o.Form.Set("csrf", p.Value("csrf"))
		if got := b.Send(o); got.Status != 403 {
			t.Errorf("options with the token of another form: %d", got.Status)
		}
		// Each step ends in a redirect, so that loading the page again sends nothing a second time.
		login := s.Browser()
		step := login.Send(login.Open("/login").Form("login-submit", u.Credentials()))
		if step.Status != http.StatusSeeOther || !strings.HasPrefix(step.Header.Get("Location"), "/login/second?login=") {
			t.Errorf("%d %s", step.Status, step.Header.Get("Location"))
		}
		if got := b.Send(q); got.Status != http.StatusSeeOther {
			t.Errorf("%d %s", got.Status, got.Text())
		}
	})
}

func TestS01TextsAtTheSecondStep(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		u := s.SignUp("alice")
		s.WithApp(u)
		s.WithPasskey(u)
		b := s.Browser()
		p := first(b, "/login", u).WantPage(200, "second-passkey")
		login := b.Open("/login")
		for _, text := range apitest.Hostile {
			for _, field := range []string{"by", "code", "recovery_code", "login", "request", "show", "passkey", "response",
				"trust", "csrf"} {
				for n, by := range []string{"totp", "passkey", "recovery_code"} {
					if field == "by" && n > 0 {
						continue // the text stands in its place
					}
					q := p.Form("second-passkey", map[string]string{"by": by, "code": "x", "recovery_code": "", field: text})
					if got := b.Send(q); got.Status/100 == 3 || hasSession(b) {
						t.Errorf("%s=%.20q: %d %s", field, text, got.Status, got.Header.Get("Location"))
					}
				}
				q := login.Form("login-passkey", map[string]string{"passkey": "x", "response": "{}", field: text})
				if got := b.Send(q); got.Status/100 == 3 || hasSession(b) {
					t.Errorf("login %s=%.20q: %d", field, text, got.Status)
				}
				o := optionsRequest(p, "second-passkey")
				o.Form.Set(field, text)
				if got := b.Send(o); got.Status >= 500 {
					t.Errorf("options %s=%.20q: %d", field, text, got.Status)
				}
			}
			for _, name := range []string{"login", "request", "by", "next"} {
				if got := b.Open("/login/second?" + url.Values{name: {text}}.Encode()); hasSession(b) || got.To != "" {
					t.Errorf("?%s=%.20q: %d to %q", name, text, got.Status, got.To)
				}
			}
			b.Open("/login/codes?" + url.Values{"request": {text}, "next": {text}}.Encode())
		}
	})
}

package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// A browser that keeps no cookies is told so before a password is typed, wherever it comes in.
func TestABrowserWithoutCookiesIsToldBeforeAPassword(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		long := authorizePath(c, set("state", longStates["letters"]))
		posted := func(path string) apitest.Request {
			path, query, _ := strings.Cut(path, "?")
			return apitest.Request{Method: http.MethodPost, Path: path, Body: query, Type: "application/x-www-form-urlencoded",
				Header: http.Header{"Origin": {"https://web.test"}, "Sec-Fetch-Site": {"cross-site"}}}
		}
		for _, row := range []struct {
			name  string
			open  apitest.Request
			again string // the page that it may be tried again at
		}{
			{"the login page", apitest.Request{Path: "/login"}, "/login"},
			{"the sign-up page", apitest.Request{Path: "/signup"}, "/signup"},
			{"the page of a forgotten password", apitest.Request{Path: "/forgot"}, "/forgot"},
			{"the page that confirms an address", apitest.Request{Path: "/verify"}, "/verify"},
			{"a request", apitest.Request{Path: authorizePath(c)}, ""},
			{"a request that is too long for an address", apitest.Request{Path: long}, ""},
			{"a request by POST", posted(authorizePath(c)), ""},
			{"a request by POST that is too long for an address", posted(long), ""},
			{"a request by POST whose handle only is too long",
				posted(authorizePath(c, set("state", strings.Repeat("s", 1100)))), ""},
			{"a logout that leads to a page of ours",
				apitest.Request{Path: "/oauth2/logout?post_logout_redirect_uri=https://x.test"}, ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				b := s.With(t).Browser()
				b.NoCookies = true
				p := b.Follow(row.open).WantPage(403, "")
				if !strings.Contains(p.Text(), "Cookies are off") || p.Has("password") {
					t.Errorf("%s", p.Text())
				}
				if got := p.Link("/"); got != row.again {
					t.Errorf("it is tried again at %q, want %q", got, row.again)
				}
				if row.again != "" { // cookies are allowed now
					b.NoCookies = false
					b.Open(row.again).WantPage(200, "email")
				}
			})
		}
		t.Run("what needs no page is answered all the same", func(t *testing.T) {
			b := s.With(t).Browser()
			b.NoCookies = true
			for _, q := range []apitest.Request{
				{Path: authorizePath(c, set("prompt", "none"))},
				posted(authorizePath(c, set("prompt", "none"))),
				posted(authorizePath(c, set("prompt", "none", "state", longStates["letters"]))),
			} {
				wantError(t, b.Follow(q), "login_required")
			}
			if p := b.Open("/logout").WantPage(200, ""); !strings.Contains(p.Text(), "You are signed out") {
				t.Errorf("%s", p.Text())
			}
		})
		t.Run("cookies that are turned off while a page is open", func(t *testing.T) {
			s := s.With(t)
			for _, path := range []string{"/login", authorizePath(c), long} {
				b := s.Browser()
				p := b.Open(path).WantPage(200, "login-submit")
				clear(b.Cookies)
				b.NoCookies = true
				if p := p.Submit("login-submit", alice.Credentials()).
					WantPage(403, ""); !strings.Contains(p.Text(), "Cookies are off") {
					t.Errorf("%.40s: %s", path, p.Text())
				}
			}
			b := s.SignedIn(alice)
			p := b.Open(authorizePath(c)).WantPage(200, "consent-approve")
			clear(b.Cookies)
			s.Unchanged(func() { p.Submit("consent-approve", nil).WantPage(403, "") })
		})
		t.Run("a browser with cookies comes in as before", func(t *testing.T) {
			s := s.With(t)
			for _, path := range []string{"/login", "/signup", authorizePath(c), long} {
				s.Browser().Open(path).WantPage(200, "email")
			}
			// The link of another browser's request is no matter of cookies, also for a new one.
			link := s.Browser().Open(authorizePath(c)).Path
			if p := s.Browser().Open(link).WantPage(400, ""); !strings.Contains(p.Text(), "another browser") {
				t.Errorf("%s", p.Text())
			}
		})
		t.Run("a cookie of before is not replaced by what another site posts", func(t *testing.T) {
			b := s.With(t).Browser()
			tab := b.Open(authorizePath(c)).WantPage(200, "login-submit")
			kept := b.Cookies
			b.Cookies = map[string]string{} // SameSite=Lax: they stay behind
			p := b.Send(posted(long)).WantPage(200, "")
			if len(b.Cookies) != 0 {
				t.Errorf("the browser is given %v", b.Cookies)
			}
			b.Cookies = kept
			_, fields := p.Posted()
			b.Send(apitest.Request{Method: http.MethodPost, Path: "/oauth2/authorize",
				Form: fields}).WantPage(200, "login-submit")
			if q := tab.Submit("login-submit", alice.Credentials()); q.Status != 200 || !q.Has("consent-approve") {
				t.Errorf("the other tab: %d %s", q.Status, q.Text())
			}
		})
		t.Run("a program gets a page at once", func(t *testing.T) {
			p := s.With(t).Browser().Send(apitest.Request{Path: "/login", Header: http.Header{"Accept": {"*/*"}}})
			p.WantPage(200, "login-submit").Submit("login-submit", alice.Credentials()).WantPage(200, "")
		})
		t.Run("an address that is no handle is sent nowhere else", func(t *testing.T) {
			b := s.With(t).Browser()
			for _, handle := range []string{"a&next=https://evil.test", "x\r\nSet-Cookie: a=b", "//evil.test",
				strings.Repeat("a", 3000)} {
				p := b.Send(apitest.Request{Path: "/login?request=" + url.QueryEscape(handle)})
				if to := p.Header.Get("Location"); to != "" && to != "/login?cookies=set&request="+url.QueryEscape(handle) {
					t.Errorf("%q leads to %q", handle, to)
				}
				clear(b.Cookies)
			}
		})
	})
}

package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// What proxies keep of one answer's headers is often 4 KiB, and the rest of these headers needs its
// part.
const longestAddress = 1700

// longStates are as long as a state may be, of characters that grow in different encodings.
var longStates = map[string]string{
	"letters":                      strings.Repeat("s", 8<<10),
	"characters that JSON escapes": strings.Repeat("\x01<\"", 8<<10/3),
	"characters of three bytes":    strings.Repeat("☃", 8<<10/3),
}

// short fails the test if an address of ours in an answer is long, in its headers or in its page.
func short(t *testing.T, p *apitest.Page) *apitest.Page {
	t.Helper()
	for name, values := range p.Header {
		for _, v := range values {
			if len(v) > longestAddress && strings.HasPrefix(v, "/") {
				t.Errorf("%s: the header %s has %d bytes", p.Path[:min(len(p.Path), 80)], name, len(v))
			}
		}
	}
	for _, quoted := range strings.Split(string(p.Body), `"`) {
		if len(quoted) > longestAddress && strings.HasPrefix(quoted, "/") {
			t.Errorf("%s: the page has an address of %d bytes", p.Path[:min(len(p.Path), 80)], len(quoted))
		}
	}
	return p
}

func TestALongRequestNeverStandsInOurAddresses(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		for name, state := range longStates {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				b.Open("/login") // so that the browser has its cookie
				// Sent as it is, so that no redirect is followed unseen.
				p := short(t, b.Send(apitest.Request{
					Path: authorizePath(c, set("state", state, "prompt", "consent"))}).WantPage(200, "login-submit"))
				// To the sign-up page and back, with the request.
				p = short(t, p.Submit("to-signup", nil).WantPage(200, "signup-submit"))
				p = short(t, p.Submit("to-login", nil).WantPage(200, "login-submit"))
				wrong := short(t, p.Submit("login-submit",
					map[string]string{"email": alice.Email, "password": "not hers"}).WantPage(403, "login-submit"))
				p = short(t, wrong.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve"))
				p = short(t, p.Submit("to-login", nil).WantPage(200, "login-submit"))
				p = short(t, p.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve"))
				if got := p.Submit("consent-approve", nil).Query().Get("state"); got != state {
					t.Errorf("the state came back as %.40q", got)
				}
				b.Open("/logout").Submit("logout-confirm", nil)
			})
		}
		t.Run("each of two tabs goes on with its own", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			first, second := strings.Repeat("a", 8<<10), strings.Repeat("b", 8<<10)
			one := b.Open(authorizePath(c, set("state", first))).WantPage(200, "login-submit")
			two := b.Open(authorizePath(c, set("state", second))).WantPage(200, "login-submit")
			for state, p := range map[string]*apitest.Page{first: one, second: two} {
				if p = p.Submit("login-submit", alice.Credentials()); p.To == "" {
					p = p.WantPage(200, "consent-approve").Submit("consent-approve", nil)
				}
				if got := p.Query().Get("state"); got != state {
					t.Errorf("the state came back as %.40q", got)
				}
			}
		})
		t.Run("a new account", func(t *testing.T) {
			s := s.With(t)
			p := s.Browser().Open(authorizePath(c, set("state", longStates["letters"]))).Submit("to-signup", nil)
			p = short(t, p.Submit("signup-submit",
				map[string]string{"email": "new@example.test", "password": s.Secret(apitest.GoodPassword)}))
			p.WantPage(200, "consent-approve")
		})
		t.Run("form_post", func(t *testing.T) {
			s := s.With(t)
			p := s.Browser().Open(authorizePath(c, set("state", longStates["letters"], "response_mode", "form_post")))
			p = short(t, p.Submit("login-submit", alice.Credentials()))
			if p.Has("consent-approve") {
				p = p.Submit("consent-approve", nil)
			}
			if action, fields := p.Posted(); action != "https://web.test/cb" || fields.Get("state") != longStates["letters"] {
				t.Errorf("posted to %s: %.80v", action, fields)
			}
		})
		t.Run("a short one is an address that can be loaded again", func(t *testing.T) {
			p := s.With(t).Browser().Open(authorizePath(c)).WantPage(200, "login-submit")
			if !strings.HasPrefix(p.Path, "/login?request=") || p.Link("/signup?request=") == "" {
				t.Errorf("it leads to %q", p.Path)
			}
		})
	})
}

// A form that another site's page sends comes without cookies. It is sent once more, from here.
func TestALongRequestByPostIsSentOnceMore(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		b, _ := s.Allowed(alice, c)
		for name, state := range longStates {
			path, query, _ := strings.Cut(authorizePath(c, set("state", state)), "?")
			request := apitest.Request{Method: http.MethodPost, Path: path, Body: query,
				Type:   "application/x-www-form-urlencoded",
				Header: http.Header{"Origin": {"https://web.test"}, "Sec-Fetch-Site": {"cross-site"}}}
			stranger := s.With(t).Browser() // the cookies stay behind
			p := short(t, stranger.Send(request).WantPage(200, ""))
			action, fields := p.Posted()
			if action != apitest.IssuerURL+path {
				t.Fatalf("%s: sent to %q", name, action)
			}
			again := apitest.Request{Method: http.MethodPost, Path: path, Body: fields.Encode(),
				Type: "application/x-www-form-urlencoded"}
			if got := b.Send(again); !strings.HasPrefix(got.Header.Get("Location"), "https://web.test/cb?") {
				t.Errorf("%s: %d to %q", name, got.Status, got.Header.Get("Location"))
			}
			// A new browser is sent round once more, to find out whether it keeps cookies.
			if _, fields := s.Browser().Send(again).WantPage(200, "").Posted(); fields.Get("state") != state ||
				fields.Get("signet_resent") != "2" {
				t.Errorf("%s: a new browser sends %.80v", name, fields)
			}
		}
		q := url.Values{"state": {longStates["letters"]}}
		logout := apitest.Request{Method: http.MethodPost, Path: "/oauth2/logout", Body: q.Encode(),
			Type:   "application/x-www-form-urlencoded",
			Header: http.Header{"Origin": {"https://web.test"}, "Sec-Fetch-Site": {"cross-site"}}}
		if action, _ := s.Browser().Send(logout).WantPage(200, "").Posted(); action != apitest.IssuerURL+"/oauth2/logout" {
			t.Errorf("logout is sent to %q", action)
		}
	})
}

func TestALogoutThatLeadsFarStaysShort(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice := s.SignUp("alice")
	c := s.Register(userstore.Client{ID: "web",
		ClientMetadata: userstore.ClientMetadata{PostLogoutRedirectURIs: []string{"https://web.test/out"}}})
	_, p := s.Allowed(alice, c)
	hint := s.TokensOf(c, p).ID
	b := s.SignedIn(s.SignUp("bob")) // whom the hint does not speak for
	state := longStates["characters of three bytes"]
	p = short(t, b.Open("/oauth2/logout?"+url.Values{"id_token_hint": {hint},
		"post_logout_redirect_uri": {"https://web.test/out"}, "state": {state}}.Encode()))
	p = p.WantPage(200, "logout-confirm").Submit("logout-confirm", nil)
	if got := p.Query().Get("state"); got != state {
		t.Errorf("the state came back as %.40q", got)
	}
}

func TestContinueLeadsToOurPagesOnly(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	b := s.Browser()
	b.Open("/login")
	for _, page := range []string{"", "//evil.test", "/login", "../oauth2/token", "admin"} {
		b.Send(apitest.Request{Method: http.MethodPost, Path: "/continue",
			Form: url.Values{"page": {page}}}).WantPage(400, "")
	}
	p := b.Send(apitest.Request{Method: http.MethodPost, Path: "/continue", Form: url.Values{"page": {"login"}},
		Header: http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": {"cross-site"}}})
	p.WantPage(403, "")
}

// A proxy that adds Referrer-Policy: no-referrer makes browsers send Origin: null with our own
// forms.
func TestFormsBehindAProxyThatHidesTheReferer(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice, b := s.SignUp("alice"), s.Browser()
	q := b.Open("/login").WantPage(200, "login-submit").Form("login-submit", alice.Credentials())
	for _, site := range []string{"cross-site", "same-site", "none",
		""} { // a sandboxed page is cross-site, wherever it comes from
		q.Header = http.Header{"Origin": {"null"}, "Sec-Fetch-Site": {site}}
		if site == "" {
			q.Header["Sec-Fetch-Site"] = nil
		}
		b.Send(q).WantPage(403, "")
	}
	q.Header = http.Header{"Origin": {"null"}, "Sec-Fetch-Site": {"same-origin"}}
	if p := b.Send(q); p.Status != http.StatusSeeOther {
		t.Errorf("got %d: %s", p.Status, p.Text())
	}
}

package pages_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// login CSRF: a form of ours that somebody else's page sends, with credentials of whomever.
func TestA27A28FormsAreTakenFromOurOwnPagesOnly(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, mallory, c := s.SignUp("alice"), s.SignUp("mallory"), s.WebClient()
		b := s.Browser()
		login := b.Open(authorizePath(c)).WantPage(200, "login-submit").Form("login-submit", mallory.Credentials())
		signup := b.Open("/signup").WantPage(200, "signup-submit").Form("signup-submit",
			map[string]string{"email": "new@example.test", "password": s.Secret(apitest.GoodPassword)})
		in := s.Browser()
		consent := in.SignIn(authorizePath(c), alice).WantPage(200, "consent-approve").Form("consent-approve", nil)
		logout := in.Open("/logout").WantPage(200, "logout-confirm").Form("logout-confirm", nil)

		headers := map[string]http.Header{
			"a foreign Origin":          {"Origin": {"https://evil.test"}, "Sec-Fetch-Site": nil},
			"Origin: null":              {"Origin": {"null"}, "Sec-Fetch-Site": nil},
			"cross-site":                {"Sec-Fetch-Site": {"cross-site"}, "Origin": nil},
			"same-site":                 {"Sec-Fetch-Site": {"same-site"}, "Origin": nil},
			"a foreign Referer only":    {"Referer": {"https://evil.test/x"}, "Origin": nil, "Sec-Fetch-Site": nil},
			"a port of ours":            {"Origin": {"https://id.test:444"}, "Sec-Fetch-Site": nil},
			"a foreign Referer besides": {"Referer": {"https://id.test.evil.test/"}},
		}
		type form struct {
			name    string
			browser *apitest.Browser
			request apitest.Request
		}
		forms := []form{{"login", b, login}, {"signup", b, signup}, {"consent", in, consent}, {"logout", in, logout}}
		refused := func(t *testing.T, f form, change func(*apitest.Request)) {
			t.Helper()
			s := s.With(t)
			q := f.request
			q.Form = url.Values{}
			for name, values := range f.request.Form {
				q.Form[name] = values
			}
			change(&q)
			s.Unchanged(func() {
				p := f.browser.With(s).Send(q)
				if p.Status != http.StatusForbidden || p.Header.Get("Location") != "" || len(p.Header["Set-Cookie"]) > 0 {
					t.Errorf("got %d %v: %.200s", p.Status, p.Header["Set-Cookie"], p.Text())
				}
			})
		}
		for _, f := range forms {
			t.Run(f.name, func(t *testing.T) {
				for name, h := range headers {
					t.Run(name, func(t *testing.T) { refused(t, f, func(q *apitest.Request) { q.Header = h }) })
				}
				t.Run("without a token", func(t *testing.T) { refused(t, f, func(q *apitest.Request) { q.Form.Del("csrf") }) })
				t.Run("with an empty token",
					func(t *testing.T) { refused(t, f, func(q *apitest.Request) { q.Form.Set("csrf", "") }) })
				t.Run("with the token of another form", func(t *testing.T) {
					refused(t, f, func(q *apitest.Request) {
						q.Form.Set("csrf",
							forms[(slices.IndexFunc(forms, func(g form) bool { return g.name == f.name })+1)%4].request.Form.Get("csrf"))
					})
				})
			})
		}
		t.Run("without any cookie", func(t *testing.T) {
			for _, f := range []form{{"login", s.Browser(), login}, {"signup", s.Browser(), signup}} {
				refused(t, f, func(q *apitest.Request) {})
			}
		})
		// What was refused is good when our own page sends it; browsers of old say neither Origin
		// nor Sec-Fetch-Site.
		login.Header = http.Header{"Origin": nil, "Sec-Fetch-Site": nil, "Referer": {"https://id.test/login"}}
		if p := b.Send(login); p.Status != http.StatusSeeOther {
			t.Errorf("the genuine form: %d %s", p.Status, p.Text())
		}
	})
}

func TestPagesAreNobodyElses(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice, c, b := s.SignUp("alice"), s.WebClient(), s.Browser()
	b.Language = "de"
	login := b.Open(authorizePath(c)).WantPage(200, "login-submit")
	pages := map[string]*apitest.Page{
		"login":     login,
		"signup":    b.Open("/signup").WantPage(200, "signup-submit"),
		"consent":   login.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve"),
		"logout":    b.Open("/logout").WantPage(200, "logout-confirm"),
		"signed in": b.Open("/login"),
		"error":     b.Open("/consent"),
		"form post": b.Open(authorizePath(c, set("response_mode", "form_post", "scope", "evil"))),
	}
	for name, p := range pages {
		t.Run(name, func(t *testing.T) {
			h := p.Header
			csp := h.Get("Content-Security-Policy")
			if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") ||
				strings.Contains(csp, "unsafe") {
				t.Errorf("CSP %q", csp)
			}
			if onward := name == "login" || name == "consent" ||
				name == "form post"; onward == strings.Contains(csp, "form-action") {
				t.Errorf("CSP %q, and the form leads to a client: %t", csp, onward)
			}
			for header, want := range map[string]string{"Referrer-Policy": "same-origin", "Cache-Control": "no-store",
				"X-Frame-Options": "DENY", "Vary": "Accept-Language, Cookie", "Content-Type": "text/html; charset=utf-8"} {
				if h.Get(header) != want {
					t.Errorf("%s: %q", header, h.Get(header))
				}
			}
			if !strings.Contains(string(p.Body), `<html lang="de">`) {
				t.Errorf("not in German: %.100s", p.Body)
			}
		})
	}
	t.Run("A-36 no other origin reads them", func(t *testing.T) {
		s := s.With(t)
		for _, path := range []string{"/login", "/consent", "/signup", "/logout", "/oauth2/authorize?client_id=web",
			"/oauth2/logout"} {
			for _, method := range []string{"GET", "OPTIONS", "POST"} {
				res := s.Do(apitest.Request{Method: method, Path: path,
					Header: http.Header{"Origin": {"https://web.test"}, "Access-Control-Request-Method": {"POST"}}})
				for name := range res.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s %s: %s", method, path, name)
					}
				}
			}
		}
	})
	t.Run("H-13 nothing is compressed", func(t *testing.T) {
		s := s.With(t)
		p := b.With(s).Send(apitest.Request{Path: login.Path, Header: http.Header{"Accept-Encoding": {"gzip, br, deflate"}}})
		if p.Status != 200 || p.Header.Get("Content-Encoding") != "" {
			t.Errorf("%d %q", p.Status, p.Header.Get("Content-Encoding"))
		}
	})
	t.Run("A-37 credentials are answered with 303", func(t *testing.T) {
		s := s.With(t)
		b := s.Browser()
		for _, q := range []apitest.Request{
			b.Open(authorizePath(c)).Form("login-submit", alice.Credentials()),
			b.Open(authorizePath(c, set("response_mode", "form_post"))).Form("login-submit", alice.Credentials()),
			b.Open("/signup").Form("signup-submit",
				map[string]string{"email": "fresh@example.test", "password": s.Secret("a fresh password of mine")}),
		} {
			if p := b.Send(q); p.Status != http.StatusSeeOther {
				t.Errorf("%s: %d %s", q.Path, p.Status, p.Text())
			}
		}
	})
	t.Run("what pages link to is served", func(t *testing.T) {
		s, assets := s.With(t), 0
		for _, part := range strings.Split(string(login.Body), `"`) {
			if strings.HasPrefix(part, "/assets/") {
				assets++
				if res := s.Do(apitest.Request{Path: part}); res.Status != 200 || len(res.Body) == 0 ||
					res.Header.Get("Content-Security-Policy") == "" {
					t.Errorf("%s: %d", part, res.Status)
				}
			}
		}
		if assets == 0 {
			t.Error("the page links to no asset: the search is blind")
		}
		s.Do(apitest.Request{Path: "/assets/none.css"}).Want(404, "invalid_request")
	})
}

func TestAnAuthorizationRequestThatAnotherSitePosts(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := s.WebClient()
	b, _ := s.Allowed(s.SignUp("alice"), c)
	_, query, _ := strings.Cut(authorizePath(c, set("state", "a b&c=ü")), "?")
	post := apitest.Request{Method: "POST", Path: "/oauth2/authorize", Body: query,
		Type: "application/x-www-form-urlencoded",
		Header: http.Header{"Cookie": nil, "Origin": {"https://web.test"},
			"Sec-Fetch-Site": {"cross-site"}}} // as SameSite=Lax has it
	p := b.Send(post)
	if p.Status != http.StatusSeeOther || !strings.HasPrefix(p.Header.Get("Location"), "/oauth2/authorize?") {
		t.Fatalf("%d %s", p.Status, p.Header.Get("Location"))
	}
	p = b.Open(p.Header.Get("Location"))
	wantCode(t, p)
	if p.Query().Get("state") != "a b&c=ü" {
		t.Errorf("state %q", p.Query().Get("state"))
	}
	for _, broken := range []apitest.Request{
		{Method: "POST", Path: "/oauth2/authorize", Body: query, Type: "text/plain"},
		{Method: "POST", Path: "/oauth2/authorize", Body: "a=%zz", Type: "application/x-www-form-urlencoded"},
		{Method: "POST", Path: "/oauth2/authorize", Body: strings.Repeat("a", 70<<10),
			Type: "application/x-www-form-urlencoded"},
	} {
		if p := b.Send(broken); p.Status != 400 && p.Status != 413 && p.Status != 415 {
			t.Errorf("%.30v: %d", broken.Body, p.Status)
		}
	}
}

package pages_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore"
)

func TestA16A18AResponseCarriesStateAndIssuer(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	b, _ := s.Allowed(s.SignUp("alice"), s.WebClient())
	c := apitest.Client{Client: userstore.Client{ID: "web", ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://web.test/cb"}}}}
	for _, state := range []string{strings.Repeat("s", 8<<10), `"><script>alert(1)</script>`, "%0d%0aX:1", "ümläut ☃", "x&code=y", ""} {
		q := b.Open(authorizePath(c, set("state", state))).Query()
		if q.Get("state") != state || len(q["code"]) != 1 || q.Get("iss") != apitest.IssuerURL || state == "" && q.Has("state") {
			t.Errorf("state %.40q came back in %.200v", state, q)
		}
	}
	// Also by way of the pages, in a handle.
	for _, state := range []string{strings.Repeat("s", 8<<10), "\"<>&\x01ü"} {
		p := b.Open(authorizePath(c, set("state", state, "prompt", "consent"))).WantPage(200, "consent-approve")
		if got := p.Submit("consent-approve", nil).Query().Get("state"); got != state {
			t.Errorf("state %.40q came back as %.40q", state, got)
		}
	}
}

func TestA19PromptNoneShowsNothing(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		native := s.NativeClient()
		first := s.Register(userstore.Client{ID: "first", FirstParty: true})
		public := func(id, uri string) apitest.Client {
			return s.Register(userstore.Client{ID: id, FirstParty: true, AuthMethod: userstore.AuthNone, ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{uri}}})
		}
		ours, desktop, phone := public("ours", "https://ours.test/cb"), public("desktop", "http://127.0.0.1/cb"), public("phone", "com.example.app:/cb")
		askedOnce := s.SignedIn(s.SignUp("dave"))
		for _, c := range []apitest.Client{desktop, phone} {
			wantCode(t, askedOnce.Open(authorizePath(c)).WantPage(200, "consent-approve").Submit("consent-approve", nil))
		}
		b, p := s.Allowed(alice, c)
		idToken := s.TokensOf(c, p).ID
		_, p = s.Allowed(bob, c)
		bobs := s.TokensOf(c, p).ID
		fresh := s.SignedIn(s.SignUp("carol"))
		s.Advance(10 * time.Second)

		rows := []struct {
			name    string
			browser *apitest.Browser
			client  apitest.Client
			edit    func(url.Values)
			want    string // empty: a code
		}{
			{"nobody is logged in", s.Browser(), c, set(), "login_required"},
			{"no consent", fresh, c, set(), "consent_required"},
			{"all is well", b, c, set(), ""},
			{"with the user's own hint", b, c, set("id_token_hint", idToken), ""},
			{"with another user's hint", b, c, set("id_token_hint", bobs), "login_required"},
			{"for another sub", b, c, set("claims", `{"id_token":{"sub":{"value":"`+bob.ID+`"}}}`), "login_required"},
			{"for this very sub", b, c, set("claims", `{"id_token":{"sub":{"value":"`+alice.ID+`"}}}`), ""},
			{"the login is too old", b, c, set("max_age", "9"), "login_required"},
			{"the login is as old as it may be", b, c, set("max_age", "10"), ""},
			{"max_age=0", b, c, set("max_age", "0"), "login_required"},
			{"max_age beyond all time", b, c, set("max_age", "9223372036854775807"), ""},
			{"for more than was allowed", b, c, set("scope", "openid phone"), "consent_required"},
			{"for less than was allowed", b, c, set("scope", "openid"), ""},
			{"a native app is never sure to be the same", b, native, set(), "consent_required"},
			{"a first-party client needs no consent", fresh, first, set(), ""},
			{"nor does a public one at an address of its own", fresh, ours, set(), ""},
			{"A-33 one on the user's machine does", fresh, desktop, set(), "consent_required"},
			{"A-33 one with a scheme does", fresh, phone, set(), "consent_required"},
			{"A-33 each time, on the user's machine", askedOnce, desktop, set(), "consent_required"},
			{"A-33 each time, with a scheme", askedOnce, phone, set(), "consent_required"},
			{"but only an administrator is one", fresh, first, set("scope", "openid admin"), "invalid_scope"},
		}
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				p := row.browser.With(s).Open(authorizePath(row.client, row.edit, set("prompt", "none")))
				if row.want == "" {
					wantCode(t, p)
				} else {
					wantError(t, p, row.want)
				}
			})
		}
		t.Run("after logging out", func(t *testing.T) {
			b := b.With(s.With(t))
			b.Open("/logout").Submit("logout-confirm", nil)
			wantError(t, b.Open(authorizePath(c, set("prompt", "none"))), "login_required")
		})
	})
}

func TestA21LoggingInAgainWhereItIsAskedFor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		b, p := s.Allowed(alice, c)
		before := apitest.Claims(s.TokensOf(c, p).ID)["auth_time"].(float64)
		for _, row := range []struct {
			name    string
			edit    func(url.Values)
			prompts bool
		}{
			{"prompt=login", set("prompt", "login"), true},
			{"prompt=select_account", set("prompt", "select_account"), true},
			{"max_age=0", set("max_age", "0"), true},
			{"max_age=1 after two seconds", set("max_age", "1"), true},
			{"max_age=10000", set("max_age", "10000"), false},
			{"no demand", set(), false},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := b.With(s)
				s.Advance(2 * time.Second)
				p := b.Open(authorizePath(c, row.edit))
				if row.prompts {
					p.WantPage(200, "login-submit")
					if p.Value("email") != alice.Email {
						t.Errorf("the name %q is filled in", p.Value("email"))
					}
					p = p.Submit("login-submit", alice.Credentials())
				}
				at := apitest.Claims(s.TokensOf(c, p).ID)["auth_time"].(float64)
				if row.prompts && at != float64(s.Clock.Now().Unix()) || !row.prompts && at != before {
					t.Errorf("auth_time %v, was %v", at, before)
				}
				before = at
			})
		}
	})
}

func TestALoginIsEnoughThoughClocksDiffer(t *testing.T) {
	// The replica that takes the password is a little behind the one that took the request.
	s := apitest.New(t, apitest.Options{Replicas: 2, Configure: behind()})
	alice, c := s.SignUp("alice"), s.WebClient()
	b, _ := s.Allowed(alice, c)
	p := b.Open(authorizePath(c, set("prompt", "login"))).WantPage(200, "login-submit")
	b.Replica = 1
	wantCode(t, p.Submit("login-submit", alice.Credentials()))
}

// behind makes every replica but the first one's issuer ten seconds slow.
func behind() func(*apitest.Replica) {
	first := true
	return func(r *apitest.Replica) {
		if !first {
			now := r.Issuer.Now
			r.Issuer.Now = func() time.Time { return now().Add(-10 * time.Second) }
		}
		first = false
	}
}

func TestA22AHintOfAnotherUser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		_, p := s.Allowed(bob, c)
		hint := s.TokensOf(c, p).ID
		b, _ := s.Allowed(alice, c)

		p = b.Open(authorizePath(c, set("id_token_hint", hint))).WantPage(200, "login-submit")
		wantError(t, p.Submit("login-submit", alice.Credentials()), "login_required") // the wrong one again
		p = b.Open(authorizePath(c, set("id_token_hint", hint))).WantPage(200, "login-submit")
		if sub := apitest.Claims(s.TokensOf(c, p.Submit("login-submit", bob.Credentials())).ID)["sub"]; sub != bob.ID {
			t.Errorf("sub %v", sub)
		}

		// An expired one says it as well; one of another client, one that was changed, an access
		// token or one under a revoked key say nothing.
		s.Advance(24*time.Hour - time.Minute)
		other := s.Register(userstore.Client{ID: "other"})
		b = s.SignedIn(bob)
		wantCode(t, b.Open(authorizePath(c, set("id_token_hint", hint, "prompt", "none"))))
		wantError(t, b.Open(authorizePath(other, set("id_token_hint", hint, "prompt", "none"))), "invalid_request")
		wantError(t, b.Open(authorizePath(c, set("id_token_hint", hint[:len(hint)-6]+"AAAAAA"))), "invalid_request")
		access := s.TokensOf(c, b.Open(authorizePath(c))).Access
		wantError(t, b.Open(authorizePath(c, set("id_token_hint", access))), "invalid_request") // J-16
		kid, key := s.Key(jose.RS256)
		if _, err := s.Replicas[0].Keys.Revoke(t.Context(), []string{kid}, false); err != nil {
			t.Fatal(err)
		}
		s.Advance(time.Second)
		forged := apitest.Sign(key, `{"alg":"RS256","kid":"`+kid+`","typ":"JWT"}`, apitest.Claims(hint).Text())
		wantError(t, b.Open(authorizePath(c, set("id_token_hint", forged))), "invalid_request")
		wantError(t, b.Open(authorizePath(c, set("id_token_hint", hint))), "invalid_request")
	})
}

func TestA24TheConsentPageListsExactlyWhatIsIssued(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice, c, b := s.SignUp("alice"), s.WebClient(), s.Browser()
	p := b.SignIn(authorizePath(c, set("scope", "openid email phone offline_access")), alice).WantPage(200, "consent-approve")
	for part, want := range map[string]bool{"email address": true, "phone": true, "when you are away": true, "postal": false, "picture": false} {
		if strings.Contains(p.Text(), part) != want {
			t.Errorf("%q said: %v, in %q", part, !want, p.Text())
		}
	}
	if tokens := s.TokensOf(c, p.Submit("consent-approve", nil)); tokens.Scope != "openid email phone offline_access" {
		t.Errorf("scope %q", tokens.Scope)
	}
	// Offline access is not for who gets no refresh token; nobody is asked for it.
	plain := s.Register(userstore.Client{ID: "plain", GrantTypes: []string{"authorization_code"}})
	p = b.Open(authorizePath(plain, set("scope", "openid offline_access"))).WantPage(200, "consent-approve")
	if strings.Contains(p.Text(), "when you are away") {
		t.Error("asked for offline access")
	}
	if tokens := s.TokensOf(plain, p.Submit("consent-approve", nil)); tokens.Scope != "openid" || tokens.Refresh != "" {
		t.Errorf("%+v", tokens)
	}
	// A no is told to the client, and changes nothing.
	p = b.Open(authorizePath(s.Register(userstore.Client{ID: "other"}))).WantPage(200, "consent-deny")
	s.Unchanged(func() { wantError(t, p.Submit("consent-deny", nil), "access_denied") })
}

// login CSRF: a form of ours that somebody else's page sends, with credentials of whomever.
func TestA27A28FormsAreTakenFromOurOwnPagesOnly(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, mallory, c := s.SignUp("alice"), s.SignUp("mallory"), s.WebClient()
		b := s.Browser()
		login := b.Open(authorizePath(c)).WantPage(200, "login-submit").Form("login-submit", mallory.Credentials())
		signup := b.Open("/signup").WantPage(200, "signup-submit").Form("signup-submit", map[string]string{"email": "new@example.test", "password": s.Secret(apitest.GoodPassword)})
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
				t.Run("with an empty token", func(t *testing.T) { refused(t, f, func(q *apitest.Request) { q.Form.Set("csrf", "") }) })
				t.Run("with the token of another form", func(t *testing.T) {
					refused(t, f, func(q *apitest.Request) {
						q.Form.Set("csrf", forms[(slices.IndexFunc(forms, func(g form) bool { return g.name == f.name })+1)%4].request.Form.Get("csrf"))
					})
				})
			})
		}
		t.Run("without any cookie", func(t *testing.T) {
			for _, f := range []form{{"login", s.Browser(), signup}, {"signup", s.Browser(), signup}} {
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

func TestA30WhatIsBegunInABrowserEndsInIt(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		attacker, victim := s.Browser(), s.SignedIn(alice)
		for _, link := range []string{attacker.Open(authorizePath(c)).Path, signedInAt(s, attacker, c)} {
			s.Unchanged(func() {
				p := victim.Open(link)
				p.WantPage(400, "")
				if p.Has("login-submit") || p.Has("consent-approve") || !strings.Contains(p.Text(), "another browser") {
					t.Errorf("%.20s: %q", link, p.Text())
				}
				p = s.Browser().Open(link) // without any cookie
				p.WantPage(400, "")
			})
		}
		// Posting it does not help either.
		page := attacker.Open(authorizePath(c, set("prompt", "login"))).WantPage(200, "login-submit")
		if p := victim.Send(page.Form("login-submit", alice.Credentials())); p.Status != 400 || len(p.Header["Set-Cookie"]) > 0 {
			t.Errorf("got %d", p.Status)
		}
		// A handle lives a day, also where it begins its request again (TestAnExpiredHandleIsWorthNoMore), and not a bit of it can be changed.
		_, handle, _ := strings.Cut(page.Path, "=")
		for _, changed := range []string{handle[:len(handle)-1], "A" + handle[1:], handle + "A", "", "x", strings.Repeat("A", 100)} {
			if changed != handle {
				attacker.Open("/consent?request="+changed).WantPage(400, "")
			}
		}
		s.Advance(24 * time.Hour)
		attacker.Open(page.Path).WantPage(400, "")
		attacker.Send(page.Form("login-submit", alice.Credentials())).WantPage(400, "")
	})
}

// signedInAt logs the attacker's own account in and is the address of its consent page.
func signedInAt(s *apitest.Server, b *apitest.Browser, c apitest.Client) string {
	s.T.Helper()
	return b.SignIn(authorizePath(c, set("prompt", "login")), s.SignUp("mallory")).WantPage(200, "consent-approve").Path
}

// Between page and answer a client may have lost its redirect URI, or been disabled: then neither
// answer goes there.
func TestA01NoAnswerGoesWhereAClientIsNotAnyMore(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		b := s.SignedIn(s.SignUp("alice"))
		page := b.Open(authorizePath(c)).WantPage(200, "consent-approve")
		refused := func(when string) {
			t.Helper()
			for _, button := range []string{"consent-approve", "consent-deny"} {
				if p := page.Submit(button, nil); p.Status != http.StatusBadRequest || p.To != "" {
					t.Errorf("%s, %s: got %d to %q", when, button, p.Status, p.To)
				}
			}
		}
		row, err := s.DB.ClientByID(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		row.RedirectURIs = []string{"https://web.test/moved"}
		if err := s.DB.UpdateClient(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		refused("the redirect URI is gone")
		row.RedirectURIs, row.Version = c.RedirectURIs, row.Version+1
		if err := s.DB.UpdateClient(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		if err := s.DB.SetClientActive(t.Context(), c.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		refused("the client is disabled")
	})
}

func TestA31ConsentIsForWhatWasShownToWhoWasAsked(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		b := s.Browser()
		page := b.SignIn(authorizePath(c, set("scope", "openid email")), bob).WantPage(200, "consent-approve")

		t.Run("hidden fields of the sender's own count for nothing", func(t *testing.T) {
			s := s.With(t)
			p := b.With(s).Send(page.Form("consent-approve", map[string]string{
				"scope": "openid admin phone", "client_id": "evil", "redirect_uri": "https://evil.test", "user": alice.ID, "sub": alice.ID}))
			p.To = p.Header.Get("Location")
			tokens := s.TokensOf(c, p)
			if tokens.Scope != "openid email" || apitest.Claims(tokens.ID)["sub"] != bob.ID {
				t.Errorf("%s for %v", tokens.Scope, apitest.Claims(tokens.ID)["sub"])
			}
		})
		t.Run("another user answers", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			page := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			b.Open("/login?request="+page.Form("consent-approve", nil).Form.Get("request")).Submit("login-submit", alice.Credentials())
			s.Unchanged(func() {
				if p := b.Send(page.Form("consent-approve", nil)); p.Status != http.StatusForbidden {
					t.Errorf("got %d %s", p.Status, p.Header.Get("Location"))
				}
			})
		})
		t.Run("neither yes nor no, or twice", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			page := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			s.Unchanged(func() {
				b.Send(page.Form("consent-approve", map[string]string{"decision": "maybe"})).WantPage(400, "")
				q := page.Form("consent-approve", nil)
				q.Form["decision"] = []string{"deny", "approve"}
				b.Send(q).WantPage(400, "")
			})
		})
		t.Run("a double submit is one code", func(t *testing.T) {
			s := s.With(t)
			b := b.With(s)
			page := b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			form := page.Form("consent-approve", nil)
			codes := make([]string, 8)
			var all sync.WaitGroup
			for n := range codes {
				each := *b
				each.Cookies = map[string]string{}
				for name, value := range b.Cookies {
					each.Cookies[name] = value
				}
				all.Go(func() { codes[n] = each.Send(form).Header.Get("Location") })
			}
			all.Wait()
			if len(slices.Compact(slices.Sorted(slices.Values(codes)))) != 1 || !strings.Contains(codes[0], "code=") {
				t.Fatalf("%d different answers: %v", len(codes), codes)
			}
			u, _ := url.Parse(codes[0])
			s.Do(s.CodeRequest(c, u.Query().Get("code"))).Want(200, "")
			// Once it is used, going back says so and does no harm; so it does when the code was
			// never used.
			b.Send(form).WantPage(400, "")
			page = b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
			page.Submit("consent-approve", nil)
			s.Advance(61 * time.Second)
			p := b.Send(page.Form("consent-approve", nil)).WantPage(400, "")
			if !strings.Contains(p.Text(), "done already") {
				t.Errorf("%q", p.Text())
			}
		})
	})
}

func TestA33WhoMustAskEveryTime(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice := s.SignUp("alice")
	for _, row := range []struct {
		uri     string
		method  string
		first   bool
		prompts bool
	}{
		{"http://127.0.0.1/cb", userstore.AuthNone, false, true},
		{"http://[::1]:7000/cb", userstore.AuthNone, false, true},
		{"com.example.app:/cb", userstore.AuthNone, false, true},
		{"https://localhost:8443/cb", userstore.AuthNone, false, true},
		{"https://spa.test/cb", userstore.AuthNone, false, false},
		{"https://web.test/cb", userstore.AuthBasic, false, false},
		{"http://127.0.0.1/cb", userstore.AuthBasic, false, false},
		{"http://127.0.0.1/own", userstore.AuthNone, true, true},
		{"http://[::1]/own", userstore.AuthNone, true, true},
		{"com.example.app:/own", userstore.AuthNone, true, true},
		{"https://spa.test/own", userstore.AuthNone, true, false},
		{"http://127.0.0.1/web", userstore.AuthBasic, true, false},
	} {
		t.Run(row.method+" "+row.uri, func(t *testing.T) {
			s := s.With(t)
			c := s.Register(userstore.Client{ID: "c" + row.method + url.PathEscape(row.uri), AuthMethod: row.method, FirstParty: row.first, ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{row.uri}}})
			b := s.Browser()
			p := b.SignIn(authorizePath(c), alice)
			if !row.first || row.prompts {
				p = p.WantPage(200, "consent-approve").Submit("consent-approve", nil)
			}
			wantCode(t, p)
			p = b.Open(authorizePath(c))
			if row.prompts {
				p = p.WantPage(200, "consent-approve").Submit("consent-approve", nil)
			}
			wantCode(t, p)
			// Whoever wants to be sure may ask of anybody.
			b.Open(authorizePath(c, set("prompt", "consent"))).WantPage(200, "consent-approve")
		})
	}
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
			if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
				t.Errorf("CSP %q", csp)
			}
			if onward := name == "login" || name == "consent" || name == "form post"; onward == strings.Contains(csp, "form-action") {
				t.Errorf("CSP %q, and the form leads to a client: %t", csp, onward)
			}
			for header, want := range map[string]string{"Referrer-Policy": "same-origin", "Cache-Control": "no-store", "X-Frame-Options": "DENY", "Vary": "Accept-Language, Cookie", "Content-Type": "text/html; charset=utf-8"} {
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
		for _, path := range []string{"/login", "/consent", "/signup", "/logout", "/oauth2/authorize?client_id=web", "/oauth2/logout"} {
			for _, method := range []string{"GET", "OPTIONS", "POST"} {
				res := s.Do(apitest.Request{Method: method, Path: path, Header: http.Header{"Origin": {"https://web.test"}, "Access-Control-Request-Method": {"POST"}}})
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
			b.Open("/signup").Form("signup-submit", map[string]string{"email": "fresh@example.test", "password": s.Secret("a fresh password of mine")}),
		} {
			if p := b.Send(q); p.Status != http.StatusSeeOther {
				t.Errorf("%s: %d %s", q.Path, p.Status, p.Text())
			}
		}
	})
	t.Run("what pages link to is served", func(t *testing.T) {
		s := s.With(t)
		for _, part := range strings.Split(string(login.Body), `"`) {
			if strings.HasPrefix(part, "/assets/") {
				if res := s.Do(apitest.Request{Path: part}); res.Status != 200 || len(res.Body) == 0 || res.Header.Get("Content-Security-Policy") == "" {
					t.Errorf("%s: %d", part, res.Status)
				}
			}
		}
		s.Do(apitest.Request{Path: "/assets/none.css"}).Want(404, "invalid_request")
	})
}

func TestFormPost(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c, b := s.SignUp("alice"), s.WebClient(), s.Browser()
		path := authorizePath(c, set("response_mode", "form_post"))
		check := func(p *apitest.Page) {
			t.Helper()
			action, posted := p.WantPage(200, "").Posted()
			if action != c.RedirectURIs[0] || len(posted) != 3 || posted.Get("state") != "the state" || posted.Get("iss") != apitest.IssuerURL || strings.Contains(p.Path, posted.Get("code")) {
				t.Fatalf("%s %v at %s", action, posted, p.Path)
			}
			s.Do(s.CodeRequest(c, posted.Get("code"))).Want(200, "")
		}
		check(b.SignIn(path, alice).WantPage(200, "consent-approve").Submit("consent-approve", nil))
		check(b.Open(path))
		check(b.Open(authorizePath(c, set("response_mode", "form_post", "prompt", "login"))).Submit("login-submit", alice.Credentials()))
		native := s.Register(userstore.Client{ID: "native", AuthMethod: userstore.AuthNone, ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"com.example.app:/cb"}}})
		wantError(t, b.Open(authorizePath(native, set("response_mode", "form_post"))), "invalid_request")
	})
}

func TestSeveralTabsAndClients(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, b := s.SignUp("alice"), s.Browser()
		one, two := s.WebClient(), s.Register(userstore.Client{ID: "two"})
		// Three tabs stand at their login pages; then each is used.
		first := b.Open(authorizePath(one, set("state", "first"))).WantPage(200, "login-submit")
		second := b.Open(authorizePath(two, set("state", "second"))).WantPage(200, "login-submit")
		third := b.Open(authorizePath(one, set("state", "third"))).WantPage(200, "login-submit")

		p := first.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")
		q := second.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")
		// Who proves the password again goes on with the session there is: the first tab's page is
		// still good.
		firstTokens := s.TokensOf(one, p.Submit("consent-approve", nil))
		p = q.Submit("consent-approve", nil)
		if p.Query().Get("state") != "second" {
			t.Errorf("%v", p.Query())
		}
		secondTokens := s.TokensOf(two, p)
		p = third.Submit("login-submit", alice.Credentials())
		if p.Query().Get("state") != "third" {
			t.Errorf("%v", p.Query())
		}
		thirdTokens := s.TokensOf(one, p)
		for _, r := range []apitest.Request{s.RefreshRequest(one, firstTokens.Refresh), s.RefreshRequest(two, secondTokens.Refresh), s.RefreshRequest(one, thirdTokens.Refresh)} {
			s.Do(r).Want(200, "")
		}
		// Another user in the same browser ends the session, and what came of it.
		b.SignIn(authorizePath(one, set("prompt", "login")), s.SignUp("bob"))
		s.Do(s.RefreshRequest(one, thirdTokens.Refresh)).Want(400, "invalid_grant")
	})
}

func TestAnAuthorizationRequestThatAnotherSitePosts(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := s.WebClient()
	b, _ := s.Allowed(s.SignUp("alice"), c)
	_, query, _ := strings.Cut(authorizePath(c, set("state", "a b&c=ü")), "?")
	post := apitest.Request{Method: "POST", Path: "/oauth2/authorize", Body: query, Type: "application/x-www-form-urlencoded",
		Header: http.Header{"Cookie": nil, "Origin": {"https://web.test"}, "Sec-Fetch-Site": {"cross-site"}}} // as SameSite=Lax has it
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
		{Method: "POST", Path: "/oauth2/authorize", Body: strings.Repeat("a", 70<<10), Type: "application/x-www-form-urlencoded"},
	} {
		if p := b.Send(broken); p.Status != 400 && p.Status != 413 && p.Status != 415 {
			t.Errorf("%.30v: %d", broken.Body, p.Status)
		}
	}
}

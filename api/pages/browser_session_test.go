package pages_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// Names of cookies of apitest.IssuerURL; the end is the beginning of its SHA-256.
const (
	sessionName = "__Host-signet-session-2f4e5542"
	browserName = "__Host-signet-browser-2f4e5542"
)

func TestU33TheSessionCookie(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice, c, b := s.SignUp("alice"), s.WebClient(), s.Browser()
	// No fixation: a value that was there before the login stands for nobody after it.
	b.Cookies[sessionName] = strings.Repeat("A", 44)
	b.SignIn(authorizePath(c), alice)
	first := b.Cookies[sessionName]
	b.Open("/login?"+strings.SplitN(b.Open(authorizePath(c, set("prompt", "login"))).Path, "?", 2)[1]).
		Submit("login-submit", alice.Credentials())
	second := b.Cookies[sessionName]
	if len(first) < 43 || first == second || first == strings.Repeat("A", 44) || len(second) != len(first) {
		t.Errorf("session cookies %q, then %q", first, second)
	}
	for _, cookie := range b.Set {
		if strings.Contains(cookie.Name, "-state-") {
			continue // api/browserstates has its tests
		}
		if !strings.HasPrefix(cookie.Name, "__Host-signet-") || !cookie.Secure || !cookie.HttpOnly ||
			cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" || cookie.Domain != "" {
			t.Errorf("cookie %+v", cookie)
		}
		if cookie.Name == sessionName && cookie.MaxAge > 0 {
			t.Errorf("the session cookie outlives the browser: %+v", cookie)
		}
	}
	// What stood for the session before the second login stands for nobody.
	old := s.Browser()
	old.Cookies[sessionName] = first
	old.Open("/login").WantPage(200, "login-submit")

	// Logging out takes it away from the browser, too.
	b.Open("/logout").Submit("logout-confirm", nil)
	if value, there := b.Cookies[sessionName]; there {
		t.Errorf("after the logout the browser keeps a session cookie %q", value)
	}

	local := apitest.New(t, apitest.Options{IssuerURL: "http://localhost:8080"})
	b = local.Browser()
	b.SignIn("/login", local.SignUp("alice"))
	for _, cookie := range b.Set {
		state := strings.HasPrefix(cookie.Name, "signet-state-") // without Secure there is no SameSite=None
		if cookie.Secure != state || strings.HasPrefix(cookie.Name, "__Host-") {
			t.Errorf("no browser keeps %+v on http", cookie)
		}
	}
	if b.Cookies["signet-session-a76d8c3e"] == "" {
		t.Errorf("cookies %v", b.Cookies)
	}
}

func TestU34ASessionEnds(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		t.Run("when it is not used for a day", func(t *testing.T) {
			s := s.With(t)
			b, _ := s.Allowed(alice, c)
			s.Advance(23 * time.Hour)
			wantCode(t, b.Open(authorizePath(c))) // a use
			s.Advance(23 * time.Hour)
			wantCode(t, b.Open(authorizePath(c)))
			s.Advance(24 * time.Hour)
			b.Open(authorizePath(c)).WantPage(200, "login-submit")
		})
		t.Run("after thirty days, however much it is used", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			for range 32 {
				s.Advance(22 * time.Hour)
				wantCode(t, b.Open(authorizePath(c)))
			}
			s.Advance(17 * time.Hour)
			b.Open(authorizePath(c)).WantPage(200, "login-submit")
		})
		t.Run("when the account is disabled", func(t *testing.T) {
			s := s.With(t)
			bob := s.SignUp("bob")
			b := s.SignedIn(bob)
			page := b.Open(authorizePath(c)).WantPage(200, "consent-approve")
			if err := s.DB.SetActive(t.Context(), bob.ID, false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			page.Submit("consent-approve", nil).WantPage(200, "login-submit")
			b.Open("/login").WantPage(200, "login-submit")
		})
		t.Run("when the password changes", func(t *testing.T) {
			s := s.With(t)
			carol := s.SignUp("carol")
			b := s.SignedIn(carol)
			tokens := s.Login(carol)
			s.Do(apitest.Request{Method: "POST", Path: "/v1/profile/password", Token: tokens.Access, Body: apitest.Fields{
				"current_password": carol.Password, "new_password": s.Secret("another one of planted words")}}).Want(204, "")
			b.Open("/login").WantPage(200, "login-submit")
		})
		t.Run("when everything ends", func(t *testing.T) {
			s := s.With(t)
			b := s.SignedIn(alice)
			s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: s.Login(alice).Access,
				Body: apitest.Fields{"everywhere": true}}).Want(204, "")
			b.Open("/login").WantPage(200, "login-submit")
		})
	})
}

func TestLoginPageSaysWhatIsWrong(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		if err := s.DB.SetActive(t.Context(), bob.ID, false, s.Clock.Now()); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			name     string
			typed    map[string]string
			status   int
			says     string
			filledIn string
		}{
			{"wrong password", map[string]string{"email": alice.Email, "password": "not hers"}, 403,
				"Wrong email address, username or password.", alice.Email},
			{"nobody", map[string]string{"email": "nobody@example.test", "password": "not hers"}, 403,
				"Wrong email address, username or password.", "nobody@example.test"},
			{"no possible name", map[string]string{"email": "<b>\x00@@", "password": "not hers"}, 403,
				"Wrong email address, username or password.", ""},
			{"disabled, wrong password", map[string]string{"email": bob.Email, "password": "not his"}, 403,
				"Wrong email address, username or password.", bob.Email},
			{"disabled, right password", bob.Credentials(), 403, "switched off", bob.Email},
			{"no password", map[string]string{"email": alice.Email, "password": ""}, 400, "", alice.Email},
			{"no name", map[string]string{"email": "", "password": "x"}, 400, "", ""},
			{"a password beyond measure", map[string]string{"email": alice.Email, "password": strings.Repeat("x", 5000)}, 400,
				"", alice.Email},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				page := b.Open(authorizePath(c)).WantPage(200, "login-submit")
				s.Unchanged(func() {
					p := page.Submit("login-submit", row.typed)
					p.WantPage(row.status, "login-submit")
					if !strings.Contains(p.Text(), row.says) || row.filledIn != "" && p.Value("email") != row.filledIn ||
						p.Value("password") != "" {
						t.Errorf("%q with %q and %q", p.Text(), p.Value("email"), p.Value("password"))
					}
					if b.Cookies[sessionName] != "" {
						t.Error("logged in")
					}
					// The page that came back is as good as the first one.
					if row.name == "wrong password" {
						p.Submit("login-submit", row.typed).WantPage(403, "login-submit")
					}
				})
			})
		}
		t.Run("U-01 unknown and wrong are one answer", func(t *testing.T) {
			s := s.With(t)
			b := s.Browser()
			page := b.Open("/login")
			texts := map[string]bool{}
			for _, name := range []string{alice.Email, "nobody@example.test", bob.Email} {
				p := b.Send(page.Form("login-submit", map[string]string{"email": name, "password": "not theirs"}))
				texts[strings.ReplaceAll(string(p.Body), name, "")] = true
			}
			if len(texts) != 1 {
				t.Errorf("%d different pages", len(texts))
			}
		})
		t.Run("a login without a client ends at the account", func(t *testing.T) {
			s := s.With(t)
			p := s.Browser().SignIn("/login", alice)
			if p.Path != "/account" || !strings.Contains(p.Text(), alice.Email) || p.Has("login-submit") {
				t.Errorf("%s: %q", p.Path, p.Text())
			}
		})
		t.Run("by username", func(t *testing.T) {
			s := s.With(t)
			s.Do(apitest.Request{Method: "POST", Path: "/v1/signup", Body: apitest.Fields{"email": "u@example.test",
				"username": "Ursula", "password": s.Secret(apitest.GoodPassword)}}).Want(201, "")
			if p := s.Browser().SignIn("/login",
				apitest.User{Email: "ursula", Password: apitest.GoodPassword}); !strings.Contains(p.Text(), "u@example.test") {
				t.Errorf("%q", p.Text())
			}
		})
	})
}

// U-18: one shared counter for every way to guess. U-13: whoever was here before is not locked out
// by it.
func TestU13U18HostedAndJSONLoginsShareTheirBudgets(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		from := func(address string) http.Header { return http.Header{"X-Forwarded-For": {address}} }
		json := func(u apitest.User, password, address string) *apitest.Response {
			return s.Do(apitest.Request{Method: "POST", Path: "/v1/login", Header: from(address),
				Body: apitest.Fields{"email": u.Email, "password": password}})
		}
		form := func(b *apitest.Browser, u apitest.User, password, address string) *apitest.Page {
			q := b.Open("/login").WantPage(200, "login-submit").Form("login-submit",
				map[string]string{"email": u.Email, "password": password})
			q.Header = from(address)
			return b.Send(q)
		}
		alice := s.SignUp("alice")

		// Alice has been here, in a browser and from a network.
		known := s.Browser()
		if p := form(known, alice, alice.Password, "192.0.2.1"); p.Status != 303 {
			t.Fatalf("%d %s", p.Status, p.Text())
		}
		known.Open("/logout").Submit("logout-confirm", nil)

		// Strangers spend what they have, half of it at the page and half of it by JSON.
		stranger := s.Browser()
		for n := range 10 {
			if n%2 == 0 {
				form(stranger, alice, "a wrong guess", "198.51.100.7").WantPage(403, "login-submit")
			} else {
				json(alice, "a wrong guess", "203.0.113.9").Want(401, "invalid_credentials")
			}
		}
		p := form(stranger, alice, alice.Password, "198.51.100.7")
		if p.WantPage(429, "login-submit"); p.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		json(alice, alice.Password, "198.51.100.8").Want(429, "rate_limited")
		// A cookie of one's own making, or one that knows another account, is a stranger's.
		made := s.Browser()
		made.Cookies[browserName] = strings.Repeat("M", 44)
		form(made, alice, alice.Password, "198.51.100.7").WantPage(429, "login-submit")
		mallory := s.SignUp("mallory")
		form(made, mallory, mallory.Password, "198.51.100.9")
		made.Open("/logout").Submit("logout-confirm", nil)
		form(made, alice, alice.Password, "198.51.100.7").WantPage(429, "login-submit")

		// Her browser gets in from wherever she is now, also from the strangers' own network.
		if p := form(known, alice, alice.Password, "198.51.100.7"); p.Status != 303 {
			t.Errorf("alice's own browser: %d %s", p.Status, p.Text())
		}
		known.Open("/logout").Submit("logout-confirm", nil)
		// That budget is bounded as well: a stolen browser guesses no more than anybody.
		for range 10 {
			form(known, alice, "a wrong guess", "198.51.100.7").WantPage(403, "login-submit")
		}
		form(known, alice, alice.Password, "198.51.100.7").WantPage(429, "login-submit")
		// And it is not her network's, which still has its own.
		json(alice, alice.Password, "192.0.2.1").Want(200, "")
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.API.TrustedProxies = []string{"127.0.0.1/32", "::1/128"} }
	})
}

func TestSignupPage(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c, b := s.SignUp("alice"), s.WebClient(), s.Browser()
		link := b.Open(authorizePath(c)).WantPage(200, "login-submit").Link("/signup?request=")
		page := b.Open(link).WantPage(200, "signup-submit")
		for _, row := range []struct {
			name   string
			typed  map[string]string
			status int
		}{
			{"nothing", nil, 400},
			{"no address", map[string]string{"email": "x", "password": apitest.GoodPassword}, 400},
			{"a short password", map[string]string{"email": "n@example.test", "password": "short"}, 400},
			{"a name that is none",
				map[string]string{"email": "n@example.test", "password": apitest.GoodPassword, "username": "a b@c"}, 400},
			{"an address that is taken", map[string]string{"email": alice.Email, "password": apitest.GoodPassword}, 409},
			{"U+0000",
				map[string]string{"email": "n@example.test", "password": apitest.GoodPassword, "given_name": "a\x00b"}, 400},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				s.Unchanged(func() {
					p := page.Submit("signup-submit", row.typed).WantPage(row.status, "signup-submit")
					if p.Value("password") != "" || row.typed["email"] != "" && p.Value("email") != row.typed["email"] {
						t.Errorf("%q and %q are filled in", p.Value("email"), p.Value("password"))
					}
				})
			})
		}
		// The new account goes on to where it was wanted.
		p := page.Submit("signup-submit",
			map[string]string{"email": "new@example.test", "password": s.Secret(apitest.GoodPassword), "given_name": "Newton",
				"is_staff": "true", "roles": "admin"}).WantPage(200, "consent-approve")
		tokens := s.TokensOf(c, p.Submit("consent-approve", nil))
		var claims map[string]any
		s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "").JSON(&claims)
		if claims["given_name"] != "Newton" || claims["email"] != "new@example.test" {
			t.Errorf("%v", claims)
		}
		u, err := s.DB.UserByLogin(t.Context(), userstore.Login{EmailKey: "new@example.test"})
		if err != nil || u.IsStaff || len(u.Roles) > 0 {
			t.Errorf("%+v %v", u, err)
		}
	})
}

func TestU37ClosedSignup(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice, b := s.SignUp("alice"), s.Browser()
	form := b.Open("/signup").WantPage(200, "signup-submit").Form("signup-submit",
		map[string]string{"email": "n@example.test", "password": apitest.GoodPassword})
	s.Replicas[0].Accounts.SignupEnabled = false
	s.Unchanged(func() {
		b.Open("/signup").WantPage(403, "")
		b.Send(form).WantPage(403, "")
		s.Do(apitest.Request{Method: "POST", Path: "/v1/signup",
			Body: apitest.Fields{"email": "n@example.test", "password": apitest.GoodPassword}}).Want(403, "signup_closed")
	})
	if p := b.Open("/login"); p.Link("/signup") != "" {
		t.Error("the login page links to it")
	}
	b.SignIn("/login", alice)
}

type sessions struct {
	Sessions []struct {
		ID, Kind string
		ClientID string `json:"client_id"`
		Current  bool
	}
}

func TestU40AUserTakesBackWhatWasAllowed(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		b, p := s.Allowed(alice, c)
		tokens := s.TokensOf(c, p)
		own, others := s.Login(alice).Access, s.Login(bob).Access
		var list struct {
			Consents []struct {
				ClientID string `json:"client_id"`
				Name     string `json:"client_name"`
				Scope    string
			}
		}
		consents := func(token string) int {
			t.Helper()
			s.Do(apitest.Request{Path: "/v1/profile/consents", Token: token, Replica: 1}).Want(200, "").JSON(&list)
			return len(list.Consents)
		}
		if consents(own) != 1 || list.Consents[0].ClientID != "web" || list.Consents[0].Name != "Web" ||
			list.Consents[0].Scope != "openid profile email" {
			t.Errorf("%+v", list)
		}
		if consents(others) != 0 {
			t.Error("bob sees alice's")
		}
		s.Unchanged(func() {
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/consents/web", Token: others}).Want(404, "not_found")
			s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/consents/nobody", Token: own}).Want(404, "not_found")
		})
		unused := b.Open(authorizePath(c)).Query().Get("code")
		s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/consents/web", Token: own}).Want(204, "")
		if consents(own) != 0 {
			t.Errorf("%+v", list)
		}
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		s.Do(s.CodeRequest(c, unused)).Want(400, "invalid_grant")
		b.Replica = 1
		p = b.Open(authorizePath(c)).WantPage(200, "consent-approve")

		// The browser itself is in the list of sessions, and can be sent away from afar.
		tokens = s.TokensOf(c, p.Submit("consent-approve", nil))
		kept := s.TokensOf(c, b.Open(authorizePath(c, set("scope", "openid offline_access"))).
			WantPage(200, "consent-approve").Submit("consent-approve", nil))
		var all sessions
		s.Do(apitest.Request{Path: "/v1/profile/sessions", Token: own}).Want(200, "").JSON(&all)
		kinds, browser := map[string]int{}, ""
		for _, one := range all.Sessions {
			if kinds[one.Kind]++; one.Kind == "browser" {
				browser = one.ID
			}
		}
		if kinds["browser"] != 1 || kinds["grant"] != 3 {
			t.Fatalf("%+v", all)
		}
		s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + browser, Token: others}).Want(404, "not_found")
		s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + browser, Token: own}).Want(204, "")
		s.Do(apitest.Request{Method: "DELETE", Path: "/v1/profile/sessions/" + browser, Token: own}).Want(404, "not_found")
		b.Replica = 0
		b.Open(authorizePath(c)).WantPage(200, "login-submit")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(400, "invalid_grant")
		s.Do(s.RefreshRequest(c, kept.Refresh)).Want(200, "") // offline access outlives the browser
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

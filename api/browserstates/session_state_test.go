package browserstates_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// Names of cookies of apitest.IssuerURL.
const (
	stateName   = "__Host-signet-state-2f4e5542"
	sessionName = "__Host-signet-session-2f4e5542"
	browserName = "__Host-signet-browser-2f4e5542"
)

// matches is what the frame calculates: session_state is of this client, at this origin, in a
// browser with this state.
func matches(sessionState, clientID, origin, browserState string) bool {
	hash, salt, found := strings.Cut(sessionState, ".")
	sum := sha256.Sum256([]byte(clientID + " " + origin + " " + browserState + " " + salt))
	return found && len(salt) == 22 && hash == hex.EncodeToString(sum[:])
}

func TestEverySuccessSaysTheSessionState(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "web", FirstParty: true, ClientMetadata: userstore.ClientMetadata{
			RedirectURIs: []string{"https://WEB.test:443/cb", "https://web.test:8443/cb?x=1"},
		}})
		native := s.Register(userstore.Client{ID: "native", AuthMethod: userstore.AuthNone, FirstParty: true,
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{
				"http://127.0.0.1/cb", "http://[0:0:0:0:0:0:0:1]/cb", "com.example.app:/cb",
			}}})
		for _, row := range []struct {
			name   string
			client apitest.Client
			edit   func(url.Values)
			origin string // empty: no page can ask, so there is no state
		}{
			{"https, as browsers write the origin", c, set("redirect_uri", "https://WEB.test:443/cb"), "https://web.test"},
			{"a port", c, set("redirect_uri", "https://web.test:8443/cb?x=1"), "https://web.test:8443"},
			{"form_post", c, set("redirect_uri", "https://web.test:8443/cb?x=1", "response_mode", "form_post"),
				"https://web.test:8443"},
			{"a program on the own machine", native, set("redirect_uri", "http://127.0.0.1:4711/cb"),
				"http://127.0.0.1:4711"},
			{"an IPv6 address", native, set("redirect_uri", "http://[0:0:0:0:0:0:0:1]/cb"), "http://[::1]"},
			{"an app's own scheme", native, set("redirect_uri", "com.example.app:/cb"), ""},
			{"no OpenID request", c, set("redirect_uri", "https://web.test:8443/cb?x=1", "scope", "profile"), ""},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				b := s.SignedIn(alice)
				p := b.Open(authorizePath(row.client, row.edit))
				if p.Has("consent-approve") { // a native app is asked about each time
					p = p.Submit("consent-approve", nil)
				}
				var got url.Values
				if p.Status == http.StatusOK {
					_, got = p.Posted()
				} else {
					got = p.Query()
				}
				state := got.Get("session_state")
				if got.Get("code") == "" || len(got["session_state"]) > 1 || strings.Contains(state, " ") {
					t.Fatalf("the response has %v", got)
				}
				if row.origin == "" {
					if got.Has("session_state") {
						t.Errorf("there is a session_state %q", state)
					}
					return
				}
				if !matches(state, row.client.ID, row.origin, b.Cookies[stateName]) {
					t.Errorf("session_state %q is not of %s", state, row.origin)
				}
				for name, wrong := range map[string]bool{
					"another client":  matches(state, "other", row.origin, b.Cookies[stateName]),
					"another origin":  matches(state, row.client.ID, "https://evil.test", b.Cookies[stateName]),
					"another browser": matches(state, row.client.ID, row.origin, s.SignedIn(alice).Cookies[stateName]),
				} {
					if wrong {
						t.Errorf("it is the state of %s as well", name)
					}
				}
			})
		}
	})
}

// The salt keeps two apps, or one app at two times, from comparing what they got.
func TestASessionStateIsSalted(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	c := s.WebClient()
	b, p := s.Allowed(s.SignUp("alice"), c)
	first, second := p.Query().Get("session_state"), b.Open(authorizePath(c)).Query().Get("session_state")
	if first == second || !matches(first, c.ID, "https://web.test", b.Cookies[stateName]) ||
		!matches(second, c.ID, "https://web.test", b.Cookies[stateName]) {
		t.Errorf("%q, then %q", first, second)
	}
}

// An app that knows of no login can watch for one; a browser that shows none of its cookies, as a
// frame on another site does, learns nothing and keeps its state.
func TestRefusalsSayTheSessionStateWhereItIsKnown(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, c := s.SignUp("alice"), s.WebClient()
		silent := authorizePath(c, set("prompt", "none"))

		stranger := s.Browser()
		p := stranger.Open(silent)
		wantError(t, p, "login_required")
		if p.Query().Has("session_state") || len(stranger.Set) > 0 {
			t.Errorf("a browser that nobody has seen before got %v and cookies %v", p.Query(), stranger.Set)
		}

		b := s.Browser()
		b.Open("/login").WantPage(200, "login-submit")
		p = b.Open(silent)
		wantError(t, p, "login_required")
		out := p.Query().Get("session_state")
		if !matches(out, c.ID, "https://web.test", b.Cookies[stateName]) {
			t.Errorf("before the login: %v, with the cookie %q", p.Query(), b.Cookies[stateName])
		}
		b.SignIn("/login", alice)
		if matches(out, c.ID, "https://web.test", b.Cookies[stateName]) {
			t.Error("the login is no change")
		}
		p = b.Open(silent)
		wantError(t, p, "consent_required")
		in := p.Query().Get("session_state")
		if !matches(in, c.ID, "https://web.test", b.Cookies[stateName]) {
			t.Errorf("without a consent: %v", p.Query())
		}

		p = b.Open(authorizePath(c, set("prompt", "everything")))
		wantError(t, p, "invalid_request")
		if p.Query().Has("session_state") { // it is refused before the session is read
			t.Errorf("a request that is malformed: %v", p.Query())
		}

		frame := s.Browser() // of another site's page: only the one cookie is sent there
		frame.Cookies[stateName] = b.Cookies[stateName]
		p = frame.Open(silent)
		wantError(t, p, "login_required")
		if p.Query().Has("session_state") || len(frame.Set) > 0 {
			t.Errorf("a frame on another site got %v and cookies %v", p.Query(), frame.Set)
		}
	})
}

func TestU33TheStateCookieStandsForNobody(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice, bob, c := s.SignUp("alice"), s.SignUp("bob"), s.WebClient()
		b, _ := s.Allowed(alice, c)
		first := b.Cookies[stateName]
		seen := 0
		for _, cookie := range b.Set {
			if cookie.Name != stateName {
				if cookie.SameSite != http.SameSiteLaxMode || !cookie.HttpOnly {
					t.Errorf("another cookie is for frames: %+v", cookie)
				}
				continue
			}
			seen++
			if !cookie.Secure || cookie.HttpOnly || cookie.SameSite != http.SameSiteNoneMode || cookie.Path != "/" ||
				cookie.Domain != "" || len(cookie.Value) != 22 {
				t.Errorf("the state cookie is %+v", cookie)
			}
		}
		if seen == 0 || strings.Contains(b.Cookies[sessionName], first) || strings.Contains(b.Cookies[browserName], first) {
			t.Fatalf("%d state cookies; it is %q", seen, first)
		}

		// It logs nobody in, be it with the browser cookie, and a planted one is replaced.
		thief := s.Browser()
		thief.Cookies[stateName], thief.Cookies[browserName] = first, b.Cookies[browserName]
		thief.Open("/account").WantPage(200, "login-submit")
		if thief.Cookies[stateName] == first {
			t.Error("a browser without a session keeps the state of one")
		}
		b.Cookies[stateName] = strings.Repeat("A", 22)
		wantCode(t, b.Open(authorizePath(c)))
		if b.Cookies[stateName] != first {
			t.Errorf("after a planted value: %q, want %q", b.Cookies[stateName], first)
		}

		// The same user, who proves the password once more, goes on with the session; another user
		// does not.
		b.Open("/login?"+strings.SplitN(b.Open(authorizePath(c, set("prompt", "login"))).Path, "?", 2)[1]).
			Submit("login-submit", alice.Credentials())
		if b.Cookies[stateName] != first {
			t.Errorf("the session goes on, and its state is another one: %q", b.Cookies[stateName])
		}
		b.Open("/login?"+strings.SplitN(b.Open(authorizePath(c, set("prompt", "login"))).Path, "?", 2)[1]).
			Submit("login-submit", bob.Credentials())
		if b.Cookies[stateName] == first {
			t.Error("another user logged in, and the state is the same")
		}
	})
}

// Each way out changes the state: those in the browser at once, the others when the browser comes
// back.
func TestTheStateChangesWhenTheSessionEnds(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := s.WebClient()
		for n, row := range []struct {
			name string
			end  func(s *apitest.Server, b *apitest.Browser, alice apitest.User)
		}{
			{"our logout page", func(_ *apitest.Server, b *apitest.Browser, _ apitest.User) {
				b.Open("/logout").Submit("logout-confirm", nil)
			}},
			{"a logout that the app begins", func(s *apitest.Server, b *apitest.Browser, _ apitest.User) {
				hint := s.TokensOf(c, b.Open(authorizePath(c))).ID
				b.Open("/oauth2/logout?id_token_hint=" + hint)
			}},
			{"the account is deleted", func(s *apitest.Server, b *apitest.Browser, alice apitest.User) {
				b.Open("/account/delete").Submit("delete-submit", map[string]string{"current_password": alice.Password})
			}},
			{"all sessions are ended elsewhere, and the browser comes back", func(s *apitest.Server, b *apitest.Browser,
				alice apitest.User) {
				s.Do(apitest.Request{Method: "POST", Path: "/v1/logout", Token: s.Login(alice).Access,
					Body: apitest.Fields{"everywhere": true}}).Want(204, "")
				p := b.Open(authorizePath(c, set("prompt", "none")))
				wantError(s.T, p, "login_required")
				if !matches(p.Query().Get("session_state"), c.ID, "https://web.test", b.Cookies[stateName]) {
					s.T.Errorf("the refusal says another state: %v", p.Query())
				}
			}},
			{"it was idle for too long, and the browser comes back", func(s *apitest.Server, b *apitest.Browser,
				_ apitest.User) {
				s.Advance(25 * time.Hour)
				b.Open("/account").WantPage(200, "login-submit")
			}},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				alice := s.SignUp("alice" + strconv.Itoa(n))
				b, p := s.Allowed(alice, c)
				state, in := p.Query().Get("session_state"), b.Cookies[stateName]
				if !matches(state, c.ID, "https://web.test", in) {
					t.Fatalf("while logged in: %q", state)
				}
				row.end(s, b, alice)
				if out := b.Cookies[stateName]; out == "" || out == in || matches(state, c.ID, "https://web.test", out) {
					t.Errorf("the cookie was %q and is %q", in, out)
				}
			})
		}
	})
}

// The state lasts as long as the session: not longer than the browser, unless the person stays
// signed in.
func TestTheStateLastsAsLongAsTheSession(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	alice := s.SignUp("alice")
	for _, stay := range []string{"", "yes"} {
		b := s.Browser()
		fields := alice.Credentials()
		if stay != "" {
			fields["stay"] = stay
		}
		b.Open("/login").Submit("login-submit", fields)
		ages := map[string]int{}
		for _, cookie := range b.Set {
			ages[cookie.Name] = cookie.MaxAge
		}
		if ages[stateName] != ages[sessionName] || (ages[stateName] > 0) != (stay != "") {
			t.Errorf("staying %q: the session lasts %d s, its state %d s", stay, ages[sessionName], ages[stateName])
		}
	}
}

func TestIssuersOnOneHostHaveTheirOwnStates(t *testing.T) {
	jar := map[string]string{}
	for _, issuer := range []string{"https://id.test", "https://id.test/staging", "https://id.test:8443"} {
		s := apitest.New(t, apitest.Options{IssuerURL: issuer})
		b := s.Browser()
		b.Cookies = jar
		before := map[string]string{}
		for name, value := range jar {
			before[name] = value
		}
		b.SignIn("/login", s.SignUp("alice"))
		for name, value := range before {
			if jar[name] != value {
				t.Errorf("a login at %s changed %s", issuer, name)
			}
		}
		frame := s.Do(apitest.Request{Path: "/oauth2/session/check"})
		names := 0
		for name := range jar {
			if strings.Contains(name, "-state-") && strings.Contains(string(frame.Body), "; "+name+"=") {
				names++
			}
		}
		if names != 1 {
			t.Errorf("the frame of %s reads %d of the cookies", issuer, names)
		}
	}
}

// Of all pages only the frame may be framed. It is the same for all: no cookie is read.
func TestTheFrame(t *testing.T) {
	s := apitest.New(t, apitest.Options{})
	b := s.SignedIn(s.SignUp("alice"))
	res := s.Do(apitest.Request{Path: "/oauth2/session/check"})
	logged := b.Open("/oauth2/session/check")
	if string(res.Body) != string(logged.Body) || len(res.Header["Set-Cookie"])+len(logged.Header["Set-Cookie"]) > 0 ||
		res.Header.Get("Vary") != "" {
		t.Error("the frame differs from browser to browser")
	}
	_, script, _ := strings.Cut(string(res.Body), "<script>")
	script, rest, _ := strings.Cut(script, "</script>")
	sum := sha256.Sum256([]byte(script))
	want := "default-src 'none'; script-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'none'; frame-ancestors *; base-uri 'none'"
	if got := res.Header.Get("Content-Security-Policy"); got != want {
		t.Errorf("the policy is %q, want %q", got, want)
	}
	if strings.TrimSpace(rest) != "" || strings.Contains(rest, "<") || res.Header.Get("X-Frame-Options") != "" ||
		res.Header.Get("Cache-Control") != "public, max-age=300" ||
		res.Header.Get("Content-Type") != "text/html; charset=utf-8" || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the frame: %v %s", res.Header, rest)
	}
	again := s.Do(apitest.Request{Path: "/oauth2/session/check",
		Header: http.Header{"If-None-Match": {res.Header.Get("Etag")}}})
	if again.Status != http.StatusNotModified {
		t.Errorf("asked once more: %d", again.Status)
	}
	for _, path := range []string{"/login", "/logout", "/account", "/oauth2/logout", "/oauth2/authorize", "/signup",
		"/nothing", "/account/apps", "/.well-known/openid-configuration", "/openapi.json", "/healthz"} {
		h := b.Open(path).Header
		policy := h.Get("Content-Security-Policy")
		if strings.HasPrefix(h.Get("Content-Type"), "text/html") && h.Get("X-Frame-Options") != "DENY" ||
			policy != "" && !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s may be framed: %q, %q", path, policy, h.Get("X-Frame-Options"))
		}
	}
}

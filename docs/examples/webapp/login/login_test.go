package login

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// site is a web app at a provider, and a browser.
type site struct {
	*fakeProvider
	app     *App
	server  *httptest.Server
	browser *http.Client
	session *Session // of the last request
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{fakeProvider: newProvider(t)}
	mux := http.NewServeMux()
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	var err error
	s.app, err = New(Config{Issuer: s.URL, ClientID: "app", URL: s.server.URL, Scopes: []string{"email"}})
	if err != nil {
		t.Fatal(err)
	}
	s.app.Register(mux)
	mux.HandleFunc("GET /", func(_ http.ResponseWriter, r *http.Request) { s.session = s.app.Session(r) })
	mux.Handle("GET /inside", s.app.Require(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "inside")
	})))
	s.browser = browse(t)
	return s
}

// browse returns a browser without cookies.
func browse(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// open opens a path of the app, and returns where that led.
func (s *site) open(t *testing.T, path string) (status int, at *url.URL) {
	t.Helper()
	resp, err := s.browser.Get(s.server.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, resp.Request.URL
}

// logIn logs in, and returns the session.
func (s *site) logIn(t *testing.T) *Session {
	t.Helper()
	if status, at := s.open(t, "/login"); status != http.StatusOK || at.String() != s.server.URL+"/" {
		t.Fatalf("the login ended with status %d at %s", status, at)
	}
	if s.session == nil {
		t.Fatal("nobody is logged in")
	}
	return s.session
}

func TestALogin(t *testing.T) {
	s := newSite(t)
	got := s.logIn(t)
	var claims struct{ Email string }
	if err := got.Claims(&claims); err != nil || got.Subject() != "ada" || claims.Email != "ada@example.com" {
		t.Errorf("%v: %s %+v", err, got.Subject(), claims)
	}
	// A page that needs a login leads to one, and back.
	s.browser = browse(t)
	if status, at := s.open(t, "/inside?page=2"); status != http.StatusOK || at.RequestURI() != "/inside?page=2" {
		t.Errorf("%d %s", status, at)
	}
}

func TestALoginThatIsNotWhatItSeemsIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*fakeProvider){
		"an ID token for another login":   func(p *fakeProvider) { p.claims = jwt.MapClaims{"nonce": "another"} },
		"an ID token without a nonce":     func(p *fakeProvider) { p.claims = jwt.MapClaims{"nonce": nil} },
		"an ID token for another app":     func(p *fakeProvider) { p.claims = jwt.MapClaims{"aud": "other"} },
		"an ID token of another issuer":   func(p *fakeProvider) { p.claims = jwt.MapClaims{"iss": "https://other.test"} },
		"an ID token that has expired":    func(p *fakeProvider) { p.claims = jwt.MapClaims{"exp": 1} },
		"another access token":            func(p *fakeProvider) { p.claims = jwt.MapClaims{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"} },
		"a response of another issuer":    func(p *fakeProvider) { p.respond = func(q url.Values) { q.Set("iss", "https://other.test") } },
		"a response of nobody":            func(p *fakeProvider) { p.respond = func(q url.Values) { q.Del("iss") } },
		"another state":                   func(p *fakeProvider) { p.respond = func(q url.Values) { q.Set("state", strings.Repeat("A", 43)) } },
		"a state with the same beginning": func(p *fakeProvider) { p.respond = func(q url.Values) { q.Set("state", q.Get("state")+"A") } },
		"another code":                    func(p *fakeProvider) { p.respond = func(q url.Values) { q.Set("code", "stolen") } },
		"a person who says no":            func(p *fakeProvider) { p.respond = func(q url.Values) { q.Set("error", "access_denied") } },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			spoil(s.fakeProvider)
			if status, at := s.open(t, "/login"); status < 400 || at.Path != "/callback" {
				t.Errorf("status %d at %s", status, at)
			}
			if s.open(t, "/"); s.session != nil {
				t.Error("somebody is logged in")
			}
		})
	}
}

// A stranger sends a victim the response to the stranger's own login. The victim would be logged in
// as the stranger, and what the victim does would be the stranger's.
func TestAResponseForAnotherBrowserIsRefused(t *testing.T) {
	s := newSite(t)
	stranger := browse(t)
	var response string
	stranger.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/callback" {
			response = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}
	resp, err := stranger.Get(s.server.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if status, _ := s.open(t, response); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
	if s.open(t, "/"); s.session != nil {
		t.Error("somebody is logged in")
	}
}

func TestALoginEndsAtThisSite(t *testing.T) {
	for next, want := range map[string]string{
		"/orders?id=7": "/orders?id=7", "": "/", "//evil.test": "/", `/\evil.test`: "/", "https://evil.test": "/",
		"/\t/evil.test": "/", "evil": "/", "/a\\b": "/",
	} {
		if got := localPath(next); got != want {
			t.Errorf("%q leads to %q", next, got)
		}
	}
}

func TestCookiesAreForThisSiteAlone(t *testing.T) {
	s := newSite(t)
	s.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := s.browser.Get(s.server.URL + "/login")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for _, c := range resp.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s", c)
		}
	}
	if len(resp.Cookies()) != 1 {
		t.Errorf("%d cookies", len(resp.Cookies()))
	}
	secure := &App{c: Config{URL: "https://shop.test"}}
	if c := secure.cookie("session", "x", time.Hour); !c.Secure || c.Name != "__Host-session" || c.Path != "/" || c.Domain != "" {
		t.Errorf("%s", c)
	}
}

func TestARefreshThatIsRefusedEndsTheSessionAndAnOutageDoesNot(t *testing.T) {
	s := newSite(t)
	got := s.logIn(t)
	token, err := got.AccessToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.refuse.Store(func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) })
	if _, err := got.Renew(t.Context(), token); err == nil || errors.Is(err, ErrEnded) {
		t.Errorf("an outage: %v", err)
	}
	s.claims = jwt.MapClaims{"sub": "eve"}
	s.refuse.Store((func(http.ResponseWriter))(nil))
	if _, err := got.Renew(t.Context(), token); err == nil || errors.Is(err, ErrEnded) {
		t.Errorf("tokens of another person: %v", err)
	}
	s.claims = nil
	if fresh, err := got.Renew(t.Context(), token); err != nil || fresh == token {
		t.Errorf("a refresh after an outage: %v", err)
	} else {
		token = fresh
	}
	s.refuse.Store(refuseGrant)
	if _, err := got.Renew(t.Context(), token); !errors.Is(err, ErrEnded) {
		t.Errorf("a refusal: %v", err)
	}
	if _, err := got.AccessToken(t.Context()); !errors.Is(err, ErrEnded) {
		t.Errorf("afterwards: %v", err)
	}
	if s.open(t, "/"); s.session != nil {
		t.Error("the session goes on")
	}
}

func TestRequestsAtOneTimeRefreshOnce(t *testing.T) {
	s := newSite(t)
	got := s.logIn(t)
	token, err := got.AccessToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if fresh, err := got.Renew(t.Context(), token); err != nil || fresh == token {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.tokens.Load(); n != 1 {
		t.Errorf("%d refreshes", n)
	}
}

func TestAnExpiringTokenIsRefreshedBeforeItIsUsed(t *testing.T) {
	s := newSite(t)
	got := s.logIn(t)
	first, err := got.AccessToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got.token.Expiry = time.Now().Add(early / 2)
	if second, err := got.AccessToken(t.Context()); err != nil || second == first || s.tokens.Load() != 1 {
		t.Errorf("%v; %d refreshes", err, s.tokens.Load())
	}
}

func TestACallIsRepeatedWithANewTokenOnce(t *testing.T) {
	s := newSite(t)
	got := s.logIn(t)
	first, err := got.AccessToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	calls, always := 0, false
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls++
		body, _ := io.ReadAll(r.Body)
		if string(body) != "hello" {
			t.Errorf("the API got %q", body)
		}
		if always || r.Header.Get("Authorization") == "Bearer "+first {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(api.Close)
	for _, want := range []struct{ calls, status int }{{2, 200}, {1, 200}} {
		calls = 0
		if status := do(t, got, api.URL); status != want.status || calls != want.calls {
			t.Errorf("%d calls, the last with status %d", calls, status)
		}
	}
	calls, always = 0, true
	if status := do(t, got, api.URL); status != http.StatusUnauthorized || calls != 2 {
		t.Errorf("an API that takes no token: %d calls, the last with status %d", calls, status)
	}
}

func do(t *testing.T, s *Session, address string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := s.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestLogoutEndsTheSessionHereAndAtTheProvider(t *testing.T) {
	s := newSite(t)
	got := s.logIn(t)
	resp, err := s.browser.Post(s.server.URL+"/logout", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	q := resp.Request.URL.Query()
	if resp.Request.URL.Path != "/end" || q.Get("id_token_hint") != got.IDToken() || q.Get("post_logout_redirect_uri") != s.server.URL+"/" {
		t.Errorf("the logout led to %s", resp.Request.URL)
	}
	if s.open(t, "/"); s.session != nil {
		t.Error("the session goes on")
	}
}

func TestALoginReplacesTheSessionIDAndTheSessionsAreBounded(t *testing.T) {
	s := newSite(t)
	s.logIn(t)
	u, err := url.Parse(s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	before := s.browser.Jar.Cookies(u)[0].Value
	s.logIn(t)
	if after := s.browser.Jar.Cookies(u)[0].Value; after == before || len(s.app.sessions.byID) != 1 {
		t.Errorf("the same id, or %d sessions", len(s.app.sessions.byID))
	}

	var many sessions
	for n := range mostSessions + 10 {
		many.add([32]byte{byte(n), byte(n >> 8), 1}, &Session{})
	}
	if len(many.byID) != mostSessions {
		t.Errorf("%d sessions", len(many.byID))
	}
}

func TestASessionEndsAfterTwelveHours(t *testing.T) {
	s := newSite(t)
	s.logIn(t)
	in := func(after time.Duration) bool {
		s.app.c.Now = func() time.Time { return time.Now().Add(after) }
		s.open(t, "/")
		return s.session != nil
	}
	if !in(sessionLifetime - time.Minute) {
		t.Error("the session ended before its time")
	}
	if in(sessionLifetime + time.Minute) {
		t.Error("the session did not end")
	}
	if in(0); len(s.app.sessions.byID) != 0 {
		t.Error("the session is kept after its end")
	}
}

func TestAProviderThatIsDownIsTriedAgain(t *testing.T) {
	s := newSite(t)
	up := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	if status, _ := s.open(t, "/login"); status != http.StatusServiceUnavailable {
		t.Errorf("status %d", status)
	}
	s.Config.Handler = up
	s.logIn(t)
}

func TestWhatCannotBeRightIsRefusedAtTheStart(t *testing.T) {
	for _, c := range []Config{
		{Issuer: "nonsense", ClientID: "app", URL: "https://app.test"}, {Issuer: "https://id.test", ClientID: "app"},
		{Issuer: "https://id.test", URL: "https://app.test"}, {Issuer: "https://id.test", ClientID: "app", URL: "https://app.test/path"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

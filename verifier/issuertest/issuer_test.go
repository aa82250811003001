package issuertest_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

func newVerifier(t *testing.T, issuer *issuertest.Issuer) func(raw string) (*verifier.Token, error) {
	t.Helper()
	v, err := verifier.New(issuer.Config(issuertest.DefaultAudience))
	if err != nil {
		t.Fatal(err)
	}
	return func(raw string) (*verifier.Token, error) { return v.Verify(t.Context(), raw) }
}

func claimsOf(t *testing.T, token string) (claims map[string]any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || json.Unmarshal(text, &claims) != nil {
		t.Fatalf("not a token: %v", err)
	}
	return claims
}

// The claims that LoginToken writes by hand are those that the product writes.
func TestMadeTokensHaveTheClaimsOfRealOnes(t *testing.T) {
	issuer := issuertest.New(t)
	ada := issuer.SignUp("ada")
	tokens := issuer.Login(ada)
	verify := newVerifier(t, issuer)
	token, err := verify(tokens.Access)
	if err != nil || token.Subject != ada.Subject || token.AuthenticationContext != "1" || tokens.ID == "" ||
		tokens.Refresh == "" {
		t.Fatalf("%+v, %v", token, err)
	}
	names := func(token string) []string { return slices.Sorted(maps.Keys(claimsOf(t, token))) }
	if real, made := names(tokens.Access), names(issuer.LoginToken("1", 0, nil)); !slices.Equal(real, made) {
		t.Errorf("a login writes %v, LoginToken %v", real, made)
	}
}

// Sessions end, by the clock and by a revocation; the access token is what remains.
func TestSessionsOfRealLogins(t *testing.T) {
	issuer := issuertest.New(t)
	ada := issuer.SignUp("ada")
	first, second := issuer.Login(ada), issuer.Login(ada)
	refresh := func(token string) (int, string) {
		t.Helper()
		resp, err := http.PostForm(issuer.URL+"/oauth2/token", url.Values{
			"grant_type": {"refresh_token"}, "client_id": {"test-client"}, "refresh_token": {token},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var tokens issuertest.Tokens
		if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, tokens.Refresh
	}
	if status, _ := refresh(first.Refresh); status != http.StatusOK {
		t.Errorf("a refresh: %d", status)
	}
	issuer.Advance(15 * 24 * time.Hour) // refresh.idle is 14 days
	if status, _ := refresh(second.Refresh); status != http.StatusBadRequest {
		t.Errorf("after 15 days: %d", status)
	}
	third := issuer.Login(ada)
	issuer.EndSessions(ada)
	if status, _ := refresh(third.Refresh); status != http.StatusBadRequest {
		t.Errorf("after the revocation: %d", status)
	}
	if _, err := newVerifier(t, issuer)(third.Access); err != nil {
		t.Errorf("offline: %v", err)
	}
}

// With status lists a verifier learns of what has ended, as soon as the clock has moved by their
// ttl.
func TestTokensOfEndedSessionsAreRefused(t *testing.T) {
	issuer := issuertest.New(t, issuertest.StatusLists())
	ada, bob := issuer.SignUp("ada"), issuer.SignUp("bob")
	of, other, service := issuer.Login(ada).Access, issuer.Login(bob).Access, issuer.ServiceLogin(issuer.Service()).Access
	verify := newVerifier(t, issuer)
	issuer.Advance(time.Minute)
	for name, token := range map[string]string{"ada": of, "bob": other, "a service": service} {
		if _, err := verify(token); err != nil || claimsOf(t, token)["status"] == nil {
			t.Errorf("before, %s: %v, %v", name, err, claimsOf(t, token))
		}
	}
	issuer.EndSessions(ada)
	if _, err := verify(of); err != nil {
		t.Errorf("a list is good for 15 seconds: %v", err)
	}
	issuer.Advance(15 * time.Second)
	if _, err := verify(of); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("after: %v", err)
	}
	again := issuer.Login(ada).Access
	for name, token := range map[string]string{"bob": other, "a service": service, "a new login": again} {
		if _, err := verify(token); err != nil {
			t.Errorf("after, %s: %v", name, err)
		}
	}
	if _, err := verify(issuer.LoginToken("1", 0, nil)); err != nil {
		t.Errorf("a token without a place: %v", err)
	}
}

// A verifier that has no list yet refuses at once.
func TestTheFirstListKnowsWhatHasEnded(t *testing.T) {
	issuer := issuertest.New(t, issuertest.StatusLists())
	ada := issuer.SignUp("ada")
	token := issuer.Login(ada).Access
	issuer.EndSessions(ada)
	if _, err := newVerifier(t, issuer)(token); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("%v", err)
	}
}

// hostile are recipes, none of whose tokens a verifier takes.
var hostile = map[string]issuertest.Recipe{
	"alg none":              {Algorithm: "none"},
	"HS256, the public key": {Algorithm: "HS256"},
	"an unpublished key":    {Key: issuertest.Unpublished},
	"another audience":      {Claims: map[string]any{"aud": "https://other.example.com"}},
	"no audience":           {Claims: map[string]any{"aud": nil}},
	"another issuer":        {Claims: map[string]any{"iss": "https://id.example.com"}},
	"another typ":           {Header: map[string]any{"typ": "JWT"}},
	"no typ":                {Header: map[string]any{"typ": nil}},
	"another kid":           {Header: map[string]any{"kid": "of-nobody"}},
	"an unknown extension":  {Header: map[string]any{"crit": []string{"x"}, "x": true}},
	"another alg":           {Header: map[string]any{"alg": "EdDSA"}},
	"no JSON":               {Payload: "{"},
	"an empty object":       {Payload: "{}"},
}

func TestHostileTokensAreRefused(t *testing.T) {
	issuer := issuertest.New(t)
	verify := newVerifier(t, issuer)
	for name, recipe := range hostile {
		if _, err := verify(issuer.Mint(recipe)); !errors.Is(err, verifier.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	payload, err := json.Marshal(claimsOf(t, issuer.Token(nil)))
	if err != nil {
		t.Fatal(err)
	}
	twice := strings.Replace(string(payload), "{", `{"sub":"mallory",`, 1)
	if _, err := verify(issuer.Mint(issuertest.Recipe{Payload: twice})); !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("a duplicate member: %v", err)
	}
	for name, recipe := range map[string]issuertest.Recipe{ // and these are taken
		"the zero recipe": {}, "EdDSA": {Algorithm: "EdDSA"}, "its own kid": {Key: issuer.KeyID()},
		"typ in capitals": {Header: map[string]any{"typ": "AT+JWT"}}, "its own payload": {Payload: string(payload)},
	} {
		if _, err := verify(issuer.Mint(recipe)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Keys rotate as those of the product: a verifier knows the next key before it signs.
func TestKeysRotateAndAreRevoked(t *testing.T) {
	issuer := issuertest.New(t)
	verify := newVerifier(t, issuer)
	first, old, before := issuer.KeyID(), issuer.Token(nil), issuer.Now()
	if _, err := verify(old); err != nil {
		t.Fatal(err)
	}
	second := issuer.Rotate()
	if _, err := verify(issuer.Token(nil)); err != nil || second == first || issuer.Requests() != 1 ||
		!issuer.Now().Equal(before) {
		t.Errorf("after a rotation: %v, %d requests", err, issuer.Requests())
	}
	if _, err := verify(old); err != nil {
		t.Errorf("a token of before: %v", err)
	}
	third := issuer.Rotate()
	if third == second || issuer.Now().Sub(before) != time.Hour {
		t.Errorf("a second rotation took %s", issuer.Now().Sub(before))
	}
	if fourth := issuer.RevokeAll(); fourth == third {
		t.Error("the same key signs")
	}
	fresh := issuer.Token(nil)
	if strings.Contains(string(issuer.JWKS()), third) {
		t.Error("a revoked key is published")
	}
	issuer.Advance(time.Minute) // beyond the verifier's cooldown
	if _, err := verify(fresh); err != nil {
		t.Errorf("a key that was just made: %v", err)
	}
	if _, err := verify(issuer.Mint(issuertest.Recipe{Key: third})); !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("a revoked key: %v", err)
	}
}

// An app is logged in to as its user would, by one Get.
func TestABrowserLogsInToAnApp(t *testing.T) {
	issuer := issuertest.New(t)
	var app issuertest.Client
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("user"); err == nil {
			fmt.Fprint(w, "the orders of ", c.Value)
			return
		}
		http.Redirect(w, r, issuer.URL+"/oauth2/authorize?"+url.Values{
			"response_type": {"code"}, "client_id": {app.ID}, "redirect_uri": {server.URL + "/callback"},
			"scope":          {"openid email"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		}.Encode(), http.StatusFound)
	})
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		q, err := http.NewRequest(http.MethodPost, issuer.URL+"/oauth2/token", strings.NewReader(url.Values{
			"grant_type": {"authorization_code"}, "code": {r.URL.Query().Get("code")}, "redirect_uri": {server.URL +
				"/callback"},
			"code_verifier": {"dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
		}.Encode()))
		if err != nil {
			t.Error(err)
			return
		}
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		q.SetBasicAuth(app.ID, app.Secret)
		resp, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		var tokens issuertest.Tokens
		if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil || tokens.ID == "" {
			t.Errorf("%d, %v", resp.StatusCode, err)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "user", Value: claimsOf(t, tokens.ID)["sub"].(string), Path: "/"})
		http.Redirect(w, r, "/orders", http.StatusFound)
	})
	app = issuer.Client(server.URL + "/callback")
	ada := issuer.SignUp("ada")
	browser := issuer.Browser(ada)
	for range 2 { // the second time nobody asks for a password
		resp, err := browser.Get(server.URL + "/orders")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != "the orders of "+ada.Subject {
			t.Errorf("%d %s, %v", resp.StatusCode, body, err)
		}
	}
	stranger := issuer.Browser(issuertest.User{Email: "eve@example.com", Password: "a password of nobody here"})
	if resp, err := stranger.Get(server.URL + "/orders"); err == nil {
		resp.Body.Close()
		t.Errorf("a stranger got in: %d", resp.StatusCode)
	} else if !strings.Contains(err.Error(), "did not let this user in") {
		t.Error(err)
	}
}

func TestTheIssuerListensOnLoopback(t *testing.T) {
	u, err := url.Parse(issuertest.New(t).URL)
	if err != nil {
		t.Fatal(err)
	}
	if host, _, err := net.SplitHostPort(u.Host); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("%s, %v", u, err)
	}
}

// BenchmarkNew measures the start of an issuer. The first one of a process also makes what all of them
// share.
func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		issuertest.New(b).Close()
	}
}

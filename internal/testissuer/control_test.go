package testissuer_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testissuer"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/verifier"
)

const controlToken = "the token of this test, which nobody guesses"

// control is an issuer and its control address.
type control struct {
	t      *testing.T
	issuer *testissuer.Issuer
	url    string
}

func newControl(t *testing.T) control {
	t.Helper()
	return controlOf(t, testissuer.Options{Clock: testissuer.Standing(time.Now().Truncate(time.Second))})
}

func controlOf(t *testing.T, o testissuer.Options) control {
	t.Helper()
	o.Make, o.Audience = keystest.Generator(), "https://api.example.com"
	issuer, err := testissuer.Start(t.Context(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Close)
	server := httptest.NewServer(issuer.Handler(controlToken, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return control{t, issuer, server.URL}
}

func (c control) do(method, path, authorization, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}

// post sends a request with the control token and returns the answer.
func (c control) post(path, body string) (answer struct {
	testissuer.State
	Token string `json:"token"`
}) {
	c.t.Helper()
	status, text := c.do(http.MethodPost, path, "Bearer "+controlToken, body)
	if err := json.Unmarshal([]byte(text), &answer); err != nil || status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", path, body, status, text)
	}
	return answer
}

func (c control) state(kid string) string {
	c.t.Helper()
	status, text := c.do(http.MethodGet, "/", "bearer "+controlToken, "")
	var s testissuer.State
	if err := json.Unmarshal([]byte(text), &s); err != nil || status != http.StatusOK {
		c.t.Fatalf("%d %s", status, text)
	}
	for _, k := range s.Keys {
		if k.KeyID == kid {
			return k.State
		}
	}
	return "unknown"
}

func part(t *testing.T, token string, n int) (m map[string]any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[n])
	if err != nil || json.Unmarshal(text, &m) != nil {
		t.Fatalf("part %d of %s", n, token)
	}
	return m
}

func TestTheControlAddressNeedsItsToken(t *testing.T) {
	c := newControl(t)
	before := c.issuer.Clock.Now()
	for _, authorization := range []string{"", "Bearer", "Bearer ", controlToken, "Basic " + controlToken,
		"Bearer " + controlToken + "x", "Bearer x"} {
		for _, path := range []string{"/", "/clock", "/mint", "/rotate", "/revoke", "/none"} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				if status, text := c.do(method, path, authorization, `{"advance":"1h"}`); status != http.StatusUnauthorized ||
					!strings.Contains(text, `"invalid_token"`) {
					t.Errorf("%s %s with %q: %d %s", method, path, authorization, status, text)
				}
			}
		}
	}
	if !c.issuer.Clock.Now().Equal(before) {
		t.Error("the clock has moved")
	}
}

func TestControls(t *testing.T) {
	c := newControl(t)
	first, err := c.issuer.SigningKey()
	if err != nil {
		t.Fatal(err)
	}
	token := c.post("/mint", `{"claims":{"sub":"bob","scope":null},"header":{"x":1}}`).Token
	header, claims := part(t, token, 0), part(t, token, 1)
	if header["kid"] != first || header["typ"] != "at+jwt" || header["alg"] != "RS256" || header["x"] != 1.0 ||
		claims["sub"] != "bob" || claims["scope"] != nil || claims["aud"] != "https://api.example.com" ||
		claims["iss"] != c.issuer.URL {
		t.Errorf("%v %v", header, claims)
	}
	for body, want := range map[string]string{
		`{"alg":"EdDSA"}`: "EdDSA", `{"alg":"none"}`: "none", `{"alg":"HS256"}`: "HS256", `{"key":"unpublished"}`: "RS256",
		`{"key":"` + first + `"}`: "RS256",
	} {
		if got := part(t, c.post("/mint", body).Token, 0); got["alg"] != want {
			t.Errorf("%s: %v", body, got)
		}
	}
	if token := c.post("/mint", `{"payload":"{\"a\":1,\"a\":2}"}`).Token; strings.Split(token,
		".")[1] != base64.RawURLEncoding.EncodeToString([]byte(`{"a":1,"a":2}`)) {
		t.Error("the payload is not as it was given")
	}

	now := c.issuer.Clock.Now()
	if got := c.post("/clock", `{"advance":"90s"}`).Now; !got.Equal(now.Add(90 * time.Second)) {
		t.Errorf("%s after %s", got, now)
	}
	c.post("/clock", `{"advance":"-90s"}`)

	c.post("/rotate", ``)
	second, err := c.issuer.SigningKey()
	if err != nil || second == first || c.state(first) != "retiring" || c.state(second) != "active" ||
		!c.issuer.Clock.Now().Equal(now) {
		t.Errorf("after a rotation %s is %s and %s is %s at %s: %v", first, c.state(first), second, c.state(second),
			c.issuer.Clock.Now(), err)
	}
	c.post("/rotate", `{}`) // the next successor was made a moment ago
	if c.state(second) != "retiring" || !c.issuer.Clock.Now().Equal(now.Add(time.Hour)) {
		t.Errorf("after a second rotation %s is %s at %s", second, c.state(second), c.issuer.Clock.Now())
	}
	c.post("/revoke", `{"kids":["`+second+`"]}`)
	third, err := c.issuer.SigningKey()
	if err != nil || c.state(second) != "removed" || c.state(third) != "active" {
		t.Errorf("after a revocation %s is %s and %s is %s: %v", second, c.state(second), third, c.state(third), err)
	}
	c.post("/revoke", `{"all":true}`)
	if fourth, err := c.issuer.SigningKey(); err != nil || c.state(third) != "removed" || c.state(fourth) != "active" {
		t.Errorf("after the revocation of all, %s is %s: %v", third, c.state(third), err)
	}
}

// signUp makes the account of login.
func (c control) signUp() userstore.User {
	c.t.Helper()
	user, err := c.issuer.Accounts.Register(c.t.Context(), userstore.NewUser{Email: "ada@example.com",
		Password: "correct horse battery staple"})
	if err != nil {
		c.t.Fatal(err)
	}
	return user
}

func (c control) login() (access, refresh string) {
	c.t.Helper()
	resp, err := http.Post(c.issuer.URL+"/v1/login", "application/json",
		strings.NewReader(`{"email":"ada@example.com","password":"correct horse battery staple"}`))
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&tokens); err != nil || tokens.Refresh == "" {
		c.t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return tokens.Access, tokens.Refresh
}

func TestSessionsAreEnded(t *testing.T) {
	c := newControl(t)
	user := c.signUp()
	refreshed := func(token string) int {
		resp, err := http.Post(c.issuer.URL+"/v1/refresh", "application/json",
			strings.NewReader(`{"refresh_token":"`+token+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	access, one := c.login()
	_, two := c.login()
	sid, _ := part(t, access, 1)["sid"].(string)
	c.post("/revoke", `{"session":"`+sid+`"}`)
	if a, b := refreshed(one), refreshed(two); a != http.StatusUnauthorized || b != http.StatusOK {
		t.Errorf("after the end of one session: %d and %d", a, b)
	}
	c.post("/revoke", `{"user":"`+user.ID+`"}`)
	if got := refreshed(two); got != http.StatusUnauthorized {
		t.Errorf("after the end of all: %d", got)
	}
}

// The status lists know what a control ended at once, and what ended otherwise when the clock is
// moved. The clock of this issuer runs by itself as well, as that of signet serve --test does.
func TestStatusListsAreCurrent(t *testing.T) {
	var ahead atomic.Int64
	begun := time.Now()
	c := controlOf(t, testissuer.Options{StatusLists: true, Clock: testissuer.Running(func() time.Time {
		return begun.Add(time.Duration(ahead.Load()))
	})})
	const ttl = 15 * time.Second // of a list, for which verifiers do not ask again
	user := c.signUp()
	v, err := verifier.New(verifier.Config{Issuer: c.issuer.URL, Audience: []string{c.issuer.Audience},
		Now: c.issuer.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	is := func(what, token string, want error) {
		t.Helper()
		if _, err := v.Verify(t.Context(), token); !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", what, err, want)
		}
	}
	one, _ := c.login()
	two, _ := c.login()
	is("one session", one, nil)
	ahead.Add(int64(ttl))
	c.post("/revoke", `{"session":"`+part(t, one, 1)["sid"].(string)+`"}`)
	is("one session, ended", one, verifier.ErrRevoked)
	is("the other session", two, nil)
	ahead.Add(int64(ttl))
	c.post("/revoke", `{"user":"`+user.ID+`"}`)
	is("the other session, ended", two, verifier.ErrRevoked)

	three, _ := c.login()
	is("a third session", three, nil)
	if _, err := c.issuer.Accounts.RevokeSessions(t.Context(), user.ID, ""); err != nil { // by no control
		t.Fatal(err)
	}
	c.post("/clock", `{"advance":"15s"}`)
	is("a third session, ended", three, verifier.ErrRevoked)
}

func TestMistakesOfATest(t *testing.T) {
	c := newControl(t)
	for _, m := range []struct{ method, path, body, code string }{
		{"POST", "/mint", `{"claim":{}}`, "invalid_request"},
		{"POST", "/mint", `{"claims":{},"claims":{}}`, "invalid_request"},
		{"POST", "/mint", `[]`, "invalid_request"},
		{"POST", "/mint", `{"payload":"` + strings.Repeat("x", 300<<10) + `"}`, "invalid_request"},
		{"POST", "/mint", `{"alg":"ES256"}`, "invalid_algorithm"},
		{"POST", "/mint", `{"key":"none of ours"}`, "unknown_key"},
		{"POST", "/clock", `{}`, "invalid_duration"},
		{"POST", "/clock", `{"advance":"99999999h"}`, "invalid_duration"},
		{"POST", "/revoke", `{}`, "invalid_request"},
		{"POST", "/revoke", `{"all":true,"user":"x"}`, "invalid_request"},
		{"POST", "/revoke", `{"kids":["none of ours"]}`, "unknown_key"},
		{"POST", "/revoke", `{"session":"none of ours"}`, "unknown_session"},
		{"GET", "/nothing", ``, "not_found"},
	} {
		status, text := c.do(m.method, m.path, "Bearer "+controlToken, m.body)
		sentence := strings.HasSuffix(strings.TrimSpace(text), `."}`) && !strings.Contains(text, "..")
		if status/100 != 4 || !strings.Contains(text, `"code":"`+m.code+`"`) || !sentence {
			t.Errorf("%s %s %.60s: %d %s", m.method, m.path, m.body, status, text)
		}
	}
	if _, ok := c.issuer.Vault.Key("none of ours"); ok {
		t.Error("a key came from nowhere")
	}
}

func TestATestIssuerListensOnThisMachineAlone(t *testing.T) {
	for _, url := range []string{"http://0.0.0.0:0", "http://[::]:0", "https://127.0.0.1:9", "http://127.0.0.1",
		"http://127.0.0.1:9/path", "127.0.0.1:9"} {
		issuer, err := testissuer.Start(t.Context(), testissuer.Options{
			URL: url, Clock: testissuer.Running(time.Now), Make: keystest.Generator(),
		}, nil)
		if err == nil {
			issuer.Close()
			t.Errorf("%s was listened on", url)
		}
	}
}

package verifier_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/signet-id/signet/verifier"
)

var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	token, _ := verifier.TokenFrom(r.Context())
	_, _ = io.WriteString(w, token.Subject)
})

func TestRequireScope(t *testing.T) {
	s := newStand(t)
	bearer := "Bearer " + s.issuer.Token(map[string]any{"aud": audience, "scope": "notes:read profile"})
	both := s.v.RequireScope("notes:read", "profile")(ok)
	for name, h := range map[string]http.Handler{
		"alone": both, "inside Middleware": s.v.Middleware(both), "inside another": s.v.RequireScope("profile")(both),
		"no scope": s.v.RequireScope()(ok),
	} {
		if w := serve(h, request("GET", "/", bearer)); w.Code != 200 || w.Body.String() != "alice" {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if w := serve(h, request("GET", "/")); w.Code != 401 {
			t.Errorf("%s without a token: %d", name, w.Code)
		}
	}
	needed := s.v.RequireScope("notes:read", "notes:write")(ok)
	for name, h := range map[string]http.Handler{"alone": needed, "inside Middleware": s.v.Middleware(needed)} {
		w := serve(h, request("GET", "/", bearer))
		want := `Bearer error="insufficient_scope", error_description="The access token was not granted the scope that is needed here.", scope="notes:read notes:write"`
		if got := w.Header().Get("WWW-Authenticate"); w.Code != http.StatusForbidden || got != want ||
			problemCode(t, w) != verifier.CodeInsufficientScope {
			t.Errorf("%s: %d %s", name, w.Code, got)
		}
	}
	none := "Bearer " + s.issuer.Token(map[string]any{"aud": audience, "scope": nil})
	for _, scope := range []string{"profile", ""} {
		if w := serve(s.v.RequireScope(scope)(ok), request("GET", "/", none)); w.Code != http.StatusForbidden {
			t.Errorf("a token without scopes, scope %q: %d", scope, w.Code)
		}
	}
}

func TestATokenOfAnotherVerifierDoesNotCount(t *testing.T) {
	s := newStand(t)
	other := newVerifier(t, s.issuer.Config("https://other.example.com"))
	h := s.v.Middleware(other.Middleware(ok))
	if _, err := other.Verify(t.Context(),
		s.issuer.Token(map[string]any{"aud": "https://other.example.com"})); err != nil {
		t.Error(err)
	}
	if w := serve(h, request("GET", "/", "Bearer "+s.genuine(verifier.EdDSA))); w.Code != 401 {
		t.Errorf("%d: the inner verifier took the outer one's word", w.Code)
	}
	both := "Bearer " + s.issuer.Token(map[string]any{"aud": []string{audience, "https://other.example.com"}})
	if w := serve(h, request("GET", "/", both)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestAuthenticateAndWriteErrorForHandlersOnTheirOwn(t *testing.T) {
	s := newStand(t)
	if token, err := s.v.Authenticate(request("GET", "/", "Bearer "+s.genuine(verifier.EdDSA))); err != nil ||
		token.Subject != "alice" {
		t.Errorf("%v, %v", token, err)
	}
	if _, err := s.v.Authenticate(request("GET", "/")); !errors.Is(err, verifier.ErrMissingToken) {
		t.Error(err)
	}
	for _, err := range []error{errors.New("somebody else's"), &verifier.Error{Code: "made up"}, nil,
		(*verifier.Error)(nil)} {
		w := httptest.NewRecorder()
		s.v.WriteError(w, err)
		rs401(t, w)
	}
	var none *verifier.Error
	if none.Error() == "" || none.Is(verifier.ErrInvalid) || none.Unwrap() != nil ||
		errors.Is(verifier.ErrInvalid, none) { //nolint:staticcheck // in this order: nil is the target
		t.Error("a nil *Error is no error of ours")
	}
	if token, found := verifier.TokenFrom(t.Context()); found || token != nil {
		t.Error("a token from an empty context")
	}
}

func TestABrokenBodyIsTheHandlersToMeet(t *testing.T) {
	s := newStand(t)
	broken := errors.New("broken")
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("a=1"), errorReader{broken}))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+s.genuine(verifier.EdDSA))
	h := s.v.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); string(body) != "a=1" || !errors.Is(err, broken) {
			t.Errorf("%q, %v", body, err)
		}
	}))
	if w := serve(h, r); w.Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

func TestChallengesHoldNoQuotesOfOthers(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.Audience = []string{"api\"\\\r\nX: 1é"} })
	if got := serve(s.handler, request("GET", "/whoami")).Header().
		Get("WWW-Authenticate"); got != `Bearer realm="apiX: 1"` {
		t.Errorf("%s", got)
	}
}

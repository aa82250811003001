package issuertest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

// t stands for the *testing.T of your own test.
var t testing.TB = example{}

type example struct{ testing.TB }

func (example) Helper()                  {}
func (example) Cleanup(func())           {}
func (example) Context() context.Context { return context.Background() }
func (example) Fatal(args ...any)        { log.Fatal(args...) }

// This is the life of a token, with a clock that only the test moves.
func Example() {
	issuer := issuertest.New(t)
	defer issuer.Close() // a test does not need this: the issuer stops when the test ends
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	raw := issuer.Token(map[string]any{"sub": "bob", "scope": "notes:read"})

	token, err := v.Verify(t.Context(), raw)
	fmt.Println(token.Subject, token.Scopes, err)
	issuer.Advance(time.Hour)
	_, err = v.Verify(t.Context(), raw)
	fmt.Println(errors.Is(err, verifier.ErrExpired))
	// Output:
	// bob [notes:read] <nil>
	// true
}

// Token also makes tokens that your issuer would never sign, to test that your service refuses them.
func ExampleIssuer_Token() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	for _, claims := range []map[string]any{
		{"aud": "https://other.example.com"}, // for another service
		{"client_id": nil},                   // nil removes a claim
		{"exp": "tomorrow"},
	} {
		_, err := v.Verify(t.Context(), issuer.Token(claims))
		fmt.Println(errors.Is(err, verifier.ErrInvalid))
	}
	// Output:
	// true
	// true
	// true
}

// A new key signs at once. A verifier forgets a revoked key with the next key set.
func ExampleIssuer_Rotate() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	kid := issuer.Rotate()
	raw := issuer.Token(nil)
	_, err = v.Verify(t.Context(), raw)
	fmt.Println(err)

	issuer.Revoke(kid)
	issuer.Advance(6 * time.Minute) // the key set's max-age is 5 minutes
	_, err = v.Verify(t.Context(), raw)
	fmt.Println(errors.Is(err, verifier.ErrInvalid))
	// Output:
	// <nil>
	// true
}

// While the issuer does not answer, tokens under known keys are still accepted.
func ExampleIssuer_Break() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), issuer.Token(nil))
	fmt.Println(err)

	issuer.Break(http.NotFoundHandler())
	issuer.Advance(time.Hour)
	_, err = v.Verify(t.Context(), issuer.Token(nil))
	fmt.Println(err)

	stranger, err := verifier.New(issuer.Config("https://api.example.com")) // has never seen the keys
	if err != nil {
		t.Fatal(err)
	}
	_, err = stranger.Verify(t.Context(), issuer.Token(nil))
	fmt.Println(errors.Is(err, verifier.ErrKeysUnavailable))
	// Output:
	// <nil>
	// <nil>
	// true
}

// With status lists, the access token of a session that was revoked is refused before it expires.
func ExampleStatusLists() {
	issuer := issuertest.New(t, issuertest.StatusLists())
	defer issuer.Close()
	v, err := verifier.New(issuer.Config(issuertest.DefaultAudience))
	if err != nil {
		t.Fatal(err)
	}
	ada := issuer.SignUp("ada")
	raw := issuer.Login(ada).Access
	_, err = v.Verify(t.Context(), raw)
	fmt.Println(err)

	issuer.EndSessions(ada)
	issuer.Advance(15 * time.Second) // for so long a verifier uses the list that it has
	_, err = v.Verify(t.Context(), raw)
	fmt.Println(errors.Is(err, verifier.ErrRevoked))
	// Output:
	// <nil>
	// true
}

// LoginToken makes tokens of users who logged in with more factors or fewer, lately or long ago.
func ExampleIssuer_LoginToken() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	transfer := v.RequireACR("2")(v.RequireRecentLogin(5 * time.Minute)(http.NotFoundHandler()))
	for _, raw := range []string{
		issuer.LoginToken("2", time.Minute, nil),
		issuer.LoginToken("1", time.Minute, nil),
		issuer.LoginToken("2", time.Hour, nil),
		issuer.ClientToken(nil),
	} {
		r := httptest.NewRequest(http.MethodPost, "/transfers", nil)
		r.Header.Set("Authorization", "Bearer "+raw)
		w := httptest.NewRecorder()
		transfer.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 404
	// 401
	// 401
	// 403
}

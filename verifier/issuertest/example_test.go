package issuertest_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

// t is what a test of yours gets from package testing.
var t testing.TB = example{}

type example struct{ testing.TB }

func (example) Helper()                  {}
func (example) Cleanup(func())           {}
func (example) Context() context.Context { return context.Background() }
func (example) Fatal(args ...any)        { log.Fatal(args...) }

// The life of a token, with a clock that only the test moves.
func Example() {
	issuer := issuertest.New(t)
	defer issuer.Close() // in a test, New has seen to that
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

// A token that no issuer of yours would sign shows what your service refuses.
func ExampleIssuer_Token() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	for _, claims := range []map[string]any{
		{"aud": "https://other.example.com"}, // for another service
		{"client_id": nil},                   // nil takes a claim away
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

// A key that is rotated in signs at once; one that was revoked is forgotten with the next key set.
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

// While the issuer is away, tokens under keys that are known go on to be good.
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

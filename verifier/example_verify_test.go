package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
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

// Verify takes the text of a token, so it also works outside of HTTP.
func ExampleVerifier_Verify() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		log.Fatal(err)
	}
	raw := issuer.Token(map[string]any{"scope": "notes:read notes:write"})

	token, err := v.Verify(t.Context(), raw)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Subject, token.HasScope("notes:write"), token.HasScope("notes:delete"))

	issuer.Advance(time.Hour)
	_, err = v.Verify(t.Context(), raw)
	fmt.Println("expired:", errors.Is(err, verifier.ErrExpired))
	fmt.Println("undecided:", errors.Is(err, verifier.ErrKeysUnavailable))
	// Output:
	// alice true false
	// expired: true
	// undecided: false
}

// The answer to a token that lacks a scope names the scope.
func ExampleVerifier_RequireScope() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		log.Fatal(err)
	}
	addNote := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := verifier.TokenFrom(r.Context())
		fmt.Fprint(w, "a note of ", token.Subject)
	})
	protected := v.Middleware(v.RequireScope("notes:write")(addNote))

	for _, scope := range []string{"notes:write", "notes:read"} {
		r := httptest.NewRequest(http.MethodPost, "/notes", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Token(map[string]any{"scope": scope}))
		w := httptest.NewRecorder()
		protected.ServeHTTP(w, r)
		fmt.Println(w.Code, strings.Contains(w.Header().Get("WWW-Authenticate"), `scope="notes:write"`))
	}
	// Output:
	// 200 false
	// 403 true
}

// This handler decides for itself which requests need a token.
func ExampleVerifier_Authenticate() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		log.Fatal(err)
	}
	greet := func(w http.ResponseWriter, r *http.Request) {
		token, err := v.Authenticate(r)
		switch {
		case errors.Is(err, verifier.ErrMissingToken):
			fmt.Fprint(w, "Hello, stranger")
		case err != nil:
			v.WriteError(w, err) // 401, or 503 while the issuer's keys cannot be had
		default:
			fmt.Fprint(w, "Hello, ", token.Subject)
		}
	}
	for _, authorization := range []string{"", "Bearer " + issuer.Token(nil), "Bearer forged"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		greet(w, r)
		if w.Code == http.StatusOK {
			fmt.Println(w.Code, w.Body)
		} else {
			fmt.Println(w.Code)
		}
	}
	// Output:
	// 200 Hello, stranger
	// 200 Hello, alice
	// 401
}

// Claim reads the claims that only your deployment has, by name.
func ExampleToken_Claim() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		log.Fatal(err)
	}
	token, err := v.Verify(t.Context(), issuer.Token(map[string]any{"tenant": map[string]any{"id": 7, "plan": "small"}}))
	if err != nil {
		log.Fatal(err)
	}
	var tenant struct {
		ID   int    `json:"id"`
		Plan string `json:"plan"`
	}
	found, err := token.Claim("tenant", &tenant)
	fmt.Println(found, err, tenant.ID, tenant.Plan)
	found, err = token.Claim("department", new(string))
	fmt.Println(found, err)
	// Output:
	// true <nil> 7 small
	// false <nil>
}

// The challenge tells the client what to ask for at the issuer's authorization endpoint.
func ExampleVerifier_RequireACR() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		log.Fatal(err)
	}
	transfer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := verifier.TokenFrom(r.Context())
		fmt.Fprint(w, "a transfer of ", token.Subject)
	})
	protected := v.RequireACR("2")(v.RequireRecentLogin(5 * time.Minute)(transfer))

	for _, acr := range []string{"1", "2"} {
		r := httptest.NewRequest(http.MethodPost, "/transfers", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.LoginToken(acr, time.Minute, nil))
		w := httptest.NewRecorder()
		protected.ServeHTTP(w, r)
		_, asked, _ := strings.Cut(w.Header().Get("WWW-Authenticate"), "again.\", ")
		fmt.Println(w.Code, asked)
	}
	// Output:
	// 401 acr_values="2", max_age="300"
	// 200
}

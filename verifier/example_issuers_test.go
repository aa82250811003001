package verifier_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

// Each of several issuers has its own keys; a token's iss says which of them count.
func ExampleConfig_moreIssuers() {
	issuer, former := issuertest.New(t), issuertest.New(t)
	defer issuer.Close()
	defer former.Close()
	config := issuer.Config("https://api.example.com")
	config.MoreIssuers = []verifier.Issuer{{Identifier: former.URL}}
	v, err := verifier.New(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []*issuertest.Issuer{issuer, former} {
		token, err := v.Verify(t.Context(), i.Token(map[string]any{"aud": "https://api.example.com"}))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(token.Issuer == i.URL)
	}
	// Output:
	// true
	// true
}

// The errors say why a token is refused, for a log or a metric.
func ExampleErrWrongAudience() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), issuer.Token(map[string]any{"aud": "https://other.example.com"}))
	fmt.Println(errors.Is(err, verifier.ErrWrongAudience), errors.Is(err, verifier.ErrExpired))
	fmt.Println(errors.Is(err, verifier.ErrInvalid)) // what the caller learns
	// Output:
	// true false
	// true
}

// A file that is copied to a place without network keeps the verifier there up to date.
func ExampleVerifier_UpdateBundle() {
	renew := func(v *verifier.Verifier, file string) {
		for range time.Tick(time.Hour) {
			bundle, err := os.ReadFile(file)
			if err == nil {
				err = v.UpdateBundle(bundle)
			}
			if err != nil && !errors.Is(err, verifier.ErrBundleOlder) {
				log.Print("the keys are not renewed: ", err)
			}
		}
	}
	bundle, err := os.ReadFile("keys.jwt") // of signet keys bundle
	if err != nil {
		return
	}
	v, err := verifier.New(verifier.Config{
		Issuer:   "https://id.example.com",
		Audience: []string{"https://api.example.com"},
		Bundle:   bundle,
		Offline:  true,
	})
	if err != nil {
		log.Fatal(err)
	}
	go renew(v, "keys.jwt")
}

// One of several roles; nested, RequireRole requires one of each list.
func ExampleVerifier_RequireRole() {
	issuer := issuertest.New(t)
	defer issuer.Close()
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	report := v.RequireRole("auditor", "admin")(http.NotFoundHandler())
	for _, roles := range [][]string{{"auditor"}, {"editor"}} {
		r := httptest.NewRequest(http.MethodGet, "/report", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Token(map[string]any{"roles": roles}))
		w := httptest.NewRecorder()
		report.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 404
	// 403
}

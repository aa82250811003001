package issuertest_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

// This is how a resource server tests itself: the life of a token and of its key.
func TestAResourceServersOwnTest(t *testing.T) {
	issuer := issuertest.New(t)
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(raw string) error { _, err := v.Verify(t.Context(), raw); return err }

	raw := issuer.Token(map[string]any{"scope": "notes:read"})
	token, err := v.Verify(t.Context(), raw)
	if err != nil || !token.HasScope("notes:read") {
		t.Fatalf("%v, %v", token, err)
	}
	issuer.Advance(12 * time.Minute)
	if err := verify(raw); !errors.Is(err, verifier.ErrExpired) {
		t.Errorf("after its time: %v", err)
	}
	if err := verify(issuer.Token(map[string]any{"client_id": nil})); !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("without client_id: %v", err)
	}
	if err := verify(issuer.Sign("JWT", []byte(`{}`))); !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("an ID token: %v", err)
	}

	kid := issuer.Rotate()
	issuer.Advance(time.Minute)
	raw = issuer.Token(nil)
	if err := verify(raw); err != nil {
		t.Errorf("under the new key: %v", err)
	}
	issuer.Revoke(kid)
	issuer.SetMaxAge(time.Minute)
	issuer.Advance(5 * time.Minute)
	if err := verify(raw); !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("under a revoked key: %v", err)
	}
	requests := issuer.Requests()
	issuer.Break(http.NotFoundHandler())
	issuer.Advance(2 * time.Minute)
	if err := verify(issuer.Token(nil)); err != nil || issuer.Requests() == requests {
		t.Errorf("in an outage: %v, %d requests", err, issuer.Requests()-requests)
	}
}

func TestTokensOfLoginsAndOfClients(t *testing.T) {
	issuer := issuertest.New(t)
	v, err := verifier.New(issuer.Config("https://api.example.com"))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(raw string) *verifier.Token {
		t.Helper()
		token, err := v.Verify(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for acr, amr := range map[string]string{"1": "[pwd]", "2": "[pwd otp mfa]", "urn:example:gold": "[]"} {
		token := verify(issuer.LoginToken(acr, time.Hour, map[string]any{"scope": "notes:read"}))
		if token.AuthenticationContext != acr || fmt.Sprint(token.AuthenticationMethods) != amr || token.SessionID == "" ||
			!token.AuthenticatedAt.Equal(issuer.Now().Add(-time.Hour)) || !token.HasScope("notes:read") {
			t.Errorf("%+v", token)
		}
	}
	own := verify(issuer.LoginToken("2", 0, map[string]any{"amr": []string{"pop", "user", "mfa"}, "sid": nil}))
	if fmt.Sprint(own.AuthenticationMethods) != "[pop user mfa]" || own.SessionID != "" {
		t.Errorf("claims of the caller: %+v", own)
	}
	service := issuer.Service()
	own = verify(issuer.ServiceLogin(service).Access)
	if own.Subject != service.ID || own.ClientID != service.ID || own.SessionID != "" || own.AuthenticationContext != "" {
		t.Errorf("a service's own token: %+v", own)
	}
	client := verify(issuer.ClientToken(map[string]any{"scope": "notes:read"}))
	if client.Subject != client.ClientID || client.SessionID != "" || client.AuthenticationContext != "" ||
		!client.AuthenticatedAt.IsZero() || !client.HasScope("notes:read") {
		t.Errorf("%+v", client)
	}
}

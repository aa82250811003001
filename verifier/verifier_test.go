package verifier_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
)

func TestATokenHasTheClaimsOfItsPayload(t *testing.T) {
	s := newStand(t)
	now := s.issuer.Now()
	raw := mk(t, s.header("EdDSA", nil), s.claims(map[string]any{
		"aud": []string{"https://other.example.com", audience}, "scope": "openid notes:read", "sid": "s-1",
		"auth_time": now.Unix() - 5, "acr": "1",
		"amr": []string{"pwd", "otp"}, "roles": []string{"admin"}, "nbf": now.Unix() - 1, "tenant": map[string]any{"id": 7},
		"né\"": "ü", "state": map[string]any{},
	}), s.keys["EdDSA"])
	got, err := s.v.Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	var tenant struct {
		ID int `json:"id"`
	}
	if found, err := got.Claim("tenant", &tenant); !found || err != nil || tenant.ID != 7 {
		t.Errorf("%v, %v, %v", found, err, tenant)
	}
	var text string
	if found, err := got.Claim(`né"`, &text); !found || err != nil || text != "ü" {
		t.Errorf("%v, %v, %q", found, err, text)
	}
	if found, err := got.Claim("Tenant", &tenant); found || err != nil {
		t.Errorf("another case: %v, %v", found, err)
	}
	if found, err := got.Claim("tenant", &text); !found || err == nil {
		t.Errorf("another type: %v, %v", found, err)
	}
	var all map[string]any
	if err := json.Unmarshal(got.Claims(), &all); err != nil || all["sub"] != "alice" || len(all) != 17 {
		t.Errorf("%v, %v", all, err)
	}
	if !got.HasScope("notes:read") || got.HasScope("notes") || got.HasScope("") || !got.HasRole("admin") ||
		got.HasRole("adm") {
		t.Errorf("scopes %q, roles %q", got.Scopes, got.Roles)
	}
	want := verifier.Token{
		Issuer: s.issuer.URL, Subject: "alice", Audience: []string{"https://other.example.com", audience},
		ClientID: "web", ID: "id-1",
		Scopes: []string{"openid", "notes:read"}, Expiry: now.Add(600 * time.Second), IssuedAt: now,
		NotBefore: now.Add(-time.Second),
		SessionID: "s-1", AuthenticatedAt: now.Add(-5 * time.Second), AuthenticationContext: "1",
		AuthenticationMethods: []string{"pwd", "otp"},
		Roles:                 []string{"admin"}, KeyID: s.kids["EdDSA"], Algorithm: "EdDSA",
	}
	theirs, ours := reflect.ValueOf(*got), reflect.ValueOf(want)
	for i := range ours.NumField() {
		field := ours.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		a, b := theirs.Field(i).Interface(), ours.Field(i).Interface()
		if at, ok := a.(time.Time); ok && at.Equal(b.(time.Time)) || reflect.DeepEqual(a, b) {
			continue
		}
		t.Errorf("%s: got %v, want %v", field.Name, a, b)
	}
	var empty verifier.Token
	if _, err := empty.Claim("sub", &text); err == nil {
		t.Error("a token from nowhere has claims")
	}
}

func TestOnlyAllowedAlgorithmsAreAccepted(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.Algorithms = []string{verifier.ES256} })
	s.accepted(t, s.genuine(verifier.ES256))
	s.refused(t, s.genuine(verifier.RS256), verifier.ErrInvalid)
	s.refused(t, s.genuine(verifier.EdDSA), verifier.ErrInvalid)
	ps := newStand(t)
	ps.kids["PS256"] = ps.issuer.AddKey(rsaKeys()[1], verifier.PS256)
	ps.accepted(t, ps.issuer.Token(map[string]any{"aud": audience}))
}

func TestNewRefusesAConfigurationThatCannotBeMeant(t *testing.T) {
	good := verifier.Config{Issuer: "https://id.example.com/tenant", Audience: []string{audience}}
	if _, err := verifier.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*verifier.Config){
		"no issuer":                  func(c *verifier.Config) { c.Issuer = "" },
		"an issuer without a scheme": func(c *verifier.Config) { c.Issuer = "id.example.com" },
		"an issuer in a file":        func(c *verifier.Config) { c.Issuer = "file:///etc/passwd" },
		"an issuer with a query":     func(c *verifier.Config) { c.Issuer += "?x=1" },
		"an issuer with a fragment":  func(c *verifier.Config) { c.Issuer += "#x" },
		"an issuer with a password":  func(c *verifier.Config) { c.Issuer = "https://a:b@id.example.com" },
		"no audience":                func(c *verifier.Config) { c.Audience = nil },
		"an empty audience":          func(c *verifier.Config) { c.Audience = []string{audience, ""} },
		"a key set without a host":   func(c *verifier.Config) { c.JWKSURL = "/jwks.json" },
		"a key set with a password":  func(c *verifier.Config) { c.JWKSURL = "https://a:b@id.example.com/" },
		"alg none":                   func(c *verifier.Config) { c.Algorithms = []string{"none"} },
		"alg HS256":                  func(c *verifier.Config) { c.Algorithms = []string{"RS256", "HS256"} },
		"an endless clock skew":      func(c *verifier.Config) { c.ClockSkew = time.Hour },
		"a negative cooldown":        func(c *verifier.Config) { c.Cooldown = -1 },
		"a negative stale limit":     func(c *verifier.Config) { c.StaleLimit = -1 },
	} {
		config := good
		change(&config)
		if v, err := verifier.New(config); err == nil || v != nil {
			t.Errorf("%s was accepted", name)
		}
	}
	_, err := verifier.New(verifier.Config{Algorithms: []string{"none"}})
	for _, part := range []string{"Issuer", "Audience", "none"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("not all faults are named: %v", err)
		}
	}
}

func TestErrorsMatchTheirTargets(t *testing.T) {
	err := error(&verifier.Error{Code: verifier.CodeTokenExpired, Reason: "r"})
	if !errors.Is(err, verifier.ErrExpired) || !errors.Is(err, verifier.ErrInvalid) ||
		errors.Is(err, verifier.ErrWrongAudience) || err.Error() != "token_expired: r" {
		t.Error(err)
	}
	if verifier.ErrInvalid.Error() != "token_invalid" {
		t.Error(verifier.ErrInvalid)
	}
}

// A resource server that imports this package gets the standard library, our internal packages for tokens and proofs,
// and the JOSE library with its imports.
func TestTheVerifierBringsNothingElse(t *testing.T) {
	list := func(args ...string) []string {
		t.Helper()
		out, err := exec.Command("go", append([]string{"list", "-deps"}, args...)...).Output()
		if err != nil {
			t.Fatalf("go list %v: %v", args, err)
		}
		return strings.Fields(string(out))
	}
	const module = "github.com/signet-id/signet/"
	allowed := map[string]bool{module + "verifier": true, module + "internal/jose": true,
		module + "internal/strictjson": true, module + "internal/dpop": true, module + "internal/statuslist": true,
		module + "internal/tokencache": true}
	for _, pkg := range list("std", "github.com/lestrrat-go/jwx/v2/jwk", "github.com/lestrrat-go/jwx/v2/jwe") {
		allowed[pkg] = true
	}
	for _, pkg := range list(".") {
		if !allowed[pkg] {
			t.Errorf("verifier depends on %s", pkg)
		}
	}
}

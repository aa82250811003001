package issuer_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMetadata(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		got, err := json.MarshalIndent(w.Metadata(), "", "  ")
		w.must(err)
		got = append(got, '\n')
		const golden = "testdata/metadata.json"
		if *update {
			w.must(os.WriteFile(golden, got, 0o644))
		}
		want, err := os.ReadFile(golden)
		w.must(err)
		if !bytes.Equal(got, want) {
			t.Errorf("discovery is\n%s\nwant\n%s", got, want)
		}
	})
}

// The document lists every claim that an ID token has. The other listed claims are about the user,
// from userinfo, or nonce, which is the client's own.
func TestMetadataListsTheClaimsOfIDTokens(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		promised := w.Metadata().ClaimsSupported
		for name := range w.claims(w.login("openid").IDToken) {
			if !slices.Contains(promised, name) {
				t.Errorf("claims_supported lacks %s", name)
			}
		}
		if promised[0] != "iss" || !slices.Contains(promised, "address") ||
			!slices.Contains(promised, "phone_number_verified") {
			t.Errorf("claims_supported: %v", promised)
		}
	})
}

func TestMetadataListsCustomClaimsThatAppsSee(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		w.Claims = []issuer.CustomClaim{
			{Name: "groups", From: "roles", In: []string{issuer.InIDToken}},
			{Name: "team", Value: "a", In: []string{issuer.InAccessToken}},
		}
		promised := w.Metadata().ClaimsSupported
		if !slices.Contains(promised, "groups") || slices.Contains(promised, "team") {
			t.Errorf("claims_supported: %v", promised)
		}
	})
}

func TestMetadataSaysThatAllRequestsArePushed(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		if w.RequirePushed = true; !w.Metadata().RequirePushed {
			t.Error("discovery does not say that requests have to be pushed")
		}
	})
}

func TestMetadataOfAnIssuerWithAPath(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		w.URL = "https://id.test/p"
		w.Resources = []issuer.Resource{{URI: apiURI, Scopes: []string{userstore.ScopeAdmin, "email", "api.read"}}}
		m := w.Metadata()
		if m.JWKSURI != "https://id.test/p/.well-known/jwks.json" {
			t.Errorf("jwks_uri %s", m.JWKSURI)
		}
		if n := len(m.ScopesSupported); n != 7 || m.ScopesSupported[6] != "api.read" {
			t.Errorf("scopes %v", m.ScopesSupported)
		}
	})
}

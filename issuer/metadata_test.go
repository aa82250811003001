package issuer_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/signet-id/signet/issuer"
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

// The document promises the claims that ID tokens have, and no more.
func TestMetadataListsTheClaimsOfIDTokens(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		only(t, "claims_supported against an ID token", w.claims(w.login("openid").IDToken), w.Metadata().ClaimsSupported...)
	})
}

func TestMetadataOfAnIssuerWithAPath(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		w.URL = "https://id.test/p"
		w.Resources = []issuer.Resource{{URI: apiURI, Scopes: []string{issuer.ScopeAdmin, "email", "api.read"}}}
		m := w.Metadata()
		if m.JWKSURI != "https://id.test/p/.well-known/jwks.json" {
			t.Errorf("jwks_uri %s", m.JWKSURI)
		}
		if n := len(m.ScopesSupported); n != 7 || m.ScopesSupported[6] != "api.read" {
			t.Errorf("scopes %v", m.ScopesSupported)
		}
	})
}

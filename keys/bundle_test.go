package keys

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

const bundleIssuer = "https://id.example.com"

func TestABundleHoldsThePublishedKeysSignedByOneOfThem(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	for _, alg := range []string{"", "EdDSA"} {
		made, err := m.Bundle(t.Context(), bundleIssuer, alg, 24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		b, err := jose.ParseBundle([]byte(made.Text + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		if b.Issuer != bundleIssuer || !b.IssuedAt.Equal(c.Now()) || !b.Expiry.Equal(c.Now().Add(24*time.Hour)) ||
			!b.Expiry.Equal(made.Expiry) || len(b.Keys) != 4 || len(b.Skipped) != 0 || b.KeyID() != made.KeyID {
			t.Errorf("%+v", b)
		}
		if want := map[string]string{"": "RS256", "EdDSA": "EdDSA"}[alg]; b.Algorithm() != want {
			t.Errorf("signed with %s", b.Algorithm())
		}
		if err := b.Verify(b.Keys); err != nil {
			t.Error(err)
		}
		if err := b.Verify(nil); err == nil {
			t.Error("verified without keys")
		}
	}
	for _, bad := range []struct {
		alg  string
		last time.Duration
	}{{"ES256", time.Hour}, {"none", time.Hour}, {"", 0}, {"", time.Second}} {
		if b, err := m.Bundle(t.Context(), bundleIssuer, bad.alg, bad.last); err == nil || b.Text != "" {
			t.Errorf("%+v: a bundle %+v", bad, b)
		}
	}
}

// A bundle ends before any key signs that it lacks, wherever in the life of the keys it was made.
func TestABundleEndsBeforeItLacksAKey(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	type open struct {
		until time.Time
		kids  string
	}
	var bundles []open
	for range 100 {
		made, err := m.Bundle(t.Context(), bundleIssuer, "", 100*365*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		b, err := jose.ParseBundle([]byte(made.Text))
		if err != nil {
			t.Fatal(err)
		}
		if life := b.Expiry.Sub(c.Now()); life < standard().Rotation || life > 2*standard().Rotation {
			t.Errorf("a bundle that is good for %v", life)
		}
		kids := ""
		for _, k := range b.Keys {
			kids += k.ID + " "
		}
		bundles = append(bundles, open{b.Expiry, kids})
		for i := range 20 { // in 20 steps to the next bundle
			c.Move(150*time.Hour/20 + time.Duration(i)*time.Second)
			if err := m.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, alg := range []string{"RS256", "EdDSA"} {
				s, err := m.Signer(alg)
				if err != nil {
					t.Fatal(err)
				}
				for _, b := range bundles {
					if c.Now().Before(b.until) && !strings.Contains(b.kids, s.KeyID()) {
						t.Fatalf("%s signs %s, which a bundle that is good until %v lacks", s.KeyID(), c.Now(), b.until)
					}
				}
			}
		}
	}
}

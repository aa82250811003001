package keys

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/verifier"
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

// A verifier without network accepts what the keys sign, and after an emergency nothing by the key
// that was revoked.
func TestAVerifierWithoutNetworkLivesOnBundles(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	bundle := func() []byte {
		t.Helper()
		made, err := m.Bundle(t.Context(), bundleIssuer, "", 60*24*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(made.Text)
	}
	v, err := verifier.New(verifier.Config{
		Issuer: bundleIssuer, Audience: []string{"api"}, Bundle: bundle(), Offline: true, Now: c.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	token := func(alg string) (raw, kid string) {
		t.Helper()
		s, err := m.Signer(alg)
		if err != nil {
			t.Fatal(err)
		}
		raw, err = s.Sign("at+jwt", fmt.Appendf(nil,
			`{"iss":%q,"sub":"ada","aud":"api","client_id":"web","jti":"1","iat":%d,"exp":%d}`, bundleIssuer, c.Now().Unix(), c.Now().Add(10*time.Minute).Unix()))
		if err != nil {
			t.Fatal(err)
		}
		return raw, s.KeyID()
	}
	for range 40 { // over a year, with a new bundle every ten days
		c.Move(10 * 24 * time.Hour)
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, alg := range []string{"RS256", "EdDSA"} {
			raw, _ := token(alg)
			if _, err := v.Verify(t.Context(), raw); err != nil {
				t.Fatalf("on %v: %v", c.Now(), err)
			}
		}
		if err := v.UpdateBundle(bundle()); err != nil {
			t.Fatal(err)
		}
	}
	stolen, kid := token("EdDSA")
	if _, err := m.Revoke(t.Context(), []string{kid}, false); err != nil {
		t.Fatal(err)
	}
	c.Move(time.Second)
	if err := m.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.UpdateBundle(bundle()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), stolen); !errors.Is(err, verifier.ErrUnknownKey) {
		t.Errorf("of the revoked key: %v", err)
	}
	fresh, _ := token("EdDSA")
	if _, err := v.Verify(t.Context(), fresh); err != nil {
		t.Errorf("of the key that follows: %v", err)
	}
	// After an emergency of all keys nobody whom the verifier knows can vouch for the new ones.
	if _, err := m.Revoke(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	c.Move(time.Second)
	if err := m.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := v.UpdateBundle(bundle()); !errors.Is(err, verifier.ErrBundleUnverified) {
		t.Error(err)
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

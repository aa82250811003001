package keys

import (
	"crypto"
	"crypto/ed25519"
	"testing"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

// A kid that begins with a dash would look like a flag of `signet keys revoke`, so no key gets one.
func TestKidsBeginWithALetterOrDigit(t *testing.T) {
	generate := keystest.Generator()
	withKid := func(alg string, want func(kid string) bool) crypto.Signer {
		for {
			key, err := generate(alg)
			if err != nil {
				t.Fatal(err)
			}
			kid, err := jose.Thumbprint(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if want(kid) {
				return key
			}
		}
	}
	calls := 0
	m := replica(t, &memStore{}, newClock(), func(alg string) (crypto.Signer, error) {
		if alg != jose.EdDSA {
			return generate(alg)
		}
		calls++
		return withKid(alg, func(kid string) bool {
			switch calls % 3 {
			case 1:
				return kid[0] == '-'
			case 2:
				return kid[0] == '_'
			}
			return kid[0] != '-' && kid[0] != '_'
		}), nil
	})
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, k := range m.view.Load().set.ring.Keys {
		if k.ID[0] == '-' || k.ID[0] == '_' {
			t.Errorf("a new key is named %s", k.ID)
		}
	}
	if calls != 6 {
		t.Errorf("%d EdDSA keys were generated for 2, of which each third can be named", calls)
	}

	// A source that makes only such keys does not block the start for ever.
	bad := withKid(jose.EdDSA, func(kid string) bool { return kid[0] == '-' }).(ed25519.PrivateKey)
	m = replica(t, &memStore{}, newClock(), func(alg string) (crypto.Signer, error) {
		if alg == jose.EdDSA {
			return bad, nil
		}
		return generate(alg)
	})
	wants(t, m.Start(t.Context()), "none has a thumbprint that begins with a letter or digit")
}

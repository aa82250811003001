package keystest

import (
	"crypto"
	"crypto/rsa"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/jose"
)

func TestReadyMadeKeysAreSoundAndDistinct(t *testing.T) {
	if n := len(lines()); n < 120 {
		t.Fatalf("only %d ready-made keys", n)
	}
	seen := map[string]bool{}
	for i := range lines() {
		key, err := readyMade(i)
		if err != nil {
			t.Fatal(err)
		}
		if key.N.BitLen() != 2048 {
			t.Fatalf("key %d has %d bits", i, key.N.BitLen())
		}
		if i%20 == 0 { // slow: it tests for primes
			if err := key.Validate(); err != nil {
				t.Fatalf("key %d: %v", i, err)
			}
		}
		if seen[key.N.String()] {
			t.Fatalf("key %d is there twice", i)
		}
		seen[key.N.String()] = true
	}
}

func TestGeneratorNeverRepeatsItself(t *testing.T) {
	// Two generators at once move the same cursor; each must still give every
	// ready-made key once, and a fresh key when they are used up.
	n := len(lines())
	generators := []func(string) (crypto.Signer, error){Generator(), Generator()}
	for _, generate := range generators {
		var mu sync.Mutex
		seen := map[string]bool{}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range (n + 4) / 4 {
					key, err := generate(jose.RS256)
					if err != nil {
						t.Error(err)
						return
					}
					modulus := key.(*rsa.PrivateKey).N.String()
					mu.Lock()
					if seen[modulus] {
						t.Error("a key was given twice")
					}
					seen[modulus] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(seen) <= n {
			t.Errorf("%d keys given, want more than the %d ready-made ones", len(seen), n)
		}
	}
}

func TestGeneratorRefusesAnUnknownAlgorithm(t *testing.T) {
	if _, err := Generator()("HS256"); err == nil {
		t.Error("HS256 got a key")
	}
	for _, alg := range []string{jose.EdDSA, jose.ES256, jose.PS256} {
		if key, err := Generator()(alg); err != nil || key == nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

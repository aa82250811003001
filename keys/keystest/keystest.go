// Package keystest hands out ready-made signing keys, because making RSA keys is
// slow: over 0.1 s each, much more under the race detector.
package keystest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "embed"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
	"sync"

	"github.com/signet-id/signet/internal/jose"
)

// KEK is the text of a key-encryption key for tests.
const KEK = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// Generator returns a function for keys.Manager.Generate, safe for concurrent
// use. Every call of that function gives a key that it has not given before: one
// of the ready-made RSA keys while they last, a fresh one after that. Let all
// replicas of one store share one Generator; different ones may give the same keys.
func Generator() func(alg string) (crypto.Signer, error) {
	var mu sync.Mutex
	given := map[int]bool{}

	return func(alg string) (crypto.Signer, error) {
		switch alg {
		case jose.EdDSA:
			_, key, err := ed25519.GenerateKey(rand.Reader)
			return key, err
		case jose.ES256:
			return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		case jose.RS256, jose.PS256:
			mu.Lock()
			i, ok := pick(given)
			mu.Unlock()
			if !ok {
				return rsa.GenerateKey(rand.Reader, 2048)
			}
			return readyMade(i)
		}
		return nil, fmt.Errorf("keystest: no such algorithm: %q", alg)
	}
}

// next is where the search for an unused key begins. All generators move it, so that two generators
// that feed one store by mistake rarely collide.
var (
	nextMu sync.Mutex
	next   int
)

func pick(given map[int]bool) (i int, ok bool) {
	n := len(lines())
	if len(given) == n {
		return 0, false
	}
	nextMu.Lock()
	defer nextMu.Unlock()
	for given[next%n] {
		next++
	}
	i = next % n
	next++
	given[i] = true
	return i, true
}

//go:embed rsa2048.txt
var primes string

// lines are the ready-made keys, one a line; the first line is a comment.
var lines = sync.OnceValue(func() []string {
	return strings.Split(strings.TrimSpace(primes), "\n")[1:]
})

//go:generate go run gen.go

// readyMade computes key i from its two primes.
func readyMade(i int) (*rsa.PrivateKey, error) {
	raw, err := base64.RawStdEncoding.DecodeString(lines()[i])
	if err != nil || len(raw) != 256 {
		return nil, fmt.Errorf("keystest: line %d of rsa2048.txt is damaged", i+2)
	}
	p, q := new(big.Int).SetBytes(raw[:128]), new(big.Int).SetBytes(raw[128:])
	one := big.NewInt(1)
	p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
	lcm := new(big.Int).Mul(p1, q1)
	lcm.Div(lcm, new(big.Int).GCD(nil, nil, p1, q1))

	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), lcm),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	return key, nil
}

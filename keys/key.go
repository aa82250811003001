package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Key is one signing key as the store holds it. The state is not stored: every replica derives the
// same one from these instants and the clock.
type Key struct {
	ID        string          // kid: RFC 7638 thumbprint
	Algorithm string          // RS256, PS256, ES256 or EdDSA
	Seq       int64           // 1, 2, … within the algorithm; unique with it
	Sealed    string          // private key (PKCS #8) as JWE; empty once wiped
	Public    json.RawMessage // public JWK

	CreatedAt  time.Time
	ActivateAt time.Time
	RetireAt   time.Time // zero: not yet known
	RemoveAt   time.Time // zero: not yet known
	RevokedAt  time.Time // zero: not revoked
}

// State is what a key may be used for at an instant.
type State string

const (
	Pending  State = "pending"  // published, not signing
	Active   State = "active"   // published, signing
	Retiring State = "retiring" // published, verify only
	Removed  State = "removed"  // not published
)

// State returns the key's state at now. The lines follow the table of the design: the last one that
// matches wins.
func (k *Key) State(now time.Time) State {
	state := Pending
	if reached(k.ActivateAt, now) && !reached(k.RetireAt, now) {
		state = Active
	}
	if reached(k.RetireAt, now) {
		state = Retiring
	}
	if reached(k.RemoveAt, now) || !k.RevokedAt.IsZero() {
		state = Removed
	}
	return state
}

// reached reports whether the instant t is known and not after now.
func reached(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// algorithms are the algorithms that a key can have, the cheapest to sign and verify with first:
// refresh tokens, which only we read, use the first one in force.
var algorithms = []string{jose.EdDSA, jose.ES256, jose.RS256, jose.PS256}

// GenerateKey makes a private key of alg from the system's randomness. RSA keys
// have 2048 bits and take over 0.1 s.
func GenerateKey(alg string) (crypto.Signer, error) {
	switch alg {
	case jose.EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.RS256, jose.PS256:
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	return nil, fmt.Errorf("no signing key can be made for algorithm %q; use one of %v", alg, algorithms)
}

package keys

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/signet-id/signet/internal/jose"
)

// The factor secret is a secret of its own beside the refresh secret. It lasts as long as the
// second factors of the users, so ending every session by a new refresh secret leaves them alone.

// factorSecretName is the name that the seal of the factor secret is bound to.
const factorSecretName = "factor-secret"

func newFactorSecret(kek jose.KEK) (sealed string, err error) {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails: the process ends instead
	defer clear(secret)
	return jose.Seal(secret, kek, factorSecretName)
}

// FactorPurpose is the purpose of a key that is derived from the factor secret. It is another type
// than Purpose, so that a purpose of one secret cannot be asked of the other.
type FactorPurpose int

const (
	AuthenticatorApps FactorPurpose = iota // seals the secrets of authenticator apps (AES-256-GCM)
	RecoveryCodes                          // MACs of recovery codes
)

var factorPurposes = [...]string{AuthenticatorApps: "signet authenticator apps", RecoveryCodes: "signet recovery codes"}

// factorKeys holds the keys that are derived from the factor secret, and not the secret.
type factorKeys [len(factorPurposes)][]byte

func newFactorKeys(secret []byte) *factorKeys {
	derived := new(factorKeys)
	for p, name := range factorPurposes {
		key, err := hkdf.Key(sha256.New, secret, nil, name, sha256.Size)
		if err != nil {
			panic(err) // only for a length that no hash has
		}
		derived[p] = key
	}
	return derived
}

// FactorKey returns a 256-bit key for a purpose: the same on every replica, and only in memory; the
// store has the sealed factor secret that it is derived from. ErrNotReady.
func (m *Manager) FactorKey(p FactorPurpose) ([]byte, error) {
	v := m.view.Load()
	switch {
	case v == nil:
		return nil, fmt.Errorf("%w: they were never loaded", ErrNotReady)
	case v.set.ring.FactorSecret == "":
		return nil, fmt.Errorf("%w: there is no factor secret yet; the next start of `signet serve` makes it", ErrNotReady)
	case v.set.factors == nil:
		return nil, &notReady{ErrSealed, v.set.broken}
	}
	return v.set.factors[p], nil
}

// lacksFactorSecret reports whether req makes a factor secret in ring.
func (req request) lacksFactorSecret(ring Ring) bool {
	return req.factorSecret && ring.FactorSecret == ""
}

func (s *Set) openFactors(open *opener, before *Set) error {
	if s.ring.FactorSecret == "" {
		return nil // no server of this version has started on the store yet
	}
	if before != nil && before.factors != nil && before.ring.FactorSecret == s.ring.FactorSecret {
		s.factors = before.factors
		return nil
	}
	secret, err := unseal(s.ring.FactorSecret, factorSecretName, "factor secret", open.keks)
	if err != nil {
		return err
	}
	defer clear(secret)
	s.factors = newFactorKeys(secret)
	return nil
}

package testissuer

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"github.com/signet-id/signet/internal/jose"
)

// Vault keeps the private keys that it made, so that tokens which the issuer would never sign can be
// signed with its genuine keys.
type Vault struct {
	Make func(alg string) (crypto.Signer, error) // keys.GenerateKey, or one that hands out ready-made keys

	mu   sync.Mutex
	keys map[string]crypto.Signer // by kid
}

// Generate makes a key and keeps it. It is meant for keys.Manager.Generate.
func (v *Vault) Generate(alg string) (crypto.Signer, error) {
	key, err := v.Make(alg)
	if err != nil {
		return nil, err
	}
	_, err = v.Keep(key)
	return key, err
}

// Keep adds a key of the caller's and returns its kid, the thumbprint of RFC 7638.
func (v *Vault) Keep(key crypto.Signer) (kid string, err error) {
	if kid, err = jose.Thumbprint(key.Public()); err != nil {
		return "", err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.keys == nil {
		v.keys = map[string]crypto.Signer{}
	}
	v.keys[kid] = key
	return kid, nil
}

// Key returns a key that the vault keeps.
func (v *Vault) Key(kid string) (crypto.Signer, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key, ok := v.keys[kid]
	return key, ok
}

// signatureOf signs any text under alg (RFC 7518 section 3, RFC 8037 section 3.1). The signers of
// internal/jose refuse the headers of hostile tokens, which is what they are for.
func signatureOf(key crypto.Signer, alg string, text []byte) ([]byte, error) {
	digest := sha256.Sum256(text)
	switch alg {
	case jose.RS256:
		return key.Sign(rand.Reader, digest[:], crypto.SHA256)
	case jose.PS256:
		return key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: sha256.Size, Hash: crypto.SHA256})
	case jose.EdDSA:
		return key.Sign(rand.Reader, text, crypto.Hash(0))
	case jose.ES256:
		der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		var pair struct{ R, S *big.Int }
		if _, err := asn1.Unmarshal(der, &pair); err != nil || pair.R.BitLen() > 256 || pair.S.BitLen() > 256 {
			return nil, errors.New("the key made no ES256 signature")
		}
		return append(pair.R.FillBytes(make([]byte, 32)), pair.S.FillBytes(make([]byte, 32))...), nil
	}
	return nil, fmt.Errorf("no key signs with %.32q", alg)
}

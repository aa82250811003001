package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"math/big"
)

// ErrSignature means that the token was not signed by this key. None of its claims may be trusted.
var ErrSignature = errors.New("the signature is not valid under this key")

// Errors of a key that cannot even be tried.
var (
	ErrWrongAlgorithm = errors.New("the token's alg is not the key's")
	ErrWrongKey       = errors.New("the token names another key")
)

var pssOptions = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

// Verify checks the signature with k. The header's alg must be k's and its kid, if there is one,
// k's as well. A key that does not fit its own algorithm verifies nothing.
func (t *Token) Verify(k PublicKey) error {
	if t.Header.Algorithm != k.Algorithm {
		return ErrWrongAlgorithm
	}
	if t.Header.KeyID != "" && t.Header.KeyID != k.ID {
		return ErrWrongKey
	}
	if !verifies(k, t.signed, t.signature) {
		return ErrSignature
	}
	return nil
}

func verifies(k PublicKey, signed, signature []byte) bool {
	switch k.Algorithm {
	case RS256, PS256:
		key, ok := k.Key.(*rsa.PublicKey)
		// The size is checked once more because callers can build a PublicKey by hand.
		if !ok || key == nil || key.N == nil || key.N.BitLen() < minRSABits {
			return false
		}
		digest := sha256.Sum256(signed)
		if k.Algorithm == PS256 {
			return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, pssOptions) == nil
		}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case ES256:
		key, ok := k.Key.(*ecdsa.PublicKey)
		// RFC 7518 section 3.4: r and s of 32 bytes each, never DER. Zero and too
		// large ones are refused by ecdsa.Verify.
		if !ok || key == nil || key.Curve != elliptic.P256() || len(signature) != 64 {
			return false
		}
		digest := sha256.Sum256(signed)
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, digest[:], r, s)
	case EdDSA:
		key, ok := k.Key.(ed25519.PublicKey)
		if !ok || len(key) != ed25519.PublicKeySize { // ed25519.Verify panics on the length
			return false
		}
		return ed25519.Verify(key, signed, signature)
	}
	return false
}

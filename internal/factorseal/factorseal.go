// Package factorseal seals the secrets of authenticator apps. The store keeps them only sealed, so
// a copy of the database makes no codes.
//
// The seal is AES-256-GCM with a random nonce, bound to the user and to the factor: a person who can
// write to the store cannot give an authenticator app to another account. The key is the one that
// keys.Manager.FactorKey derives for this purpose. With random nonces one key may seal 2^32 secrets
// (NIST SP 800-38D, section 8.3), which is more than there are people to enrol.
package factorseal

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"

	"github.com/signet-id/signet/internal/mac"
)

// ErrOpen means that a sealed secret is damaged, belongs to another user or another factor, or was
// sealed under another key. No code can be checked against it.
var ErrOpen = errors.New("the sealed secret of the authenticator app is damaged, or was moved from another row, " +
	"or was sealed under another factor secret; restore the database from a backup, or remove this authenticator app")

// KeySize is the size of the key in bytes.
const KeySize = 32

// Seal returns the secret of the authenticator app factorID of the user userID, sealed under key.
func Seal(key []byte, userID, factorID string, secret []byte) []byte {
	return newAEAD(key).Seal(nil, nil, secret, boundTo(userID, factorID))
}

// Open returns the secret that Seal sealed under the same key for the same user and factor. ErrOpen.
func Open(key []byte, userID, factorID string, sealed []byte) ([]byte, error) {
	secret, err := newAEAD(key).Open(nil, nil, sealed, boundTo(userID, factorID))
	if err != nil {
		return nil, ErrOpen
	}
	return secret, nil
}

func boundTo(userID, factorID string) []byte {
	return mac.Join("signet authenticator app", userID, factorID)
}

// newAEAD returns the cipher, which writes a random nonce before each ciphertext.
func newAEAD(key []byte) cipher.AEAD {
	if len(key) != KeySize {
		panic("factorseal: the key has a wrong size") // a bug: no key is safer than a short one
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // only for another size of the key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for another cipher than AES
	}
	return aead
}

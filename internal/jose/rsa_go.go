//go:build !openssl

package jose

import (
	"crypto"
	"crypto/rsa"
)

// RSAImplementation names what makes RSA signatures in this binary: "Go", or for make build-openssl
// "OpenSSL" and its version.
func RSAImplementation() string { return "Go" }

// rsaSigner returns what signs with the key.
func rsaSigner(key *rsa.PrivateKey) (crypto.Signer, error) {
	key.Precompute()
	return key, nil
}

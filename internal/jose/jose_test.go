package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"sync"
	"testing"
)

var algorithms = []string{RS256, PS256, ES256, EdDSA}

var rsaKeys = sync.OnceValue(func() (keys [2]*rsa.PrivateKey) {
	for i := range keys {
		var err error
		if keys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

// newKey makes a key; the whole package shares two RSA keys.
func newKey(t testing.TB, alg string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case RS256:
		return rsaKeys()[0]
	case PS256:
		return rsaKeys()[1]
	case ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newSigner(t testing.TB, alg string) (*Signer, PublicKey) {
	t.Helper()
	key := newKey(t, alg)
	kid, err := Thumbprint(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(key, kid, alg, "at+jwt", "JWT")
	if err != nil {
		t.Fatal(err)
	}
	return s, PublicKey{ID: kid, Algorithm: alg, Key: key.Public()}
}

func sign(t testing.TB, s *Signer, payload string) string {
	t.Helper()
	token, err := s.Sign("at+jwt", []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// verify does what callers do: parse, then check the signature.
func verify(token string, k PublicKey) error {
	parsed, err := Parse(token)
	if err != nil {
		return err
	}
	return parsed.Verify(k)
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

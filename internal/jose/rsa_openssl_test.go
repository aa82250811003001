//go:build openssl

package jose

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// OpenSSL's signatures are Go's: the same bytes for RS256, which has no randomness, and such as Go
// verifies for PS256.
func TestOpenSSLSignsAsGoDoes(t *testing.T) {
	if !strings.HasPrefix(RSAImplementation(), "OpenSSL 3.") {
		t.Errorf("the implementation is called %q", RSAImplementation())
	}
	for _, bits := range []int{2048, 2049, 3072} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := rsaSigner(key)
		if err != nil {
			t.Fatal(err)
		}
		if !key.PublicKey.Equal(signer.Public()) {
			t.Error("the public key is another")
		}
		var all sync.WaitGroup
		for n := range byte(8) {
			all.Go(func() { // one key in many threads
				for range 10 {
					digest := sha256.Sum256([]byte{n})
					ours, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
					theirs, errOfGo := key.Sign(rand.Reader, digest[:], crypto.SHA256)
					if err != nil || errOfGo != nil || !bytes.Equal(ours, theirs) {
						t.Errorf("%d bits, RS256: %x, %v, and of Go %x, %v", bits, ours, err, theirs, errOfGo)
					}
					pss, err := signer.Sign(rand.Reader, digest[:], pssOptions)
					if err == nil {
						err = rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest[:], pss, pssOptions)
					}
					if err != nil {
						t.Errorf("%d bits, PS256: %v", bits, err)
					}
				}
			})
		}
		all.Wait()
	}
}

func TestOpenSSLSignsNothingElse(t *testing.T) {
	signer, err := rsaSigner(rsaKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	digest := make([]byte, 64)
	for what, try := range map[string]struct {
		length  int
		options crypto.SignerOpts
	}{
		"another hash":              {64, crypto.SHA512},
		"no hash":                   {32, crypto.Hash(0)},
		"a digest that is too long": {33, crypto.SHA256},
		"no digest":                 {0, crypto.SHA256},
		"another salt":              {32, &rsa.PSSOptions{SaltLength: 20, Hash: crypto.SHA256}},
		"the longest salt":          {32, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256}},
		"another hash of PSS":       {48, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA384}},
	} {
		if signature, err := signer.Sign(rand.Reader, digest[:try.length], try.options); err == nil || signature != nil {
			t.Errorf("%s: %x, %v", what, signature, err)
		}
	}
}

// A key whose numbers do not belong together would make signatures that verify nowhere, and with
// some of them its factors could be computed.
func TestOpenSSLTakesNoBrokenKey(t *testing.T) {
	key := *rsaKeys()[0]
	key.D = new(big.Int).Add(key.D, big.NewInt(2))
	if _, err := NewSigner(&key, "kid", RS256, "JWT"); err == nil {
		t.Error("a key with another exponent was taken")
	}
}

// A fault of libcrypto is an error with its reason, and the next signature in the same thread is
// not disturbed by it.
func TestOpenSSLSaysWhatFailed(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signer, err := rsaSigner(rsaKeys()[0])
	if err != nil {
		t.Fatal(err)
	}
	whole := signer.(*opensslRSA)
	digest := make([]byte, 32)
	short := &opensslRSA{public: &rsa.PublicKey{N: big.NewInt(1 << 20), E: 3}, key: whole.key} // room for 3 bytes
	if _, err := short.Sign(nil, digest, crypto.SHA256); err == nil || !strings.Contains(err.Error(), "OpenSSL: error:") {
		t.Errorf("no room for a signature: %v", err)
	}
	if _, err := whole.Sign(nil, digest, crypto.SHA256); err != nil {
		t.Errorf("the next signature: %v", err)
	}
}

// BenchmarkOpenSSL times a bare signature of Go (ns/raw) and of OpenSSL (ns/ours) in turns.
func BenchmarkOpenSSL(b *testing.B) {
	for alg, options := range map[string]crypto.SignerOpts{RS256: crypto.SHA256, PS256: pssOptions} {
		b.Run(alg, func(b *testing.B) {
			key := newKey(b, alg)
			signer, err := rsaSigner(key.(*rsa.PrivateKey))
			if err != nil {
				b.Fatal(err)
			}
			digest := make([]byte, 32)
			by := func(s crypto.Signer) func() error {
				return func() error { _, err := s.Sign(rand.Reader, digest, options); return err }
			}
			compare(b, by(key), by(signer))
		})
	}
}

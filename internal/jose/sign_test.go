package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"io"
	"math/big"
	"strings"
	"testing"
)

func TestSignedTokensVerifyUnderTheirKeyOnly(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			s, key := newSigner(t, alg)
			if s.KeyID() != key.ID || s.Algorithm() != alg {
				t.Errorf("kid %s, alg %s", s.KeyID(), s.Algorithm())
			}
			token, err := s.Sign("JWT", []byte(`{"sub":"a"}`))
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := Parse(token)
			if err != nil {
				t.Fatal(err)
			}
			if want := (Header{alg, key.ID, "JWT"}); parsed.Header != want || string(parsed.Payload) != `{"sub":"a"}` {
				t.Errorf("got %+v %s", parsed.Header, parsed.Payload)
			}
			if err := parsed.Verify(key); err != nil {
				t.Error(err)
			}
			other := map[string]crypto.Signer{RS256: rsaKeys()[1], PS256: rsaKeys()[0]}[alg]
			if other == nil {
				other = newKey(t, alg)
			}
			if err := parsed.Verify(PublicKey{key.ID, alg, other.Public()}); err != ErrSignature {
				t.Errorf("another key under the same kid: %v", err)
			}
			if err := parsed.Verify(PublicKey{"other", alg, key.Key}); err != ErrWrongKey {
				t.Errorf("another kid: %v", err)
			}
		})
	}
}

func TestSignerRefuses(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		key      crypto.Signer
		kid, alg string
		typ      string
	}{
		{"no key", nil, "k", RS256, "JWT"},
		{"a weak RSA key", small, "k", RS256, "JWT"},
		{"an RSA key for another algorithm", newKey(t, RS256), "k", EdDSA, "JWT"},
		{"an Ed25519 key for RSA", newKey(t, EdDSA), "k", PS256, "JWT"},
		{"another curve", p384, "k", ES256, "JWT"},
		{"no algorithm", newKey(t, RS256), "k", "none", "JWT"},
		{"a symmetric algorithm", newKey(t, RS256), "k", "HS256", "JWT"},
		{"no kid", newKey(t, RS256), "", RS256, "JWT"},
		{"an endless kid", newKey(t, RS256), strings.Repeat("k", 257), RS256, "JWT"},
		{"an empty type", newKey(t, RS256), "k", RS256, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if s, err := NewSigner(c.key, c.kid, c.alg, c.typ); err == nil || s != nil {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
	s, _ := newSigner(t, EdDSA)
	if token, err := s.Sign("rt+jwt", []byte(`{}`)); err == nil || token != "" {
		t.Errorf("a type that was not prepared: %q, %v", token, err)
	}
	if token, err := s.Sign("JWT", make([]byte, MaxTokenBytes)); err == nil || token != "" {
		t.Errorf("a token that no verifier would accept: %v", err)
	}
}

// brokenSigner stands for a key in hardware that misbehaves.
type brokenSigner struct {
	crypto.Signer
	der []byte
}

func (b brokenSigner) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return b.der, nil
}

func TestES256SignaturesHaveAFixedLength(t *testing.T) {
	key := newKey(t, ES256)
	der := func(r, s *big.Int) []byte {
		out, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	// Short numbers are padded on the left.
	fixed, err := fixedECDSA(der(big.NewInt(1), big.NewInt(0x0203)))
	if err != nil || len(fixed) != 64 || fixed[31] != 1 || fixed[62] != 2 || fixed[63] != 3 {
		t.Errorf("got %x, %v", fixed, err)
	}
	huge := new(big.Int).Lsh(big.NewInt(1), 256)
	for name, sig := range map[string][]byte{
		"zero": der(big.NewInt(0), big.NewInt(1)), "negative": der(big.NewInt(1), big.NewInt(-1)),
		"too large": der(huge, big.NewInt(1)),
		"trailing":  append(der(big.NewInt(1), big.NewInt(1)), 0), "empty": nil,
	} {
		s, err := NewSigner(brokenSigner{key, sig}, "k", ES256, "JWT")
		if err != nil {
			t.Fatal(err)
		}
		if token, err := s.Sign("JWT", []byte(`{}`)); err == nil {
			t.Errorf("%s: %s", name, token)
		}
	}
}

func TestOneSignerServesManyGoroutines(t *testing.T) {
	for _, alg := range algorithms {
		s, key := newSigner(t, alg)
		done := make(chan error, 8)
		for range cap(done) {
			go func() {
				token, err := s.Sign("at+jwt", []byte(`{"n":1}`))
				if err == nil {
					err = verify(token, key)
				}
				done <- err
			}()
		}
		for range cap(done) {
			if err := <-done; err != nil {
				t.Errorf("%s: %v", alg, err)
			}
		}
	}
}

func TestVerifyNeverPanicsOnAKeyThatDoesNotFit(t *testing.T) {
	var nilRSA *rsa.PublicKey
	var nilEC *ecdsa.PublicKey
	keys := []crypto.PublicKey{nil, nilRSA, nilEC, &rsa.PublicKey{}, &ecdsa.PublicKey{}, ed25519.PublicKey{1}, "text",
		[]byte("secret"),
		newKey(t, RS256).Public(), newKey(t, ES256).Public(), newKey(t, EdDSA).Public(), newKey(t, RS256)}
	for _, alg := range algorithms {
		s, key := newSigner(t, alg)
		parsed, err := Parse(sign(t, s, `{}`))
		if err != nil {
			t.Fatal(err)
		}
		for i, k := range keys {
			if alg == RS256 && i == 8 {
				continue // the genuine one
			}
			if err := parsed.Verify(PublicKey{key.ID, alg, k}); err != ErrSignature {
				t.Errorf("%s under key %d (%T): %v", alg, i, k, err)
			}
		}
	}
}

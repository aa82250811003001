package apitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/signet-id/signet/internal/jose"
)

// Key is the private key that signs for alg now: what only the server has, lent to
// tests that make hostile tokens with a genuine signature.
func (s *Server) Key(alg string) (kid string, key crypto.Signer) {
	s.T.Helper()
	signer, err := s.Replicas[0].Keys.Signer(alg)
	if err != nil {
		s.T.Fatal(err)
	}
	s.made.mu.Lock()
	defer s.made.mu.Unlock()
	for _, k := range s.made.list {
		if id, err := jose.Thumbprint(k.Public()); err == nil && id == signer.KeyID() {
			return id, k
		}
	}
	s.T.Fatalf("no private key for %s", signer.KeyID())
	return "", nil
}

// Header and Claims take a token apart without verifying it.
func Header(token string) Fields { return part(token, 0) }
func Claims(token string) Fields { return part(token, 1) }

func part(token string, i int) Fields {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil
	}
	text, _ := base64.RawURLEncoding.DecodeString(parts[i])
	var f Fields
	_ = json.Unmarshal(text, &f)
	return f
}

// Sign makes a compact JWS of header and payload exactly as they are given.
func Sign(key crypto.Signer, header, payload string) string {
	input := Encode(header) + "." + Encode(payload)
	var signature []byte
	var err error
	switch k := key.(type) {
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, []byte(input))
	case *rsa.PrivateKey:
		digest := sha256.Sum256([]byte(input))
		signature, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		digest := sha256.Sum256([]byte(input))
		r, t, e := ecdsa.Sign(rand.Reader, k, digest[:])
		if err = e; e == nil {
			signature = append(r.FillBytes(make([]byte, 32)), t.FillBytes(make([]byte, 32))...)
		}
	default:
		panic("apitest: unknown kind of key")
	}
	if err != nil {
		panic(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Encode is base64url without padding.
func Encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// Text is a JSON object as text.
func (f Fields) Text() string {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// With is a copy with one member changed; a nil value removes it.
func (f Fields) With(name string, value any) Fields {
	c := Fields{}
	for n, v := range f {
		c[n] = v
	}
	if c[name] = value; value == nil {
		delete(c, name)
	}
	return c
}

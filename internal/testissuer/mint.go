package testissuer

import (
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Recipe says how a token differs from the access token (RFC 9068) that the issuer would sign for
// the user alice. The zero Recipe is that token.
type Recipe struct {
	// Algorithm is the alg that signs: one that the issuer has a key for; none, which leaves the
	// signature empty; or HS256, with the public key that verifies RS256 as the secret, in PEM.
	// Empty: RS256, or the issuer's first algorithm.
	Algorithm string `json:"alg,omitempty"`

	// Key is the kid of the key that signs, which may be pending, retired or revoked. Unpublished is
	// a fresh key that is in no key set. Empty: the key that signs now.
	Key string `json:"key,omitempty"`

	// Header and Claims are added to the usual members or replace them; the value null removes one.
	Header map[string]any `json:"header,omitempty"`
	Claims map[string]any `json:"claims,omitempty"`

	// Payload is signed as it is, in place of Claims: for duplicate members, and for what is no JSON.
	Payload string `json:"payload,omitempty"`
}

// Unpublished is the Key of a Recipe whose key nobody has published.
const Unpublished = "unpublished"

// hmacSHA256 is the alg of a token that is signed with a shared secret (RFC 7518 section 3.2).
const hmacSHA256 = "HS256"

// lifetime is how long minted tokens are valid.
const lifetime = 10 * time.Minute

// Claims returns the usual claims of an access token with others put over them; nil removes one.
func (c *Controls) Claims(over map[string]any) map[string]any {
	now := c.Clock.Now()
	return merge(map[string]any{
		"iss": c.Issuer, "sub": "alice", "aud": c.Audience, "client_id": "test-client", "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(lifetime).Unix(), "scope": "profile email",
	}, over)
}

// Mint makes a token. It is a mistake of the caller's, and an *InvalidError, to name a key that this
// issuer never had or an algorithm that the key cannot sign with.
func (c *Controls) Mint(r Recipe) (string, error) {
	alg, kid, key, err := c.signing(r)
	if err != nil {
		return "", err
	}
	header, err := json.Marshal(merge(map[string]any{"typ": "at+jwt", "alg": alg, "kid": kid}, r.Header))
	if err != nil {
		return "", &InvalidError{Code: "invalid_header", Reason: "the header cannot be written as JSON: " + err.Error()}
	}
	payload := []byte(r.Payload)
	if r.Payload == "" {
		if payload, err = json.Marshal(c.Claims(r.Claims)); err != nil {
			return "", &InvalidError{Code: "invalid_claims", Reason: "the claims cannot be written as JSON: " + err.Error()}
		}
	}
	return seal(alg, key, header, payload)
}

// seal returns the compact JWS of header and payload, as they are.
func seal(alg string, key crypto.Signer, header, payload []byte) (string, error) {
	encoding := base64.RawURLEncoding
	text := []byte(encoding.EncodeToString(header) + "." + encoding.EncodeToString(payload))
	var signature []byte
	var err error
	switch alg {
	case jose.None:
	case hmacSHA256:
		var secret []byte
		if secret, err = publicPEM(key.Public()); err == nil {
			mac := hmac.New(sha256.New, secret)
			mac.Write(text)
			signature = mac.Sum(nil)
		}
	default:
		signature, err = signatureOf(key, alg, text)
	}
	if err != nil {
		return "", &InvalidError{Code: "invalid_key", Reason: "this key cannot sign with " + alg + ": " + err.Error()}
	}
	return string(text) + "." + encoding.EncodeToString(signature), nil
}

// signing returns the algorithm and the key of a recipe. For an algorithm without a private key, the
// key is the one that a careless verifier would look up by the kid.
func (c *Controls) signing(r Recipe) (alg, kid string, key crypto.Signer, err error) {
	own := r.Algorithm // of the key
	if own == "" || own == jose.None || own == hmacSHA256 {
		own = jose.RS256
	}
	switch r.Key {
	case "":
		signer, err := c.Keys.Signer(own)
		if err != nil {
			return "", "", nil, err
		}
		if r.Algorithm == own && signer.Algorithm() != own {
			return "", "", nil, &InvalidError{Code: "invalid_algorithm", Reason: fmt.Sprintf(
				"this issuer has no key for %.32q; it signs with %s", own, strings.Join(c.Keys.ActiveAlgorithms(), ", "))}
		}
		kid = signer.KeyID()
	case Unpublished:
		fresh, err := c.Vault.Make(own)
		if err != nil {
			return "", "", nil, &InvalidError{Code: "invalid_algorithm", Reason: err.Error()}
		}
		if kid, err = c.Vault.Keep(fresh); err != nil {
			return "", "", nil, err
		}
	default:
		kid = r.Key
	}
	key, ok := c.Vault.Key(kid)
	if !ok {
		return "", "", nil, &InvalidError{Code: "unknown_key", Reason: fmt.Sprintf(
			"this issuer never had the key %.64q; name the kid of one that it published, or leave it out", kid)}
	}
	if alg = r.Algorithm; alg == "" {
		alg = algorithmFor(key)
	}
	return alg, kid, key, nil
}

// algorithmFor returns the algorithm that a key signs with where a recipe names none.
func algorithmFor(key crypto.Signer) string {
	switch key.(type) {
	case *rsa.PrivateKey:
		return jose.RS256
	case ed25519.PrivateKey:
		return jose.EdDSA
	}
	return jose.ES256
}

// publicPEM returns a public key as most people keep it in a file, and as libraries take it.
func publicPEM(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// merge puts members over others; nil removes one.
func merge(members, over map[string]any) map[string]any {
	maps.Copy(members, over)
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	return members
}

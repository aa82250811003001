// Package dpoptest makes DPoP proofs for tests, good ones and any other.
package dpoptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Claims are members of a JSON object.
type Claims = map[string]any

// Key signs proofs.
type Key struct {
	Algorithm  string
	Thumbprint string
	Private    crypto.Signer
}

// NewKey makes a key for ES256.
func NewKey(t testing.TB) Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return KeyOf(t, jose.ES256, private)
}

// KeyOf is a key that signs by alg.
func KeyOf(t testing.TB, alg string, private crypto.Signer) Key {
	t.Helper()
	thumbprint, err := jose.Thumbprint(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return Key{alg, thumbprint, private}
}

// JWK returns the public JWK of the key (RFC 7518 section 6, RFC 8037 section 2).
func (k Key) JWK(t testing.TB) Claims {
	t.Helper()
	switch public := k.Private.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, x and y
		if err != nil {
			t.Fatal(err)
		}
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return Claims{"kty": "EC", "crv": public.Params().Name, "x": encoded(x), "y": encoded(y)}
	case ed25519.PublicKey:
		return Claims{"kty": "OKP", "crv": "Ed25519", "x": encoded(public)}
	case *rsa.PublicKey:
		return Claims{"kty": "RSA", "n": encoded(public.N.Bytes()), "e": encoded(big.NewInt(int64(public.E)).Bytes())}
	default:
		t.Fatalf("no JWK of %T", public)
		return nil
	}
}

// PrivateJWK returns the whole JWK of the key, as no proof may hold it.
func (k Key) PrivateJWK(t testing.TB) Claims {
	t.Helper()
	out := k.JWK(t)
	switch private := k.Private.(type) {
	case *ecdsa.PrivateKey:
		d, err := private.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		out["d"] = encoded(d)
	case ed25519.PrivateKey:
		out["d"] = encoded(private.Seed())
	case *rsa.PrivateKey:
		private.Precompute()
		for name, n := range map[string]*big.Int{
			"d": private.D, "p": private.Primes[0], "q": private.Primes[1],
			"dp": private.Precomputed.Dp, "dq": private.Precomputed.Dq, "qi": private.Precomputed.Qinv,
		} {
			out[name] = encoded(n.Bytes())
		}
	}
	return out
}

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// For returns the claims of a proof for a request (RFC 9449 section 4.2).
func For(method, uri string, now time.Time) Claims {
	return Claims{"jti": rand.Text(), "htm": method, "htu": uri, "iat": now.Unix()}
}

// WithToken adds the ath of an access token to claims.
func WithToken(claims Claims, accessToken string) Claims {
	sum := sha256.Sum256([]byte(accessToken))
	return With(claims, "ath", encoded(sum[:]))
}

// With returns claims with another value of name; nil: without it.
func With(claims Claims, name string, value any) Claims {
	out := maps.Clone(claims)
	if out[name] = value; value == nil {
		delete(out, name)
	}
	return out
}

// Header returns the header of the key's proofs.
func (k Key) Header(t testing.TB) Claims {
	return Claims{"typ": "dpop+jwt", "alg": k.Algorithm, "jwk": k.JWK(t)}
}

// Proof signs claims as a proof of the key.
func (k Key) Proof(t testing.TB, claims Claims) string { return k.Sign(t, k.Header(t), claims) }

// Sign signs a payload, which is text or encoded as JSON, under any header.
func (k Key) Sign(t testing.TB, header Claims, payload any) string {
	t.Helper()
	encode := func(v any) string {
		if text, ok := v.(string); ok {
			return encoded([]byte(text))
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return encoded(text)
	}
	signed := encode(header) + "." + encode(payload)
	sum := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	switch private := k.Private.(type) {
	case ed25519.PrivateKey:
		signature = ed25519.Sign(private, []byte(signed))
	case *ecdsa.PrivateKey:
		r, s, failed := ecdsa.Sign(rand.Reader, private, sum[:])
		if err = failed; err == nil {
			size := (private.Curve.Params().BitSize + 7) / 8
			signature = make([]byte, 2*size)
			r.FillBytes(signature[:size])
			s.FillBytes(signature[size:])
		}
	case *rsa.PrivateKey:
		if k.Algorithm == jose.PS256 {
			signature, err = rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		} else {
			signature, err = rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encoded(signature)
}

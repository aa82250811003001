//go:build interop

// Command golangjwt verifies tokens with github.com/golang-jwt/jwt. That library leaves the search
// for the key to its caller: keySet is the small part that every caller has to write.
package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

type request struct {
	Token    string `json:"token"`
	Audience string `json:"audience"`
	Typ      string `json:"typ"`
	Reload   bool   `json:"reload"`
}

type response struct {
	Claims jwt.MapClaims `json:"claims,omitempty"`
	Error  string        `json:"error,omitempty"`
}

func main() {
	issuer := os.Args[1]
	var discovery struct {
		JWKSURI string `json:"jwks_uri"`
	}
	if err := getJSON(issuer+"/.well-known/openid-configuration", &discovery); err != nil {
		fmt.Fprintln(os.Stderr, "discovery:", err)
		os.Exit(1)
	}
	keys := &keySet{url: discovery.JWKSURI}
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var req request
		var resp response
		err := json.Unmarshal(in.Bytes(), &req)
		switch {
		case err != nil:
		case req.Reload:
			err = keys.load()
		default:
			resp.Claims, err = verify(keys, issuer, req)
		}
		if err != nil {
			resp = response{Error: err.Error()}
		}
		if err := out.Encode(resp); err != nil {
			os.Exit(1)
		}
	}
}

func verify(keys *keySet, issuer string, req request) (jwt.MapClaims, error) {
	token, err := jwt.Parse(req.Token, keys.find,
		jwt.WithValidMethods([]string{"RS256", "PS256", "ES256", "EdDSA"}),
		jwt.WithIssuer(issuer), jwt.WithAudience(req.Audience), jwt.WithExpirationRequired())
	if err != nil {
		return nil, err
	}
	if typ, _ := token.Header["typ"].(string); !strings.EqualFold(typ, req.Typ) {
		return nil, fmt.Errorf("typ is %q, not %q", typ, req.Typ)
	}
	return token.Claims.(jwt.MapClaims), nil
}

// keySet caches a key set, and fetches it again when a token names an unknown key.
type keySet struct {
	url  string
	keys map[string]any // by kid
}

func (s *keySet) find(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	if _, known := s.keys[kid]; !known {
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	if key, known := s.keys[kid]; known {
		return key, nil
	}
	return nil, fmt.Errorf("no key %q in the key set", kid)
}

func (s *keySet) load() error {
	var set struct{ Keys []jwk }
	if err := getJSON(s.url, &set); err != nil {
		return err
	}
	keys := make(map[string]any)
	for _, k := range set.Keys {
		key, err := k.public()
		if err != nil {
			return fmt.Errorf("key %q: %w", k.Kid, err)
		}
		keys[k.Kid] = key
	}
	s.keys = keys
	return nil
}

type jwk struct{ Kty, Kid, Crv, N, E, X, Y string }

func (k jwk) public() (any, error) {
	n, e, x, y := decode(k.N), decode(k.E), decode(k.X), decode(k.Y)
	switch {
	case k.Kty == "RSA":
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	case k.Kty == "OKP" && k.Crv == "Ed25519" && len(x) == ed25519.PublicKeySize:
		return ed25519.PublicKey(x), nil
	case k.Kty == "EC" && k.Crv == "P-256":
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
	}
	return nil, errors.New("unknown type")
}

func decode(s string) []byte {
	b, _ := base64.RawURLEncoding.DecodeString(s)
	return b
}

func getJSON(url string, v any) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

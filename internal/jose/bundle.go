package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
)

// TypeBundle is the `typ` of a bundle: a signed JWK set (OpenID Federation 1.0 section 5.2.1). No
// token has it, and a bundle is accepted as no token.
const TypeBundle = "jwk-set+jwt"

// MaxBundleBytes bounds a bundle, as it bounds a key set that is fetched.
const MaxBundleBytes = 512 << 10

// Bundle is an issuer's key set in a JWT that one of its own keys signed: for verifiers that cannot
// fetch the key set.
type Bundle struct {
	Issuer   string
	IssuedAt time.Time   // when these were the issuer's keys
	Expiry   time.Time   // the bundle is not used from then on
	Keys     []PublicKey // each has a kid
	Skipped  []error     // why other keys of the set are not used

	token *Token
}

// ParseBundle reads a bundle. What it says is not proved: Verify checks the signature.
func ParseBundle(text []byte) (*Bundle, error) {
	token, err := parse(strings.TrimSpace(string(text)), bundleRules) // a file ends with a line break
	if err != nil {
		return nil, err
	}
	if !token.Header.IsType(TypeBundle) || token.Header.KeyID == "" {
		return nil, errors.New("its typ is not " + TypeBundle + ", or it does not name its key (kid)")
	}
	var claims struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		IssuedAt json.RawMessage `json:"iat"`
		Expiry   json.RawMessage `json:"exp"`
		Keys     json.RawMessage `json:"keys"`
	}
	if err := strictjson.Unmarshal(token.Payload, &claims, strictjson.IgnoreUnknown); err != nil {
		return nil, err
	}
	issuedAt, iat := numericDate(claims.IssuedAt)
	expiry, exp := numericDate(claims.Expiry)
	switch {
	case claims.Issuer == "" || claims.Subject != claims.Issuer:
		return nil, errors.New("it does not name the issuer in iss and in sub")
	case !iat || !exp || expiry <= issuedAt:
		return nil, errors.New("its iat and exp are no times, the second after the first")
	}
	keys, skipped, err := ParseKeySet(token.Payload)
	if err != nil {
		return nil, err
	}
	b := &Bundle{
		Issuer:   claims.Issuer,
		IssuedAt: time.Unix(issuedAt, 0),
		Expiry:   time.Unix(expiry, 0),
		Skipped:  skipped,
		token:    token,
	}
	for _, key := range keys {
		if key.ID == "" {
			b.Skipped = append(b.Skipped, errors.New("a key has no kid"))
			continue
		}
		b.Keys = append(b.Keys, key)
	}
	return b, nil
}

// Algorithm returns the alg of the signature.
func (b *Bundle) Algorithm() string { return b.token.Header.Algorithm }

// KeyID returns the kid of the key that is said to have signed the bundle.
func (b *Bundle) KeyID() string { return b.token.Header.KeyID }

// Verify checks that one of keys signed the bundle. ErrWrongKey: none of them has its kid.
func (b *Bundle) Verify(keys []PublicKey) error {
	err := ErrWrongKey
	for _, key := range keys {
		if key.ID != b.KeyID() {
			continue
		}
		if err = b.token.Verify(key); err == nil {
			return nil
		}
	}
	return err
}

// SignBundle returns the bundle of a JWK set. The signer must be prepared for TypeBundle.
func SignBundle(s *Signer, issuer string, issuedAt, expiry time.Time, jwks []byte) (string, error) {
	var set struct {
		Keys json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return "", fmt.Errorf("read the key set: %w", err)
	}
	payload, err := json.Marshal(struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		IssuedAt int64           `json:"iat"`
		Expiry   int64           `json:"exp"`
		Keys     json.RawMessage `json:"keys"`
	}{issuer, issuer, issuedAt.Unix(), expiry.Unix(), set.Keys})
	if err != nil {
		return "", err
	}
	return s.SignAnswer(TypeBundle, payload)
}

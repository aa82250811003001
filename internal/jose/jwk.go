package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/signet-id/signet/internal/strictjson"
)

// Thumbprint returns the RFC 7638 SHA-256 thumbprint, base64url: our key ids, and the names of the keys
// that tokens are bound to. Each DPoP proof needs one: jwx would take longer for it than for all else of
// the proof but the signature.
func Thumbprint(pub crypto.PublicKey) (string, error) {
	members, err := requiredMembers(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(members))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// requiredMembers returns the members of a JWK that its thumbprint is of, in their order (RFC 7638
// section 3.2, RFC 8037 section 2).
func requiredMembers(pub crypto.PublicKey) (string, error) {
	text := base64.RawURLEncoding.EncodeToString
	switch k := pub.(type) {
	case *rsa.PublicKey:
		if k != nil && k.N != nil && k.E > 0 {
			return `{"e":"` + text(big.NewInt(int64(k.E)).Bytes()) + `","kty":"RSA","n":"` + text(k.N.Bytes()) + `"}`, nil
		}
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil {
			break
		}
		if point, err := k.Bytes(); err == nil { // 4, x and y, each as long as the curve's field
			size := len(point) / 2
			return `{"crv":"` + k.Params().Name + `","kty":"EC","x":"` + text(point[1:1+size]) + `","y":"` +
				text(point[1+size:]) + `"}`, nil
		}
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return `{"crv":"Ed25519","kty":"OKP","x":"` + text(k) + `"}`, nil
		}
	}
	return "", errors.New("the key is not a public key that a JWK can hold")
}

// IsThumbprint reports whether text is spelled as Thumbprint spells.
func IsThumbprint(text string) bool {
	sum, err := decodeSegment(nil, []byte(text))
	return err == nil && len(sum) == sha256.Size
}

// MarshalPublic writes the public JWK of a key with kid, alg and use=sig.
func MarshalPublic(k PublicKey) (json.RawMessage, error) {
	if err := checkPublic(k.Key, k.Algorithm); err != nil {
		return nil, err
	}
	if k.ID == "" || len(k.ID) > maxKeyIDBytes {
		return nil, fmt.Errorf("a key needs a kid of 1 to %d bytes", maxKeyIDBytes)
	}
	key, err := publicJWK(k.Key)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]string{jwk.KeyIDKey: k.ID, jwk.AlgorithmKey: k.Algorithm, jwk.KeyUsageKey: "sig"} {
		if err := key.Set(name, value); err != nil {
			return nil, fmt.Errorf("write the key's %s: %w", name, err)
		}
	}
	return json.Marshal(key)
}

// publicJWK never lets a private key through: FromRaw would accept one, and its JSON would then
// hold the private half.
func publicJWK(pub crypto.PublicKey) (jwk.Key, error) {
	key, err := jwk.FromRaw(pub)
	if err != nil {
		return nil, errors.New("the key is not one that a JWK can hold")
	}
	if private, err := jwk.IsPrivateKey(key); err != nil || private {
		return nil, errors.New("the key is not a public key")
	}
	return key, nil
}

// fields are the members of a JWK that are used here.
type fields struct {
	kty, crv, alg, use, kid string
	n, e, x, y              []byte
	operations              []string
}

// ParsePublic reads one public JWK and refuses private, symmetric, weak and malformed keys, and
// keys whose use or alg is not for verifying. RFC 7517 allows a key without alg: it is then EdDSA
// or ES256 by its curve, RS256 if it is RSA.
func ParsePublic(data []byte) (PublicKey, error) {
	return parsePublicFor("", data)
}

// parsePublicFor is ParsePublic of a key that has to be good for alg; empty: any algorithm will do.
func parsePublicFor(wanted string, data []byte) (PublicKey, error) {
	f, err := readFields(data)
	if err != nil {
		return PublicKey{}, err
	}
	if f.alg == "" {
		f.alg = wanted
	}
	alg, err := f.algorithm()
	if err != nil {
		return PublicKey{}, err
	}
	if wanted != "" && alg != wanted {
		return PublicKey{}, ErrWrongAlgorithm
	}
	pub, err := f.key()
	if err != nil {
		return PublicKey{}, err
	}
	if err := checkPublic(pub, alg); err != nil {
		return PublicKey{}, err
	}
	return PublicKey{ID: f.kid, Algorithm: alg, Key: pub}, nil
}

func readFields(data []byte) (fields, error) {
	var f fields
	var problem error
	err := strictjson.Object(data, func(name, value []byte) {
		if problem == nil {
			problem = f.set(string(name), value)
		}
	})
	if err == nil {
		err = problem
	}
	return f, err
}

func (f *fields) set(name string, value []byte) error {
	switch name {
	case "d", "p", "q", "dp", "dq", "qi", "oth", "k":
		return fmt.Errorf("the key has the private member %q; whoever published it must replace it", name)
	case "key_ops":
		// Not a nil slice for an empty list: an empty list allows nothing.
		if strictjson.Unmarshal(value, &f.operations, strictjson.RefuseUnknown) != nil || f.operations == nil {
			return errors.New("the key's key_ops is not a list of strings")
		}
		return nil
	case "kty", "crv", "alg", "use", "kid", "n", "e", "x", "y":
	default:
		return nil // RFC 7517 section 4: ignore unknown members; x5c and x5u are never read
	}
	s, ok := strictjson.String(value)
	if !ok || s == "" {
		return fmt.Errorf("the key's %s is not a string with something in it", name)
	}
	number := func(to *[]byte) (err error) {
		if *to, err = decodeSegment(nil, []byte(s)); err != nil {
			return fmt.Errorf("the key's %s: %w", name, err)
		}
		return nil
	}
	switch name {
	case "kty":
		f.kty = s
	case "crv":
		f.crv = s
	case "alg":
		f.alg = s
	case "use":
		f.use = s
	case "kid":
		if f.kid = s; len(s) > maxKeyIDBytes {
			return fmt.Errorf("the key's kid is longer than %d bytes", maxKeyIDBytes)
		}
	case "n":
		return number(&f.n)
	case "e":
		return number(&f.e)
	case "x":
		return number(&f.x)
	case "y":
		return number(&f.y)
	}
	return nil
}

// algorithm returns the algorithm that the key verifies, or why there is none.
func (f *fields) algorithm() (string, error) {
	if f.use != "" && f.use != "sig" {
		return "", fmt.Errorf("the key is for use %.32q, not for signatures", f.use)
	}
	if f.operations != nil {
		verifies := false
		for _, op := range f.operations {
			verifies = verifies || op == "verify"
		}
		if !verifies {
			return "", errors.New("the key's key_ops do not allow to verify")
		}
	}
	var allowed []string
	switch {
	case f.kty == "RSA":
		allowed = []string{RS256, PS256}
	case f.kty == "EC" && f.crv == "P-256":
		allowed = []string{ES256}
	case f.kty == "OKP" && f.crv == "Ed25519":
		allowed = []string{EdDSA}
	case f.kty == "oct":
		return "", errors.New("the key is symmetric; a published secret is none")
	case f.kty == "":
		return "", errors.New("the key has no kty")
	default:
		return "", fmt.Errorf("the key type %.32q with curve %.32q is not supported", f.kty, f.crv)
	}
	if f.alg == "" || f.alg == Ed25519 && allowed[0] == EdDSA {
		return allowed[0], nil
	}
	for _, alg := range allowed {
		if f.alg == alg {
			return alg, nil
		}
	}
	return "", fmt.Errorf("the algorithm %.32q is not supported for a key of type %s", f.alg, f.kty)
}

// key checks the lengths of the numbers and has the standard library make a key of them. checkPublic
// decides whether it is sound.
func (f *fields) key() (crypto.PublicKey, error) {
	switch f.kty {
	case "RSA":
		// RFC 7518 sections 2 and 6.3.1: as many bytes as needed and no more.
		if len(f.n) == 0 || f.n[0] == 0 || len(f.n) > maxRSABits/8 {
			return nil, errors.New("the key's n is missing, too long or begins with a zero byte")
		}
		e := new(big.Int).SetBytes(f.e)
		if len(f.e) == 0 || f.e[0] == 0 || e.BitLen() > 31 {
			return nil, errors.New("the key's e is missing, too long or begins with a zero byte")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(f.n), E: int(e.Int64())}, nil
	case "EC":
		if len(f.x) != 32 || len(f.y) != 32 {
			return nil, errors.New("the key's x and y must have 32 bytes each")
		}
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, f.x, f.y))
		if err != nil {
			return nil, errors.New("the P-256 point is not on the curve")
		}
		return key, nil
	}
	return ed25519.PublicKey(f.x), nil
}

// MaxKeys is how many keys of a set are used; an honest set has a handful.
const MaxKeys = 100

// maxSkipped bounds the report of a set of nothing but bad keys.
const maxSkipped = 20

// ParseKeySet reads a JWK set. Bad keys are skipped and reported, so that one bad key never hides
// the good ones. Two keys may share a kid: the caller must try both. err means that the document is
// no JWK set at all.
func ParseKeySet(jwks []byte) (keys []PublicKey, skipped []error, err error) {
	var list []json.RawMessage
	found := 0
	err = strictjson.Object(jwks, func(name, value []byte) {
		if string(name) == "keys" && json.Unmarshal(value, &list) == nil && list != nil {
			found++
		}
	})
	if err != nil && !onlyInsideKeys(err) {
		return nil, nil, fmt.Errorf("not a JWK set: %w", err)
	}
	if found != 1 {
		return nil, nil, errors.New("not a JWK set: it has no list called keys")
	}
	skip := func(format string, args ...any) {
		if len(skipped) < maxSkipped {
			skipped = append(skipped, fmt.Errorf(format, args...))
		}
	}
	bad := 0
	for i, data := range list {
		if len(keys) == MaxKeys || bad == 10*MaxKeys {
			skip("keys %d to %d: a set of more than %d keys is not read to its end", i, len(list)-1, MaxKeys)
			break
		}
		key, err := ParsePublic(data)
		if err != nil {
			bad++
			skip("key %d: %w", i, err)
			continue
		}
		keys = append(keys, key)
	}
	return keys, skipped, nil
}

// onlyInsideKeys reports whether a set can be read, though one of its keys has a member twice:
// ParsePublic refuses that key alone.
func onlyInsideKeys(err error) bool {
	var e *strictjson.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, p := range e.Problems {
		if p.Code != strictjson.Duplicate || !strings.HasPrefix(p.Field, "keys.") {
			return false
		}
	}
	return true
}

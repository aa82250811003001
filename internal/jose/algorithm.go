package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math"
	"math/big"
)

// Signature algorithms (RFC 7518 section 3.1, RFC 8037 section 3.1).
const (
	RS256 = "RS256"
	PS256 = "PS256"
	ES256 = "ES256"
	EdDSA = "EdDSA" // Ed25519 only
)

// PublicKey is one verification key from a JWK set, checked.
type PublicKey struct {
	ID        string // kid
	Algorithm string
	Key       crypto.PublicKey
}

// Equal reports whether both keys verify the same tokens.
func (k PublicKey) Equal(other PublicKey) bool {
	key, ok := k.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.ID == other.ID && k.Algorithm == other.Algorithm && key.Equal(other.Key)
}

// Bounds of RSA keys. Below 2048 bits is too weak (NIST SP 800-131A); above
// 8192 one verification costs a stranger's key set too much of our time.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// algorithmOf returns a signing algorithm by its name, as a constant, so that no token keeps its
// bytes alive through it.
func algorithmOf(name []byte) (string, bool) {
	switch string(name) {
	case RS256:
		return RS256, true
	case PS256:
		return PS256, true
	case ES256:
		return ES256, true
	case EdDSA:
		return EdDSA, true
	}
	return "", false
}

// Ed25519 is the newer name of EdDSA (RFC 9864), which also names the curve. Tokens and keys of
// others may have it; ours have the older name, which every library knows.
const Ed25519 = "Ed25519"

func foreignAlgorithm(name []byte) (string, bool) {
	if string(name) == Ed25519 {
		return EdDSA, true
	}
	return algorithmOf(name)
}

// SameAlgorithm reports whether two names are of one algorithm.
func SameAlgorithm(a, b string) bool {
	if a == Ed25519 {
		a = EdDSA
	}
	return a == b || a == EdDSA && b == Ed25519
}

// checkPublic checks that pub is a sound key for alg.
func checkPublic(pub crypto.PublicKey, alg string) error {
	switch alg {
	case RS256, PS256:
		k, ok := pub.(*rsa.PublicKey)
		if !ok || k == nil || k.N == nil {
			return fmt.Errorf("%s needs an RSA key", alg)
		}
		return checkRSA(k)
	case ES256:
		k, ok := pub.(*ecdsa.PublicKey)
		if !ok || k == nil || k.Curve != elliptic.P256() {
			return errors.New("ES256 needs a P-256 key")
		}
		if _, err := k.ECDH(); err != nil { // checks that the point is on the curve and not at infinity
			return errors.New("the P-256 point is not on the curve")
		}
		return nil
	case EdDSA:
		k, ok := pub.(ed25519.PublicKey)
		if !ok {
			return errors.New("EdDSA needs an Ed25519 key")
		}
		return checkEd25519(k)
	}
	return fmt.Errorf("the algorithm %.32q is not supported", alg)
}

func checkRSA(k *rsa.PublicKey) error {
	switch bits := k.N.BitLen(); {
	case bits < minRSABits:
		return fmt.Errorf("the RSA key has %d bits; at least %d are needed", bits, minRSABits)
	case bits > maxRSABits:
		return fmt.Errorf("the RSA key has %d bits; at most %d are allowed", bits, maxRSABits)
	case k.N.Bit(0) == 0:
		return errors.New("the RSA modulus is even")
	case k.E < 3 || k.E&1 == 0 || k.E > math.MaxInt32:
		return errors.New("the RSA exponent must be odd and between 3 and 2^31-1")
	}
	return nil
}

// The field of Ed25519, and d of -x² + y² = 1 + d·x²·y² (RFC 8032 section 5.1).
var (
	edP = sub(new(big.Int).Lsh(big.NewInt(1), 255), 19)
	edD = fromDecimal("37095705934669439343138083508754565189542113879843219016388785533085940283555")

	// The y coordinates of the eight points whose order divides 8: under such a key anybody can
	// make signatures that verify. (1: order 1; p-1: 2; 0: 4; the other two: 8. A test doubles each
	// of them three times.)
	edLowOrderY = []*big.Int{
		big.NewInt(0), big.NewInt(1), sub(edP, 1),
		fromDecimal("2707385501144840649318225287225658788936804267575313519463743609750303402022"),
		fromDecimal("55188659117513257062467267217118295137698188065244968500265048394206261417927"),
	}
)

func sub(a *big.Int, b int64) *big.Int { return new(big.Int).Sub(a, big.NewInt(b)) }

func fromDecimal(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		panic("jose: not a number: " + s)
	}
	return n
}

// checkEd25519 refuses keys that no honest generator makes: a wrong length, a second spelling of a
// coordinate, a point off the curve, a point of small order.
func checkEd25519(k ed25519.PublicKey) error {
	if len(k) != ed25519.PublicKeySize {
		return fmt.Errorf("an Ed25519 key has %d bytes, not %d", ed25519.PublicKeySize, len(k))
	}
	encoded := make([]byte, len(k)) // big-endian, without the sign of x
	for i, b := range k {
		encoded[len(k)-1-i] = b
	}
	encoded[0] &= 0x7f
	y := new(big.Int).SetBytes(encoded)
	if y.Cmp(edP) >= 0 {
		return errors.New("the Ed25519 key is not in canonical form")
	}
	for _, low := range edLowOrderY {
		if y.Cmp(low) == 0 {
			return errors.New("the Ed25519 key is a point of small order")
		}
	}
	// x² = (y²-1) / (d·y²+1) must be a square.
	y2 := new(big.Int).Mul(y, y)
	v := new(big.Int).Mul(edD, y2)
	v.Add(v, big.NewInt(1)).Mod(v, edP)
	x2 := new(big.Int).ModInverse(v, edP)
	x2.Mul(x2, sub(y2, 1)).Mod(x2, edP)
	if big.Jacobi(x2, edP) == -1 {
		return errors.New("the Ed25519 key is not on the curve")
	}
	return nil
}

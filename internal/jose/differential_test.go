package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Two other implementations agree with ours: genuine tokens of each verify with the others, and a
// mutated one verifies nowhere.
func TestOtherLibrariesAgree(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			s, key := newSigner(t, alg)
			private := s.key
			if alg == RS256 || alg == PS256 {
				private = newKey(t, alg) // the same key as Go has it, whatever s signs with
			}
			byJWX := func(token string) bool {
				_, err := jws.Verify([]byte(token), jws.WithKey(jwa.SignatureAlgorithm(alg), key.Key))
				return err == nil
			}
			byGolangJWT := func(token string) bool {
				_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return key.Key, nil },
					jwt.WithValidMethods([]string{alg}), jwt.WithStrictDecoding())
				return err == nil
			}

			headers := jws.NewHeaders()
			for name, value := range map[string]string{"kid": key.ID, "typ": "at+jwt"} {
				if err := headers.Set(name, value); err != nil {
					t.Fatal(err)
				}
			}
			theirs, err := jws.Sign([]byte(`{"sub":"a"}`),
				jws.WithKey(jwa.SignatureAlgorithm(alg), private, jws.WithProtectedHeaders(headers)))
			if err != nil {
				t.Fatal(err)
			}
			unsigned := jwt.NewWithClaims(jwt.GetSigningMethod(alg), jwt.MapClaims{"sub": "a"})
			unsigned.Header["kid"] = key.ID
			golang, err := unsigned.SignedString(private)
			if err != nil {
				t.Fatal(err)
			}
			genuine := map[string]string{"ours": sign(t, s, `{"sub":"a"}`), "jwx's": string(theirs), "golang-jwt's": golang}
			for whose, token := range genuine {
				if err := verify(token, key); err != nil {
					t.Errorf("%s token: %v", whose, err)
				}
				if !byJWX(token) || !byGolangJWT(token) {
					t.Errorf("%s token: jwx %v, golang-jwt %v", whose, byJWX(token), byGolangJWT(token))
				}
			}

			token := genuine["ours"]
			part := strings.Split(token, ".")
			for range 300 {
				i := rng.IntN(3)
				raw, err := base64.RawURLEncoding.DecodeString(part[i])
				if err != nil {
					t.Fatal(err)
				}
				switch rng.IntN(3) {
				case 0:
					raw[rng.IntN(len(raw))] ^= 1 << rng.IntN(8)
				case 1:
					raw = raw[:rng.IntN(len(raw))]
				case 2:
					raw = append(raw, byte(rng.Int()))
				}
				mutated := append([]string{}, part...)
				mutated[i] = base64.RawURLEncoding.EncodeToString(raw)
				text := strings.Join(mutated, ".")
				if ours, golang := verify(text, key) == nil, byGolangJWT(text); ours || golang {
					t.Fatalf("%s: ours %v, golang-jwt %v", text, ours, golang)
				}
				// jwx checks the signature over the header as it would write it itself, and so
				// accepts bytes after the header's last brace: another reason not to verify with
				// it.
				if i != 0 && byJWX(text) {
					t.Fatalf("%s: accepted by jwx", text)
				}
			}
		})
	}
}

// jwx reads the keys that we write and names them as we do, and refuses what we refuse to name.
func TestOtherLibrariesNameAKeyAlike(t *testing.T) {
	keys := []crypto.PublicKey{}
	for _, alg := range algorithms {
		keys = append(keys, newKey(t, alg).Public())
	}
	for short := false; !short; { // until a coordinate begins with a zero byte
		key := newKey(t, ES256).Public().(*ecdsa.PublicKey)
		point, err := key.Bytes()
		if short = err == nil && point[1] == 0; short {
			keys = append(keys, key)
		}
	}
	for _, curve := range []elliptic.Curve{elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, crand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.Public())
	}
	for _, key := range keys {
		theirs, err := jwk.FromRaw(key)
		if err != nil {
			t.Fatal(err)
		}
		want, err := theirs.Thumbprint(crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Thumbprint(key)
		if err != nil || got != base64.RawURLEncoding.EncodeToString(want) {
			t.Errorf("%T: %s, %v, want %x", key, got, err, want)
		}
		text, err := json.Marshal(theirs)
		if err != nil {
			t.Fatal(err)
		}
		if ec, ok := key.(*ecdsa.PublicKey); ok && ec.Curve != elliptic.P256() {
			continue // no algorithm of ours
		}
		back, err := ParsePublic(text)
		if err != nil || !back.Key.(interface{ Equal(crypto.PublicKey) bool }).Equal(key) {
			t.Errorf("%s came back as %+v, %v", text, back, err)
		}
	}
	for _, key := range []crypto.PublicKey{
		(*rsa.PublicKey)(nil), &rsa.PublicKey{}, (*ecdsa.PublicKey)(nil), &ecdsa.PublicKey{}, ed25519.PublicKey(nil),
	} {
		if got, err := Thumbprint(key); err == nil {
			t.Errorf("%T without a key in it is named %s", key, got)
		}
	}
}

func withSignature(token string, signature []byte) string {
	return token[:strings.LastIndexByte(token, '.')+1] + base64.RawURLEncoding.EncodeToString(signature)
}

func signatureOf(t *testing.T, token string) []byte {
	t.Helper()
	sig, err := base64.RawURLEncoding.DecodeString(token[strings.LastIndexByte(token, '.')+1:])
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

func TestJ31SignaturesThatMathematicsWouldForgive(t *testing.T) {
	s, key := newSigner(t, ES256)
	token := sign(t, s, `{"sub":"a"}`)
	sig := signatureOf(t, token)
	r, v := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	n := elliptic.P256().Params().N
	pair := func(r, s *big.Int) []byte {
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, v})
	if err != nil {
		t.Fatal(err)
	}
	zero := new(big.Int)
	for name, bad := range map[string][]byte{
		"r=0 s=0": make([]byte, 64), "r=0": pair(zero, v), "s=0": pair(r, zero), "r=n s=n": pair(n, n), "DER": der,
		"a byte more":         append(append([]byte{}, sig...), 0),
		"a leading zero each": append(append(append([]byte{0}, sig[:32]...), 0), sig[32:]...),
		"empty":               {0}, "r and s swapped": pair(v, r),
	} {
		if verify(withSignature(token, bad), key) == nil {
			t.Errorf("ES256 %s was accepted", name)
		}
	}
	if !ecdsa.VerifyASN1(key.Key.(*ecdsa.PublicKey), digest(t, token), der) {
		t.Error("the DER form was not the same signature")
	}

	ed, edKey := newSigner(t, EdDSA)
	token = sign(t, ed, `{"sub":"a"}`)
	sig = signatureOf(t, token)
	// S + L is the same number modulo the group's order, L (RFC 8032 section 5.1.7 forbids it).
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	reversed := func(b []byte) []byte {
		out := make([]byte, len(b))
		for i := range b {
			out[len(b)-1-i] = b[i]
		}
		return out
	}
	number := new(big.Int).SetBytes(reversed(sig[32:]))
	for i := 1; ; i++ {
		number.Add(number, order)
		if number.BitLen() > 256 {
			if i == 1 {
				t.Fatal("no second spelling of S")
			}
			break
		}
		malleable := append(append([]byte{}, sig[:32]...), reversed(number.FillBytes(make([]byte, 32)))...)
		if verify(withSignature(token, malleable), edKey) == nil {
			t.Errorf("Ed25519 with S + %d·L was accepted", i)
		}
	}
	// Under a key of small order this signature is right for a share of all messages.
	identity := make(ed25519.PublicKey, 32)
	identity[0] = 1
	forged := append(append([]byte{}, identity...), make([]byte, 32)...)
	if !ed25519.Verify(identity, []byte("anything"), forged) {
		t.Error("the small-order forgery does not work any more: this test shows nothing")
	}
	if _, err := MarshalPublic(PublicKey{"k", EdDSA, identity}); err == nil {
		t.Error("a key of small order was published")
	}
	if verify(withSignature(token, forged), edKey) == nil {
		t.Error("the forgery was accepted under a sound key")
	}
}

func TestJ06TheAlgorithmBelongsToTheKey(t *testing.T) {
	for _, alg := range algorithms {
		s, key := newSigner(t, alg)
		token := sign(t, s, `{"sub":"a"}`)
		for _, other := range algorithms {
			if other == alg {
				continue
			}
			parsed, err := Parse(token)
			if err != nil {
				t.Fatal(err)
			}
			if err := parsed.Verify(PublicKey{key.ID, other, key.Key}); err != ErrWrongAlgorithm {
				t.Errorf("%s as %s: %v", alg, other, err)
			}
			lie := b64(`{"alg":"`+other+`","kid":"`+key.ID+`","typ":"at+jwt"}`) + token[strings.IndexByte(token, '.'):]
			if err := verify(lie, key); err != ErrWrongAlgorithm {
				t.Errorf("%s called %s: %v", alg, other, err)
			}
			if err := verify(lie, PublicKey{key.ID, other, key.Key}); err != ErrSignature {
				t.Errorf("%s called %s by token and key: %v", alg, other, err)
			}
		}
	}
}

func TestPS256SaltIsAsLongAsTheHash(t *testing.T) {
	s, key := newSigner(t, PS256)
	token := sign(t, s, `{"sub":"a"}`)
	for _, salt := range []int{rsa.PSSSaltLengthEqualsHash, 0, 20, 64} {
		sig, err := newKey(t, PS256).Sign(crand.Reader, digest(t, token), &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA256})
		if err != nil {
			t.Fatal(err)
		}
		if accepted := verify(withSignature(token, sig), key) == nil; accepted != (salt == rsa.PSSSaltLengthEqualsHash) {
			t.Errorf("a salt of length %d: accepted %v", salt, accepted)
		}
	}
}

// digest is what a token's signature signs.
func digest(t *testing.T, token string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(token[:strings.LastIndexByte(token, '.')]))
	return sum[:]
}

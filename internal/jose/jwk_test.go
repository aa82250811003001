package jose

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

func TestThumbprintIsRFC7638(t *testing.T) {
	// The example of RFC 7638 section 3.1, and of RFC 8037 appendix A.3.
	for want, text := range map[string]string{
		"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs": `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`,
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	} {
		key, err := ParsePublic([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Thumbprint(key.Key); err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	for _, key := range []any{newKey(t, RS256), newKey(t, EdDSA), []byte("secret"), nil} {
		if got, err := Thumbprint(key); err == nil {
			t.Errorf("%T: %s", key, got)
		}
	}
}

func TestPublicKeysSurviveTheirJWK(t *testing.T) {
	for _, alg := range algorithms {
		_, key := newSigner(t, alg)
		data, err := MarshalPublic(key)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]string
		if err := json.Unmarshal(data, &members); err != nil {
			t.Fatal(err)
		}
		if members["kid"] != key.ID || members["alg"] != alg || members["use"] != "sig" {
			t.Errorf("%s", data)
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := members[private]; there {
				t.Errorf("%s has %s", alg, private)
			}
		}
		back, err := ParsePublic(data)
		if err != nil {
			t.Fatal(err)
		}
		if back.ID != key.ID || back.Algorithm != alg ||
			!back.Key.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Key) {
			t.Errorf("%s came back as %+v", data, back)
		}
	}
	private := PublicKey{ID: "k", Algorithm: RS256, Key: newKey(t, RS256)}
	if data, err := MarshalPublic(private); err == nil {
		t.Errorf("a private key was published: %s", data)
	}
	if _, err := MarshalPublic(PublicKey{Algorithm: EdDSA, Key: newKey(t, EdDSA).Public()}); err == nil {
		t.Error("a key without kid was published")
	}
}

// member sets, or with nil removes, members of a key's JWK.
func member(t *testing.T, k PublicKey, change map[string]any) string {
	t.Helper()
	data, err := MarshalPublic(k)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
	out, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

type change = map[string]any

func bytes64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func TestParsePublicRefuses(t *testing.T) {
	keys := map[string]PublicKey{}
	for _, alg := range algorithms {
		_, keys[alg] = newSigner(t, alg)
	}
	weak := func(bits int) string {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return bytes64(n.Add(n, big.NewInt(1)).Bytes())
	}
	n := keys[RS256].Key.(*rsa.PublicKey).N
	privateJWK := func(alg string) string {
		key, err := jwk.FromRaw(newKey(t, alg))
		if err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	little := func(y *big.Int) []byte {
		out := y.FillBytes(make([]byte, 32))
		for i := range 16 {
			out[i], out[31-i] = out[31-i], out[i]
		}
		return out
	}
	offCurve := func() []byte { // the first y that is no point's
		for y := int64(2); ; y++ {
			if k := little(big.NewInt(y)); strings.Contains(fmt.Sprint(checkEd25519(k)), "curve") {
				return k
			}
		}
	}

	type row struct{ name, in string }
	rows := []row{
		{"nothing", ``}, {"a list", `[]`}, {"no members", `{}`}, {"null", `null`},
		{"J-30 an oct key", `{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}`},
		{"J-30 an oct key without its secret", `{"kty":"oct","alg":"HS256"}`},
		{"J-30 a private RSA key", privateJWK(RS256)},
		{"J-30 a private EC key", privateJWK(ES256)},
		{"J-30 a private Ed25519 key", privateJWK(EdDSA)},
		{"J-30 a public key with d", member(t, keys[ES256], change{"d": "AQAB"})},
		{"J-30 RSA 512", member(t, keys[RS256], change{"n": weak(512)})},
		{"J-30 RSA 1024", member(t, keys[RS256], change{"n": weak(1024)})},
		{"J-30 RSA 2047", member(t, keys[RS256], change{"n": weak(2047)})},
		{"RSA 8193", member(t, keys[RS256], change{"n": weak(8193)})},
		{"an even modulus", member(t, keys[RS256], change{"n": bytes64(new(big.Int).Sub(n, big.NewInt(1)).Bytes())})},
		{"a modulus with a leading zero", member(t, keys[RS256], change{"n": bytes64(append([]byte{0}, n.Bytes()...))})},
		{"J-30 e=1", member(t, keys[RS256], change{"e": "AQ"})},
		{"J-30 an even e", member(t, keys[RS256], change{"e": "AQAA"})},
		{"e=0", member(t, keys[RS256], change{"e": "AA"})},
		{"e of 2^31+1", member(t, keys[RS256], change{"e": bytes64([]byte{0x80, 0, 0, 1})})},
		{"e of 2^64+65537, which an int would cut to 65537",
			member(t, keys[RS256], change{"e": bytes64([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})})},
		{"no e", member(t, keys[RS256], change{"e": nil})},
		{"no n", member(t, keys[PS256], change{"n": nil})},
		{"n as a number", member(t, keys[RS256], change{"n": 3})},
		{"n in padded base64", member(t, keys[RS256], change{"n": bytes64(n.Bytes()) + "=="})},
		{"n with a line break", member(t, keys[RS256], change{"n": bytes64(n.Bytes()) + "\n"})},
		{"J-30 an off-curve EC point", member(t, keys[ES256], change{"y": bytes64(make([]byte, 32))})},
		{"the EC point at infinity",
			member(t, keys[ES256], change{"x": bytes64(make([]byte, 32)), "y": bytes64(make([]byte, 32))})},
		{"a short EC coordinate", member(t, keys[ES256], change{"x": bytes64(make([]byte, 31))})},
		{"no EC coordinate", member(t, keys[ES256], change{"y": nil})},
		{"another curve", member(t, keys[ES256], change{"crv": "P-384"})},
		{"another curve's case", member(t, keys[ES256], change{"crv": "p-256"})},
		{"J-30 a long OKP x", member(t, keys[EdDSA], change{"x": bytes64(make([]byte, 33))})},
		{"J-30 a short OKP x", member(t, keys[EdDSA], change{"x": bytes64(make([]byte, 31))})},
		{"Ed448", member(t, keys[EdDSA], change{"crv": "Ed448"})},
		{"X25519", member(t, keys[EdDSA], change{"crv": "X25519"})},
		{"an Ed25519 key off the curve", member(t, keys[EdDSA], change{"x": bytes64(offCurve())})},
		{"J-30 use enc", member(t, keys[RS256], change{"use": "enc"})},
		{"key_ops without verify", member(t, keys[RS256], change{"key_ops": []string{"sign", "encrypt"}})},
		{"key_ops empty", member(t, keys[RS256], change{"key_ops": []string{}})},
		{"key_ops of another type", member(t, keys[RS256], change{"key_ops": "verify"})},
		{"an RSA key for ES256", member(t, keys[RS256], change{"alg": "ES256"})},
		{"an EC key for RS256", member(t, keys[ES256], change{"alg": "RS256"})},
		{"an encryption algorithm", member(t, keys[RS256], change{"alg": "RSA-OAEP"})},
		{"a longer hash", member(t, keys[RS256], change{"alg": "RS512"})},
		{"a symmetric algorithm", member(t, keys[RS256], change{"alg": "HS256"})},
		{"alg none", member(t, keys[RS256], change{"alg": "none"})},
		{"alg as a number", member(t, keys[RS256], change{"alg": 1})},
		{"kid as a number", member(t, keys[RS256], change{"kid": 1})},
		{"an endless kid", member(t, keys[RS256], change{"kid": strings.Repeat("k", 257)})},
		{"kty in another case", member(t, keys[RS256], change{"kty": "rsa"})},
		{"no kty", member(t, keys[RS256], change{"kty": nil})},
		{"a member twice", `{"kty":"oct",` + member(t, keys[RS256], nil)[1:]},
	}
	for _, y := range edLowOrderY {
		k := little(y)
		rows = append(rows, row{"J-31 an Ed25519 key of small order", member(t, keys[EdDSA], change{"x": bytes64(k)})})
		k[31] |= 0x80
		rows = append(rows, row{"J-31 the same with the sign set", member(t, keys[EdDSA], change{"x": bytes64(k)})})
	}
	for i := range int64(19) { // p … 2^255-1: second spellings of 0 … 18
		rows = append(rows, row{"J-31 an Ed25519 key that is not canonical",
			member(t, keys[EdDSA], change{"x": bytes64(little(new(big.Int).Add(edP, big.NewInt(i))))})})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if key, err := ParsePublic([]byte(r.in)); err == nil || key != (PublicKey{}) {
				t.Errorf("accepted: %s", r.in)
			}
		})
	}
}

func TestParsePublicAccepts(t *testing.T) {
	for _, alg := range algorithms {
		_, key := newSigner(t, alg)
		inferred := alg
		if alg == PS256 {
			inferred = RS256
		}
		for _, c := range []struct {
			name   string
			change change
			alg    string
		}{
			{"no alg: by the key's type", change{"alg": nil}, inferred},
			{"no use", change{"use": nil}, alg},
			{"key_ops with verify", change{"key_ops": []string{"verify"}}, alg},
			{"members that nobody knows, certificates never looked at",
				change{"x5c": []string{"garbage"}, "x5u": "http://127.0.0.1/", "nbf": 1}, alg},
		} {
			got, err := ParsePublic([]byte(member(t, key, c.change)))
			if err != nil || got.Algorithm != c.alg || got.ID != key.ID {
				t.Errorf("%s, %s: %+v, %v", alg, c.name, got, err)
			}
		}
		got, err := ParsePublic([]byte(member(t, key, change{"alg": Ed25519})))
		if of := alg == EdDSA; of != (err == nil) || of && got.Algorithm != EdDSA {
			t.Errorf("%s, called Ed25519: %+v, %v", alg, got, err)
		}
		if got, err := ParsePublic([]byte(member(t, key, change{"kid": nil}))); err != nil || got.ID != "" {
			t.Errorf("%s without kid: %+v, %v", alg, got, err)
		}
	}
	for range 64 {
		public, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkEd25519(public); err != nil {
			t.Errorf("%x: %v", public, err)
		}
	}
}

// The table of small-order points is checked by the curve's own arithmetic: each
// becomes the neutral element when doubled three times.
func TestLowOrderTableIsRight(t *testing.T) {
	mul := func(a, b *big.Int) *big.Int { return new(big.Int).Mod(new(big.Int).Mul(a, b), edP) }
	one := big.NewInt(1)
	orders := map[int]int{}
	for _, y := range edLowOrderY {
		y2 := mul(y, y)
		x2 := mul(new(big.Int).Sub(y2, one), new(big.Int).ModInverse(new(big.Int).Add(mul(edD, y2), one), edP))
		x := new(big.Int).ModSqrt(x2, edP)
		if x == nil {
			t.Fatalf("y=%v is on no point", y)
		}
		order := 1
		for px, py := x, y; px.Sign() != 0 || py.Cmp(one) != 0; order *= 2 {
			if order > 8 {
				t.Fatalf("y=%v is not of small order", y)
			}
			// (x, y) + (x, y) = (2xy / (1+dx²y²), (y²+x²) / (1-dx²y²))
			k := mul(edD, mul(mul(px, px), mul(py, py)))
			nx := mul(new(big.Int).Lsh(mul(px, py), 1), new(big.Int).ModInverse(new(big.Int).Add(one, k), edP))
			ny := mul(new(big.Int).Add(mul(py, py), mul(px, px)),
				new(big.Int).ModInverse(new(big.Int).Mod(new(big.Int).Sub(one, k), edP), edP))
			px, py = nx, ny
		}
		orders[order]++
	}
	if orders[1] != 1 || orders[2] != 1 || orders[4] != 1 || orders[8] != 2 {
		t.Errorf("orders: %v", orders)
	}
}

func TestOneBadKeyNeverHidesTheGoodOnes(t *testing.T) {
	_, good := newSigner(t, ES256)
	jwk := member(t, good, nil)
	for name, bad := range map[string]string{
		"an oct key": `{"kty":"oct","k":"AA"}`, "a future type": `{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`,
		"a number": `1`, "null": `null`,
		"a member twice":      `{"kty":"EC","kty":"EC"}`,
		"a key off the curve": member(t, good, change{"x": bytes64(make([]byte, 32))}),
	} {
		for _, set := range []string{bad + "," + jwk, jwk + "," + bad} {
			keys, skipped, err := ParseKeySet([]byte(`{"keys":[` + set + `],"more":true}`))
			if err != nil || len(keys) != 1 || keys[0].ID != good.ID || len(skipped) != 1 {
				t.Errorf("%s: %v, %v, %v", name, keys, skipped, err)
			}
		}
	}
	keys, skipped, err := ParseKeySet([]byte(`{"keys":[` + jwk + `,` + jwk + `]}`))
	if err != nil || len(keys) != 2 || len(skipped) != 0 {
		t.Errorf("a kid twice: %v, %v, %v", keys, skipped, err)
	}
	if keys, _, err := ParseKeySet([]byte(`{"keys":[]}`)); err != nil || len(keys) != 0 {
		t.Errorf("no keys: %v, %v", keys, err)
	}
}

func TestParseKeySetRefuses(t *testing.T) {
	for _, in := range []string{``, `[]`, `{}`, `{"keys":{}}`, `{"keys":null}`, `{"Keys":[]}`, `{"keys":[],"keys":[]}`,
		`{"keys":[]} x`, `<html>`, `{"keys":[{]}`} {
		if keys, skipped, err := ParseKeySet([]byte(in)); err == nil {
			t.Errorf("%s: %v, %v", in, keys, skipped)
		}
	}
}

func TestAnEndlessKeySetCostsLittle(t *testing.T) {
	_, good := newSigner(t, EdDSA)
	jwk := member(t, good, nil)
	keys, skipped, err := ParseKeySet([]byte(`{"keys":[` +
		strings.TrimSuffix(strings.Repeat(jwk+",", 10_000), ",") + `]}`))
	if err != nil || len(keys) != MaxKeys || len(skipped) != 1 {
		t.Errorf("%d keys, skipped %v, %v", len(keys), skipped, err)
	}
	keys, skipped, err = ParseKeySet([]byte(`{"keys":[` + strings.Repeat(`{"kty":"oct","k":"AA"},`, 999) + jwk + `]}`))
	if err != nil || len(keys) != 1 || len(skipped) != maxSkipped {
		t.Errorf("%d keys, %d skipped, %v", len(keys), len(skipped), err)
	}
	if keys, _, err = ParseKeySet([]byte(`{"keys":[` + strings.Repeat(`{"kty":"oct","k":"AA"},`, 10_000) + jwk +
		`]}`)); err != nil || len(keys) != 0 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}

package jose

import (
	"crypto"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestParseRefuses(t *testing.T) {
	s, key := newSigner(t, EdDSA)
	token := sign(t, s, `{"sub":"a"}`)
	if err := verify(token, key); err != nil {
		t.Fatal(err)
	}
	part := strings.Split(token, ".")
	header := func(json string) string { return b64(json) + "." + part[1] + "." + part[2] }
	genuine := fmt.Sprintf(`{"alg":"EdDSA","kid":%q,"typ":"at+jwt"`, key.ID)
	// The last character of a segment that does not end on a byte has bits to spare.
	alphabet := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	respelled := func(segment string) string {
		if len(segment)%4 == 0 {
			t.Fatalf("%q has no spare bits", segment)
		}
		return segment[:len(segment)-1] + string(alphabet[strings.IndexByte(alphabet, segment[len(segment)-1])^1])
	}

	for _, c := range []struct{ name, in string }{
		{"nothing", ""},
		{"J-24 one segment", part[0]},
		{"J-24 two segments", part[0] + "." + part[1]},
		{"J-24 four segments", token + ".x"},
		{"J-24 five segments, a JWE", token + ".x.y"},
		{"J-24 dots only", ".."},
		{"J-24 a mebibyte of dots", strings.Repeat(".", 1<<20)},
		{"J-24 sixteen kibibytes of dots", strings.Repeat(".", MaxTokenBytes)},
		{"J-24 a space behind", token + " "},
		{"J-24 a space before", " " + token},
		{"J-24 a line break behind", token + "\n"},
		{"J-24 flattened JSON serialization",
			`{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`},
		{"J-24 general JSON serialization",
			`{"payload":"` + part[1] + `","signatures":[{"protected":"` + part[0] + `","signature":"` + part[2] + `"}]}`},
		{"J-01 no signature", part[0] + "." + part[1] + "."},
		{"no payload", part[0] + ".." + part[2]},
		{"no header", "." + part[1] + "." + part[2]},
		{"padding", part[0] + "." + part[1] + "." + part[2] + "=="},
		{"standard base64", part[0] + "." + part[1] + ".+/" + part[2][2:]},
		{"a line break inside", part[0] + "." + part[1] + "." + part[2][:8] + "\n" + part[2][8:]},
		{"a carriage return inside", part[0] + "." + part[1][:4] + "\r" + part[1][4:] + "." + part[2]},
		{"four line breaks, so that the length comes out", part[0] + "." + part[1] + "." + "\n\n\n\n" + part[2]},
		{"a NUL", part[0] + "." + part[1] + "." + part[2] + "\x00"},
		{"T-27 another spelling of the signature", part[0] + "." + part[1] + "." + respelled(part[2])},
		{"T-27 another spelling of the payload", part[0] + "." + respelled(part[1]) + "." + part[2]},
		{"one character too many for base64", part[0] + ".AAAAA." + part[2]},
		{"more than MaxTokenBytes", part[0] + "." + strings.Repeat("A", MaxTokenBytes) + "." + part[2]},
		{"a header of 2 KiB", header(genuine + `}` + strings.Repeat(" ", 2<<10))},
		{"a header that is no JSON", header("alg: EdDSA")},
		{"a header that is a list", header(`["EdDSA"]`)},
		{"a header with data behind it", header(genuine + `}{}`)},
		{"a header with a BOM", header("\ufeff" + genuine + `}`)},
		{"a header with invalid UTF-8", header(genuine + ",\"\xff\":1}")},
		{"no alg", header(`{"typ":"at+jwt"}`)},
		{"J-01 alg none", header(`{"alg":"none"}`)},
		{"J-01 alg None", header(`{"alg":"None"}`)},
		{"J-03 alg HS256", header(`{"alg":"HS256"}`)},
		{"alg in lower case", header(`{"alg":"eddsa"}`)},
		{"alg ES256K", header(`{"alg":"ES256K"}`)},
		{"alg RS512", header(`{"alg":"RS512"}`)},
		{"alg as a number", header(`{"alg":1}`)},
		{"alg as a list", header(`{"alg":["EdDSA"]}`)},
		{"alg null", header(`{"alg":null}`)},
		{"alg empty", header(`{"alg":""}`)},
		{"J-21 alg twice", header(`{"alg":"EdDSA","alg":"none"}`)},
		{"J-21 alg twice, once escaped", header(`{"alg":"none","\u0061lg":"EdDSA"}`)},
		{"J-22 alg and ALG", header(genuine + `,"ALG":"none"}`)},
		{"J-22 Alg only", header(`{"Alg":"EdDSA"}`)},
		{"crit", header(genuine + `,"crit":["exp"],"exp":1}`)},
		{"crit empty", header(genuine + `,"crit":[]}`)},
		{"b64 false", header(genuine + `,"b64":false}`)},
		{"J-07 jwk", header(genuine + `,"jwk":{"kty":"OKP"}}`)},
		{"jku", header(genuine + `,"jku":"http://127.0.0.1/"}`)},
		{"x5u", header(genuine + `,"x5u":"http://127.0.0.1/"}`)},
		{"x5c", header(genuine + `,"x5c":["AA"]}`)},
		{"cty JWT, a nested token", header(genuine + `,"cty":"JWT"}`)},
		{"zip", header(genuine + `,"zip":"DEF"}`)},
		{"enc, a JWE's", header(`{"alg":"dir","enc":"A256GCM"}`)},
		{"an unknown member", header(genuine + `,"x":1}`)},
		{"J-10 kid as a number", header(`{"alg":"EdDSA","kid":1}`)},
		{"J-10 kid as an object", header(`{"alg":"EdDSA","kid":{}}`)},
		{"J-10 kid null", header(`{"alg":"EdDSA","kid":null}`)},
		{"J-10 kid as a list", header(`{"alg":"EdDSA","kid":["a"]}`)},
		{"kid empty", header(`{"alg":"EdDSA","kid":""}`)},
		{"J-10 an endless kid", header(`{"alg":"EdDSA","kid":"` + strings.Repeat("k", 257) + `"}`)},
		{"J-10 a kid of 64 KiB", header(`{"alg":"EdDSA","kid":"` + strings.Repeat("k", 64<<10) + `"}`)},
		{"typ as a number", header(`{"alg":"EdDSA","typ":1}`)},
		{"an endless typ", header(`{"alg":"EdDSA","typ":"` + strings.Repeat("t", 65) + `"}`)},
		{"J-27 a JWE with endless PBES2 rounds",
			b64(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2s":"AA","p2c":2147483647}`) + ".AA.AA.AA.AA"},
		{"J-28 a JWE with a zip bomb", b64(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`) + "..AA.AA.AA"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if parsed, err := Parse(c.in); err == nil || parsed != nil {
				t.Errorf("accepted: %+v", parsed)
			}
		})
	}
}

func TestJ24AnOversizedTokenCostsNoMemory(t *testing.T) {
	tokens := []string{strings.Repeat(".", 1<<20), strings.Repeat("A", 1<<20) + ".A.A", strings.Repeat(".", MaxTokenBytes)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 1000 {
		for _, token := range tokens {
			if _, err := Parse(token); err == nil {
				t.Fatal("accepted")
			}
		}
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("3,000 refusals allocated %d bytes", grown)
	}
}

func TestIsType(t *testing.T) {
	for _, c := range []struct {
		typ, want string
		is        bool
	}{
		{"at+jwt", "at+jwt", true}, {"AT+JWT", "at+jwt", true}, {"application/at+jwt", "at+jwt", true},
		{"Application/At+Jwt", "at+jwt", true},
		{"at+jwt", "application/at+jwt", true}, {"JWT", "at+jwt", false}, {"", "at+jwt", false}, {"", "", false},
		{"at+jwt ", "at+jwt", false},
		{"application/", "application/", true}, {"application/application/at+jwt", "at+jwt", false},
		{"application/x/at+jwt", "at+jwt", false},
		{"text/at+jwt", "at+jwt", false}, {"at\u212aat", "atkat", true}, {"rt+jwt", "at+jwt", false},
	} {
		if got := (Header{Type: c.typ}).IsType(c.want); got != c.is {
			t.Errorf("%q as %q: %v", c.typ, c.want, got)
		}
	}
}

func TestOthersMaySayEd25519(t *testing.T) {
	private := newKey(t, EdDSA)
	key := PublicKey{ID: "k", Algorithm: EdDSA, Key: private.Public()}
	payload := b64(`{"sub":"a"}`)
	signed := func(alg string) string {
		text := b64(fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, key.ID)) + "." + payload
		signature, err := private.Sign(nil, []byte(text), crypto.Hash(0))
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	for _, alg := range []string{EdDSA, Ed25519} {
		token, err := ParseForeign(signed(alg))
		if err != nil || token.Header.Algorithm != EdDSA || token.Verify(key) != nil {
			t.Errorf("%s: %+v, %v", alg, token, err)
		}
	}
	if token, err := Parse(signed(Ed25519)); err == nil {
		t.Errorf("a token of our own has one spelling: %+v", token)
	}
	for _, alg := range []string{"ed25519", "Ed448", "none", ""} {
		if token, err := ParseForeign(signed(alg)); err == nil {
			t.Errorf("%q: accepted as %+v", alg, token)
		}
	}
	// The name is that of one kind of key.
	rsa, rsaKey := newSigner(t, RS256)
	_, rest, _ := strings.Cut(sign(t, rsa, `{"sub":"a"}`), ".")
	token, err := ParseForeign(b64(fmt.Sprintf(`{"alg":"Ed25519","kid":%q}`, rsaKey.ID)) + "." + rest)
	if err == nil && token.Verify(rsaKey) == nil {
		t.Error("an RSA signature passed for Ed25519")
	}
}

// RFC 7515 section 4: an unknown member is ignored, unless crit names it.
func TestOthersMayUseHeaderMembersThatWeDoNotKnow(t *testing.T) {
	_, key := newSigner(t, EdDSA)
	with := func(member string) string {
		return b64(fmt.Sprintf(`{"alg":"EdDSA","kid":%q,%s}`, key.ID, member)) + "." + b64(`{"sub":"a"}`) + ".AAAA"
	}
	for _, member := range []string{
		`"x5t":"dGh1bWI"`, `"x5t#S256":"dGh1bWI"`, `"x5c":["MIIB"]`, `"cty":"json"`, `"Crit":["exp"]`,
		`"x":{"y":[1,2]}`, `"iss":"a"`,
		`"x5c":["` + strings.Repeat("MIIB", 1024) + `"]`,
	} {
		if token, err := ParseForeign(with(member)); err != nil || token.Header.KeyID != key.ID {
			t.Errorf("%s: %+v, %v", member, token, err)
		}
		if token, err := Parse(with(member)); err == nil {
			t.Errorf("%s in a token of our own: %+v", member, token)
		}
	}
	// Members that bring a key along, or have to be understood, are refused in tokens of others,
	// too.
	for _, member := range []string{
		`"jwk":{}`, `"jku":"https://evil.test"`, `"x5u":"https://evil.test"`, `"crit":["exp"]`, `"crit":["x"],"x":1`,
		`"crit":[]`, `"b64":false`,
		`"x5t":"a","x5t":"b"`, `"x":1,"x":1`, `"alg":"none"`, `"x5c":["` + strings.Repeat("MIIB", 4096) + `"]`,
	} {
		if token, err := ParseForeign(with(member)); err == nil {
			t.Errorf("%s: accepted as %+v", member, token)
		}
	}
}

func TestEveryCharacterOfATokenCounts(t *testing.T) {
	for _, alg := range []string{RS256, ES256, EdDSA} {
		s, key := newSigner(t, alg)
		token := sign(t, s, `{"sub":"a"}`)
		for i := range len(token) {
			for _, c := range []byte{'A', 'B', token[i] ^ 1, token[i] ^ 0x20, '.', '=', '\n'} {
				if c == token[i] {
					continue
				}
				if changed := token[:i] + string(c) + token[i+1:]; verify(changed, key) == nil {
					t.Fatalf("%s: accepted with %q at %d", alg, c, i)
				}
			}
			if verify(token[:i], key) == nil {
				t.Fatalf("%s: accepted when cut at %d", alg, i)
			}
		}
	}
}

// Every token that Parse accepts has one spelling: encoding its parts again makes the same token.
// Nothing panics, and only the genuine token verifies.
func FuzzParse(f *testing.F) {
	s, key := newSigner(f, EdDSA)
	token := sign(f, s, `{"sub":"a"}`)
	for _, seed := range []string{token, token + ".", "..", b64(`{"alg":"none"}`) + ".e30.AA",
		b64(`{"alg":"RS256","kid":"k","typ":"JWT"}`) + ".e30.AA", "\n", "e30.e30.e30"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		parsed, err := Parse(in)
		if err != nil {
			if parsed != nil {
				t.Fatal("a token beside an error")
			}
			return
		}
		if len(in) > MaxTokenBytes || len(parsed.Payload) == 0 || len(parsed.signature) == 0 {
			t.Fatalf("accepted %q", in)
		}
		segments := strings.Split(in, ".")
		encode := base64.RawURLEncoding.EncodeToString
		if len(segments) != 3 || encode(parsed.Payload) != segments[1] || encode(parsed.signature) != segments[2] ||
			string(parsed.signed) != segments[0]+"."+segments[1] {
			t.Fatalf("%q has another spelling", in)
		}
		if _, known := algorithmOf([]byte(parsed.Header.Algorithm)); !known {
			t.Fatalf("alg %q", parsed.Header.Algorithm)
		}
		for _, alg := range algorithms {
			k := key
			k.Algorithm = alg
			if err := parsed.Verify(k); err == nil && in != token {
				t.Fatalf("verified: %q", in)
			}
		}
	})
}

package verifier_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

// mac signs with HS256, as an attacker does who hopes that a public key is taken for a secret.
func mac(header, payload string, secret []byte) string {
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(input))
	return input + "." + b64(h.Sum(nil))
}

type row struct{ name, raw string }

// TestHostileTokens has the J rows of attack-cases.md whose answer is RS-401.
func TestHostileTokens(t *testing.T) {
	s := newStand(t)
	for _, alg := range []string{verifier.RS256, verifier.ES256, verifier.EdDSA} {
		s.accepted(t, s.genuine(alg)) // otherwise the rows below would prove nothing
	}
	claims := s.claims(nil)
	rsaKey, edKey, ecKey := s.keys["RS256"], s.keys["EdDSA"], s.keys["ES256"]
	attacker := rsaKeys()[1]
	var rows []row
	add := func(name, raw string) { rows = append(rows, row{name, raw}) }

	for _, none := range []string{"none", "None", "NONE", "nOnE", ""} {
		input := b64([]byte(s.header("RS256", map[string]any{"alg": none}))) + "." + b64([]byte(claims)) + "."
		add("J-01 alg "+none+" without signature", input)
		add("J-01 alg "+none+" with a signature", input+"AA")
	}

	der, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range map[string][]byte{
		"PEM":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"DER":     der,
		"JWK":     jwkOf(t, s.issuer.JWKS(), s.kids["RS256"]),
		"modulus": rsaKey.Public().(*rsa.PublicKey).N.Bytes(),
		"nothing": nil,
	} {
		for _, alg := range []string{"HS256", "HS384", "HS512"} {
			add("J-03 "+alg+" keyed with the public key's "+name,
				mac(s.header("RS256", map[string]any{"alg": alg}), claims, secret))
		}
		add("J-03 RS256 keyed with the public key's "+name, mac(s.header("RS256", nil), claims, secret))
	}

	for _, kid := range []any{s.kids["RS256"], "web", nil} {
		add(fmt.Sprintf("J-04 HS256 keyed with a client secret, kid %v", kid),
			mac(s.header("RS256", map[string]any{"alg": "HS256", "kid": kid}), claims, []byte("the secret of web")))
	}

	add("J-06 EdDSA and its kid, signed RS256", mk(t, s.header("EdDSA", nil), claims, rsaKey))
	add("J-06 RS256 and its kid, signed EdDSA", mk(t, s.header("RS256", nil), claims, edKey))
	add("J-06 RS256 with the kid of EdDSA, signed RS256",
		mk(t, s.header("EdDSA", map[string]any{"alg": "RS256"}), claims, rsaKey))
	add("J-06 EdDSA with the kid of RS256, signed EdDSA",
		mk(t, s.header("RS256", map[string]any{"alg": "EdDSA"}), claims, edKey))
	add("J-06 ES256 with the kid of EdDSA", mk(t, s.header("EdDSA", map[string]any{"alg": "ES256"}), claims, ecKey))
	add("J-06 PS256 with the kid of RS256", mk(t, s.header("RS256", map[string]any{"alg": "PS256"}), claims, rsaKey))

	attackerJWK := map[string]any{"kty": "RSA", "e": "AQAB", "n": b64(attacker.N.Bytes()), "alg": "RS256", "use": "sig"}
	add("J-07 a jwk in the header, without kid",
		mk(t, s.header("RS256", map[string]any{"jwk": attackerJWK, "kid": nil}), claims, attacker))
	add("J-07 a jwk in the header, with the genuine kid",
		mk(t, s.header("RS256", map[string]any{"jwk": attackerJWK}), claims, attacker))
	add("J-07 no jwk, the genuine kid", mk(t, s.header("RS256", nil), claims, attacker))
	add("J-07 no kid, a genuine signature", mk(t, s.header("RS256", map[string]any{"kid": nil}), claims, rsaKey))
	for _, pointer := range []string{"jku", "x5u"} {
		add("J-07 "+pointer, mk(t, s.header("RS256", map[string]any{pointer: "http://127.0.0.1:1/"}), claims, rsaKey))
	}

	for _, kid := range []string{
		"../../../../dev/null", "/proc/self/environ", "keys/../../etc/passwd", // J-09
		"' OR '1'='1", "x' UNION SELECT 'AAAA'--", "%", // J-10
		"'", `"`, ";--", `\`, "$1", "$$", "_", "?", "\x00", "kid\x00", "\r\nX: 1", "{{7*7}}", "\u202e", // S-01
		"unknown", " " + s.kids["RS256"], s.kids["RS256"] + " ", strings.ToUpper(s.kids["RS256"]), s.kids["RS256"][:42],
	} {
		name := fmt.Sprintf("J-09 J-10 S-01 kid %q", kid)
		add(name+" over an empty secret",
			mac(s.header("RS256", map[string]any{"alg": "HS256", "kid": kid}), claims, nil))
		add(name+" signed by a stranger", mk(t, s.header("RS256", map[string]any{"kid": kid}), claims, attacker))
		add(name+" signed by the issuer", mk(t, s.header("RS256", map[string]any{"kid": kid}), claims, rsaKey))
	}
	for _, kid := range []any{
		1, 1.5, true, map[string]any{"a": 1}, []string{s.kids["RS256"]}, []any{}, strings.Repeat("k", 64<<10),
		strings.Repeat("k", 300),
	} {
		add(fmt.Sprintf("J-10 kid %.20v", kid), mk(t, s.header("RS256", map[string]any{"kid": kid}), claims, rsaKey))
	}
	add("J-10 kid null", mk(t, `{"alg":"RS256","kid":null,"typ":"at+jwt"}`, claims, rsaKey))

	add("J-13 an ID token",
		mk(t, s.header("RS256", map[string]any{"typ": "JWT"}), s.claims(map[string]any{"aud": "web"}), rsaKey))
	add("J-13 an ID token with our audience", mk(t, s.header("RS256", map[string]any{"typ": "JWT"}), claims, rsaKey))
	add("J-13 a refresh token with our audience",
		mk(t, s.header("RS256", map[string]any{"typ": "rt+jwt"}), claims, rsaKey))
	add("J-13 a bundle of keys with our audience",
		mk(t, s.header("RS256", map[string]any{"typ": "jwk-set+jwt"}), claims, rsaKey))
	add("J-13 a bundle of keys", strings.TrimSpace(string(s.bundle("RS256"))))
	add("J-15 typ absent", mk(t, s.header("RS256", map[string]any{"typ": nil}), claims, rsaKey))
	for _, typ := range []any{
		"", "jwt", "at", "at+jwt+x", "application/jwt", "text/at+jwt", "at+jwt;v=1", " at+jwt", 1, []string{"at+jwt"},
	} {
		add(fmt.Sprintf("J-15 typ %v", typ), mk(t, s.header("RS256", map[string]any{"typ": typ}), claims, rsaKey))
	}

	url := s.issuer.URL
	for _, iss := range []any{
		url + "/", strings.Replace(url, "http:", "https:", 1), strings.ToUpper(url),
		strings.Replace(url, "http", "HTTP", 1), url + ".evil.test", url[:len(url)-1], " " + url, "", nil, 1,
		[]string{url},
	} {
		add(fmt.Sprintf("J-18 iss %v", iss),
			mk(t, s.header("RS256", nil), s.claims(map[string]any{"iss": iss}), rsaKey))
	}
	other := issuertest.New(t)
	add("J-18 another issuer's real key and claims", other.Token(map[string]any{"aud": audience}))
	add("J-18 another issuer's real key, our iss", other.Token(map[string]any{"aud": audience, "iss": url}))

	for _, aud := range []any{
		"web", "", nil, audience + "/", strings.ToUpper(audience), []string{}, []string{"a", "b"}, []any{audience, 1},
		[]any{audience, nil}, []any{[]string{audience}}, map[string]any{audience: 1}, 1, true, audience + " " + "x",
	} {
		add(fmt.Sprintf("J-18 aud %v", aud),
			mk(t, s.header("RS256", nil), s.claims(map[string]any{"aud": aud}), rsaKey))
	}

	withRaw := func(name, value string) string { // a claim in raw JSON
		return mk(t, s.header("RS256", nil),
			strings.Replace(s.claims(map[string]any{name: "@"}), `"`+name+`":"@"`, `"`+name+`":`+value, 1), rsaKey)
	}
	for _, date := range []string{
		`-1`, `-1e9`, `"1999999999"`, `"never"`, `1e400`, `-1e400`, `1e9`, `1999999999E0`,
		`9223372036854775808`, `9223372036854775807`, `18446744073709551616`, `253402300800`,
		`99999999999999999999999999`, `NaN`, `Infinity`, `null`, `true`, `{}`, `[]`, `[1999999999]`,
		`0x7fffffff`, `01999999999`, `1_999_999_999`, `1999999999.`, ``,
	} {
		for _, claim := range []string{"exp", "iat", "nbf", "auth_time"} {
			add("J-19 "+claim+" "+date, withRaw(claim, date))
		}
	}
	now := s.issuer.Now().Unix()
	add("J-19 exp missing", mk(t, s.header("RS256", nil), s.claims(map[string]any{"exp": nil}), rsaKey))
	add("J-19 iat in the future",
		mk(t, s.header("RS256", nil), s.claims(map[string]any{"iat": now + 61, "exp": now + 600}), rsaKey))
	add("J-19 iat after exp",
		mk(t, s.header("RS256", nil), s.claims(map[string]any{"iat": now + 30, "exp": now + 20}), rsaKey))
	add("J-19 nbf in the future", mk(t, s.header("RS256", nil), s.claims(map[string]any{"nbf": now + 61}), rsaKey))
	for _, required := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_id"} {
		add("V9.2 "+required+" missing", mk(t, s.header("RS256", nil), s.claims(map[string]any{required: nil}), rsaKey))
		if required != "exp" && required != "iat" {
			add("V9.2 "+required+" empty",
				mk(t, s.header("RS256", nil), s.claims(map[string]any{required: ""}), rsaKey))
		}
		add("V9.2 "+required+" null", withRaw(required, "null"))
		add("V9.2 "+required+" an object", withRaw(required, `{"a":1}`))
	}
	add("a scope that is a list", withRaw("scope", `["profile"]`))
	add("a scope with two spaces", withRaw("scope", `"a  b"`))
	add("D-07 a token bound to a key (cnf)",
		mk(t, s.header("RS256", nil), s.claims(map[string]any{"cnf": map[string]any{"jkt": "x"}}), rsaKey))
	add("D-07 cnf null", withRaw("cnf", "null"))

	splice := func(extra string) string { return claims[:len(claims)-1] + "," + extra + "}" }
	add("J-21 sub twice", mk(t, s.header("RS256", nil), splice(`"sub":"bob"`), rsaKey))
	add("J-21 sub twice, once escaped", mk(t, s.header("RS256", nil), splice(`"\u0073ub":"bob"`), rsaKey))
	add("J-21 a nested member twice", mk(t, s.header("RS256", nil), splice(`"x":{"a":1,"a":2}`), rsaKey))
	add("J-21 alg twice in the header",
		mk(t, `{"alg":"RS256",`+s.header("RS256", map[string]any{"alg": "none"})[1:], claims, rsaKey))
	add("J-22 ALG beside alg", mk(t, `{"ALG":"none",`+s.header("RS256", nil)[1:], claims, rsaKey))
	add("J-22 Kid beside kid", mk(t, `{"Kid":"x",`+s.header("RS256", nil)[1:], claims, rsaKey))
	add("J-22 AUD beside another aud",
		mk(t, s.header("RS256", nil),
			strings.Replace(splice(`"AUD":"`+audience+`"`), `"aud":"`+audience+`"`, `"aud":"x"`, 1), rsaKey))
	add("J-22 AUD instead of aud", mk(t, s.header("RS256", nil), strings.Replace(claims, `"aud"`, `"AUD"`, 1), rsaKey))
	add("J-22 Exp instead of exp", mk(t, s.header("RS256", nil), strings.Replace(claims, `"exp"`, `"Exp"`, 1), rsaKey))
	add("J-22 Sub beside sub", mk(t, s.header("RS256", nil), splice(`"Sub":"bob"`), rsaKey))
	add("J-22 a long s in iss", mk(t, s.header("RS256", nil), splice("\"i\u017fs\":\"x\""), rsaKey))
	add("crit", mk(t, s.header("RS256", map[string]any{"crit": []string{"exp"}, "exp": 1}), claims, rsaKey))
	add("crit empty", mk(t, s.header("RS256", map[string]any{"crit": []string{}}), claims, rsaKey))
	add("b64 false", mk(t, s.header("RS256", map[string]any{"b64": false}), claims, rsaKey))
	add("cty JWT", mk(t, s.header("RS256", map[string]any{"cty": "JWT"}), claims, rsaKey))
	add("a payload that is a list", mk(t, s.header("RS256", nil), `["sub"]`, rsaKey))
	add("a payload that is no JSON", mk(t, s.header("RS256", nil), `sub=alice`, rsaKey))
	add("H-19 a payload with a BOM", mk(t, s.header("RS256", nil), "\ufeff"+claims, rsaKey))
	add("H-19 a payload with data behind it", mk(t, s.header("RS256", nil), claims+"{", rsaKey))
	add("H-19 a payload nested 17 deep",
		mk(t, s.header("RS256", nil), splice(`"x":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)), rsaKey))
	add("a payload with invalid UTF-8", mk(t, s.header("RS256", nil), splice("\"x\":\"\xff\""), rsaKey))

	at := s.genuine("RS256")
	part := strings.Split(at, ".")
	for name, raw := range map[string]string{
		"four segments": at + ".x", "a space behind": at + " ", "a tab before": "\t" + at,
		"two segments":  part[0] + "." + part[1],
		"five segments": at + ".x.y", "dots": "..", "one dot": ".", "a mebibyte of dots": strings.Repeat(".", 1<<20),
		"a comma":        at + "," + at,
		"flattened JSON": `{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`,
		"general JSON": `{"payload":"` + part[1] + `","signatures":[{"protected":"` + part[0] + `","signature":"` +
			part[2] + `"}]}`,
		"a line break": at[:40] + "\n" + at[40:], "padding": at + "==", "a NUL": at + "\x00", "quotes": `"` + at + `"`,
		"the signature of another token": part[0] + "." + part[1] + "." +
			strings.Split(mk(t, s.header("RS256", nil), s.claims(map[string]any{"sub": "bob"}), rsaKey), ".")[2],
		"a changed payload": part[0] + "." + b64([]byte(s.claims(map[string]any{"sub": "root"}))) + "." + part[2],
	} {
		add("J-24 "+name, raw)
	}
	for _, size := range []int{8 << 10, 17 << 10, 64 << 10, 1 << 20} {
		add(fmt.Sprintf("J-25 %d bytes", size), part[0]+"."+strings.Repeat("A", size)+"."+part[2])
	}
	add("J-27 a JWE with endless PBES2 rounds",
		b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2s":"AAAA","p2c":2147483647}`))+
			".AAAA.AAAA.AAAA.AAAA")
	add("J-27 the same header on a JWS",
		mk(t, `{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2s":"AAAA","p2c":2147483647}`, claims, rsaKey))
	add("J-28 a JWE with a zip bomb", b64([]byte(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`))+"..AAAA.AAAA.AAAA")

	ec := s.genuine("ES256")
	head := ec[:strings.LastIndexByte(ec, '.')+1]
	ecdsaDER, err := ecKey.Sign(rand.Reader, hashOf(head[:len(head)-1]), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	add("J-31 ES256 r=0 s=0", head+b64(make([]byte, 64)))
	add("J-31 ES256 in DER", head+b64(ecdsaDER))
	add("J-31 ES256 in DER, empty integers", head+b64(mustDER(t, 0, 0)))
	n := elliptic.P256().Params().N.Bytes()
	add("J-31 ES256 r=n s=n", head+b64(append(slices.Clone(n), n...)))
	eddsa := s.genuine("EdDSA")
	head, sig := eddsa[:strings.LastIndexByte(eddsa, '.')+1],
		signature(t, edKey, eddsa[:strings.LastIndexByte(eddsa, '.')])
	add("J-31 Ed25519 with a non-canonical S", head+b64(append(sig[:32:32], addOrder(sig[32:])...)))
	add("J-31 Ed25519 by a point of small order",
		head+b64(append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)))

	// Spaces before the token belong to the request's header, which may have several; they are not
	// part of the token.
	if _, err := s.v.Verify(t.Context(), " "+at); !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("J-24 a space before: %v", err)
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			start := time.Now()
			s.refused(t, r.raw, verifier.ErrInvalid)
			if took := time.Since(start); took > 10*time.Second { // G2
				t.Errorf("took %v", took)
			}
		})
	}
	if got := s.issuer.Requests(); got != 1 {
		t.Errorf("%d fetches of the key set within one cooldown", got)
	}
	s.accepted(t, s.genuine(verifier.RS256)) // the service still answers
}

func hashOf(s string) []byte { sum := sha256.Sum256([]byte(s)); return sum[:] }

func mustDER(t *testing.T, r, s int64) []byte {
	t.Helper()
	out, err := asn1.Marshal(struct{ R, S *big.Int }{big.NewInt(r), big.NewInt(s)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// addOrder adds Ed25519's group order to a little-endian number.
func addOrder(s []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	big := new(big.Int).SetBytes(reversed(s))
	return reversed(big.Add(big, order).FillBytes(make([]byte, 32)))
}

func reversed(b []byte) []byte {
	out := slices.Clone(b)
	slices.Reverse(out)
	return out
}

func jwkOf(t *testing.T, set []byte, kid string) []byte {
	t.Helper()
	var list struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(set, &list); err != nil {
		t.Fatal(err)
	}
	for _, k := range list.Keys {
		if strings.Contains(string(k), kid) {
			return k
		}
	}
	t.Fatal("no such key")
	return nil
}

func TestJ12AFlippedBitInAThousandTokens(t *testing.T) {
	s := newStand(t)
	at := s.genuine(verifier.EdDSA)
	dot := strings.LastIndexByte(at, '.')
	sig := signature(t, s.keys["EdDSA"], at[:dot])
	for i := range 1000 {
		flipped := slices.Clone(sig)
		flipped[i/8%len(sig)] ^= 1 << (i % 8) // every bit of the signature, and half of them again
		raw := at[:dot+1] + b64(flipped)
		if token, err := s.v.Verify(t.Context(), raw); token != nil || !errors.Is(err, verifier.ErrInvalid) {
			t.Fatalf("bit %d: %v, %v", i, token, err)
		}
		if i%50 == 0 {
			s.refused(t, raw, verifier.ErrInvalid)
		}
	}
	if got := s.issuer.Requests(); got != 1 {
		t.Errorf("%d fetches of the key set", got)
	}
	// A hundred unknown kids cause no more than one fetch per cooldown.
	for i := range 100 {
		s.refused(t, mk(t, s.header("EdDSA", map[string]any{"kid": fmt.Sprint(i)}), s.claims(nil), s.keys["EdDSA"]),
			verifier.ErrInvalid)
	}
	if got := s.issuer.Requests(); got != 1 {
		t.Errorf("%d fetches of the key set", got)
	}
}

func TestJ15TheTypeIsAMediaType(t *testing.T) {
	s := newStand(t)
	for _, typ := range []string{"at+jwt", "AT+JWT", "At+Jwt", "application/at+jwt", "Application/AT+JWT"} {
		s.accepted(t, mk(t, s.header("RS256", map[string]any{"typ": typ}), s.claims(nil), s.keys["RS256"]))
	}
}

// For every kind of key, a token that an attacker's key signed is refused.
func TestForeignKeysOfEveryKindAreRefused(t *testing.T) {
	s := newStand(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for alg, key := range map[string]crypto.Signer{"RS256": rsaKeys()[1], "ES256": ec, "EdDSA": ed} {
		s.refused(t, mk(t, s.header(alg, nil), s.claims(nil), key), verifier.ErrInvalid)
	}
}

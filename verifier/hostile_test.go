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
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
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
			add("J-03 "+alg+" keyed with the public key's "+name, mac(s.header("RS256", map[string]any{"alg": alg}), claims, secret))
		}
		add("J-03 RS256 keyed with the public key's "+name, mac(s.header("RS256", nil), claims, secret))
	}

	add("J-06 EdDSA and its kid, signed RS256", mk(t, s.header("EdDSA", nil), claims, rsaKey))
	add("J-06 RS256 and its kid, signed EdDSA", mk(t, s.header("RS256", nil), claims, edKey))
	add("J-06 RS256 with the kid of EdDSA, signed RS256", mk(t, s.header("EdDSA", map[string]any{"alg": "RS256"}), claims, rsaKey))
	add("J-06 EdDSA with the kid of RS256, signed EdDSA", mk(t, s.header("RS256", map[string]any{"alg": "EdDSA"}), claims, edKey))
	add("J-06 ES256 with the kid of EdDSA", mk(t, s.header("EdDSA", map[string]any{"alg": "ES256"}), claims, ecKey))
	add("J-06 PS256 with the kid of RS256", mk(t, s.header("RS256", map[string]any{"alg": "PS256"}), claims, rsaKey))

	attackerJWK := map[string]any{"kty": "RSA", "e": "AQAB", "n": b64(attacker.N.Bytes()), "alg": "RS256", "use": "sig"}
	add("J-07 a jwk in the header, without kid", mk(t, s.header("RS256", map[string]any{"jwk": attackerJWK, "kid": nil}), claims, attacker))
	add("J-07 a jwk in the header, with the genuine kid", mk(t, s.header("RS256", map[string]any{"jwk": attackerJWK}), claims, attacker))
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
		add(name+" over an empty secret", mac(s.header("RS256", map[string]any{"alg": "HS256", "kid": kid}), claims, nil))
		add(name+" signed by a stranger", mk(t, s.header("RS256", map[string]any{"kid": kid}), claims, attacker))
		add(name+" signed by the issuer", mk(t, s.header("RS256", map[string]any{"kid": kid}), claims, rsaKey))
	}
	for _, kid := range []any{1, 1.5, true, map[string]any{"a": 1}, []string{s.kids["RS256"]}, []any{}, strings.Repeat("k", 64<<10), strings.Repeat("k", 300)} {
		add(fmt.Sprintf("J-10 kid %.20v", kid), mk(t, s.header("RS256", map[string]any{"kid": kid}), claims, rsaKey))
	}
	add("J-10 kid null", mk(t, `{"alg":"RS256","kid":null,"typ":"at+jwt"}`, claims, rsaKey))

	add("J-13 an ID token", mk(t, s.header("RS256", map[string]any{"typ": "JWT"}), s.claims(map[string]any{"aud": "web"}), rsaKey))
	add("J-13 an ID token with our audience", mk(t, s.header("RS256", map[string]any{"typ": "JWT"}), claims, rsaKey))
	add("J-13 a refresh token with our audience", mk(t, s.header("RS256", map[string]any{"typ": "rt+jwt"}), claims, rsaKey))
	add("J-15 typ absent", mk(t, s.header("RS256", map[string]any{"typ": nil}), claims, rsaKey))
	for _, typ := range []any{"", "jwt", "at", "at+jwt+x", "application/jwt", "text/at+jwt", "at+jwt;v=1", " at+jwt", 1, []string{"at+jwt"}} {
		add(fmt.Sprintf("J-15 typ %v", typ), mk(t, s.header("RS256", map[string]any{"typ": typ}), claims, rsaKey))
	}

	url := s.issuer.URL
	for _, iss := range []any{url + "/", strings.Replace(url, "http:", "https:", 1), strings.ToUpper(url), strings.Replace(url, "http", "HTTP", 1), url + ".evil.test", url[:len(url)-1], " " + url, "", nil, 1, []string{url}} {
		add(fmt.Sprintf("J-18 iss %v", iss), mk(t, s.header("RS256", nil), s.claims(map[string]any{"iss": iss}), rsaKey))
	}
	other := issuertest.New(t)
	add("J-18 another issuer's real key and claims", other.Token(map[string]any{"aud": audience}))
	add("J-18 another issuer's real key, our iss", other.Token(map[string]any{"aud": audience, "iss": url}))

	for _, aud := range []any{"web", "", nil, audience + "/", strings.ToUpper(audience), []string{}, []string{"a", "b"}, []any{audience, 1}, []any{audience, nil}, []any{[]string{audience}}, map[string]any{audience: 1}, 1, true, audience + " " + "x"} {
		add(fmt.Sprintf("J-18 aud %v", aud), mk(t, s.header("RS256", nil), s.claims(map[string]any{"aud": aud}), rsaKey))
	}

	withRaw := func(name, value string) string { // a claim in raw JSON
		return mk(t, s.header("RS256", nil), strings.Replace(s.claims(map[string]any{name: "@"}), `"`+name+`":"@"`, `"`+name+`":`+value, 1), rsaKey)
	}
	for _, date := range []string{`-1`, `-1e9`, `"1999999999"`, `"never"`, `1e400`, `-1e400`, `1e9`, `1999999999E0`, `9223372036854775808`, `9223372036854775807`, `18446744073709551616`,
		`253402300800`, `99999999999999999999999999`, `NaN`, `Infinity`, `null`, `true`, `{}`, `[]`, `[1999999999]`, `0x7fffffff`, `01999999999`, `1_999_999_999`, `1999999999.`, ``} {
		for _, claim := range []string{"exp", "iat", "nbf", "auth_time"} {
			add("J-19 "+claim+" "+date, withRaw(claim, date))
		}
	}
	now := s.issuer.Now().Unix()
	add("J-19 exp missing", mk(t, s.header("RS256", nil), s.claims(map[string]any{"exp": nil}), rsaKey))
	add("J-19 iat in the future", mk(t, s.header("RS256", nil), s.claims(map[string]any{"iat": now + 61, "exp": now + 600}), rsaKey))
	add("J-19 iat after exp", mk(t, s.header("RS256", nil), s.claims(map[string]any{"iat": now + 30, "exp": now + 20}), rsaKey))
	add("J-19 nbf in the future", mk(t, s.header("RS256", nil), s.claims(map[string]any{"nbf": now + 61}), rsaKey))
	for _, required := range []string{"iss", "sub", "aud", "exp", "iat", "jti", "client_id"} {
		add("V9.2 "+required+" missing", mk(t, s.header("RS256", nil), s.claims(map[string]any{required: nil}), rsaKey))
		if required != "exp" && required != "iat" {
			add("V9.2 "+required+" empty", mk(t, s.header("RS256", nil), s.claims(map[string]any{required: ""}), rsaKey))
		}
		add("V9.2 "+required+" null", withRaw(required, "null"))
		add("V9.2 "+required+" an object", withRaw(required, `{"a":1}`))
	}
	add("a scope that is a list", withRaw("scope", `["profile"]`))
	add("a scope with two spaces", withRaw("scope", `"a  b"`))
	add("D-07 a token bound to a key (cnf)", mk(t, s.header("RS256", nil), s.claims(map[string]any{"cnf": map[string]any{"jkt": "x"}}), rsaKey))
	add("D-07 cnf null", withRaw("cnf", "null"))

	splice := func(extra string) string { return claims[:len(claims)-1] + "," + extra + "}" }
	add("J-21 sub twice", mk(t, s.header("RS256", nil), splice(`"sub":"bob"`), rsaKey))
	add("J-21 sub twice, once escaped", mk(t, s.header("RS256", nil), splice(`"\u0073ub":"bob"`), rsaKey))
	add("J-21 a nested member twice", mk(t, s.header("RS256", nil), splice(`"x":{"a":1,"a":2}`), rsaKey))
	add("J-21 alg twice in the header", mk(t, `{"alg":"RS256",`+s.header("RS256", map[string]any{"alg": "none"})[1:], claims, rsaKey))
	add("J-22 ALG beside alg", mk(t, `{"ALG":"none",`+s.header("RS256", nil)[1:], claims, rsaKey))
	add("J-22 Kid beside kid", mk(t, `{"Kid":"x",`+s.header("RS256", nil)[1:], claims, rsaKey))
	add("J-22 AUD beside another aud", mk(t, s.header("RS256", nil), strings.Replace(splice(`"AUD":"`+audience+`"`), `"aud":"`+audience+`"`, `"aud":"x"`, 1), rsaKey))
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
	add("H-19 a payload nested 17 deep", mk(t, s.header("RS256", nil), splice(`"x":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)), rsaKey))
	add("a payload with invalid UTF-8", mk(t, s.header("RS256", nil), splice("\"x\":\"\xff\""), rsaKey))

	at := s.genuine("RS256")
	part := strings.Split(at, ".")
	for name, raw := range map[string]string{
		"four segments": at + ".x", "a space behind": at + " ", "a tab before": "\t" + at, "two segments": part[0] + "." + part[1],
		"five segments": at + ".x.y", "dots": "..", "one dot": ".", "a mebibyte of dots": strings.Repeat(".", 1<<20), "a comma": at + "," + at,
		"flattened JSON": `{"payload":"` + part[1] + `","protected":"` + part[0] + `","signature":"` + part[2] + `"}`,
		"general JSON":   `{"payload":"` + part[1] + `","signatures":[{"protected":"` + part[0] + `","signature":"` + part[2] + `"}]}`,
		"a line break":   at[:40] + "\n" + at[40:], "padding": at + "==", "a NUL": at + "\x00", "quotes": `"` + at + `"`,
		"the signature of another token": part[0] + "." + part[1] + "." + strings.Split(mk(t, s.header("RS256", nil), s.claims(map[string]any{"sub": "bob"}), rsaKey), ".")[2],
		"a changed payload":              part[0] + "." + b64([]byte(s.claims(map[string]any{"sub": "root"}))) + "." + part[2],
	} {
		add("J-24 "+name, raw)
	}
	for _, size := range []int{8 << 10, 17 << 10, 64 << 10, 1 << 20} {
		add(fmt.Sprintf("J-25 %d bytes", size), part[0]+"."+strings.Repeat("A", size)+"."+part[2])
	}
	add("J-27 a JWE with endless PBES2 rounds", b64([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2s":"AAAA","p2c":2147483647}`))+".AAAA.AAAA.AAAA.AAAA")
	add("J-27 the same header on a JWS", mk(t, `{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2s":"AAAA","p2c":2147483647}`, claims, rsaKey))
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
	head, sig := eddsa[:strings.LastIndexByte(eddsa, '.')+1], signature(t, edKey, eddsa[:strings.LastIndexByte(eddsa, '.')])
	add("J-31 Ed25519 with a non-canonical S", head+b64(append(sig[:32:32], addOrder(sig[32:])...)))
	add("J-31 Ed25519 by a point of small order", head+b64(append(append([]byte{1}, make([]byte, 31)...), make([]byte, 32)...)))

	// Spaces before the token belong to the request's header, which may have several; they are not
	// part of the token.
	if _, err := s.v.Verify(t.Context(), " "+at); !errors.Is(err, verifier.ErrInvalid) {
		t.Errorf("J-24 a space before: %v", err)
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			start := time.Now()
			s.refused(t, r.raw, verifier.ErrInvalid)
			if took := time.Since(start); took > 2*time.Second { // G2
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
		s.refused(t, mk(t, s.header("EdDSA", map[string]any{"kid": fmt.Sprint(i)}), s.claims(nil), s.keys["EdDSA"]), verifier.ErrInvalid)
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

func TestJ19ExpiryIsJudgedWithinTheClockSkew(t *testing.T) {
	s := newStand(t)
	s.accepted(t, s.genuine("EdDSA")) // an expired token does not wait for the first keys
	now := s.issuer.Now().Unix()
	token := func(change map[string]any) string {
		return mk(t, s.header("EdDSA", nil), s.claims(change), s.keys["EdDSA"])
	}
	for _, exp := range []int64{now - 61, now - 60, now - 600} {
		s.refused(t, token(map[string]any{"exp": exp, "iat": now - 700}), verifier.ErrExpired)
	}
	w := serve(s.handler, request("GET", "/whoami", "Bearer "+token(map[string]any{"exp": now - 61, "iat": now - 700})))
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer error="invalid_token", error_description="The access token has expired; get a new one."` {
		t.Errorf("challenge %s", got)
	}
	for _, ok := range []map[string]any{
		{"exp": now - 59, "iat": now - 700}, {"exp": now + 1}, {"exp": 253402300799}, {"exp": float64(now) + 1.5},
		{"iat": now + 60}, {"nbf": now + 60}, {"nbf": now - 600},
	} {
		s.accepted(t, token(ok))
	}
	// Only a token that was valid once is called expired.
	s.refused(t, token(map[string]any{"exp": now - 61, "iat": now - 700, "aud": "x"}), verifier.ErrInvalid)
	s.refused(t, mk(t, s.header("RS256", nil), s.claims(map[string]any{"exp": now - 61, "iat": now - 700}), rsaKeys()[1]), verifier.ErrInvalid)

	strict := newStand(t, func(c *verifier.Config) { c.ClockSkew = -1 })
	strict.accepted(t, strict.genuine("EdDSA"))
	strict.refused(t, mk(t, strict.header("EdDSA", nil), strict.claims(map[string]any{"exp": strict.issuer.Now().Unix(), "iat": now - 700}), strict.keys["EdDSA"]), verifier.ErrExpired)
}

func TestJ24J25RefusingCostsNoMemory(t *testing.T) {
	s := newStand(t)
	s.accepted(t, s.genuine(verifier.RS256))
	requests := make([]*http.Request, 100)
	for i := range requests {
		requests[i] = request("GET", "/whoami", "Bearer "+strings.Repeat([]string{".", "A", "A.A."}[i%3], []int{8 << 10, 64 << 10, 1 << 18}[i/3%3]))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var wait sync.WaitGroup
	for _, r := range requests {
		wait.Go(func() { rs401(t, serve(s.handler, r)) })
	}
	wait.Wait()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 10<<20 {
		t.Errorf("100 refusals allocated %d bytes", grown)
	}
}

func TestJ25OversizedHeadersOverTheWire(t *testing.T) {
	s := newStand(t)
	server := httptest.NewServer(s.handler)
	defer server.Close()
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			r, err := http.NewRequest("GET", server.URL+"/whoami", nil)
			if err != nil {
				t.Error(err)
				return
			}
			r.Header.Set("Authorization", "Bearer "+strings.Repeat("A", []int{8 << 10, 64 << 10, 1 << 20, 2 << 20}[i%4]))
			resp, err := server.Client().Do(r)
			if err != nil { // the server may close a connection whose header it does not read to the end
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	wait.Wait()
	s.accepted(t, s.genuine(verifier.RS256))
}

func TestJ30AKeySetWithBadKeysStillServesTheGoodOne(t *testing.T) {
	_, attacker, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ec := func(x, y []byte) string {
		return fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"bad","x":%q,"y":%q}`, b64(x), b64(y))
	}
	rsaJWK := func(n *big.Int, e, kid string) string {
		return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":%q}`, kid, b64(n.Bytes()), e)
	}
	attackerJWK := func(kid, more string) string {
		return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q%s}`, kid, b64(attacker.Public().(ed25519.PublicKey)), more)
	}
	for name, bad := range map[string]string{
		"an oct key":             `{"kty":"oct","kid":"bad","k":"c2VjcmV0","alg":"HS256"}`,
		"a private d":            attackerJWK("bad", `,"d":"AAAA"`),
		"RSA 1024":               rsaJWK(weak.N, "AQAB", "bad"),
		"RSA 512":                rsaJWK(new(big.Int).Rsh(weak.N, 512), "AQAB", "bad"),
		"e=1":                    rsaJWK(rsaKeys()[1].N, "AQ", "bad"),
		"an off-curve EC point":  ec(make([]byte, 32), append([]byte{1}, make([]byte, 31)...)),
		"a wrong-length OKP x":   `{"kty":"OKP","crv":"Ed25519","kid":"bad","x":"AAAA"}`,
		"J-31 a small-order key": `{"kty":"OKP","crv":"Ed25519","kid":"bad","x":"` + b64(append([]byte{1}, make([]byte, 31)...)) + `"}`,
		"use enc":                attackerJWK("bad", `,"use":"enc"`),
		"no kid":                 `{"kty":"OKP","crv":"Ed25519","x":"` + b64(attacker.Public().(ed25519.PublicKey)) + `"}`,
		"a key that is no key":   `"bad"`,
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			var mu sync.Mutex
			s := newStand(t, func(c *verifier.Config) { c.Logger = logTo(&mu, &log) })
			body := strings.Replace(string(s.issuer.JWKS()), `{"keys":[`, `{"keys":[`+bad+`,`, 1)
			s.issuer.Break(keySetHandler(s, body))
			s.accepted(t, s.genuine(verifier.RS256))
			s.refused(t, mk(t, s.header("EdDSA", map[string]any{"kid": "bad"}), s.claims(nil), attacker), verifier.ErrInvalid)
			s.refused(t, mk(t, s.header("EdDSA", map[string]any{"kid": nil}), s.claims(nil), attacker), verifier.ErrInvalid)
			mu.Lock()
			defer mu.Unlock()
			if !strings.Contains(log.String(), "skipped") {
				t.Errorf("no log line: %s", log.String())
			}
		})
	}
	t.Run("a kid twice", func(t *testing.T) {
		s := newStand(t)
		for _, order := range []string{`{"keys":[%s,`, ""} {
			twin := attackerJWK(s.kids["EdDSA"], "")
			body := strings.TrimSuffix(string(s.issuer.JWKS()), "]}") + "," + twin + "]}"
			if order != "" {
				body = strings.Replace(string(s.issuer.JWKS()), `{"keys":[`, fmt.Sprintf(order, twin), 1)
			}
			s.issuer.Break(keySetHandler(s, body))
			s.issuer.Advance(10 * time.Minute)
			s.accepted(t, s.genuine(verifier.EdDSA))
		}
	})
	for name, body := range map[string]string{
		"10,000 keys":   `{"keys":[` + strings.TrimSuffix(strings.Repeat(rsaJWK(rsaKeys()[1].N, "AQAB", "k")+",", 10_000), ",") + `]}`,
		"a 50 MiB body": `{"keys":[],"x":"` + strings.Repeat("A", 50<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.accepted(t, s.genuine(verifier.RS256))
			s.issuer.Break(keySetHandler(s, body))
			s.issuer.Advance(10 * time.Minute)
			s.accepted(t, s.genuine(verifier.RS256)) // known keys stay valid
			if _, err := newVerifier(t, s.issuer.Config(audience)).Verify(t.Context(), s.genuine(verifier.RS256)); !isUnavailable(err) {
				t.Errorf("without known keys: %v", err)
			}
		})
	}
	t.Run("a slow body", func(t *testing.T) {
		s := newStand(t, func(c *verifier.Config) { c.FetchTimeout = 50 * time.Millisecond })
		s.accepted(t, s.genuine(verifier.RS256))
		s.issuer.Break(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
		}))
		s.issuer.Advance(10 * time.Minute)
		start := time.Now()
		s.accepted(t, s.genuine(verifier.RS256))
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestJ33AWithdrawnKeyIsNeverBroughtBackByAnOlderCopy(t *testing.T) {
	s := newStand(t)
	kid, raw := s.kids["ES256"], func() string { return s.genuine(verifier.ES256) }
	s.accepted(t, raw())
	older, olderDate := s.issuer.JWKS(), s.issuer.Now()
	s.issuer.Advance(time.Minute)
	s.issuer.Revoke(kid)
	s.accepted(t, raw()) // the key set is fresh, so the verifier cannot know yet
	s.issuer.Advance(5 * time.Minute)
	s.refused(t, raw(), verifier.ErrInvalid) // max-age is over: no more tokens are accepted
	s.accepted(t, s.genuine(verifier.RS256))

	for name, h := range map[string]http.Handler{
		"an older copy from a cache": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", olderDate.UTC().Format(http.TimeFormat))
			w.Header().Set("Cache-Control", "max-age=300")
			_, _ = w.Write(older)
		}),
		"an outage": status(http.StatusServiceUnavailable),
		"garbage":   keySetHandler(s, "<html>"),
	} {
		s.issuer.Break(h)
		for range 30 {
			s.issuer.Advance(time.Minute)
			s.refused(t, raw(), verifier.ErrInvalid)
			s.accepted(t, s.genuine(verifier.RS256))
			awaitFetch()
		}
		if t.Failed() {
			t.Fatal(name)
		}
	}
	s.issuer.Break(nil)
	s.issuer.Advance(time.Minute)
	s.issuer.AddKey(s.keys["ES256"], verifier.ES256)
	s.issuer.Advance(time.Minute)
	s.accepted(t, raw()) // a later answer lists it: it is published again
}

func TestJ34HowATokenIsPresented(t *testing.T) {
	s := newStand(t)
	at := s.genuine(verifier.EdDSA)
	form := func(method, body string, authorization ...string) *http.Request {
		r := httptest.NewRequest(method, "/whoami", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		if len(authorization) > 0 {
			r.Header["Authorization"] = authorization
		}
		return r
	}
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		code    string // of the problem; empty: the request passes
	}{
		{"Bearer", request("GET", "/whoami", "Bearer "+at), 200, ""},
		{"bearer", request("GET", "/whoami", "bearer "+at), 200, ""},
		{"BEARER", request("GET", "/whoami", "BEARER "+at), 200, ""},
		{"two headers", request("GET", "/whoami", "Bearer "+at, "Bearer "+at), 400, "invalid_request"},
		{"two headers, one of another scheme", request("GET", "/whoami", "Basic eDp5", "Bearer "+at), 400, "invalid_request"},
		{"no header", request("GET", "/whoami"), 401, "missing_token"},
		{"an empty header", request("GET", "/whoami", ""), 401, "missing_token"},
		{"the scheme alone", request("GET", "/whoami", "Bearer"), 401, "missing_token"},
		{"the scheme and a space", request("GET", "/whoami", "Bearer "), 401, "missing_token"},
		{"another scheme", request("GET", "/whoami", "Basic "+at), 401, "missing_token"},
		{"DPoP", request("GET", "/whoami", "DPoP "+at), 401, "missing_token"},
		{"no scheme", request("GET", "/whoami", at), 401, "missing_token"},
		{"a tab", request("GET", "/whoami", "Bearer\t"+at), 401, "missing_token"},
		{"two spaces", request("GET", "/whoami", "Bearer  "+at), 200, ""},
		{"five spaces", request("GET", "/whoami", "bearer     "+at), 200, ""},
		{"a space and a tab", request("GET", "/whoami", "Bearer \t"+at), 401, "token_invalid"},
		{"nothing but spaces", request("GET", "/whoami", "Bearer   "), 401, "missing_token"},
		{"two tokens in a header", request("GET", "/whoami", "Bearer "+at+", Bearer "+at), 401, "token_invalid"},
		{"the query", request("GET", "/whoami?access_token="+at), 401, "missing_token"},
		{"the query beside the header", request("GET", "/whoami?access_token=x", "Bearer "+at), 200, ""},
		{"the form of a GET", form("GET", "access_token="+at), 401, "missing_token"},
		{"the form of a POST", form("POST", "access_token="+at), 401, "missing_token"},
		{"the form beside the header", form("POST", "a=1&access_token="+at, "Bearer "+at), 400, "invalid_request"},
		{"the form beside the header, escaped", form("POST", "acc%65ss_token=x", "Bearer "+at), 400, "invalid_request"},
		{"the form beside the header of a PUT", form("PUT", "access_token", "Bearer "+at), 400, "invalid_request"},
		{"the form beside a bad token", form("POST", "access_token="+at, "Bearer x"), 401, "token_invalid"},
		{"a form without a token", form("POST", "a=1&xaccess_token=2", "Bearer "+at), 200, ""},
		{"another body that looks like one", httptestBody("POST", "text/plain", "access_token="+at, at), 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.called
			w := serve(s.handler, c.request)
			if w.Code != c.status || (s.called > before) != (c.code == "") {
				t.Fatalf("%d %s, handler called %d times", w.Code, w.Body, s.called-before)
			}
			if c.code == "" {
				return
			}
			if got := problemCode(t, w); got != c.code {
				t.Errorf("code %q", got)
			}
			want := map[string]string{"invalid_request": `Bearer error="invalid_request"`, "missing_token": `Bearer realm="` + audience + `"`, "token_invalid": `Bearer error="invalid_token"`}[c.code]
			if got := w.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, want) {
				t.Errorf("challenge %s", got)
			}
		})
	}
	// The handler reads the whole body, even the part that the middleware has read.
	long := "a=" + strings.Repeat("b", 200<<10)
	if w := serve(s.handler, form("POST", long, "Bearer "+at)); w.Code != 200 || w.Body.String() != "alice"+long {
		t.Errorf("%d, %d bytes", w.Code, w.Body.Len())
	}
}

func httptestBody(method, contentType, body, at string) *http.Request {
	r := httptest.NewRequest(method, "/whoami", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "Bearer "+at)
	return r
}

func TestJ36ThereIsNoTokenBesideAnError(t *testing.T) {
	s := newStand(t)
	at := s.genuine(verifier.RS256)
	now := s.issuer.Now().Unix()
	for _, raw := range []string{
		"", "..", at + "A", at[:len(at)-4] + "AAAA",
		mk(t, s.header("RS256", nil), s.claims(map[string]any{"exp": now - 100, "iat": now - 200}), s.keys["RS256"]),
		mk(t, s.header("RS256", nil), s.claims(map[string]any{"aud": "x"}), s.keys["RS256"]),
		mk(t, s.header("RS256", map[string]any{"kid": "x"}), s.claims(nil), s.keys["RS256"]),
	} {
		if token, err := s.v.Verify(t.Context(), raw); token != nil || err == nil {
			t.Errorf("%.20q: %v, %v", raw, token, err)
		}
		if token, err := s.v.Authenticate(request("GET", "/", "Bearer "+raw)); token != nil || err == nil {
			t.Errorf("%.20q: %v, %v", raw, token, err)
		}
	}
	s.issuer.Break(status(500))
	if token, err := newVerifier(t, s.issuer.Config(audience)).Verify(t.Context(), at); token != nil || !isUnavailable(err) {
		t.Errorf("%v, %v", token, err)
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

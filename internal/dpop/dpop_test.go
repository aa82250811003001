package dpop_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/dpop"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/internal/jose"
)

const uri = "https://issuer.example/oauth2/token"

var now = time.Date(2026, 11, 27, 5, 0, 0, 0, time.UTC)

func expected() dpop.Expected { return dpop.Expected{Method: "POST", URI: uri, Now: now} }

// keys are a key for each algorithm.
func keys(t testing.TB) map[string]dpoptest.Key {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]dpoptest.Key{
		jose.ES256: dpoptest.NewKey(t),
		jose.RS256: dpoptest.KeyOf(t, jose.RS256, private),
		jose.PS256: dpoptest.KeyOf(t, jose.PS256, private),
		jose.EdDSA: dpoptest.KeyOf(t, jose.EdDSA, ed), jose.Ed25519: dpoptest.KeyOf(t, jose.Ed25519, ed),
	}
}

func TestAProofOfEachAlgorithm(t *testing.T) {
	all := keys(t)
	for _, alg := range dpop.Algorithms {
		key, ok := all[alg]
		if !ok {
			t.Fatalf("%s is listed and has no test", alg)
		}
		claims := dpoptest.For("POST", uri, now)
		proof, err := dpop.Check(key.Proof(t, claims), expected())
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		if proof.Thumbprint != key.Thumbprint || proof.ID != claims["jti"] || !proof.IssuedAt.Equal(now) {
			t.Errorf("%s: %+v", alg, proof)
		}
		if !proof.Until().Equal(now.Add(dpop.MaxAge)) {
			t.Errorf("%s counts until %v", alg, proof.Until())
		}
	}
}

// D-01: the rows of RFC 9449 section 4.3, one by one.
func TestD01WrongProofs(t *testing.T) {
	key, other := dpoptest.NewKey(t), dpoptest.NewKey(t)
	rest := keys(t)
	good := dpoptest.For("POST", uri, now)
	header := key.Header(t)
	with := func(name string, value any) string { return key.Proof(t, dpoptest.With(good, name, value)) }
	headed := func(name string, value any) string { return key.Sign(t, dpoptest.With(header, name, value), good) }
	raw := func(k dpoptest.Key) dpoptest.Claims { return k.JWK(t) }
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // too small on purpose
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sound := key.Proof(t, good)
	parts := strings.Split(sound, ".")
	secret := []byte("a secret that both know, of 32 by")
	hs := func() string {
		signed := segment(t, dpoptest.Claims{"typ": "dpop+jwt", "alg": "HS256", "jwk": dpoptest.Claims{"kty": "oct",
			"k": base64.RawURLEncoding.EncodeToString(secret)}}) + "." + segment(t, good)
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
	rows := map[string]string{
		"no text":        "",
		"no token":       "x",
		"two segments":   parts[0] + "." + parts[1],
		"no signature":   parts[0] + "." + parts[1] + ".",
		"a space before": " " + sound, "two in one header": sound + ", " + sound, "padding": sound + "=",
		"longer than 8 KiB":      with("x", strings.Repeat("x", 9<<10)),
		"no typ":                 headed("typ", nil),
		"another typ":            headed("typ", "JWT"),
		"an access token's typ":  headed("typ", "at+jwt"),
		"a typ that is a number": headed("typ", 1),
		"alg none":               segment(t, dpoptest.With(header, "alg", "none")) + "." + parts[1] + ".",
		"alg none with a signature": segment(t, dpoptest.With(header, "alg", "none")) + "." + parts[1] + "." +
			parts[2],
		"alg HS256 with an oct key": hs(), "alg HS256 with the public key": headed("alg", "HS256"),
		"alg of another key type": headed("alg", "RS256"),
		"alg ES384":               dpoptest.Key{Algorithm: "ES384", Private: p384}.Proof(t, good),
		"no alg":                  headed("alg", nil),
		"no jwk":                  headed("jwk", nil),
		"jwk null":                headed("jwk", json.RawMessage("null")),
		"jwk a text":              headed("jwk", "x"),
		"jwk with d":              headed("jwk", key.PrivateJWK(t)),
		"jwk with k":              headed("jwk", dpoptest.With(raw(key), "k", "AA")),
		"jwk with an empty d":     headed("jwk", dpoptest.With(raw(key), "d", "")),
		"jwk of an RSA private key": rest[jose.RS256].Sign(t, dpoptest.With(rest[jose.RS256].Header(t), "jwk",
			rest[jose.RS256].PrivateJWK(t)), good),
		"jwk of another key":       headed("jwk", raw(other)),
		"jwk for encryption":       headed("jwk", dpoptest.With(raw(key), "use", "enc")),
		"jwk that may not verify":  headed("jwk", dpoptest.With(raw(key), "key_ops", []string{"sign"})),
		"jwk with another alg":     headed("jwk", dpoptest.With(raw(key), "alg", "ES384")),
		"an RSA key of 1,024 bits": dpoptest.KeyOf(t, jose.RS256, small).Proof(t, good),
		"a point off the curve":    headed("jwk", dpoptest.With(raw(key), "x", base64.RawURLEncoding.EncodeToString(make([]byte, 32)))),
		"PS256 by a key for RS256": rest[jose.PS256].Sign(t,
			dpoptest.With(rest[jose.PS256].Header(t), "jwk", dpoptest.With(raw(rest[jose.PS256]), "alg", "RS256")), good),
		"RS256 under the name PS256": rest[jose.RS256].Sign(t, dpoptest.With(dpoptest.With(rest[jose.RS256].Header(t), "alg", "PS256"), "jwk",
			dpoptest.With(raw(rest[jose.RS256]), "alg", "RS256")), good),
		"crit":                       headed("crit", []string{"exp"}),
		"jku":                        headed("jku", "https://evil.example/jwks"),
		"x5c":                        headed("x5c", []string{"AA"}),
		"a member of the head twice": doubled(t, key, header, good),
		"a claim twice":              key.Sign(t, header, `{"jti":"a","jti":"b","htm":"POST","htu":"`+uri+`","iat":1}`),
		"a claim in capitals":        with("JTI", "x"),
		"no object":                  key.Sign(t, header, `[]`),
		"no JSON":                    key.Sign(t, header, `{`),
		"null":                       key.Sign(t, header, `null`),
		"another signature":          parts[0] + "." + parts[1] + "." + strings.Split(other.Proof(t, good), ".")[2],
		"another payload":            parts[0] + "." + segment(t, dpoptest.With(good, "jti", "x")) + "." + parts[2],
		"no jti":                     with("jti", nil),
		"an empty jti":               with("jti", ""),
		"a jti that is a number":     with("jti", 1),
		"a jti of 257 bytes":         with("jti", strings.Repeat("j", 257)),
		"no htm":                     with("htm", nil),
		"another htm":                with("htm", "GET"),
		"htm in small letters":       with("htm", "post"),
		"no htu":                     with("htu", nil), "another host": with("htu", "https://evil.example/oauth2/token"),
		"another path":        with("htu", "https://issuer.example/oauth2/par"),
		"another scheme":      with("htu", "http://issuer.example/oauth2/token"),
		"another port":        with("htu", "https://issuer.example:8443/oauth2/token"),
		"a path in capitals":  with("htu", "https://issuer.example/OAuth2/token"),
		"a slash more":        with("htu", uri+"/"),
		"an escaped slash":    with("htu", "https://issuer.example/oauth2%2Ftoken"),
		"a relative htu":      with("htu", "/oauth2/token"),
		"a user name":         with("htu", "https://issuer.example@evil.example/oauth2/token"),
		"a user name of ours": with("htu", "https://user@issuer.example/oauth2/token"),
		"a broken htu":        with("htu", "https://issuer.example/%zz"),
		"a long htu":          with("htu", uri+"?"+strings.Repeat("x", 3<<10)),
		"no iat":              with("iat", nil), "an iat that is a text": with("iat", "1"), "an iat below zero": with("iat", -1),
		"an iat without end":  with("iat", 1e300),
		"an exp that is over": with("exp", now.Unix()-90),
		"an nbf ahead":        with("nbf", now.Unix()+90),
		"an nbf without end":  with("nbf", 1e30),
		"an nbf before 1970":  with("nbf", -1),
		"an exp without end":  with("exp", 1e30),
	}
	for name, proof := range rows {
		if got, err := dpop.Check(proof, expected()); err == nil || errors.Is(err, dpop.ErrNonce) {
			t.Errorf("%s: %+v, %v", name, got, err)
		} else if got != (dpop.Proof{}) {
			t.Errorf("%s: %+v beside an error", name, got)
		}
	}
	for name, proof := range map[string]string{
		"as it is": sound, "typ in capitals": headed("typ", "DPOP+JWT"),
		"typ with application/":           headed("typ", "application/dpop+jwt"),
		"a jti of 256 bytes":              with("jti", strings.Repeat("j", 256)),
		"an unknown claim":                with("x", dpoptest.Claims{"y": 1}),
		"an unknown member of the header": headed("x", 1), "a kid": headed("kid", "k"),
		"jwk with kid, use, alg and key_ops": headed("jwk", dpoptest.With(dpoptest.With(dpoptest.With(raw(key), "kid", "k"), "alg", "ES256"),
			"key_ops", []string{"verify"})),
		"an iat with a fraction":       with("iat", float64(now.Unix())+0.5),
		"an exp that is ahead":         with("exp", now.Unix()+60),
		"an ath that nobody asked for": with("ath", "x"), "a nonce that nobody asked for": with("nonce", "x"),
	} {
		if _, err := dpop.Check(proof, expected()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func segment(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// doubled signs a header that has typ twice.
func doubled(t *testing.T, key dpoptest.Key, header, claims dpoptest.Claims) string {
	t.Helper()
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	return signRaw(t, key, `{"typ":"JWT",`+string(text[1:]), claims)
}

func signRaw(t *testing.T, key dpoptest.Key, header string, claims dpoptest.Claims) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + segment(t, claims)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key.Private.(*ecdsa.PrivateKey), sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// D-03: ten seconds either way are accepted; five minutes before and two minutes ahead are not.
func TestD03TheWindowOfIat(t *testing.T) {
	key := dpoptest.NewKey(t)
	for _, row := range []struct {
		offset time.Duration
		ok     bool
	}{
		{0, true}, {-10 * time.Second, true}, {10 * time.Second, true},
		{-dpop.MaxAge + time.Second, true}, {-dpop.MaxAge, false}, {dpop.MaxAhead, true}, {dpop.MaxAhead + time.Second, false},
		{-300 * time.Second, false}, {120 * time.Second, false}, {-time.Hour, false}, {time.Hour, false},
	} {
		_, err := dpop.Check(key.Proof(t, dpoptest.For("POST", uri, now.Add(row.offset))), expected())
		if (err == nil) != row.ok {
			t.Errorf("iat at %v: %v", row.offset, err)
		}
	}
}

// D-07: ath names the token, and nothing else.
func TestD07TheHashOfTheAccessToken(t *testing.T) {
	key := dpoptest.NewKey(t)
	claims := dpoptest.For("POST", uri, now)
	e := expected()
	e.AccessToken = "the token"
	for name, row := range map[string]struct {
		claims dpoptest.Claims
		ok     bool
	}{
		"its own": {dpoptest.WithToken(claims, "the token"), true}, "none": {claims, false},
		"of another token": {dpoptest.WithToken(claims, "another"), false},
		"empty":            {dpoptest.With(claims, "ath", ""), false},
		"the token itself": {dpoptest.With(claims, "ath", "the token"), false},
	} {
		if _, err := dpop.Check(key.Proof(t, row.claims), e); (err == nil) != row.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// D-06: a nonce is asked for only where everything else is right, so that the answer is about the nonce.
func TestD06Nonces(t *testing.T) {
	key := dpoptest.NewKey(t)
	claims := dpoptest.For("POST", uri, now)
	e := expected()
	e.Nonce = func(nonce string) bool { return nonce == "n" }
	if _, err := dpop.Check(key.Proof(t, dpoptest.With(claims, "nonce", "n")), e); err != nil {
		t.Error(err)
	}
	for _, nonce := range []any{nil, "", "N", "another"} {
		if _, err := dpop.Check(key.Proof(t, dpoptest.With(claims, "nonce", nonce)), e); !errors.Is(err, dpop.ErrNonce) {
			t.Errorf("%v: %v", nonce, err)
		}
	}
	if _, err := dpop.Check(key.Proof(t, dpoptest.With(claims, "htm", "GET")), e); err == nil || errors.Is(err, dpop.ErrNonce) {
		t.Errorf("a proof for another request: %v", err)
	}
}

func TestOneHeader(t *testing.T) {
	for _, row := range []struct {
		values []string
		proof  string
		ok     bool
	}{{nil, "", true}, {[]string{"a"}, "a", true}, {[]string{"a", "a"}, "", false}, {[]string{""}, "", false}} {
		if proof, err := dpop.One(row.values); proof != row.proof || (err == nil) != row.ok {
			t.Errorf("%q: %q, %v", row.values, proof, err)
		}
	}
}

// TestKeysOfProofs: what is remembered of a proof differs wherever key or jti do.
func TestKeysOfProofs(t *testing.T) {
	var seen [][32]byte
	for _, p := range []dpop.Proof{
		{Thumbprint: "a", ID: "b"}, {Thumbprint: "a", ID: "c"}, {Thumbprint: "d", ID: "b"},
	} {
		if slices.Contains(seen, p.Key()) {
			t.Errorf("%+v is known already", p)
		}
		seen = append(seen, p.Key())
		p.IssuedAt = now
		if !slices.Contains(seen, p.Key()) {
			t.Errorf("%+v has another key at another time", p)
		}
	}
}

// FuzzCheck: no text makes Check panic, and what it accepts is a proof that was signed here.
func FuzzCheck(f *testing.F) {
	key := dpoptest.NewKey(f)
	good := key.Proof(f, dpoptest.For("POST", uri, now))
	for _, seed := range []string{good, "", "a.b.c", strings.Replace(good, ".", "..", 1), good + good, strings.ToUpper(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, proof string) {
		got, err := dpop.Check(proof, expected())
		if err != nil && got != (dpop.Proof{}) || err == nil && (got.Thumbprint == "" || got.ID == "") {
			t.Errorf("%q: %+v, %v", proof, got, err)
		}
	})
}

// BenchmarkCheck compares the check of a proof with its bare signature check.
func BenchmarkCheck(b *testing.B) {
	for alg, key := range keys(b) {
		proof := key.Proof(b, dpoptest.WithToken(dpoptest.For("POST", uri, now), "the token"))
		e := expected()
		e.AccessToken = "the token"
		b.Run(alg, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := dpop.Check(proof, e); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

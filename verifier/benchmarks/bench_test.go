package benchmarks

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// issuerKey is a fresh key of the issuer.
func issuerKey(tb testing.TB, alg string) (crypto.Signer, published) {
	tb.Helper()
	var key crypto.Signer
	var err error
	if alg == "RS256" {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key, published{alg: alg, kid: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", public: key.Public()}
}

// token is an access token as Signet makes them for a user, with changes; nil removes a claim.
func token(tb testing.TB, key crypto.Signer, p published, typ string, change map[string]any) string {
	tb.Helper()
	now := time.Now().Unix()
	claims := jwt.MapClaims{
		"iss": issuer, "sub": "248289761001", "aud": []string{audience}, "exp": now + 3600, "iat": now - 5,
		"jti": "5b1rEWqRRkJeLT8nAx9Zbg", "client_id": "signet", "scope": "openid profile email", "sid": "qU8oS0aRQb2sZ0o3kqk1xA",
		"auth_time": now - 10, "acr": "1", "amr": []string{"pwd"}, "roles": []string{"admin"},
	}
	for name, value := range change {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	t := jwt.NewWithClaims(jwt.GetSigningMethod(p.alg), claims)
	t.Header["kid"], t.Header["typ"] = p.kid, typ
	raw, err := t.SignedString(key)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// The comparison is fair only if each contender refuses what the others refuse.
func TestContendersMakeTheSameChecks(t *testing.T) {
	for _, alg := range []string{"RS256", "EdDSA"} {
		key, p := issuerKey(t, alg)
		other, _ := issuerKey(t, alg)
		now := time.Now().Unix()
		unknown := p
		unknown.kid = "x"
		bad := map[string]string{
			"another key":      token(t, other, p, "at+jwt", nil),
			"an unknown kid":   token(t, key, unknown, "at+jwt", nil),
			"an ID token":      token(t, key, p, "JWT", nil),
			"another issuer":   token(t, key, p, "at+jwt", map[string]any{"iss": "https://evil.example.com"}),
			"another audience": token(t, key, p, "at+jwt", map[string]any{"aud": "https://other.example.com"}),
			"expired":          token(t, key, p, "at+jwt", map[string]any{"exp": now - 100, "iat": now - 200}),
			"not yet valid":    token(t, key, p, "at+jwt", map[string]any{"nbf": now + 100}),
			"of the future":    token(t, key, p, "at+jwt", map[string]any{"iat": now + 100}),
		}
		for _, claim := range []string{"exp", "iat", "sub", "jti", "client_id", "iss", "aud"} {
			bad["without "+claim] = token(t, key, p, "at+jwt", map[string]any{claim: nil})
		}
		for _, c := range append(contenders(t, p), signet(t, p, 10)) {
			for range 2 {
				if err := c.verify(token(t, key, p, "at+jwt", nil)); err != nil {
					t.Errorf("%s, %s: %v", alg, c.name, err)
				}
			}
			for name, raw := range bad {
				if c.verify(raw) == nil {
					t.Errorf("%s, %s: a token is accepted: %s", alg, c.name, name)
				}
			}
		}
	}
}

// BenchmarkVerify lets all contenders verify the same token in turns, so that other load on the
// machine slows all of them, and compares the medians. x-fastest is the throughput of Signet's
// verifier relative to the fastest of the others: at least 0.9 is wanted. repeated-ns is the same
// token once more, with Config.CacheSize: less than 2000 is wanted.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []string{"RS256", "EdDSA"} {
		b.Run(alg, func(b *testing.B) {
			key, p := issuerKey(b, alg)
			raw := token(b, key, p, "at+jwt", nil)
			all := append(contenders(b, p), signet(b, p, 1000))
			times := map[string][]time.Duration{}
			for b.Loop() {
				for _, c := range all {
					start := time.Now()
					err := c.verify(raw)
					took := time.Since(start)
					if err != nil {
						b.Fatal(c.name, err)
					}
					times[c.name] = append(times[c.name], took)
				}
			}
			fastest := 0.0
			for _, name := range slices.Sorted(maps.Keys(times)) {
				m := median(times[name])
				b.ReportMetric(m, name+"-ns")
				if !strings.HasPrefix(name, "signet") && (fastest == 0 || m < fastest) {
					fastest = m
				}
			}
			b.ReportMetric(fastest/median(times["signet"]), "x-fastest")
			b.ReportMetric(0, "ns/op") // of all together, which says nothing
		})
	}
}

// Benchmark each contender alone, for allocations and for profiles.
func BenchmarkAlone(b *testing.B) {
	for _, alg := range []string{"RS256", "EdDSA"} {
		key, p := issuerKey(b, alg)
		raw := token(b, key, p, "at+jwt", nil)
		for _, c := range append(contenders(b, p), signet(b, p, 1000)) {
			b.Run(alg+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := c.verify(raw); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func median(times []time.Duration) float64 {
	slices.Sort(times)
	return float64(times[len(times)/2].Nanoseconds())
}

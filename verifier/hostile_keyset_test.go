package verifier_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
)

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
		return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q%s}`, kid,
			b64(attacker.Public().(ed25519.PublicKey)), more)
	}
	for name, bad := range map[string]string{
		"an oct key":            `{"kty":"oct","kid":"bad","k":"c2VjcmV0","alg":"HS256"}`,
		"a private d":           attackerJWK("bad", `,"d":"AAAA"`),
		"RSA 1024":              rsaJWK(weak.N, "AQAB", "bad"),
		"RSA 512":               rsaJWK(new(big.Int).Rsh(weak.N, 512), "AQAB", "bad"),
		"e=1":                   rsaJWK(rsaKeys()[1].N, "AQ", "bad"),
		"an off-curve EC point": ec(make([]byte, 32), append([]byte{1}, make([]byte, 31)...)),
		"a wrong-length OKP x":  `{"kty":"OKP","crv":"Ed25519","kid":"bad","x":"AAAA"}`,
		"J-31 a small-order key": `{"kty":"OKP","crv":"Ed25519","kid":"bad","x":"` +
			b64(append([]byte{1}, make([]byte, 31)...)) + `"}`,
		"use enc": attackerJWK("bad", `,"use":"enc"`),
		"no kid": `{"kty":"OKP","crv":"Ed25519","x":"` +
			b64(attacker.Public().(ed25519.PublicKey)) + `"}`,
		"a key that is no key": `"bad"`,
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			var mu sync.Mutex
			s := newStand(t, func(c *verifier.Config) { c.Logger = logTo(&mu, &log) })
			body := strings.Replace(string(s.issuer.JWKS()), `{"keys":[`, `{"keys":[`+bad+`,`, 1)
			s.issuer.Break(keySetHandler(s, body))
			s.accepted(t, s.genuine(verifier.RS256))
			s.refused(t, mk(t, s.header("EdDSA", map[string]any{"kid": "bad"}), s.claims(nil), attacker),
				verifier.ErrInvalid)
			s.refused(t, mk(t, s.header("EdDSA", map[string]any{"kid": nil}), s.claims(nil), attacker),
				verifier.ErrInvalid)
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
		"10,000 keys": `{"keys":[` +
			strings.TrimSuffix(strings.Repeat(rsaJWK(rsaKeys()[1].N, "AQAB", "k")+",", 10_000), ",") + `]}`,
		"a 50 MiB body": `{"keys":[],"x":"` + strings.Repeat("A", 50<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.accepted(t, s.genuine(verifier.RS256))
			s.issuer.Break(keySetHandler(s, body))
			s.issuer.Advance(10 * time.Minute)
			s.accepted(t, s.genuine(verifier.RS256)) // known keys stay valid
			if _, err := newVerifier(t, s.issuer.Config(audience)).Verify(
				t.Context(), s.genuine(verifier.RS256),
			); !isUnavailable(err) {
				t.Errorf("without known keys: %v", err)
			}
		})
	}
	t.Run("a slow body", func(t *testing.T) {
		s := newStand(t, func(c *verifier.Config) { c.FetchTimeout = 2 * time.Second })
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
		if took := time.Since(start); took > 30*time.Second {
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
			verifier.AwaitFetch(s.v)
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

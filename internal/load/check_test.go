package load

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys"
)

// token signs claims with a key of k, under a header.
func (k Keys) token(t *testing.T, header, claims map[string]any) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := part(header) + "." + part(claims)
	digest := sha256.Sum256([]byte(input))
	signature, err := k.RS256.Sign(rand.Reader, digest[:], crypto.SHA256)
	if header["alg"] == eddsa {
		signature, err = k.EdDSA.Sign(rand.Reader, []byte(input), crypto.Hash(0))
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func keysOf(t *testing.T) Keys {
	t.Helper()
	k, err := newKeys()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestOnlyTokensOfThisRunCount(t *testing.T) {
	ours, others := keysOf(t), keysOf(t)
	later := time.Now().Add(time.Hour).Unix()
	good := map[string]any{"iss": issuerURL, "exp": later}
	for _, alg := range []string{rs256, eddsa} {
		header, other := map[string]any{"alg": alg}, map[string]any{"alg": map[string]string{rs256: eddsa, eddsa: rs256}[alg]}
		right := ours.token(t, header, good)
		if err := ours.verify(alg, right); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		for name, token := range map[string]string{
			"another key":       others.token(t, header, good),
			"another algorithm": ours.token(t, other, good),
			"a false header":    ours.token(t, map[string]any{"alg": "ES256"}, good), // signed with RS256
			"another issuer":    ours.token(t, header, map[string]any{"iss": "https://other.example.com", "exp": later}),
			"expired":           ours.token(t, header, map[string]any{"iss": issuerURL, "exp": 1}),
			"no signature":      right[:len(right)-40],
			"opaque":            "iIV0pmEgrpkrvcw2zvESo4ZCnYEfPP2KyceP7xTHLDC",
		} {
			if ours.verify(alg, token) == nil {
				t.Errorf("%s, %s: it counts", alg, name)
			}
			accept := ours.accessToken(alg)
			body := fmt.Appendf(nil, `{"access_token":%q}`, token)
			if accept(body, true) == nil || accept(body, false) != nil {
				t.Errorf("%s, %s: a sample of answers finds it, and nothing else looks", alg, name)
			}
		}
	}
	if ours.accessToken(rs256)([]byte(`{"token_type":"Bearer"}`), false) == nil {
		t.Error("an answer without a token counts")
	}
}

func TestRefreshesRotate(t *testing.T) {
	k := keysOf(t)
	access := k.token(t, map[string]any{"alg": eddsa}, map[string]any{"iss": issuerURL, "exp": time.Now().Add(time.Hour).Unix()})
	answer := func(refresh string) []byte {
		return fmt.Appendf(nil, `{"access_token": %q, "refresh_token": %q}`, access, refresh)
	}
	w := k.refreshes(eddsa, []string{"a1", "b1"}, true, func(session int, token string) []byte {
		return fmt.Appendf(nil, "%d %s", session, token)
	})
	for n, want := range []string{"0 a1", "1 b1", "0 a2", "1 b2", "0 a3"} {
		if got := string(w.Request()); got != want {
			t.Fatalf("request %d is %q, want %q", n, got, want)
		}
		if err := w.Accept(answer(fmt.Sprintf("%c%d", "ab"[n%2], n/2+2)), true); err != nil {
			t.Fatal(err)
		}
	}
	if w.Accept(answer("b3"), false) == nil {
		t.Error("a refresh token that stayed counts")
	}
	if w.Accept([]byte(`{"error":"invalid_grant"}`), false) == nil {
		t.Error("a refusal counts")
	}
	stays := k.refreshes(eddsa, []string{"a"}, false, func(int, string) []byte { return nil })
	if err := stays.Accept(answer("a"), false); err != nil {
		t.Error(err)
	}
}

func TestKeySetsAndPeople(t *testing.T) {
	k, other := keysOf(t), keysOf(t)
	set, err := json.Marshal(k.privateJWKS()) // it has the public members, too
	if err != nil {
		t.Fatal(err)
	}
	if err := k.keySet()(set, true); err != nil {
		t.Error(err)
	}
	if other.keySet()(set, true) == nil {
		t.Error("the key set of others counts")
	}
	person := personOf("s1", "a@example.com")
	if err := person([]byte(`{"sub":"s1","email":"a@example.com"}`), false); err != nil {
		t.Error(err)
	}
	for _, body := range []string{`{"sub":"s2","email":"a@example.com"}`, `{"sub":"s1"}`, `{}`} {
		if person([]byte(body), false) == nil {
			t.Errorf("%s counts", body)
		}
	}
}

// With a key that Signet does not take, it would sign with another one, and the run would fail.
func TestSignetTakesTheKeys(t *testing.T) {
	for range 3 {
		last, others := "", 0
		key, err := newKey(func() (ed25519.PrivateKey, error) {
			_, key, err := ed25519.GenerateKey(rand.Reader)
			for err == nil && others == 0 && keys.Nameable(thumbprint(t, key)) { // the first one is not taken
				_, key, err = ed25519.GenerateKey(rand.Reader)
			}
			others++
			last = thumbprint(t, key)
			return key, err
		})
		if err != nil || thumbprint(t, key) != last || !keys.Nameable(last) || others < 2 {
			t.Errorf("%s after %d, %v", last, others, err)
		}
	}
}

func thumbprint(t *testing.T, key crypto.Signer) string {
	t.Helper()
	kid, err := jose.Thumbprint(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

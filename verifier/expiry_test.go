package verifier_test

import (
	"testing"

	"github.com/signet-id/signet/verifier"
)

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
	if got := w.Header().Get("WWW-Authenticate"); got !=
		`Bearer error="invalid_token", error_description="The access token has expired; get a new one."` {
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
	s.refused(t,
		mk(t, s.header("RS256", nil), s.claims(map[string]any{"exp": now - 61, "iat": now - 700}), rsaKeys()[1]),
		verifier.ErrInvalid)

	strict := newStand(t, func(c *verifier.Config) { c.ClockSkew = -1 })
	strict.accepted(t, strict.genuine("EdDSA"))
	strict.refused(t,
		mk(t, strict.header("EdDSA", nil),
			strict.claims(map[string]any{"exp": strict.issuer.Now().Unix(), "iat": now - 700}), strict.keys["EdDSA"]),
		verifier.ErrExpired)
}

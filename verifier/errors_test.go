package verifier_test

import (
	"errors"
	"testing"

	"github.com/signet-id/signet/verifier"
	"github.com/signet-id/signet/verifier/issuertest"
)

var tokenErrors = map[string]error{
	"malformed": verifier.ErrMalformed, "type": verifier.ErrWrongType, "algorithm": verifier.ErrWrongAlgorithm,
	"issuer": verifier.ErrWrongIssuer, "key": verifier.ErrUnknownKey, "signature": verifier.ErrSignature,
	"audience": verifier.ErrWrongAudience, "not yet": verifier.ErrNotYetValid, "expired": verifier.ErrExpired,
}

// Each refusal is ErrInvalid and exactly one of the errors that say why.
func TestErrorsSayWhyATokenIsRefused(t *testing.T) {
	s := newStand(t, func(c *verifier.Config) { c.Algorithms = []string{verifier.RS256, verifier.EdDSA} })
	now := s.issuer.Now().Unix()
	by := func(alg string, header, claims map[string]any) string {
		return mk(t, s.header(alg, header), s.claims(claims), s.keys[alg])
	}
	s.accepted(t, s.genuine("RS256")) // the keys are known
	for _, c := range []struct{ name, raw, want string }{
		{"no token at all", "x", "malformed"},
		{"a claim is missing", by("RS256", nil, map[string]any{"jti": nil}), "malformed"},
		{"no kid", by("RS256", map[string]any{"kid": nil}, nil), "malformed"},
		{"an ID token", by("RS256", map[string]any{"typ": "JWT"}, nil), "type"},
		{"an algorithm that is not allowed", s.genuine("ES256"), "algorithm"},
		{"alg of another key", by("EdDSA", map[string]any{"alg": "RS256"}, nil), "algorithm"},
		{"another issuer", issuertest.New(t).Token(nil), "issuer"},
		{"an unknown key", by("RS256", map[string]any{"kid": "x"}, nil), "key"},
		{"an attacker's signature", mk(t, s.header("RS256", nil), s.claims(nil), rsaKeys()[1]), "signature"},
		{"an attacker's signature and another audience",
			mk(t, s.header("RS256", nil), s.claims(map[string]any{"aud": "x"}), rsaKeys()[1]), "signature"},
		{"another audience", by("RS256", nil, map[string]any{"aud": "https://other.example.com"}), "audience"},
		{"another audience, and expired",
			by("RS256", nil, map[string]any{"aud": "x", "exp": now - 100, "iat": now - 200}), "audience"},
		{"nbf in the future", by("EdDSA", nil, map[string]any{"nbf": now + 100}), "not yet"},
		{"iat in the future", by("EdDSA", nil, map[string]any{"iat": now + 100}), "not yet"},
		{"expired", by("EdDSA", nil, map[string]any{"exp": now - 100, "iat": now - 200}), "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.refused(t, c.raw, verifier.ErrInvalid)
			_, err := s.v.Verify(t.Context(), c.raw)
			for why, target := range tokenErrors {
				if errors.Is(err, target) != (why == c.want) {
					t.Errorf("%v, and errors.Is says %v to %q", err, why != c.want, why)
				}
			}
			for _, target := range []error{verifier.ErrKeysUnavailable, verifier.ErrMissingToken,
				verifier.ErrInsufficientScope} {
				if errors.Is(err, target) {
					t.Errorf("%v is %v", err, target)
				}
			}
		})
	}
	other := &verifier.Error{Code: verifier.CodeTokenInvalid, Reason: "some other rule"}
	for why, target := range tokenErrors {
		if !errors.Is(target, verifier.ErrInvalid) || errors.Is(other, target) {
			t.Errorf("%s and ErrInvalid are not apart", why)
		}
	}
}

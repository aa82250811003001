package registrations_test

import (
	"encoding/json"
	"net/url"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
)

// TestRequestObjectsOfRegisteredClients: without request_object_signing_alg any algorithm will do, none
// among them (OIDC Registration section 2); with one, or where a signature is required, only that.
func TestRequestObjectsOfRegisteredClients(t *testing.T) {
	v := newVendor(t, jose.EdDSA)
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		jwks := func(f apitest.Fields) apitest.Fields { return f.With("jwks", json.RawMessage(v.jwks)) }
		for _, row := range []struct {
			name             string
			metadata         apitest.Fields
			unsigned, signed bool
		}{
			{"nothing said, no keys", shop(), true, false},
			{"nothing said, with keys", jwks(shop()), true, true},
			{"none", jwks(shop()).With("request_object_signing_alg", "none"), true, false},
			{"EdDSA", jwks(shop()).With("request_object_signing_alg", "EdDSA"), false, true},
			{"signature required", jwks(shop()).With("require_signed_request_object", true), false, true},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				c := take(s, register(s, row.metadata, "").Want(201, ""))
				claims := apitest.Fields{"iss": c.ID, "aud": apitest.IssuerURL, "client_id": c.ID, "response_type": "code",
					"redirect_uri": "https://shop.test/cb", "scope": "openid", "state": "the state", "code_challenge": apitest.Challenge,
					"code_challenge_method": "S256"}
				try := func(object string, want bool) {
					t.Helper()
					p := s.Browser().Open("/oauth2/authorize?" + url.Values{"client_id": {c.ID}, "response_type": {"code"}, "scope": {"openid"},
						"redirect_uri": {"https://shop.test/cb"}, "request": {object}}.Encode())
					if taken := p.Has("login-submit"); taken != want {
						t.Errorf("taken: %v, want %v: %v", taken, want, p.Query())
					}
				}
				try(apitest.Encode(`{"alg":"none"}`)+"."+apitest.Encode(claims.Text())+".", row.unsigned)
				try(v.sign(v.header, claims), row.signed)
				try(v.sign(v.header, claims)+"x", false)
			})
		}
	}, mode(issuer.RegistrationOpen))
}

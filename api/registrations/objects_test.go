package registrations_test

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

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

// TestDefaultsOfARegisteredClient: what a client registers for its requests counts where a request does
// not say it, and its assertions have the algorithm that it named.
func TestDefaultsOfARegisteredClient(t *testing.T) {
	v := newVendor(t, jose.EdDSA)
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		metadata := shop().With("default_max_age", 60).With("require_auth_time", true).With("default_acr_values", []string{"mfa", "1"})
		c := take(s, register(s, metadata, "").Want(201, ""))
		for name, want := range map[string]string{"default_max_age": "60", "require_auth_time": "true", "default_acr_values": `["mfa","1"]`} {
			text, err := json.Marshal(c.Fields[name])
			if err != nil || string(text) != want {
				t.Errorf("%s is %s, want %s", name, text, want)
			}
		}
		b, page := s.Allowed(alice, c.Client)
		apitest.WantCode(t, page)
		s.Advance(59 * time.Second)
		apitest.WantCode(t, b.Open(apitest.AuthorizePath(c.Client)))
		s.Advance(2 * time.Second)
		if !b.Open(apitest.AuthorizePath(c.Client)).Has("login-submit") {
			t.Error("the login is older than default_max_age, and was taken")
		}
		apitest.WantCode(t, b.Open(apitest.AuthorizePath(c.Client, apitest.Param("max_age", "1000"))))
		zero := take(s, register(s, shop().With("default_max_age", 0), "").Want(201, ""))
		if zero.Fields["default_max_age"] != float64(0) || !b.Open(apitest.AuthorizePath(zero.Client)).Has("login-submit") {
			t.Errorf("%v: a login each time was registered", zero.Fields["default_max_age"])
		}

		keys := shop().With("jwks", json.RawMessage(v.jwks)).With("token_endpoint_auth_method", "private_key_jwt")
		for alg, status := range map[string]int{"EdDSA": 400, "Ed25519": 400, "RS256": 401} {
			c := take(s, register(s, keys.With("token_endpoint_auth_signing_alg", alg), "").Want(201, ""))
			now := s.Clock.Now().Unix()
			claims := apitest.Fields{"iss": c.ID, "sub": c.ID, "aud": apitest.IssuerURL, "jti": "an id", "exp": now + 60}
			res := s.Do(apitest.Request{Method: "POST", Path: "/oauth2/token", Form: url.Values{
				"grant_type": {"authorization_code"}, "code": {"no code"}, "redirect_uri": {"https://shop.test/cb"},
				"client_assertion": {v.sign(v.header, claims)}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			}})
			if res.Status != status {
				t.Errorf("%s: %d %s, want %d", alg, res.Status, res.Body, status)
			}
		}
		leavesNothing(s, func() {
			for name, value := range map[string]any{
				"default_max_age": -1, "default_acr_values": []string{"two words"}, "token_endpoint_auth_signing_alg": "RS256",
			} {
				register(s, shop().With(name, value), "").Want(400, "invalid_client_metadata")
			}
			for name, value := range map[string]any{"default_max_age": "60", "require_auth_time": "yes", "default_acr_values": "1"} {
				register(s, shop().With(name, value), "").Want(400, "invalid_client_metadata")
			}
			register(s, keys.With("token_endpoint_auth_signing_alg", "HS256"), "").Want(400, "invalid_client_metadata")
		})
	}, mode(issuer.RegistrationOpen))
}

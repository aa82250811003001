package discovery_test

import (
	"slices"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
)

// What MCP clients read (MCP 2026-07-28, authorization server metadata discovery): both documents,
// at the addresses that these clients try, say the same, and that the flow of such a client is
// possible.
func TestWhatMCPClientsRead(t *testing.T) {
	for url, paths := range map[string][]string{
		"https://id.test": {"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		"https://id.test/p": {"/.well-known/oauth-authorization-server/p", "/.well-known/openid-configuration/p",
			"/p/.well-known/openid-configuration"},
	} {
		for _, on := range []bool{true, false} {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				for _, path := range paths {
					var m struct {
						Issuer       string   `json:"issuer"`
						Registration string   `json:"registration_endpoint"`
						Scopes       []string `json:"scopes_supported"`
						Challenges   []string `json:"code_challenge_methods_supported"`
						Grants       []string `json:"grant_types_supported"`
						Types        []string `json:"response_types_supported"`
						Auth         []string `json:"token_endpoint_auth_methods_supported"`
						Iss          bool     `json:"authorization_response_iss_parameter_supported"`
					}
					res := s.Do(apitest.Request{Path: path}).Want(200, "")
					if res.JSON(&m); res.Header.Get("Access-Control-Allow-Origin") != "*" {
						t.Errorf("%s: no script may read it", path)
					}
					registration, scopes := "", []string{"openid", "profile", "email", "address", "phone", "offline_access"}
					if on {
						registration, scopes = url+"/oauth2/register", append(scopes, "tools:read", "tools:write")
					}
					if m.Issuer != url || m.Registration != registration || !slices.Equal(m.Scopes, scopes) {
						t.Errorf("%s: issuer %s, registration at %q, scopes %v", path, m.Issuer, m.Registration, m.Scopes)
					}
					if !slices.Equal(m.Challenges, []string{"S256"}) || !m.Iss || !slices.Contains(m.Types, "code") ||
						!slices.Contains(m.Auth, "none") || !slices.Contains(m.Grants, "authorization_code") || !slices.Contains(m.Grants, "refresh_token") {
						t.Errorf("%s: %+v", path, m)
					}
				}
			}, func(o *apitest.Options) {
				o.IssuerURL = url
				if on {
					o.Resources = []issuer.Resource{{URI: "https://mcp.test/mcp", Scopes: []string{"tools:read", "tools:write", "admin"}, SelfMade: true}}
				}
			}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.OpenToPublic = on }))
		}
	}
}

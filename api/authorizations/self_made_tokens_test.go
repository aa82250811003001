package authorizations_test

import (
	"net/url"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// TestIntrospectionOfMCPTokens: an MCP server that asks about a token hears of the scopes that it
// was given, until one of them, or the resource, leaves the configuration.
func TestIntrospectionOfMCPTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		server := s.Register(userstore.Client{ID: "rs", GrantTypes: []string{userstore.GrantClientCredentials}})
		c := s.Register(userstore.Client{ID: "editor", Kind: userstore.KindRegistered, AuthMethod: userstore.AuthNone, Scopes: []string{"openid"}})
		b := s.SignedIn(s.SignUp("alice"))
		tokens := apitest.LogIn(s, b, c, set("scope", "openid tools:read tools:write", "resource", mcpURI))
		i := s.Replicas[0].Issuer
		for _, row := range []struct {
			scopes []string
			want   string
		}{
			{[]string{"tools:read", "tools:write"}, "openid tools:read tools:write"},
			{[]string{"tools:read"}, "openid tools:read"},
		} {
			i.Resources = []issuer.Resource{{URI: mcpURI, Scopes: row.scopes, SelfMade: true, IntrospectionClients: []string{"rs"}}}
			var said struct {
				Active   bool
				Scope    string
				Audience string `json:"aud"`
				ClientID string `json:"client_id"`
			}
			s.Do(s.Authenticated(server, "/oauth2/introspect", url.Values{"token": {tokens.Access}})).Want(200, "").JSON(&said)
			if !said.Active || said.Scope != row.want || said.Audience != mcpURI || said.ClientID != "editor" {
				t.Errorf("with %v: %+v, want %q", row.scopes, said, row.want)
			}
		}
		if userinfoOf(s, tokens)["sub"] == nil {
			t.Error("userinfo does not say who it is")
		}
	}, withMCP)
}

package protocol_test

import (
	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// withIntrospection gives the fixtures a resource whose server is the client rs.
func withIntrospection(o *apitest.Options) {
	o.Resources = []issuer.Resource{
		{URI: "https://api.test", Scopes: []string{"api.read", "api.write"}, IntrospectionClients: []string{"rs"}},
		{URI: "https://files.test", Scopes: []string{"files"}},
	}
}

// standard are the fixtures of the attack cases: a confidential client, another one, a public one,
// and a resource server.
type standard struct {
	web, other, spa, post, rs apitest.Client
	alice                     apitest.User
}

func newStandard(s *apitest.Server) standard {
	return standard{
		web:   s.Register(userstore.Client{ID: "web", Resources: []string{"https://api.test", "https://files.test"}}),
		other: s.Register(userstore.Client{ID: "other"}),
		spa: s.Register(userstore.Client{ID: "spa", AuthMethod: userstore.AuthNone,
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"http://127.0.0.1/cb"}}}),
		post:  s.Register(userstore.Client{ID: "post", AuthMethod: userstore.AuthPost}),
		rs:    s.Register(userstore.Client{ID: "rs", GrantTypes: []string{userstore.GrantClientCredentials}}),
		alice: s.SignUp("alice"),
	}
}

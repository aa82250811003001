// Package devices_test holds tests of the device authorization grant (RFC 8628) through the whole
// server: the endpoint, the page and the polls. It has no code, and tests of its own only so that no
// package takes too long.
package devices_test

import (
	"net/url"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// standard is what most tests here need: clients of each kind, and a user.
type standard struct {
	*apitest.Server
	box, tv, own, other apitest.Client // confidential, public, first-party, confidential
	alice               apitest.User
}

func newStandard(s *apitest.Server) standard {
	types := []string{userstore.GrantDeviceCode, userstore.GrantRefreshToken}
	return standard{
		Server: s,
		box: s.Register(userstore.Client{ID: "box", GrantTypes: types, Resources: []string{"https://api.test"},
			Scopes: []string{"openid", "email", "offline_access", "read"}}),
		tv:    s.Register(userstore.Client{ID: "tv", AuthMethod: userstore.AuthNone, GrantTypes: types}),
		own:   s.Register(userstore.Client{ID: "own", AuthMethod: userstore.AuthNone, GrantTypes: types, FirstParty: true}),
		other: s.Register(userstore.Client{ID: "other", GrantTypes: append(types, userstore.GrantAuthorizationCode)}),
		alice: s.SignUp("alice"),
	}
}

// ask asks for openid email.
func (f standard) ask(c apitest.Client) issuer.DeviceAnswer {
	f.T.Helper()
	return f.AskDevice(c, url.Values{"scope": {"openid email"}})
}

// With is the same under a subtest's own T.
func (f standard) with(s *apitest.Server) standard {
	f.Server = s
	return f
}

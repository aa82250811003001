// Package flows_test holds tests of whole flows through several packages of the HTTP API: what a
// client is granted from the authorization endpoint to userinfo, logout, and an outage in the
// middle. It has no code, and tests of its own only so that no package takes too long.
package flows_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most tests here use.
var (
	authorizePath = apitest.AuthorizePath
	logIn         = apitest.LogIn
	set           = apitest.Params
	userinfoOf    = apitest.UserinfoOf
	wantCode      = apitest.WantCode
	wantError     = apitest.WantError
)

// sessionName is the name of the session cookie of the tests' issuer.
const sessionName = "__Host-signet-session-2f4e5542"

// Package secondpages_test holds tests of the pages between the password and the session: the second
// step of a login, a passkey instead of both, and the setup that a policy demands. It has no code, and
// tests of its own only so that no package takes too long.
package secondpages_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most tests here use.
var (
	authorizePath = apitest.AuthorizePath
	codesOn       = apitest.CodesOn
	inside        = apitest.Inside
	makePasskey   = apitest.MakePasskey
	sameFactors   = apitest.SameFactors
	scan          = apitest.Scan
	set           = apitest.Params
	trusting      = apitest.Trusting
	wantCode      = apitest.WantCode
)

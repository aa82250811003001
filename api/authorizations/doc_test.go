// Package authorizations_test holds tests of the authorization endpoint: which requests it refuses and
// where it says so, redirect URIs, prompts, and what the user is asked to allow. It has no code, and
// tests of its own only so that no package takes too long.
package authorizations_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most tests here use.
var (
	authorizePath = apitest.AuthorizePath
	set           = apitest.Params
	userinfoOf    = apitest.UserinfoOf
	wantCode      = apitest.WantCode
	wantError     = apitest.WantError
)

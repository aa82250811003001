// Package browserstates_test holds tests of what apps learn about the session of a browser: session
// management, front-channel logout, and the login that somebody else begins. It has no code, and
// tests of its own only so that no package takes too long.
package browserstates_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most tests here use.
var (
	authorizePath = apitest.AuthorizePath
	set           = apitest.Params
	wantCode      = apitest.WantCode
	wantError     = apitest.WantError
)

// Package mailpages_test holds tests of the pages about mail: proofs of an address, pending
// sign-ups, forgotten passwords, changes of address, and messages about new browsers. It has no
// code, and tests of its own only so that no package takes too long.
package mailpages_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what several tests here use.
var (
	authorizePath = apitest.AuthorizePath
	set           = apitest.Params
	wantCode      = apitest.WantCode
	wantError     = apitest.WantError

	wantPageOrCode = apitest.WantPageOrCode
)

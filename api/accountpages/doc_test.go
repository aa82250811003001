// Package accountpages_test holds tests of the pages of the account: what people see and change there,
// how they set up and remove their second factors, and the proof that its forms take. It has no code,
// and tests of its own only so that no package takes too long.
package accountpages_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most tests here use.
var (
	codesOn     = apitest.CodesOn
	factorsOf   = apitest.FactorsOf
	inside      = apitest.Inside
	makePasskey = apitest.MakePasskey
	sameFactors = apitest.SameFactors
	scan        = apitest.Scan
	trusting    = apitest.Trusting
)

const wrongPassword = apitest.WrongPassword

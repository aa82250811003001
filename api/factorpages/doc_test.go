// Package factorpages_test holds tests of the pages where people set up and remove their second
// factors, and of the proof that the account's other forms take of them. It has no code, and tests of
// its own only so that no package takes too long.
package factorpages_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most tests here use.
var (
	accountPages = apitest.AccountPages
	codesOn      = apitest.CodesOn
	factorsOf    = apitest.FactorsOf
	inside       = apitest.Inside
	makePasskey  = apitest.MakePasskey
	sameFactors  = apitest.SameFactors
	scan         = apitest.Scan
	trusting     = apitest.Trusting
)

const wrongPassword = apitest.WrongPassword

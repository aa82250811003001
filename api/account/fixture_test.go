package account_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what tests of several subjects use.
var (
	limited  = apitest.Limited
	login    = apitest.LoginBy
	signUpAs = apitest.SignUpAs
)

const wrong = apitest.WrongPassword

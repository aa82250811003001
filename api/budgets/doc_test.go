// Package budgets_test holds tests of what guesses and requests cost: how many wrong passwords,
// sign-ups and messages an account, a network and a block of networks have, whatever a stranger
// varies. It has no code, and tests of its own only so that no package takes too long.
package budgets_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most tests here use.
var (
	behindProxy = apitest.BehindProxy
	from        = apitest.From
	guesses     = apitest.Guesses
	limited     = apitest.Limited
	login       = apitest.LoginBy
	signUpAs    = apitest.SignUpAs
)

const wrong = apitest.WrongPassword

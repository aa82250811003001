// Package signups_test holds tests of sign-ups that wait for the proof of an address, over JSON: what
// they promise a stranger, what a stranger can do to them, and accounts of before that never proved
// theirs. It has no code, and tests of its own only so that no package takes too long.
package signups_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most tests here use.
var (
	behindProxy = apitest.BehindProxy
	from        = apitest.From
	limited     = apitest.Limited
	linked      = apitest.Linked
	login       = apitest.LoginBy
	post        = apitest.Post
	shown       = apitest.Shown
)

const (
	nextPassword = apitest.NextPassword
	wrong        = apitest.WrongPassword
)

// Package bymail_test holds tests of what people do by mail: proofs of an address, forgotten
// passwords, changes of address and invitations over JSON. It has no code, and tests of its own only
// so that no package takes too long.
package bymail_test

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
	signUpAs    = apitest.SignUpAs
)

const (
	nextPassword = apitest.NextPassword
	wrong        = apitest.WrongPassword
)

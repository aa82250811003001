// Package secondsteps_test holds tests of second factors over JSON: the second step of a login and its
// setup, passkeys instead of passwords, the factors of the account and of others, and the proof that
// other requests take of them. It has no code, and tests of its own only so that no package takes too
// long.
package secondsteps_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what several tests here use.
var (
	post      = apitest.Post
	row       = apitest.Refused
	refuseAll = apitest.RefuseAll
)

const wrong = apitest.WrongPassword

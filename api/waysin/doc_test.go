// Package waysin_test walks through every way into an account, and holds what each asks for against a
// table, which docs/ways-in.md shows to operators. Each way is gone by an account of its own, without
// a second factor, with an authenticator app and with a passkey, under each policy. It has no code,
// and tests of its own only so that no package takes too long.
//
// A new way is a line of byPassword, byMailbox or bySession. An operation that gives tokens, a session
// or a code, and that no way goes through, fails the tests that call it: see apitest.Openings.
package waysin_test

import "github.com/signet-id/signet/api/apitest"

// Short names of what most ways use.
var (
	authorizePath = apitest.AuthorizePath
	set           = apitest.Params
)

// Package conformance checks the server against the demands of the OpenID Foundation's conformance
// suite on an OpenID Provider. The tests have the names of the suite's modules, so that a change
// that would cost a certification fails here first:
//
//	go test ./internal/conformance -run 'TestOIDCC/sqlite/basic/oidcc-prompt-login'
//
// The package has only tests. They know no more about the server than the suite does: the issuer,
// the clients and the user that an operator set up, and the browser automation of
// docs/conformance-suite.json. The tests read that file and follow it exactly, so the file that is
// given to the suite is tested as well.
//
//	internet_test.go   the network: the issuer's name leads to the server, every other name to the suite
//	browser_test.go    a browser that the automation drives: cookies, redirects, forms, policies
//	party_test.go      a relying party: its requests from server to server, and what it discovers
//	party_*_test.go    its authorization requests, tokens and claims, and what is always true of them
//	plans_test.go      the profiles and their modules; the same table is in docs/conformance.md
//	*_modules_test.go  what each module demands
//
// A warning of the suite is a failure here. Where the suite waits, the tests move the clock. The
// suite itself is run before a release, from outside.
package conformance

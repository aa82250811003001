// Package conformance holds the server to what the OpenID Foundation's conformance suite demands of an OpenID Provider, module by
// module and under the modules' own names, so that a change that would cost a certification fails here first:
//
//	go test ./internal/conformance -run 'TestOIDCC/sqlite/basic/oidcc-prompt-login'
//
// It is all test. What it knows of the server is what the suite knows: the issuer, the clients and the user that an operator
// set up, and the browser automation of docs/conformance-suite.json, which is read from there and followed
// to the letter, so that the file that is given to the suite is tested as well.
//
//	internet_test.go   the wire: the issuer's name leads to the server, every other to the suite
//	browser_test.go    a browser that the automation drives: cookies, redirects, forms, policies
//	party_test.go      a relying party: requests, responses, tokens, and what is always true of them
//	plans_test.go      the profiles and their modules; the same table is in docs/conformance.md
//	*_modules_test.go  what each module demands
//
// What is a warning in the suite is a failure here. Where the suite waits, the clock is moved. The suite itself is run from
// outside, before a release.
package conformance

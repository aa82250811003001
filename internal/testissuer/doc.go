// Package testissuer is the production code as an issuer for tests: real keys, real pages and a real
// database, with a clock to move, keys to rotate and revoke, and tokens of any shape, hostile ones
// too.
//
//	Start     joins such an issuer on loopback; for package verifier/issuertest and `signet doctor`
//	Controls  what a test may do to an issuer that nobody may do to a real one
//	Handler   the same over HTTP, for `signet serve --test`
//	Mint      a token by a Recipe
//
// Nothing here is reachable in a server that serves people: cmd/signet joins it for --test alone,
// and then the database is a temporary one.
package testissuer

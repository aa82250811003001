// Package benchmarks compares the verifier with other Go JWT libraries that are told to make the
// same checks on the same token. It is a module of its own, so that users of the verifier do not
// download the libraries.
//
//	go test -bench Verify -run '^$'
//
// Measured on two cores of an AMD EPYC, Go 1.26, medians in µs for one token:
//
//	         verifier   golang-jwt v5.3.1   go-jose v4.1.9   jwx v2.1.7   verifier, the same token again
//	RS256    27         31                  44               48           1.4
//	EdDSA    39         43                  56               59           0.9
package benchmarks

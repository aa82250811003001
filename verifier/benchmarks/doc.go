// Package benchmarks compares the verifier with other Go JWT libraries that are told to make the
// same checks on the same token. It is a module of its own, so that users of the verifier do not
// download the libraries.
//
//	go test -bench . -run '^$'
package benchmarks

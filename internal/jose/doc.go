// Package jose is Signet's only door to JSON Object Signing and Encryption, for the issuer and for
// the verifier, so that the two cannot differ.
//
//	algorithm.go  which algorithms there are, and which keys are fit for them
//	parse.go      a string → header, payload and signature, strictly (RFC 7515, RFC 8725)
//	unsigned.go   the same for a token without a signature, which never passes for one with
//	verify.go     check the signature, under one key that is bound to one algorithm
//	access_claims.go  read and check the claims of an access token, once for issuer and verifier (RFC 9068)
//	sign.go       sign, with prepared headers and the raw key
//	rsa_go.go, rsa_openssl.go  what makes RSA signatures: Go, or OpenSSL in the build with the tag openssl
//	jwk.go        JSON Web Keys and sets, public ones only (RFC 7517, RFC 7638)
//	bundle.go     a signed set of keys, for verifiers without network
//	seal.go       private keys at rest, as JWE (dir, A256GCM) and nothing else
//
// The JOSE library (jwx) reads and writes JWKs and does the JWE encryption; it only ever meets
// input that was checked here first. The standard library makes and checks signatures, because at
// a few µs a token the way through jwx would cost more than our budget; tests compare the two.
//
// There is no symmetric signature, no key from a token's header and no way to choose the
// algorithm from the outside: it belongs to the key.
package jose

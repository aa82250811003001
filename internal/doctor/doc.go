// Package doctor examines issuers and resource servers from the outside, as their clients meet them.
//
//	Issuer    reads discovery and the key set of any issuer, and what they say of its cache, clock,
//	          algorithms, rotation and TLS
//	Resource  sends a resource server, which trusts a test issuer, the tokens that it must refuse and
//	          those that it must accept
//	Report    what was sent, expected and answered, and why it matters; as a table, JSON and JUnit
//
// A check never shows a token, and of an answer only its status and its challenge: a resource server
// may repeat in its answer what it was sent.
package doctor

// Package interop proves the main job on libraries that nobody here wrote: the
// real binary signs tokens, and golang-jwt, Node's jose and Python's PyJWT verify
// them offline, before, during and after key rotations and emergency revocations.
//
// The test drives three small verifiers (golangjwt, node, python) that speak one
// protocol. Each is started with the issuer's URL, finds the key set through
// discovery, and then reads one JSON request a line and answers with one line:
//
//	{"token": "…", "audience": "…", "typ": "at+jwt"}  →  {"claims": {…}} or {"error": "…"}
//	{"reload": true}                                  →  {} (its key cache had expired)
//
// Everything here is behind the build tag interop, because it needs more than Go;
// `make interop` installs the two foreign libraries and runs it. A missing
// prerequisite fails the run: nothing is skipped.
package interop

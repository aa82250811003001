// Package interop proves the main jobs on programs that nobody here wrote, against the real binary.
//
// Verifiers: the binary signs tokens, and golang-jwt, Node's jose and Python's PyJWT verify
// them offline, before, during and after key rotations and emergency revocations. The test drives three small
// verifiers (golangjwt, node/verify.js, python) that speak one protocol. Each is started with the issuer's URL, finds the
// key set through discovery, and then reads one JSON request a line and answers with one line:
//
//	{"token": "…", "audience": "…", "typ": "at+jwt"}  →  {"claims": {…}} or {"error": "…"}
//	{"reload": true}                                  →  {} (its key cache had expired)
//
// Other verifiers (node/takes.js, python/takes.py) are asked once whether they take a token of each algorithm, which is what
// docs/products.md says of them.
//
// Relying parties: openid-client, oauth4webapi (node), go-oidc with x/oauth2 (goclient), Authlib (python) and oidc-client-ts
// (node, in Chromium) log a person in and out, and do everything else that a client does. Each of the scripts is told on standard
// input what there is, goes through its steps, and prints each step that it has taken; the test demands every one by
// name. A person is a small browser without JavaScript, which fills in the hosted pages by the ids of their elements.
//
// Documents: the README's and docs' commands and programs are run, and in the apps of docs/libraries.md, Apache's
// mod_auth_openidc among them, somebody logs in with Chromium.
//
// Products: docs/products has whole set-ups, which are run as the other documents are. Those that take minutes to build are
// behind the build tag more (`make interop-more`): oauth2-proxy and the authenticator of Kubernetes, each in a module of its own,
// and a Spring Boot app.
//
// Everything here is behind the build tag interop, because it needs more than Go;
// `make interop` installs the foreign libraries and runs it. A missing
// prerequisite fails the run: nothing is skipped.
package interop

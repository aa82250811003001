// Package interop proves the main jobs with other people's programs, against the real binary.
//
// Verifiers: the binary signs tokens, and golang-jwt, Node's jose and Python's PyJWT verify them
// offline, before, during and after key rotations and emergency revocations. The test drives three
// small verifiers (golangjwt, node/verify.js, python) that speak one protocol. Each gets the
// issuer's URL at its start and finds the key set through discovery. Then it reads one JSON request
// a line and answers with one line:
//
//	{"token": "…", "audience": "…", "typ": "at+jwt"}  →  {"claims": {…}} or {"error": "…"}
//	{"reload": true}                                  →  {} (its key cache had expired)
//
// Other verifiers (node/takes.js, python/takes.py) are asked once whether they accept a token of
// each algorithm, to check what docs/resource-servers/compatibility.md says about them.
//
// Resource servers: `signet doctor` examines small ones behind jose, express-oauth2-jwt-bearer,
// express-jwt (node/resource_server.js) and PyJWT (python/resource_server.py). A test in Python has
// `signet serve --test` as its issuer (python/test_issuer.py).
//
// Relying parties: openid-client, oauth4webapi (node), go-oidc with x/oauth2 (goclient), Authlib
// (python) and oidc-client-ts (node, in Chromium) log a person in and out, and do everything else
// that a client does. Each script reads the issuer, the user and the clients from standard input,
// goes through its steps, and prints the name of each step that succeeded; the test demands every
// step by name. The person is a small browser without JavaScript, which fills in the hosted pages
// by the ids of their elements.
//
// Step-up: an API behind express-oauth2-jwt-bearer demands an acr, and oauth4webapi reads the
// challenges of our verifier and does what they say (node/stepup.js). openid-client does the same with
// real logins, from the API's challenge to its answer (node/second_factor.js).
//
// Devices: openid-client (node/device.js) and the command line docs/examples/device-login, on
// x/oauth2, poll while a person types their code in a browser.
//
// Response types with tokens in the response: openid-client (node/hybrid.js), and oidc-client in a
// page of Chromium, which is old and the last widely used library for id_token token.
//
// Back-channel logout: an app of express-openid-connect ends its sessions when a browser logs out and
// when an operator ends the sessions, sets a password or disables the user (node/backchannel.js).
//
// Second factors: pyotp and otplib show the codes of our keys. openid-client and oidc-client-ts step a
// login up by acr_values, of accounts that moved in with an authenticator app. Chromium's virtual
// authenticator makes passkeys and signs in with them (package browser), of the wrong user and at the
// wrong origin as well, and at an app of another domain that stands in passkeys.origins.
//
// The Model Context Protocol: the OAuth clients of the official SDKs (node/mcp.js,
// python/mcp_client.py) know nothing but the URL of an MCP server, which is
// docs/examples/mcp-server. They find the issuer, register or name their metadata document, log a
// person in, call tools, refresh, and ask again for what was taken back. Those for TypeScript do it
// in a page of Chromium, too (node/mcp_page.js), and mcp-remote behind a program's standard input
// and output.
//
// Documents: the commands and programs of README.md and docs are run. A person logs in with
// Chromium to the apps of docs/libraries.md, Apache's mod_auth_openidc among them, and to the MCP
// clients of docs/mcp.md.
//
// People: they sign up, confirm addresses, reset passwords and are invited in Chromium and, behind
// the build tag more, in Firefox. aiosmtpd (python/mail_server.py) takes their messages by STARTTLS
// and a password.
//
// Products: docs/products has whole set-ups, which are run like the other documents. The ones that
// take minutes to build are behind the build tag more (`make interop-more`): oauth2-proxy and the
// authenticator of Kubernetes, each in a module of its own, and a Spring Boot app.
//
// Resource servers: docs/resource-servers has whole programs, which are run like the other documents.
// At the issuer's address stands a mint, which publishes keys of its own beside Signet's. With them it
// signs the hostile and the honest tokens that every program is sent (resource_servers_test.go).
// axum's crates are pinned by axum/Cargo.lock. `make measure-caches` measures how long the programs and
// the usual libraries (node/caches.js, python/caches.py) take a key that was revoked.
//
// Everything here is behind the build tag interop, because it needs more than Go;
// `make interop` installs the foreign libraries and runs it. A missing
// prerequisite fails the run: nothing is skipped.
package interop

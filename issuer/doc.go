// Package issuer holds the rules of the protocol: who gets which token, for how
// long, and what a token is still worth when it comes back. It knows no
// transport, no SQL and no JOSE library.
//
// A request for tokens moves through it in one direction:
//
//	token.go                     the pipeline, and the table of grants
//	client_auth.go               whose request it is; client_cache.go, assertion.go, client_keys.go
//	admission.go                 how many at a time
//	grant_code.go, grant_refresh.go, grant_client.go, login.go
//	                             prove the claim, write one thing, return an Authorization
//	scope.go, resource.go        what may be asked for (RFC 6749 section 3.3, RFC 8707)
//	mint.go, claims.go, user_claims.go
//	                             Authorization → signed tokens
//
// A browser gets to a code by way of the hosted pages, and each step is one call:
//
//	authorize.go                 request → Pending (authorize_redirect.go, authorize_claims.go, pkce.go, id_token_hint.go)
//	authorize_decide.go          Pending and browser → log in, ask for consent, or the code
//	browser_login.go, logout.go  a browser's session begins and ends
//
// and an access token that comes back, to our own account API, to userinfo, introspection or revocation, is judged
// by the one function live in bearer.go. What the issuer tells the world about itself is metadata.go.
//
//	RFC 6749 (OAuth 2.0)                 token.go, grant_*.go, login.go, client_auth.go, scope.go, error.go
//	RFC 6750 (bearer tokens)             bearer.go
//	RFC 7009 (revocation)                revoke.go
//	RFC 7523 (private_key_jwt)           assertion.go
//	RFC 7636 (PKCE)                      pkce.go, grant_code.go
//	RFC 7662 (introspection)             introspect.go
//	RFC 7519, 9068 (JWT access tokens)   mint.go, claims.go
//	RFC 8414, OIDC Discovery             metadata.go
//	RFC 8707 (resource indicators)       resource.go
//	RFC 9700 section 4.14 (refresh)      grant_refresh.go, refresh_token.go
//	RFC 8252 (native apps)               authorize_redirect.go, authorize_decide.go
//	RFC 9207 (iss in responses)          authorize_redirect.go
//	OIDC Core                            authorize*.go (sections 3.1.2, 5.5), mint.go (2, 3.1.3.6, 12.2), user_claims.go (5.1, 5.4), userinfo.go (5.3)
//	RP-Initiated Logout                  logout.go
//
// Three rules hold everywhere. A refusal changes nothing, except that a replayed
// refresh token or code revokes its grant. A signer is taken before anything is written
// and used after the commit, so that a replica that may not sign never leaves
// half a login behind. A store or key set that fails is Unavailable, never a
// refusal: no client loses its session because of us.
package issuer

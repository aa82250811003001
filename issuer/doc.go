// Package issuer holds the rules of the protocol: which client and user get which token, for how
// long, and whether a token that is presented later is still valid. It knows no transport, no SQL
// and no JOSE library.
//
// A token request moves through these files in one direction:
//
//	token.go                     the pipeline, and the table of grants
//	client_auth.go               authenticate the client; client_cache.go, assertion.go, client_keys.go
//	admission.go                 limit the requests that run at once
//	grant_code.go, grant_refresh.go, grant_client.go, login.go
//	                             verify the grant, make one write, return an Authorization
//	scope.go, resource.go        which scopes and resources a client may request (RFC 6749 section 3.3, RFC 8707)
//	mint.go, claims.go, user_claims.go
//	                             Authorization → signed tokens
//
// A browser gets a code through the hosted pages, and each step is one call:
//
//	authorize.go                 request → Pending (authorize_redirect.go, authorize_claims.go, pkce.go, id_token_hint.go)
//	authorize_reference.go, authorize_object.go
//	                             a request_uri or request object → the same request; pushed.go stores a Pending for later
//	authorize_decide.go          Pending and browser → log in, ask for consent, or issue the code
//	browser_login.go, logout.go  begin and end a browser session
//
// An access token that is presented to the account API, userinfo, introspection or revocation is
// checked by one function, live in bearer.go. The discovery document is in metadata.go.
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
//	RFC 9101 (request objects)           authorize_object.go
//	RFC 9126 (pushed requests)           pushed.go
//	RFC 9207 (iss in responses)          authorize_redirect.go
//	OIDC Core                            authorize*.go (sections 3.1.2, 5.5), mint.go (2, 3.1.3.6, 12.2), user_claims.go (5.1, 5.4), named_claims.go (5.5), userinfo.go (5.3), subject.go (8)
//	RP-Initiated Logout                  logout.go
//
// Three rules hold everywhere. A refusal changes nothing, except that a replayed refresh token or
// code revokes its grant. A signer is taken before the write and used after the commit, so that a
// replica that may not sign never leaves half a login behind. If the store or the key set fails,
// the error is Unavailable, never a refusal, so that no client discards its tokens because of an
// outage.
package issuer

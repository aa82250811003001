// Package grpcauth asks for Signet's access tokens in a gRPC server, as the middleware of package
// verifier does over HTTP. It is a module of its own, so that users of the verifier do not download
// gRPC.
//
//	v, err := verifier.New(verifier.Config{
//		Issuer:   "https://id.example.com",
//		Audience: []string{"https://notes.example.com"},
//	})
//	…
//	auth, err := grpcauth.New(v, grpcauth.Config{
//		Methods: map[string]verifier.Requirement{
//			"/notes.v1.Notes/*":      {Scopes: []string{"notes:read"}},
//			"/notes.v1.Notes/Delete": {Scopes: []string{"notes:write"}, ACRValues: []string{"2"}, MaxAge: 5 * time.Minute},
//			"/notes.v1.Admin/*":      {Roles: []string{"admin"}},
//		},
//		Public: []string{"/grpc.health.v1.Health/*"},
//	})
//	…
//	server := grpc.NewServer(grpc.UnaryInterceptor(auth.Unary()), grpc.StreamInterceptor(auth.Stream()))
//	notes.RegisterNotesServer(server, …)
//	if err := auth.Covers(server); err != nil { // a method that is misspelt above
//		log.Fatal(err)
//	}
//
// A handler gets the token by verifier.TokenFrom(ctx). A client sends it as the metadata
// `authorization: Bearer …`, as golang.org/x/oauth2's and gRPC's own oauth credentials do.
//
// # Tokens that are bound to a key
//
// Config.DPoP of the verifier counts here as it does over HTTP (RFC 9449): a token that is bound to a
// key comes as `authorization: DPoP …`, with a proof in the metadata `dpop`, and bearer tokens are
// refused where DPoP.Required is set. A gRPC call is an HTTP request, and the proof is of that: its
// `htm` is POST, and its `htu` is DPoP.URL followed by the name of the method, such as
// https://notes.example.com/notes.v1.Notes/List. A proof counts once, so a call that is tried again needs
// a new one. Nonces come in the metadata `dpop-nonce`: with an answer in its header, with a refusal in
// its trailer.
//
// # Refusals
//
//	Unauthenticated     no token, or one that is not valid here, has expired or was revoked; its proof is
//	                    missing or wrong (invalid_dpop_proof) or needs a nonce (use_dpop_nonce); or its user
//	                    must log in again, with more factors or more recently
//	                    (insufficient_user_authentication)
//	PermissionDenied    the token lacks a scope (insufficient_scope), or its user a role (insufficient_role)
//	InvalidArgument     more than one token (invalid_request)
//	Unavailable         not decided: the issuer's keys or the token's status list are not available
//	                    (keys_unavailable, status_unavailable), or no more proofs can be remembered
//	                    (overloaded)
//
// The status has a google.rpc.ErrorInfo: its reason is the verifier's code, its domain is Domain, and
// its metadata say what is needed (scope, acr_values, max_age in seconds). With Unavailable there is a
// google.rpc.RetryInfo. The trailer `www-authenticate` holds the same challenges as over HTTP. The
// message is fixed for each code: nothing of the request is repeated.
//
// # Streams
//
// The token of a stream is judged when the stream begins. A handler that holds a stream open for
// longer than the token lives must decide for itself: Token.Expiry says until when it was good.
//
// # Versions
//
// The module is released with Signet, under the same number: verifier/grpcauth/v1.2.3 is of the commit of
// v1.2.3 and needs that version of github.com/signet-id/signet. `go get` of one brings the other.
package grpcauth

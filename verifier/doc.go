// Package verifier checks Signet's access tokens in your resource server, offline. It fetches the
// issuer's published keys once; after that, no request of yours waits for the issuer.
//
//	v, err := verifier.New(verifier.Config{
//		Issuer:   "https://id.example.com",
//		Audience: []string{"https://api.example.com"},
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	mux := http.NewServeMux()
//	mux.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
//		token, _ := verifier.TokenFrom(r.Context())
//		fmt.Fprintln(w, token.Subject, token.Scopes)
//	})
//	mux.Handle("POST /notes", v.RequireScope("notes:write")(addNote))
//	log.Fatal(http.ListenAndServe("127.0.0.1:9000", v.Middleware(mux)))
//
// The folder docs/examples/api has the whole program, ready to run. Package issuertest is an
// issuer for your tests, with a clock that a test can move.
//
// # What is accepted
//
// An accepted token is a compact JWS of at most 16 KiB. All of this holds for it:
//
//   - `typ` is at+jwt (RFC 9068). Case does not count, and application/at+jwt is the same.
//   - `alg` is allowed, and is the algorithm of the key that `kid` names.
//   - `iss` equals Config.Issuer, or is one of Config.MoreIssuers; `aud` holds one of the names that
//     this resource server has for that issuer (Config.Audience).
//   - `exp`, `iat`, `sub`, `client_id` and `jti` are present.
//   - The clock is between `nbf` and `exp`, give or take Config.ClockSkew.
//
// ID tokens, refresh tokens, tokens bound to a key (`cnf`) that come without a proof of it, and tokens
// with unknown header members, duplicate members or claims in the wrong case are refused.
//
// A token that names a token status list (`status`) is checked against it, so that a revoked one is
// refused within seconds. Config.Status says what becomes of such tokens where there is no network.
//
// What is refused is ErrInvalid, and ErrExpired, ErrWrongAudience and their like say why. Those are
// for your log: a caller learns no more than the code. ErrKeysUnavailable, ErrStatusUnavailable and
// ErrOverloaded mean that nothing was decided.
//
// # Scopes, roles and other transports
//
// RequireScope requires every one of its scopes, RequireRole one of its roles. Require takes both,
// and logins, from a table; Check judges a token without a request. Package grpcauth, a module of
// its own, has the interceptors for gRPC; others are made of AuthenticatePresented and Challenges.
//
// # Stronger and fresher logins
//
// RequireACR and RequireRecentLogin are for what a stolen password or a browser that was left open
// must not reach. They answer with the challenge of RFC 9470, with which the client sends the user
// to the issuer again. They can be nested with each other and with RequireScope, in any order:
//
//	mux.Handle("POST /transfers", v.RequireScope("transfers:write")(
//		v.RequireACR("2")(v.RequireRecentLogin(5*time.Minute)(transfer))))
//
// One challenge then names all that is needed, so that the user logs in once. Where the request
// decides what is needed, call the middleware in your handler: this one asks for a second factor
// from a thousand up.
//
//	if amount >= 1000 {
//		v.RequireACR("2")(transfer).ServeHTTP(w, r)
//		return
//	}
//
// # Clients that know nothing but your URL
//
// Clients of the Model Context Protocol, and others that no developer configured, find the issuer
// by the resource server's metadata (RFC 9728). Describe the resource, and the middleware serves
// the document and names it, and the scopes that are needed, in its challenges:
//
//	v, err := verifier.New(verifier.Config{
//		Issuer: "https://id.example.com",
//		Resource: verifier.Resource{
//			URI:             "https://api.example.com/mcp", // and the audience
//			ScopesSupported: []string{"tools:read"},
//		},
//	})
//	if err != nil {
//		log.Fatal(err)
//	}
//	log.Fatal(http.ListenAndServe("127.0.0.1:9000", v.RequireScope("tools:read")(tools)))
//
// The document is at https://api.example.com/.well-known/oauth-protected-resource/mcp: a proxy must
// pass requests for it on to this server. Behind a mux that serves other things as well,
// WithMetadata answers them.
//
// # When the issuer's keys are fetched
//
// The keys are fetched:
//
//   - when the first token comes;
//   - when 70 to 90 percent of the key set's Cache-Control max-age are over (5 minutes when it has
//     none). This fetch runs in the background, and no request waits for it;
//   - at once when a token names an unknown key.
//
// There is one fetch at a time, and at most one per Config.Cooldown, however many tokens need it.
// That suits Signet, which publishes each key an hour before the key signs.
//
// A token that would be refused under any key (expired, another audience) starts no fetch while
// there are keys. Before the first answer such a token waits for at most a quarter of a second, or
// not at all after a failed fetch, and then gets ErrKeysUnavailable.
//
// An unknown key is refused with 401 only by a key set that was requested at or after the token's
// `iat`, give or take Config.ClockSkew. When the fetch fails, or the key set is older and the
// cooldown is not over, the verifier cannot decide and answers 503.
//
// A withdrawn key is forgotten with the first key set that no longer has it, at the latest when
// max-age is over. While the issuer cannot be reached, known keys stay valid until
// Config.StaleLimit (24 h) after the last answer. Then, as before the first answer, every token is
// refused with ErrKeysUnavailable: 503, not 401, because the verifier cannot decide. Ages are
// measured by the wall clock and by the monotonic clock, and the older one counts, so a machine
// that was suspended trusts no key longer.
//
// # Several issuers
//
// Config.MoreIssuers are accepted beside Config.Issuer. The `iss` of a token picks one of them; what
// was said about keys above holds for each one apart.
//
// # Without network
//
// `signet keys bundle` prints the key set as a signed JWT that expires. With Config.Bundle a verifier
// starts without network, and it uses the bundle until its end; UpdateBundle takes later ones, which
// a key that the verifier holds must have signed. A key that is missing in a newer key set or bundle
// is not brought back by an older one. With Config.Offline nobody is called.
//
// # Tokens that come again
//
// With Config.CacheSize, tokens that were accepted are remembered by their SHA-256, and cost neither
// parsing nor a signature check when they come again. All the rest is judged for each request, as
// if the token were new: the time, the audience, what the route needs, and whether the issuer still
// publishes the key.
//
// # Browsers
//
// A CORS preflight (OPTIONS) carries no token, so Middleware answers it with 401 and the browser
// gives up. Answer preflights outside of Middleware. Set Access-Control-Allow-Origin there too, on
// every answer, refusals included. A page reads the challenge of a refusal only if
// Access-Control-Expose-Headers names WWW-Authenticate:
//
//	handler := cors(v.Middleware(mux)) // not v.Middleware(cors(mux))
//
// The metadata document needs none of that: it allows every origin by itself.
package verifier

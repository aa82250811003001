// Package verifier checks Signet's access tokens in your resource server,
// offline: after one look at the issuer's published keys, no request of yours
// waits for the issuer.
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
// (examples/resourceserver is that program, whole and runnable; issuertest is an
// issuer for your tests, with a clock to move.)
//
// # What is accepted
//
// A compact JWS of at most 16 KiB with `typ` at+jwt (RFC 9068; compared without
// case, application/at+jwt is the same), whose `alg` is allowed and is that of
// the key its `kid` names; `iss` equal to Config.Issuer, `aud` holding one of
// Config.Audience; `exp`, `iat`, `sub`, `client_id` and `jti` present; the clock
// between `nbf` and `exp`, give or take Config.ClockSkew. ID tokens, refresh
// tokens, tokens bound to a key (`cnf`), tokens with unknown header members, with
// duplicate members or with claims in the wrong case are refused.
//
// A `status` claim (token status lists) is not looked at yet: a revoked grant is
// accepted here until its access token expires.
//
// # When the issuer's keys are fetched
//
// On the first token; then when 70 to 90 percent of the key set's Cache-Control
// max-age are over (5 minutes when it has none), beside a request that does not
// wait for it; and at once when a token names an unknown key. However many tokens
// ask for it, there is one fetch at a time and at most one per Config.Cooldown.
// That suits Signet, which publishes each key an hour before it signs. A token that
// would be refused whoever signed it (expired, another audience) makes no
// fetch while there are keys; before the first answer, it waits a quarter of a second
// at most, not at all after a fetch that failed, and then gets ErrKeysUnavailable.
//
// An unknown key is refused (401) on the word of a key set that was asked for at or
// after the token's `iat`, give or take Config.ClockSkew. When the fetch fails, or
// the cooldown lasts and the key set is older than that, nothing was decided: 503.
//
// A withdrawn key is forgotten with the first key set that no longer has it, at
// the latest when max-age is over. While the issuer cannot be reached, known keys
// stay good until Config.StaleLimit (24 h) after its last answer; then, as before
// the first answer, every token is refused with ErrKeysUnavailable: 503, not 401,
// because nothing was decided. Ages are the older of two, by the wall clock and by
// the monotonic one, so a machine that was suspended trusts nothing longer.
//
// # Browsers
//
// A CORS preflight (OPTIONS) carries no token, so Middleware answers it with 401 and
// the browser gives up. Answer preflights outside of it, and set the
// Access-Control-Allow-Origin of the answers there too, refusals included:
//
//	handler := cors(v.Middleware(mux)) // not v.Middleware(cors(mux))
package verifier

package protocol_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/userstore"
)

// proving are clients with keys.
type proving struct {
	*apitest.Server
	standard
	key, other dpoptest.Key
}

func newProving(t *testing.T, s *apitest.Server) proving {
	return proving{s, newStandard(s), dpoptest.NewKey(t), dpoptest.NewKey(t)}
}

func (p proving) with(t *testing.T) proving {
	p.Server = p.Server.With(t)
	return p
}

// address is the address of one of our paths, as clients know it.
func (p proving) address(path string) string { return p.Replicas[0].Issuer.URL + path }

// proof is a new proof for a request to a path.
func (p proving) proof(key dpoptest.Key, method, path string) dpoptest.Claims {
	return dpoptest.For(method, p.address(path), p.Clock.Now())
}

// proved adds a new proof of key to a request.
func (p proving) proved(key dpoptest.Key, q apitest.Request) apitest.Request {
	method := q.Method
	if method == "" {
		method = http.MethodGet
	}
	claims := p.proof(key, method, q.Path)
	if scheme, token, _ := strings.Cut(q.Header.Get("Authorization"), " "); scheme == "DPoP" {
		claims = dpoptest.WithToken(claims, token)
	}
	return sending(q, key.Proof(p.T, claims))
}

// sending adds DPoP headers to a request.
func sending(q apitest.Request, proofs ...string) apitest.Request {
	header := http.Header{}
	if q.Header != nil {
		header = q.Header.Clone()
	}
	header["Dpop"] = proofs
	q.Header = header
	return q
}

// presenting is a request with an access token by a scheme.
func presenting(scheme, method, path, token string) apitest.Request {
	return apitest.Request{Method: method, Path: path, Header: http.Header{"Authorization": {scheme + " " + token}}}
}

// redeemed logs alice in with a key.
func (p proving) redeemed(key dpoptest.Key, c apitest.Client, edit ...func(*userstore.Code)) (tokens apitest.Tokens) {
	p.T.Helper()
	p.Do(p.proved(key, p.CodeRequest(c, p.Code(p.alice, c, edit...)))).Want(200, "").JSON(&tokens)
	return tokens
}

func (p proving) userinfo(key dpoptest.Key, token string) *apitest.Response {
	p.T.Helper()
	return p.Do(p.proved(key, presenting("DPoP", "GET", "/oauth2/userinfo", token)))
}

// TestBoundTokens: with a proof, every grant gives tokens that are bound to its key.
func TestBoundTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		bound := func(name string, tokens apitest.Tokens) {
			t.Helper()
			if tokens.Type != "DPoP" {
				t.Errorf("%s: token_type %s", name, tokens.Type)
			}
			state := p.Introspect(p.web, tokens.Access)
			if state["active"] != true || state["token_type"] != "DPoP" || state["cnf"].(map[string]any)["jkt"] != p.key.Thumbprint {
				t.Errorf("%s: %v", name, state)
			}
		}
		first := p.redeemed(p.key, p.web)
		bound("a code", first)
		var next apitest.Tokens
		p.Do(p.proved(p.key, p.RefreshRequest(p.web, first.Refresh))).Want(200, "").JSON(&next)
		bound("a refresh", next)
		p.Do(p.proved(p.key, p.Authenticated(p.web, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}))).Want(200, "").JSON(&next)
		bound("a client's own", next)
		var plain apitest.Tokens
		p.Do(p.CodeRequest(p.web, p.Code(p.alice, p.web))).Want(200, "").JSON(&plain)
		if state := p.Introspect(p.web, plain.Access); plain.Type != "Bearer" || state["token_type"] != "Bearer" || state["cnf"] != nil {
			t.Errorf("without a proof: %+v, %v", plain.Type, state)
		}
	})
}

// D-01 and D-03 at the token endpoint and at a resource; package dpop has all rows of RFC 9449 section 4.3.
func TestD01WrongProofsAreRefused(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		header := p.key.Header(t)
		token := p.redeemed(p.key, p.web).Access
		code := p.Code(p.alice, p.web)
		type proofOf = func(claims dpoptest.Claims) []string
		one := func(of func(claims dpoptest.Claims) string) proofOf {
			return func(c dpoptest.Claims) []string { return []string{of(c)} }
		}
		headed := func(name string, value any) proofOf {
			return one(func(c dpoptest.Claims) string { return p.key.Sign(t, dpoptest.With(header, name, value), c) })
		}
		at := func(offset time.Duration) proofOf {
			return one(func(c dpoptest.Claims) string {
				return p.key.Proof(t, dpoptest.With(c, "iat", p.Clock.Now().Add(offset).Unix()))
			})
		}
		for name, proof := range map[string]proofOf{
			"D-01 typ":            headed("typ", "JWT"),
			"D-01 alg none":       headed("alg", "none"),
			"D-01 alg HS256":      headed("alg", "HS256"),
			"D-01 no jwk":         headed("jwk", nil),
			"D-01 oct":            headed("jwk", dpoptest.Claims{"kty": "oct", "k": "c2VjcmV0"}),
			"D-01 a private key":  headed("jwk", p.key.PrivateJWK(t)),
			"D-01 of another key": headed("jwk", p.other.JWK(t)),
			"D-01 two headers": func(c dpoptest.Claims) []string {
				return []string{p.key.Proof(t, c), p.key.Proof(t, dpoptest.With(c, "jti", "x"))}
			},
			"D-01 one header twice": func(c dpoptest.Claims) []string { return []string{p.key.Proof(t, c), p.key.Proof(t, c)} },
			"D-01 an empty header":  func(dpoptest.Claims) []string { return []string{""} },
			"D-03 iat of 5 min ago": at(-300 * time.Second),
			"D-03 iat in 2 min":     at(120 * time.Second),
			"another method":        one(func(c dpoptest.Claims) string { return p.key.Proof(t, dpoptest.With(c, "htm", "PUT")) }),
			"another address":       one(func(c dpoptest.Claims) string { return p.key.Proof(t, dpoptest.With(c, "htu", "https://evil.test/")) }),
		} {
			t.Run(name, func(t *testing.T) {
				p := p.with(t)
				p.Unchanged(func() {
					p.Do(sending(p.CodeRequest(p.web, code), proof(p.proof(p.key, "POST", "/oauth2/token"))...)).Want(400, "invalid_dpop_proof")
					p.Do(sending(p.Authenticated(p.web, "/oauth2/par", p.authorization()), proof(p.proof(p.key, "POST", "/oauth2/par"))...)).
						Want(400, "invalid_dpop_proof")
					claims := dpoptest.WithToken(p.proof(p.key, "GET", "/oauth2/userinfo"), token)
					res := p.Do(sending(presenting("DPoP", "GET", "/oauth2/userinfo", token), proof(claims)...)).Want(401, "invalid_dpop_proof")
					if challenge := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `DPoP error="invalid_dpop_proof"`) ||
						!strings.Contains(challenge, `algs="RS256 PS256 ES256 EdDSA Ed25519"`) {
						t.Errorf("the challenge is %s", challenge)
					}
				})
			})
		}
		for _, offset := range []time.Duration{-10 * time.Second, 10 * time.Second} {
			q := p.Authenticated(p.web, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
			p.Do(sending(q, at(offset)(p.proof(p.key, "POST", "/oauth2/token"))...)).Want(200, "")
		}
		p.Do(p.proved(p.key, p.CodeRequest(p.web, code))).Want(200, "") // no refusal used it up
	})
}

func (p proving) authorization() url.Values {
	return url.Values{"response_type": {"code"}, "redirect_uri": {p.web.RedirectURIs[0]}, "scope": {"openid"},
		"code_challenge": {apitest.Challenge}, "code_challenge_method": {"S256"}}
}

// D-04: a proof is used once: again, at once, at another replica, after a restart, for another grant.
func TestD04AProofIsUsedOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		own := func(proof string, replica int) apitest.Request {
			q := sending(p.Authenticated(p.web, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}}), proof)
			q.Replica = replica
			return q
		}
		proof := p.key.Proof(t, p.proof(p.key, "POST", "/oauth2/token"))
		p.Do(own(proof, 0)).Want(200, "")
		for n := range p.Replicas {
			p.Do(own(proof, n)).Want(400, "invalid_dpop_proof")
		}
		code := p.Code(p.alice, p.web)
		p.Unchanged(func() { p.Do(sending(p.CodeRequest(p.web, code), proof)).Want(400, "invalid_dpop_proof") })
		p.Advance(dpop.MaxAge - time.Second)
		p.Do(own(proof, 0)).Want(400, "invalid_dpop_proof") // it is still young enough, and known
		again := apitest.New(t, apitest.Options{DB: s.DB})
		again.Advance(dpop.MaxAge - time.Second)
		again.Do(own(proof, 0)).Want(400, "invalid_dpop_proof")

		const requests = 16
		same := p.key.Proof(t, p.proof(p.key, "POST", "/oauth2/token"))
		statuses := make([]int, requests)
		var group sync.WaitGroup
		for n := range requests {
			group.Go(func() { statuses[n] = p.Do(own(same, n%len(p.Replicas))).Status })
		}
		group.Wait()
		count := map[int]int{}
		for _, status := range statuses {
			count[status]++
		}
		if count[200] != 1 || count[400] != requests-1 {
			t.Errorf("D-04: of %d requests with one proof: %v", requests, count)
		}

		tokens := p.redeemed(p.key, p.web)
		atUserinfo := p.proved(p.key, presenting("DPoP", "GET", "/oauth2/userinfo", tokens.Access))
		p.Do(atUserinfo).Want(200, "")
		p.Do(atUserinfo).Want(401, "invalid_dpop_proof")
		// The grant does not move for a proof that was used.
		p.Unchanged(func() { p.Do(sending(p.RefreshRequest(p.web, tokens.Refresh), same)).Want(400, "invalid_dpop_proof") })
		refresh := p.proved(p.key, p.RefreshRequest(p.web, tokens.Refresh))
		p.Do(refresh).Want(200, "")
		p.Unchanged(func() { p.Do(refresh).Want(400, "invalid_dpop_proof") })
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

// D-06: nonces are those of this server, and each is accepted until the one after the next is given out.
func TestD06Nonces(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		own := p.Authenticated(p.web, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
		ask := func(nonce any) *apitest.Response {
			t.Helper()
			return p.Do(sending(own, p.key.Proof(t, dpoptest.With(p.proof(p.key, "POST", "/oauth2/token"), "nonce", nonce))))
		}
		first := ask(nil).Want(400, "use_dpop_nonce").Header.Get("DPoP-Nonce")
		if first == "" {
			t.Fatal("there is no nonce in the answer")
		}
		if given := ask(first).Want(200, "").Header.Get("DPoP-Nonce"); given != first {
			t.Errorf("the answer to a good proof has the nonce %q", given)
		}
		for name, nonce := range map[string]any{"empty": "", "forged": strings.Repeat("A", len(first)), "cut short": first[:len(first)-1]} {
			if given := ask(nonce).Want(400, "use_dpop_nonce").Header.Get("DPoP-Nonce"); given != first {
				t.Errorf("D-06 %s: the nonce %q is given", name, given)
			}
		}
		p.Advance(2 * time.Minute)
		second := ask(first).Want(200, "").Header.Get("DPoP-Nonce")
		if second == first || second == "" {
			t.Errorf("the next nonce is %q", second)
		}
		p.Advance(2 * time.Minute)
		ask(first).Want(400, "use_dpop_nonce")
		ask(second).Want(200, "")

		nonce := ask(second).Want(200, "").Header.Get("DPoP-Nonce")
		var tokens apitest.Tokens
		p.Do(sending(p.CodeRequest(p.web, p.Code(p.alice, p.web)),
			p.key.Proof(t, dpoptest.With(p.proof(p.key, "POST", "/oauth2/token"), "nonce", nonce)))).Want(200, "").JSON(&tokens)
		res := p.userinfo(p.key, tokens.Access).Want(401, "use_dpop_nonce")
		if challenge := res.Header.Get("WWW-Authenticate"); res.Header.Get("DPoP-Nonce") != nonce ||
			!strings.HasPrefix(challenge, `DPoP error="use_dpop_nonce"`) {
			t.Errorf("D-06 at a resource: nonce %q, %s", res.Header.Get("DPoP-Nonce"), challenge)
		}
		claims := dpoptest.WithToken(p.proof(p.key, "GET", "/oauth2/userinfo"), tokens.Access)
		p.Do(sending(presenting("DPoP", "GET", "/oauth2/userinfo", tokens.Access), p.key.Proof(t, dpoptest.With(claims, "nonce", nonce)))).Want(200, "")
		pushed := p.Authenticated(p.web, "/oauth2/par", p.authorization())
		if res := p.Do(p.proved(p.key, pushed)).Want(400, "use_dpop_nonce"); res.Header.Get("DPoP-Nonce") != nonce {
			t.Errorf("D-06 at /oauth2/par: nonce %q", res.Header.Get("DPoP-Nonce"))
		}
		// A script of the app can read the nonce and the challenge.
		fromApp := p.proved(p.key, presenting("DPoP", "GET", "/oauth2/userinfo", tokens.Access))
		fromApp.Header.Set("Origin", "https://web.test")
		exposed := strings.Split(p.Do(fromApp).Want(401, "use_dpop_nonce").Header.Get("Access-Control-Expose-Headers"), ", ")
		if !slices.Contains(exposed, "DPoP-Nonce") || !slices.Contains(exposed, "WWW-Authenticate") {
			t.Errorf("D-06: scripts may read %q", exposed)
		}
		if res := p.Do(own).Want(200, ""); res.Header.Get("DPoP-Nonce") != "" {
			t.Error("a client without proofs gets a nonce")
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.DPoPNonces = true }))
}

// D-07: a bound token counts with a proof of its key and for itself, and no other token by the scheme DPoP.
func TestD07WhoMayPresentAToken(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		token, another := p.redeemed(p.key, p.web).Access, p.redeemed(p.key, p.web).Access
		plain := p.Redeem(p.alice, p.web).Access
		const path = "/oauth2/userinfo"
		for name, row := range map[string]struct {
			q    apitest.Request
			code string
		}{
			"a bound token as Bearer":              {presenting("Bearer", "GET", path, token), "invalid_token"},
			"a bound token as Bearer with a proof": {p.proved(p.key, presenting("Bearer", "GET", path, token)), "invalid_token"},
			"a bearer token as DPoP":               {p.proved(p.key, presenting("DPoP", "GET", path, plain)), "invalid_token"},
			"a bearer token as DPoP without proof": {presenting("DPoP", "GET", path, plain), "invalid_token"},
			"no proof":                             {presenting("DPoP", "GET", path, token), "invalid_dpop_proof"},
			"no ath": {sending(presenting("DPoP", "GET", path, token),
				p.key.Proof(t, p.proof(p.key, "GET", path))), "invalid_dpop_proof"},
			"the ath of another token": {sending(presenting("DPoP", "GET", path, token),
				p.key.Proof(t, dpoptest.WithToken(p.proof(p.key, "GET", path), another))), "invalid_dpop_proof"},
			"a proof of another key": {p.proved(p.other, presenting("DPoP", "GET", path, token)), "invalid_token"},
			"a bound token in the body": {apitest.Request{Method: "POST", Path: path, Form: url.Values{"access_token": {token}}},
				"invalid_token"},
		} {
			t.Run("D-07 "+name, func(t *testing.T) {
				res := p.with(t).Do(row.q).Want(401, row.code)
				scheme, _, _ := strings.Cut(res.Header.Get("WWW-Authenticate"), " ")
				sent, _, _ := strings.Cut(row.q.Header.Get("Authorization"), " ")
				if sent == "" {
					sent = "Bearer"
				}
				if scheme != sent {
					t.Errorf("the challenge is %q", res.Header.Values("WWW-Authenticate"))
				}
			})
		}
		for _, scheme := range []string{"DPoP", "dpop"} {
			q := presenting(scheme, "POST", path, token)
			claims := dpoptest.WithToken(p.proof(p.key, "POST", path), token)
			p.Do(sending(q, p.key.Proof(t, claims))).Want(200, "")
		}
		missing := p.Do(apitest.Request{Path: path}).Want(401, "invalid_token").Header.Values("WWW-Authenticate")
		if len(missing) != 2 || !strings.HasPrefix(missing[0], "Bearer realm=") || missing[1] != `DPoP algs="RS256 PS256 ES256 EdDSA Ed25519"` {
			t.Errorf("the challenges are %q", missing)
		}
	})
}

// TestRefreshTokensOfBoundGrants: RFC 9449 section 5, for public and for confidential clients.
func TestRefreshTokensOfBoundGrants(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		refresh := func(key *dpoptest.Key, c apitest.Client, token string) *apitest.Response {
			t.Helper()
			q := p.RefreshRequest(c, token)
			if key != nil {
				q = p.proved(*key, q)
			}
			return p.Do(q)
		}
		take := func(res *apitest.Response) (tokens apitest.Tokens) {
			t.Helper()
			res.Want(200, "").JSON(&tokens)
			return tokens
		}
		tokens := p.redeemed(p.key, p.spa)
		p.Unchanged(func() {
			refresh(nil, p.spa, tokens.Refresh).Want(400, "invalid_grant")
			refresh(&p.other, p.spa, tokens.Refresh).Want(400, "invalid_grant")
		})
		second := take(refresh(&p.key, p.spa, tokens.Refresh))
		if second.Type != "DPoP" {
			t.Errorf("token_type %s", second.Type)
		}
		// A lost answer is given again, to the key.
		again := take(refresh(&p.key, p.spa, tokens.Refresh))
		if again.Refresh != second.Refresh || again.Type != "DPoP" {
			t.Errorf("given again: another refresh token, or of type %s", again.Type)
		}
		third := take(refresh(&p.key, p.spa, second.Refresh))
		p.userinfo(p.key, third.Access).Want(200, "")

		// A grant without a key gets one with the first proof.
		plain := p.Redeem(p.alice, p.spa)
		bound := take(refresh(&p.key, p.spa, plain.Refresh))
		p.Unchanged(func() { refresh(nil, p.spa, bound.Refresh).Want(400, "invalid_grant") })
		take(refresh(&p.key, p.spa, bound.Refresh))

		// A confidential client proves itself in another way.
		own := p.redeemed(p.key, p.web)
		next := take(refresh(&p.other, p.web, own.Refresh))
		p.userinfo(p.other, next.Access).Want(200, "")
		p.userinfo(p.key, next.Access).Want(401, "invalid_token")
		if last := take(refresh(nil, p.web, next.Refresh)); last.Type != "Bearer" {
			t.Errorf("without a proof: token_type %s", last.Type)
		}
	})
}

// TestAStolenRefreshTokenIsNotKeptByAKey: a thief who brings a key binds the grant to it; the owner's next
// refresh, with a token of before and without that key, ends the session all the same (T-18), also
// within the time in which a lost answer is given again.
func TestAStolenRefreshTokenIsNotKeptByAKey(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		bare := func(q apitest.Request) apitest.Request { return q }
		withAnother := func(q apitest.Request) apitest.Request { return p.proved(p.key, q) }
		for name, row := range map[string]struct {
			begun apitest.Tokens
			key   dpoptest.Key // that the session is bound to
			again func(apitest.Request) apitest.Request
		}{
			"T-18 bound by a thief, and the owner has no key":      {p.Redeem(p.alice, p.spa), p.other, bare},
			"T-18 bound by a thief, and the owner has another key": {p.Redeem(p.alice, p.spa), p.other, withAnother},
			"T-18 bound from the beginning":                        {p.redeemed(p.key, p.spa), p.key, bare},
		} {
			t.Run(name, func(t *testing.T) {
				p := p.with(t)
				var next apitest.Tokens
				p.Do(p.proved(row.key, p.RefreshRequest(p.spa, row.begun.Refresh))).Want(200, "").JSON(&next)
				p.userinfo(row.key, next.Access).Want(200, "")
				p.Do(row.again(p.RefreshRequest(p.spa, row.begun.Refresh))).Want(400, "invalid_grant")
				p.Do(p.proved(row.key, p.RefreshRequest(p.spa, next.Refresh))).Want(400, "invalid_grant")
				p.userinfo(row.key, next.Access).Want(401, "invalid_token")
			})
		}
	})
}

// TestBoundCodes: dpop_jkt, RFC 9449 section 10.
func TestBoundCodes(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		code := p.Code(p.alice, p.web, func(c *userstore.Code) { c.JKT = p.key.Thumbprint })
		p.Unchanged(func() {
			p.Do(p.CodeRequest(p.web, code)).Want(400, "invalid_grant")
			p.Do(p.proved(p.other, p.CodeRequest(p.web, code))).Want(400, "invalid_grant")
		})
		p.Do(p.proved(p.key, p.CodeRequest(p.web, code))).Want(200, "")

		push := func(key *dpoptest.Key, jkt string) *apitest.Response {
			t.Helper()
			form := p.authorization()
			if jkt != "" {
				form.Set("dpop_jkt", jkt)
			}
			q := p.Authenticated(p.web, "/oauth2/par", form)
			if key != nil {
				q = p.proved(*key, q)
			}
			return p.Do(q)
		}
		push(nil, p.key.Thumbprint).Want(201, "")
		push(&p.key, "").Want(201, "")
		push(&p.key, p.key.Thumbprint).Want(201, "")
		p.Unchanged(func() {
			push(&p.key, p.other.Thumbprint).Want(400, "invalid_request")
			for _, jkt := range []string{"x", p.key.Thumbprint + "=", p.key.Thumbprint[1:], strings.Repeat("~", 43)} {
				push(nil, jkt).Want(400, "invalid_request")
			}
			twice := p.authorization()
			twice["dpop_jkt"] = []string{p.key.Thumbprint, p.key.Thumbprint}
			p.Do(p.Authenticated(p.web, "/oauth2/par", twice)).Want(400, "invalid_request")
		})
	})
}

// TestABrowserBringsTheThumbprint: dpop_jkt goes through the pages, pushed or not, into the code.
func TestABrowserBringsTheThumbprint(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		b, redeem := p.SignedIn(p.alice), func(key dpoptest.Key, page *apitest.Page) *apitest.Response {
			return p.Do(p.proved(key, p.CodeRequest(p.web, p.Secret(page.Query().Get("code")))))
		}
		path := apitest.AuthorizePath(p.web, apitest.Param("dpop_jkt", p.key.Thumbprint))
		page := b.Open(path).WantPage(200, "consent-approve").Submit("consent-approve", nil)
		redeem(p.other, page).Want(400, "invalid_grant")
		redeem(p.key, page).Want(200, "")

		form := p.authorization()
		var pushed struct {
			URI string `json:"request_uri"`
		}
		p.Do(p.proved(p.key, p.Authenticated(p.web, "/oauth2/par", form))).Want(201, "").JSON(&pushed)
		page = b.Open("/oauth2/authorize?" + url.Values{"client_id": {p.web.ID}, "request_uri": {p.Secret(pushed.URI)}}.Encode())
		redeem(p.other, page).Want(400, "invalid_grant")
		redeem(p.key, page).Want(200, "")

		apitest.WantError(t, b.Open(apitest.AuthorizePath(p.web, apitest.Param("dpop_jkt", "x"))), "invalid_request")
		careful := s.Register(userstore.Client{ID: "careful", GrantTypes: []string{"authorization_code", "implicit"}, ClientMetadata: userstore.ClientMetadata{
			DPoPBoundAccessTokens: true, ResponseTypes: []string{"code token", "code"}}})
		refusal := b.Open(apitest.AuthorizePath(careful, apitest.Param("response_type", "code token")))
		if !strings.Contains(refusal.To, "error=unauthorized_client") || strings.Contains(refusal.To, "access_token") {
			t.Errorf("a bound client that asks for a token here: %s", refusal.To)
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.ResponseTypes = userstore.ResponseTypes }))
}

// TestTheAccountAPITakesBoundTokens: /v1 is a resource as userinfo is.
func TestTheAccountAPITakesBoundTokens(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		own := s.Register(userstore.Client{ID: "own", AuthMethod: userstore.AuthNone, FirstParty: true})
		token := p.redeemed(p.key, own).Access
		const path = "/v1/profile"
		p.Do(p.proved(p.key, presenting("DPoP", "GET", path, token))).Want(200, "")
		p.Do(presenting("Bearer", "GET", path, token)).Want(401, "token_invalid")
		p.Do(p.proved(p.other, presenting("DPoP", "GET", path, token))).Want(401, "token_invalid")
		res := p.Do(presenting("DPoP", "GET", path, token)).Want(401, "invalid_dpop_proof")
		if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `DPoP error="invalid_dpop_proof"`) {
			t.Errorf("challenge %q", got)
		}
		other := presenting("DPoP", "GET", path, token)
		claims := dpoptest.WithToken(p.proof(p.key, "GET", "/v1/profile/sessions"), token)
		p.Do(sending(other, p.key.Proof(t, claims))).Want(401, "invalid_dpop_proof")
	})
}

// TestClientsWhoseTokensAreBound: dpop_bound_access_tokens, RFC 9449 section 5.2.
func TestClientsWhoseTokensAreBound(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		careful := s.Register(userstore.Client{ID: "careful", ClientMetadata: userstore.ClientMetadata{DPoPBoundAccessTokens: true}})
		code := p.Code(p.alice, careful)
		p.Unchanged(func() {
			p.Do(p.CodeRequest(careful, code)).Want(400, "invalid_dpop_proof")
			p.Do(p.Authenticated(careful, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})).Want(400, "invalid_dpop_proof")
		})
		var tokens apitest.Tokens
		p.Do(p.proved(p.key, p.CodeRequest(careful, code))).Want(200, "").JSON(&tokens)
		p.Unchanged(func() { p.Do(p.RefreshRequest(careful, tokens.Refresh)).Want(400, "invalid_dpop_proof") })
		p.Do(p.proved(p.key, p.RefreshRequest(careful, tokens.Refresh))).Want(200, "")
	})
}

// TestProofsUnderAPath: htu is the address of a request as its sender knows it, with the path of the issuer
// and without query and fragment; what a proxy says of the address does not matter (H-06).
func TestProofsUnderAPath(t *testing.T) {
	s := apitest.New(t, apitest.Options{IssuerURL: "https://id.test/p"})
	c, key := s.Register(userstore.Client{ID: "machine"}), dpoptest.NewKey(t)
	ask := func(htu string) *apitest.Response {
		q := s.Authenticated(c, "/p/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
		q.Header = http.Header{"X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Prefix": {"/evil"}, "Forwarded": {"host=evil.test"}}
		return s.Do(sending(q, key.Proof(t, dpoptest.For("POST", htu, s.Clock.Now()))))
	}
	for _, htu := range []string{
		"https://id.test/oauth2/token", "https://id.test/p/oauth2/token/", "https://id.test/p//oauth2/token", "http://id.test/p/oauth2/token",
		"https://evil.test/p/oauth2/token", "https://id.test/evil/p/oauth2/token", "https://id.test/p/oauth2/par",
	} {
		if res := ask(htu); res.Status != 400 || res.Code() != "invalid_dpop_proof" {
			t.Errorf("%s: %d %s", htu, res.Status, res.Code())
		}
	}
	var tokens apitest.Tokens
	for _, htu := range []string{"https://id.test/p/oauth2/token", "HTTPS://ID.test:443/p/./oauth2/%74oken?a=b#c"} {
		ask(htu).Want(200, "").JSON(&tokens)
	}
	at := func(htu string) *apitest.Response {
		claims := dpoptest.WithToken(dpoptest.For("GET", htu, s.Clock.Now()), tokens.Access)
		return s.Do(sending(presenting("DPoP", "GET", "/p/oauth2/userinfo?a=b", tokens.Access), key.Proof(t, claims)))
	}
	at("https://id.test/oauth2/userinfo").Want(401, "invalid_dpop_proof")
	// There is no user; what is said of it is said by the scheme of the request.
	if got := at("https://id.test/p/oauth2/userinfo").Want(403, "insufficient_scope").Header.Get("WWW-Authenticate"); !strings.HasPrefix(got,
		`DPoP error="insufficient_scope"`) {
		t.Errorf("the challenge is %q", got)
	}
}

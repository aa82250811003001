package protocol_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/userstore"
)

// D-01 and D-03 at the token endpoint and at a resource; package dpop has all rows of RFC 9449
// section 4.3.
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
		claimed := func(name string, value any) proofOf {
			return one(func(c dpoptest.Claims) string { return p.key.Proof(t, dpoptest.With(c, name, value)) })
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
			"D-01 one header twice": func(c dpoptest.Claims) []string {
				return []string{p.key.Proof(t, c), p.key.Proof(t, c)}
			},
			"D-01 an empty header":  func(dpoptest.Claims) []string { return []string{""} },
			"D-03 iat of 5 min ago": at(-300 * time.Second),
			"D-03 iat in 2 min":     at(120 * time.Second),
			"another method":        claimed("htm", "PUT"),
			"another address":       claimed("htu", "https://evil.test/"),
		} {
			t.Run(name, func(t *testing.T) {
				p := p.with(t)
				p.Unchanged(func() {
					q := p.CodeRequest(p.web, code)
					p.Do(sending(q, proof(p.proof(p.key, "POST", "/oauth2/token"))...)).Want(400, "invalid_dpop_proof")
					q = p.Authenticated(p.web, "/oauth2/par", p.authorization())
					p.Do(sending(q, proof(p.proof(p.key, "POST", "/oauth2/par"))...)).Want(400, "invalid_dpop_proof")
					claims := dpoptest.WithToken(p.proof(p.key, "GET", "/oauth2/userinfo"), token)
					q = presenting("DPoP", "GET", "/oauth2/userinfo", token)
					res := p.Do(sending(q, proof(claims)...)).Want(401, "invalid_dpop_proof")
					challenge := res.Header.Get("WWW-Authenticate")
					if !strings.HasPrefix(challenge, `DPoP error="invalid_dpop_proof"`) ||
						!strings.Contains(challenge, algorithms) {
						t.Errorf("the challenge is %s", challenge)
					}
				})
			})
		}
		for _, offset := range []time.Duration{-10 * time.Second, 10 * time.Second} {
			q := p.clientCredentials(p.web)
			p.Do(sending(q, at(offset)(p.proof(p.key, "POST", "/oauth2/token"))...)).Want(200, "")
		}
		p.Do(p.proved(p.key, p.CodeRequest(p.web, code))).Want(200, "") // no refusal used it up
	})
}

// D-04: a proof is used once: again, at once, at another replica, after a restart, for another
// grant.
func TestD04AProofIsUsedOnce(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		own := func(proof string, replica int) apitest.Request {
			q := sending(p.clientCredentials(p.web), proof)
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
		p.Unchanged(func() {
			p.Do(sending(p.RefreshRequest(p.web, tokens.Refresh), same)).Want(400, "invalid_dpop_proof")
		})
		refresh := p.proved(p.key, p.RefreshRequest(p.web, tokens.Refresh))
		p.Do(refresh).Want(200, "")
		p.Unchanged(func() { p.Do(refresh).Want(400, "invalid_dpop_proof") })
	}, func(o *apitest.Options) { o.Replicas = 2 })
}

// TestProofsUnderAPath: htu is the address of a request as its sender knows it, with the path of
// the issuer and without query and fragment; what a proxy says of the address does not matter
// (H-06).
func TestProofsUnderAPath(t *testing.T) {
	s := apitest.New(t, apitest.Options{IssuerURL: "https://id.test/p"})
	c, key := s.Register(userstore.Client{ID: "machine"}), dpoptest.NewKey(t)
	ask := func(htu string) *apitest.Response {
		q := s.Authenticated(c, "/p/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
		q.Header = http.Header{
			"X-Forwarded-Host": {"evil.test"}, "X-Forwarded-Prefix": {"/evil"}, "Forwarded": {"host=evil.test"},
		}
		return s.Do(sending(q, key.Proof(t, dpoptest.For("POST", htu, s.Clock.Now()))))
	}
	for _, htu := range []string{
		"https://id.test/oauth2/token",
		"https://id.test/p/oauth2/token/",
		"https://id.test/p//oauth2/token",
		"http://id.test/p/oauth2/token",
		"https://evil.test/p/oauth2/token",
		"https://id.test/evil/p/oauth2/token",
		"https://id.test/p/oauth2/par",
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
	res := at("https://id.test/p/oauth2/userinfo").Want(403, "insufficient_scope")
	if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `DPoP error="insufficient_scope"`) {
		t.Errorf("the challenge is %q", got)
	}
}

package protocol_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/userstore"
)

// D-07: a bound token counts with a proof of its key and for itself, and no other token by the
// scheme DPoP.
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
			"a bound token in the body": {
				apitest.Request{Method: "POST", Path: path, Form: url.Values{"access_token": {token}}}, "invalid_token"},
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
		if len(missing) != 2 || !strings.HasPrefix(missing[0], "Bearer realm=") || missing[1] != "DPoP "+algorithms {
			t.Errorf("the challenges are %q", missing)
		}
	})
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

package protocol_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
)

// D-06: nonces are those of this server, and each is accepted until the one after the next is given
// out.
func TestD06Nonces(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		p := newProving(t, s)
		own := p.clientCredentials(p.web)
		withNonce := func(claims dpoptest.Claims, nonce any) string {
			return p.key.Proof(t, dpoptest.With(claims, "nonce", nonce))
		}
		ask := func(nonce any) *apitest.Response {
			t.Helper()
			return p.Do(sending(own, withNonce(p.proof(p.key, "POST", "/oauth2/token"), nonce)))
		}
		first := ask(nil).Want(400, "use_dpop_nonce").Header.Get("DPoP-Nonce")
		if first == "" {
			t.Fatal("there is no nonce in the answer")
		}
		if given := ask(first).Want(200, "").Header.Get("DPoP-Nonce"); given != first {
			t.Errorf("the answer to a good proof has the nonce %q", given)
		}
		for name, nonce := range map[string]any{
			"empty": "", "forged": strings.Repeat("A", len(first)), "cut short": first[:len(first)-1],
		} {
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
		redeem := p.CodeRequest(p.web, p.Code(p.alice, p.web))
		p.Do(sending(redeem, withNonce(p.proof(p.key, "POST", "/oauth2/token"), nonce))).Want(200, "").JSON(&tokens)
		res := p.userinfo(p.key, tokens.Access).Want(401, "use_dpop_nonce")
		if challenge := res.Header.Get("WWW-Authenticate"); res.Header.Get("DPoP-Nonce") != nonce ||
			!strings.HasPrefix(challenge, `DPoP error="use_dpop_nonce"`) {
			t.Errorf("D-06 at a resource: nonce %q, %s", res.Header.Get("DPoP-Nonce"), challenge)
		}
		claims := dpoptest.WithToken(p.proof(p.key, "GET", "/oauth2/userinfo"), tokens.Access)
		q := presenting("DPoP", "GET", "/oauth2/userinfo", tokens.Access)
		p.Do(sending(q, withNonce(claims, nonce))).Want(200, "")
		pushed := p.Authenticated(p.web, "/oauth2/par", p.authorization())
		if res := p.Do(p.proved(p.key, pushed)).Want(400, "use_dpop_nonce"); res.Header.Get("DPoP-Nonce") != nonce {
			t.Errorf("D-06 at /oauth2/par: nonce %q", res.Header.Get("DPoP-Nonce"))
		}
		// A script of the app can read the nonce and the challenge.
		fromApp := p.proved(p.key, presenting("DPoP", "GET", "/oauth2/userinfo", tokens.Access))
		fromApp.Header.Set("Origin", "https://web.test")
		res = p.Do(fromApp).Want(401, "use_dpop_nonce")
		exposed := strings.Split(res.Header.Get("Access-Control-Expose-Headers"), ", ")
		if !slices.Contains(exposed, "DPoP-Nonce") || !slices.Contains(exposed, "WWW-Authenticate") {
			t.Errorf("D-06: scripts may read %q", exposed)
		}
		if res := p.Do(own).Want(200, ""); res.Header.Get("DPoP-Nonce") != "" {
			t.Error("a client without proofs gets a nonce")
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.Issuer.DPoPNonces = true }))
}

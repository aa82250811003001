package conformance

import (
	"mime"
	"net/http"
	"slices"
	"strings"
)

// userinfoRS256 is for a client with the userinfo_signed_response_alg RS256: userinfo answers a JWT
// that is signed with it, for this client, about the user of the ID token.
func userinfoRS256(p *party) {
	if !slices.Contains(p.op.list("userinfo_signing_alg_values_supported"), "RS256") {
		p.t.Error("discovery does not say that userinfo is signed with RS256")
	}
	q := p.authorization("openid profile email")
	l := p.redeemOnly(q, p.code(q, p.authorize(q)))
	r := p.request("GET", p.op.text("userinfo_endpoint"), "")
	r.Header.Set("Authorization", "Bearer "+l.access)
	a := p.call(r)
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	parts := strings.Split(a.body, ".")
	if a.status != http.StatusOK || media != "application/jwt" || len(parts) != 3 {
		p.t.Fatalf("userinfo answers %d %s: %.300s", a.status, a.header.Get("Content-Type"), a.body)
	}
	var header, claims map[string]any
	decode(p.t, parts[0], &header)
	decode(p.t, parts[1], &claims)
	p.verify(header, parts)
	if claims["iss"] != p.op["issuer"] || claims["aud"] != p.client.ID || claims["sub"] != l.id["sub"] {
		p.t.Errorf("userinfo is from %v for %v about %v", claims["iss"], claims["aud"], claims["sub"])
	}
	p.claims("userinfo", claims)
	for _, scope := range []string{"profile", "email"} {
		for _, name := range scopeClaims[scope] {
			if claims[name] == nil {
				p.t.Errorf("userinfo lacks %s", name)
			}
		}
	}
}

// redeemOnly sends a code to the token endpoint and asks userinfo nothing.
func (p *party) redeemOnly(sent map[string][]string, code string) login {
	p.t.Helper()
	l := login{sent: sent, code: code, exchange: map[string][]string{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callbackURL}}}
	p.tokens(&l, p.token(l.exchange))
	return l
}

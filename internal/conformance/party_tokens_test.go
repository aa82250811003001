package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"math"
	"net/http"
	"net/url"
	"reflect"
	"strings"
)

// token sends a request to the token endpoint in the name of the client.
func (p *party) token(form url.Values) answer {
	p.t.Helper()
	if p.inBody {
		form.Set("client_id", p.client.ID)
		form.Set("client_secret", p.client.Secret)
	}
	proof := url.Values{}
	if p.self != nil {
		proof = p.assertion()
	}
	maps.Copy(form, proof)
	r := p.request("POST", p.op.text("token_endpoint"), form.Encode())
	if !p.inBody && p.self == nil {
		r.SetBasicAuth(url.QueryEscape(p.client.ID), url.QueryEscape(p.client.Secret))
	}
	a := p.call(r)
	if p.inBody {
		form.Del("client_secret")
	}
	for name := range proof {
		form.Del(name)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		p.t.Errorf("the token endpoint answers with Cache-Control %q", a.header.Get("Cache-Control"))
	}
	return a
}

// invalidGrant demands that a token request is refused with invalid_grant.
func (p *party) invalidGrant(a answer) {
	p.t.Helper()
	object := p.json(a, http.StatusBadRequest)
	code, _ := object["error"].(string)
	description, _ := object["error_description"].(string)
	p.describes(code, description, "invalid_grant")
}

// login is the result of a successful authorization request.
type login struct {
	sent            url.Values
	code            string
	exchange        url.Values // the token request
	refreshed       bool
	access, refresh string
	front           string // access token of the authorization endpoint
	raw             string // ID token
	id              map[string]any
	userinfo        map[string]any
}

// signIn runs the whole flow: the browser, the token endpoint, and userinfo with the token.
func (p *party) signIn(q url.Values) login {
	p.t.Helper()
	return p.redeem(q, p.code(q, p.authorize(q)))
}

// redeem checks the last response. It sends the code of the response to the token endpoint, and each
// access token to userinfo; more is added to the token request.
func (p *party) redeem(sent url.Values, code string, more ...func(url.Values)) login {
	p.t.Helper()
	l := login{sent: sent, code: code, front: p.response.Get("access_token"), raw: p.response.Get("id_token")}
	l.access = l.front
	if l.raw != "" {
		p.idToken(&l)
		p.hashes(l)
	}
	if l.front != "" {
		if !strings.EqualFold(p.response.Get("token_type"), "bearer") {
			p.t.Errorf("token_type is %q", p.response.Get("token_type"))
		}
		l.userinfo = p.userinfo(l)
	}
	if code == "" {
		if l.front == "" { // what userinfo would say
			l.userinfo = l.claims()
		}
		return l
	}
	first, about := l.id, l.userinfo
	l.exchange = url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callbackURL}}
	for _, fn := range more {
		fn(l.exchange)
	}
	p.tokens(&l, p.token(l.exchange))
	for _, name := range []string{"iss", "sub", "sid", "auth_time"} {
		if first != nil && first[name] != l.id[name] {
			p.t.Errorf("%s is %v in one ID token and %v in the other", name, first[name], l.id[name])
		}
	}
	l.userinfo = p.userinfo(l)
	if about != nil && !reflect.DeepEqual(about, l.userinfo) {
		p.t.Errorf("userinfo says %v for one access token and %v for the other", about, l.userinfo)
	}
	return l
}

// hashes demands that an ID token of the authorization endpoint names what comes with it (OIDC Core
// sections 3.2.2.10 and 3.3.2.11). idToken has checked at_hash where it is.
func (p *party) hashes(l login) {
	p.t.Helper()
	if (l.id["at_hash"] != nil) != (l.front != "") {
		p.t.Errorf("at_hash is %v", l.id["at_hash"])
	}
	var want any
	if l.code != "" {
		sum := sha256.Sum256([]byte(l.code))
		want = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	if l.id["c_hash"] != want {
		p.t.Errorf("c_hash is %v, want %v", l.id["c_hash"], want)
	}
	if l.sent.Get("nonce") == "" {
		p.t.Error("the ID token came without a nonce in the request")
	}
}

// claims returns the claims of the ID token that are about the user.
func (l login) claims() map[string]any {
	out := map[string]any{}
	for _, names := range scopeClaims {
		for _, name := range names {
			if value, there := l.id[name]; there {
				out[name] = value
			}
		}
	}
	return out
}

// tokens reads a token response and checks all of it.
func (p *party) tokens(l *login, a answer) {
	p.t.Helper()
	object := p.json(a, http.StatusOK)
	l.access, _ = object["access_token"].(string)
	l.refresh, _ = object["refresh_token"].(string)
	l.raw, _ = object["id_token"].(string)
	if kind, _ := object["token_type"].(string); !strings.EqualFold(kind, "bearer") || l.access == "" || l.raw == "" {
		p.t.Fatalf("the token response lacks something: token_type %v, %d members", object["token_type"], len(object))
	}
	if expires, ok := object["expires_in"].(float64); !ok || expires <= 0 || expires > 31536000 ||
		expires != math.Trunc(expires) {
		p.t.Errorf("expires_in is %v", object["expires_in"])
	}
	for name, token := range map[string]string{"access token": l.access, "refresh token": l.refresh} {
		if token == "" && name == "refresh token" {
			continue
		}
		if entropy(token) < 96 || strings.IndexFunc(token, func(c rune) bool { return c < 0x20 || c > 0x7e }) >= 0 {
			p.t.Errorf("the %s can be guessed, or has characters that it may not", name)
		}
	}
	p.idToken(l)
}

// entropy returns Shannon's entropy of a text, over its characters.
func entropy(text string) float64 {
	count := map[rune]float64{}
	for _, c := range text {
		count[c]++
	}
	bits := 0.0
	for _, n := range count {
		bits -= n * math.Log2(n/float64(len(text)))
	}
	return bits
}

package conformance

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

// party is the suite's part: the relying party of one run of a module, with a fresh browser.
type party struct {
	t        *testing.T
	s        *apitest.Server // for its clock
	n        *internet
	b        *browser
	op       metadata
	c        configuration
	client   configuredClient
	inBody   bool // the client authenticates in the body
	formPost bool // response_mode=form_post
	state    int  // length of state
}

// metadata is a discovery document.
type metadata map[string]any

func (m metadata) text(name string) string { text, _ := m[name].(string); return text }

func (m metadata) list(name string) (out []string) {
	list, _ := m[name].([]any)
	for _, v := range list {
		text, _ := v.(string)
		out = append(out, text)
	}
	return out
}

// answer is the answer of an endpoint to a request from server to server.
type answer struct {
	status int
	header http.Header
	body   string
	object map[string]any
}

func (p *party) call(r *http.Request) (a answer) {
	p.t.Helper()
	res, err := p.n.client().Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	a = answer{status: res.StatusCode, header: res.Header, body: string(body)}
	_ = json.Unmarshal(body, &a.object)
	return a
}

func (p *party) request(method, address, body string) *http.Request {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// json demands an answer that is a JSON object.
func (p *party) json(a answer, status int) map[string]any {
	p.t.Helper()
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.status != status || media != "application/json" || a.object == nil {
		p.t.Fatalf("answered %d %s: %.300s", a.status, a.header.Get("Content-Type"), a.body)
	}
	return a.object
}

// discover reads the discovery document, from which all endpoints are taken.
func (p *party) discover() {
	p.t.Helper()
	p.op = p.json(p.call(p.request("GET", p.c.Server.DiscoveryURL, "")), http.StatusOK)
}

// keys returns the keys that verify tokens.
func (p *party) keys() (keys []map[string]any) {
	p.t.Helper()
	a := p.call(p.request("GET", p.op.text("jwks_uri"), ""))
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(a.body), &set); a.status != http.StatusOK || err != nil || len(set.Keys) == 0 {
		p.t.Fatalf("the JWK set: %d %v: %.300s", a.status, err, a.body)
	}
	return set.Keys
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// random returns a random text of that length; a long one has every character that needs no
// escape.
func random(length int) string {
	b := make([]byte, length)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphanumeric[int(b[i])%len(alphanumeric)]
	}
	if length > 10 {
		copy(b[length-4:], "-._~")
	}
	return string(b)
}

// authorization returns the parameters with which every module begins an authorization request;
// edit changes them. The Basic profile sends no PKCE.
func (p *party) authorization(scope string, edit ...func(url.Values)) url.Values {
	q := url.Values{
		"client_id": {p.client.ID}, "redirect_uri": {callbackURL}, "scope": {scope}, "state": {random(max(p.state, 10))},
		"nonce": {random(10)}, "response_type": {"code"},
	}
	if p.formPost {
		q.Set("response_mode", "form_post")
	}
	for _, fn := range edit {
		fn(q)
	}
	return q
}

// with returns an edit that sets a parameter; an empty value removes it.
func with(name, value string) func(url.Values) {
	return func(q url.Values) {
		if q.Set(name, value); value == "" {
			q.Del(name)
		}
	}
}

func (p *party) endpoint(q url.Values) string {
	return address(p.op.text("authorization_endpoint"), q, slices.Sorted(maps.Keys(q)))
}

// address returns an endpoint with parameters in the order of names, byte for byte as the suite
// writes it. Spring's UriComponentsBuilder escapes only what RFC 3986 section 3.4 demands in a
// query, and the two characters that separate parameters. So the address has a redirect URI
// unescaped.
func address(endpoint string, q url.Values, names []string) string {
	var b strings.Builder
	for _, name := range names {
		for _, value := range q[name] {
			b.WriteString("&" + escape(name) + "=" + escape(value))
		}
	}
	return endpoint + "?" + strings.TrimPrefix(b.String(), "&")
}

func escape(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if strings.IndexByte(alphanumeric+"-._~!$'()*+,;:@/?", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// authorize sends the browser to the authorization endpoint and returns the authorization response.
func (p *party) authorize(q url.Values) url.Values {
	p.t.Helper()
	p.n.arrived = nil
	p.b.visit(p.endpoint(q))
	return p.back()
}

// back returns the one authorization response, and demands that it came by the requested response
// mode.
func (p *party) back() url.Values {
	p.t.Helper()
	if len(p.n.arrived) != 1 {
		p.t.Fatalf("%d requests came to the suite; the browser is at %s (%d): %s", len(p.n.arrived), p.b.at, p.b.status, p.b.text())
	}
	a := p.n.arrived[0]
	address, query := a.url, a.url.Query()
	address.RawQuery = ""
	if address.String() != callbackURL {
		p.t.Fatalf("the browser came back to %s", address.String())
	}
	if !p.formPost {
		if a.method != http.MethodGet || a.url.Fragment != "" {
			p.t.Errorf("the response came by %s, with the fragment %q", a.method, a.url.Fragment)
		}
		return p.once(query)
	}
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.method != http.MethodPost || media != "application/x-www-form-urlencoded" || len(query) != 0 {
		p.t.Errorf("the response came by %s as %q, with the query %v", a.method, media, query)
	}
	form, err := url.ParseQuery(a.body)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.once(form)
}

func (p *party) once(q url.Values) url.Values {
	p.t.Helper()
	for name, values := range q {
		if len(values) != 1 {
			p.t.Errorf("the response has %s %d times", name, len(values))
		}
	}
	return q
}

// only demands that a response has only these parameters.
func (p *party) only(q url.Values, names ...string) {
	p.t.Helper()
	for name := range q {
		if !slices.Contains(names, name) {
			p.t.Errorf("the response has a parameter %s: %v", name, q)
		}
	}
}

// commonParameters demands what holds for successful responses and error responses alike.
func (p *party) commonParameters(sent, got url.Values) {
	p.t.Helper()
	if got.Get("state") != sent.Get("state") {
		p.t.Errorf("state %q came back as %q", sent.Get("state"), got.Get("state"))
	}
	// RFC 9207: the discovery document promises iss.
	if got.Get("iss") != p.op.text("issuer") {
		p.t.Errorf("iss is %q", got.Get("iss"))
	}
}

// code demands a successful response.
func (p *party) code(sent, got url.Values) string {
	p.t.Helper()
	if got.Has("error") {
		p.t.Fatalf("refused: %v", got)
	}
	p.commonParameters(sent, got)
	p.only(got, "code", "state", "iss", "session_state")
	code := got.Get("code")
	if code == "" || strings.IndexFunc(code, func(c rune) bool { return c < 0x20 || c > 0x7e }) >= 0 {
		p.t.Fatalf("the code is %q", code)
	}
	return code
}

var errorText = regexp.MustCompile(`^[\x20-\x21\x23-\x5b\x5d-\x7e]+$`)

// refused demands an error response with one of these codes.
func (p *party) refused(sent, got url.Values, codes ...string) {
	p.t.Helper()
	p.commonParameters(sent, got)
	p.only(got, "error", "error_description", "error_uri", "state", "session_state", "iss")
	p.describes(got.Get("error"), got.Get("error_description"), codes...)
}

func (p *party) describes(code, description string, codes ...string) {
	p.t.Helper()
	if !slices.Contains(codes, code) {
		p.t.Errorf("refused with %q (%s), want one of %q", code, description, codes)
	}
	if description != "" && !errorText.MatchString(description) {
		p.t.Errorf("error_description has characters that it may not: %q", description)
	}
}

// token sends a request to the token endpoint in the name of the client.
func (p *party) token(form url.Values) answer {
	p.t.Helper()
	if p.inBody {
		form.Set("client_id", p.client.ID)
		form.Set("client_secret", p.client.Secret)
	}
	r := p.request("POST", p.op.text("token_endpoint"), form.Encode())
	if !p.inBody {
		r.SetBasicAuth(url.QueryEscape(p.client.ID), url.QueryEscape(p.client.Secret))
	}
	a := p.call(r)
	if p.inBody {
		form.Del("client_secret")
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
	raw             string // ID token
	id              map[string]any
	userinfo        map[string]any
}

// signIn runs the whole flow: the browser, the token endpoint, and userinfo with the token.
func (p *party) signIn(q url.Values) login {
	p.t.Helper()
	return p.redeem(q, p.code(q, p.authorize(q)))
}

// redeem sends a code to the token endpoint and the access token to userinfo; more is added to the
// token request.
func (p *party) redeem(sent url.Values, code string, more ...func(url.Values)) login {
	p.t.Helper()
	l := login{sent: sent, code: code, exchange: url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callbackURL}}}
	for _, fn := range more {
		fn(l.exchange)
	}
	p.tokens(&l, p.token(l.exchange))
	l.userinfo = p.userinfo(l)
	return l
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
	if expires, ok := object["expires_in"].(float64); !ok || expires <= 0 || expires > 31536000 || expires != math.Trunc(expires) {
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

func decode(t *testing.T, part string, into any) []byte {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%v: %.40s", err, part)
	}
	return text
}

// idToken verifies the ID token as OIDC Core section 3.1.3.7 demands.
func (p *party) idToken(l *login) {
	p.t.Helper()
	parts := strings.Split(l.raw, ".")
	if len(parts) != 3 {
		p.t.Fatalf("the ID token has %d parts", len(parts))
	}
	var header map[string]any
	decode(p.t, parts[0], &header)
	l.id = map[string]any{}
	decode(p.t, parts[1], &l.id)
	p.verify(header, parts)

	now := p.s.Clock.Now()
	when := func(name string, must bool) time.Time {
		p.t.Helper()
		seconds, ok := l.id[name].(float64)
		if must && !ok {
			p.t.Errorf("the ID token's %s is %v", name, l.id[name])
		}
		return time.Unix(int64(seconds), 0)
	}
	if exp := when("exp", true); !exp.After(now) || exp.After(now.AddDate(1, 0, 0)) {
		p.t.Errorf("the ID token is good until %s", exp)
	}
	if iat := when("iat", true); iat.After(now) || now.Sub(iat) > 5*time.Minute {
		p.t.Errorf("the ID token was issued at %s, and it is %s", iat, now)
	}
	if at := when("auth_time", false); l.id["auth_time"] != nil && (at.After(now) || now.Sub(at) > 365*24*time.Hour) {
		p.t.Errorf("auth_time is %s", at)
	}
	if l.id["iss"] != p.op["issuer"] || l.id["aud"] != p.client.ID {
		p.t.Errorf("the ID token is from %v for %v", l.id["iss"], l.id["aud"])
	}
	if sub, _ := l.id["sub"].(string); sub == "" || len(sub) > 255 {
		p.t.Errorf("sub is %v", l.id["sub"])
	}
	// A refreshed ID token should have no nonce (OIDC Core section 12.2).
	if nonce := asText(l.id["nonce"]); nonce != l.sent.Get("nonce") && (!l.refreshed || l.id["nonce"] != nil) {
		p.t.Errorf("nonce %q came back as %q", l.sent.Get("nonce"), nonce)
	}
	if acr, sent := l.id["acr"]; sent && (acr == "" || acr != any(asText(acr))) {
		p.t.Errorf("acr is %v", acr)
	}
	if hash, sent := l.id["at_hash"]; sent {
		sum := sha256.Sum256([]byte(l.access))
		if hash != base64.RawURLEncoding.EncodeToString(sum[:16]) {
			p.t.Errorf("at_hash is %v", hash)
		}
	}
	p.claims("the ID token", l.id)
	// Claims belong into userinfo where there is an access token (OIDC Core section 5.4).
	for name := range l.id {
		if !slices.Contains(idTokenClaims, name) {
			p.t.Errorf("the ID token holds %s, which nobody asked to find there", name)
		}
	}
}

// idTokenClaims are the claims that an ID token may have without a request for them.
var idTokenClaims = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash", "s_hash", "nbf", "jti", "sid"}

func asText(v any) string { text, _ := v.(string); return text }

// verify demands the default signature, by a key of the JWK set that the header names.
func (p *party) verify(header map[string]any, parts []string) {
	p.t.Helper()
	kid, _ := header["kid"].(string)
	if header["alg"] != "RS256" || kid == "" {
		p.t.Fatalf("the ID token is signed with %v by %q", header["alg"], kid)
	}
	keys := p.keys()
	at := slices.IndexFunc(keys, func(k map[string]any) bool { return k["kid"] == kid })
	if at < 0 || keys[at]["kty"] != "RSA" {
		p.t.Fatalf("no RSA key %s in the JWK set", kid)
	}
	n, e := decode(p.t, asText(keys[at]["n"]), nil), decode(p.t, asText(keys[at]["e"]), nil)
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], decode(p.t, parts[2], nil)); err != nil {
		p.t.Errorf("the ID token: %v", err)
	}
}

// userinfo requests userinfo by GET.
func (p *party) userinfo(l login) map[string]any {
	p.t.Helper()
	r := p.request("GET", p.op.text("userinfo_endpoint"), "")
	r.Header.Set("Authorization", "Bearer "+l.access)
	return p.userinfoClaims(l, p.call(r))
}

// userinfoClaims reads an answer of userinfo.
func (p *party) userinfoClaims(l login, a answer) map[string]any {
	p.t.Helper()
	object := p.json(a, http.StatusOK)
	p.claims("userinfo", object)
	if object["sub"] != l.id["sub"] {
		p.t.Errorf("userinfo is about %v, the ID token about %v", object["sub"], l.id["sub"])
	}
	return object
}

// scopeClaims are the claims that a scope stands for (OIDC Core section 5.4).
var scopeClaims = map[string][]string{
	"openid": {"sub"},
	"profile": {"name", "given_name", "family_name", "middle_name", "nickname", "profile", "picture", "website", "gender", "birthdate",
		"zoneinfo", "locale", "updated_at", "preferred_username"},
	"email":   {"email", "email_verified"},
	"address": {"address"},
	"phone":   {"phone_number", "phone_number_verified"},
}

var birthdate = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2}|\d{4})$`)

// claims demands that standard claims have the types of OIDC Core section 5.1.
func (p *party) claims(where string, object map[string]any) {
	p.t.Helper()
	text := func(v any) bool {
		s, ok := v.(string)
		return ok && strings.TrimSpace(s) != "" && !strings.EqualFold(s, "null")
	}
	for name, value := range object {
		ok := true
		switch name {
		case "email_verified", "phone_number_verified":
			_, ok = value.(bool)
		case "updated_at":
			seconds, number := value.(float64)
			at := time.Unix(int64(seconds), 0)
			ok = number && at.Year() >= 1990 && !at.After(p.s.Clock.Now())
		case "birthdate":
			ok = birthdate.MatchString(asText(value))
		case "address":
			members, object := value.(map[string]any)
			ok = object && len(members) > 0
			for _, member := range members {
				ok = ok && text(member)
			}
		default:
			if name == "sub" || slices.Contains(scopeClaims["profile"], name) || name == "email" || name == "phone_number" {
				ok = text(value)
			}
		}
		if !ok {
			p.t.Errorf("%s has the claim %s as %v", where, name, value)
		}
	}
}

package conformance

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

func server(p *party) {
	l := p.signIn(p.authorization("openid"))
	if p.includes("code") && (len(l.code)*8 < 128 || entropy(l.code) < 96) {
		p.t.Errorf("the code can be guessed: %q", l.code)
	}
	if len(l.userinfo) != 1 {
		p.t.Errorf("scope openid alone tells of %v", slices.Sorted(maps.Keys(l.userinfo)))
	}
}

func serverClientSecretPost(p *party) {
	if !slices.Contains(p.op.list("token_endpoint_auth_methods_supported"), "client_secret_post") {
		p.t.Error("discovery does not say client_secret_post")
	}
	p.client, p.inBody = p.c.ClientPost, true
	p.signIn(p.authorization("openid"))
}

func responseTypeMissing(p *party) {
	q := p.authorization("openid", with("response_type", ""))
	p.refused(q, p.authorize(q), "invalid_request", "unsupported_response_type")
}

// Without id_token_signed_response_alg an ID token is signed with RS256, by a key that has a kid.
// idToken checks that for every ID token.
func idTokenSignature(p *party) {
	l := p.signIn(p.authorization("openid"))
	var header map[string]any
	decode(p.t, strings.Split(l.raw, ".")[0], &header)
	if header["alg"] != "RS256" || asText(header["kid"]) == "" {
		p.t.Errorf("the header of the ID token is %v", header)
	}
}

// A server need not issue unsigned ID tokens. If it does not, its discovery document must not list
// them.
func idTokenUnsigned(p *party) {
	if slices.Contains(p.op.list("id_token_signing_alg_values_supported"), "none") {
		p.t.Error("discovery says that there are ID tokens without a signature")
	}
	p.signIn(p.authorization("openid"))
}

func userinfoGet(p *party) { p.signIn(p.authorization("openid")) }

func userinfoPostHeader(p *party) {
	l := p.signIn(p.authorization("openid"))
	r := p.request("POST", p.op.text("userinfo_endpoint"), "")
	r.Header.Set("Authorization", "Bearer "+l.access)
	p.userinfoClaims(l, p.call(r))
}

func userinfoPostBody(p *party) {
	l := p.signIn(p.authorization("openid"))
	p.userinfoClaims(l,
		p.call(p.request("POST", p.op.text("userinfo_endpoint"), url.Values{"access_token": {l.access}}.Encode())))
}

func withoutNonceFails(p *party) {
	q := p.authorization("openid", with("nonce", ""))
	p.refused(q, p.authorize(q), "invalid_request")
}

func withoutNonce(p *party) { p.signIn(p.authorization("openid", with("nonce", ""))) }

// sends returns a module that only sends one more parameter, with which the login must still work.
func sends(name, value string) func(*party) {
	return func(p *party) { p.signIn(p.authorization("openid", with(name, value))) }
}

// scope demands from userinfo all claims of the scopes, and no others.
func scope(scopes string) func(*party) {
	return func(p *party) {
		var want []string
		for _, s := range strings.Fields(scopes) {
			if !slices.Contains(p.op.list("scopes_supported"), s) {
				p.t.Errorf("discovery does not say scope %s", s)
			}
			want = append(want, scopeClaims[s]...)
		}
		l := p.signIn(p.authorization(scopes))
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(l.userinfo)); !slices.Equal(got, want) {
			p.t.Errorf("userinfo has\n%q, want\n%q", got, want)
		}
	}
}

// The order of scopes and of parameters has no meaning.
func alternateHappyFlow(p *party) {
	q := p.authorization("email openid")
	names := slices.Sorted(maps.Keys(q))
	slices.Reverse(names)
	p.n.arrived = nil
	p.b.visit(address(p.op.text("authorization_endpoint"), q, names))
	l := p.redeem(q, p.code(q, p.back()))
	if l.userinfo["email"] == nil || l.userinfo["email_verified"] == nil || l.userinfo["name"] != nil {
		p.t.Errorf("userinfo has %q", slices.Sorted(maps.Keys(l.userinfo)))
	}
}

// noInteraction demands that the browser came back without a page for the user.
func (p *party) noInteraction() {
	p.t.Helper()
	if p.b.sent > 0 {
		p.t.Errorf("the user was asked: %q", p.b.visited)
	}
}

// interaction demands that the user was asked to log in.
func (p *party) interaction() {
	p.t.Helper()
	if p.b.sent == 0 || len(p.b.screenshots) == 0 {
		p.t.Errorf("the user was not asked: %q", p.b.visited)
	}
}

// sameLogin demands that two ID tokens are from one and the same login.
func (p *party) sameLogin(a, b login) {
	p.t.Helper()
	if a.id["sub"] != b.id["sub"] || a.id["auth_time"] != b.id["auth_time"] || a.id["auth_time"] == nil {
		p.t.Errorf("sub and auth_time were %v and %v, and are %v and %v", a.id["sub"], a.id["auth_time"], b.id["sub"],
			b.id["auth_time"])
	}
}

// newLogin demands that the second ID token is from a new login, just now.
func (p *party) newLogin(a, b login) {
	p.t.Helper()
	before, _ := a.id["auth_time"].(float64)
	after, ok := b.id["auth_time"].(float64)
	if !ok || after <= before || p.s.Clock.Now().Sub(time.Unix(int64(after), 0)) > time.Second ||
		a.id["sub"] != b.id["sub"] {
		p.t.Errorf("auth_time was %v, and is %v; it is %d", a.id["auth_time"], b.id["auth_time"], p.s.Clock.Now().Unix())
	}
}

func promptLogin(p *party) {
	first := p.signIn(p.authorization("openid"))
	p.s.Advance(time.Second)
	second := p.signIn(p.authorization("openid", with("prompt", "login")))
	p.interaction()
	p.newLogin(first, second)
}

func maxAge1(p *party) {
	first := p.signIn(p.authorization("openid"))
	p.s.Advance(2 * time.Second)
	second := p.signIn(p.authorization("openid", with("max_age", "1")))
	p.interaction()
	p.newLogin(first, second)
}

func maxAge10000(p *party) {
	first := p.signIn(p.authorization("openid", with("max_age", "15000")))
	p.s.Advance(9000 * time.Second)
	second := p.signIn(p.authorization("openid", with("max_age", "10000")))
	p.noInteraction()
	p.sameLogin(first, second)
}

func promptNoneNotLoggedIn(p *party) {
	p.state = 128
	q := p.authorization("openid", with("prompt", "none"))
	p.refused(q, p.authorize(q), needsAPage...)
	p.noInteraction()
}

// needsAPage are the error codes when the user would have to see a page.
var needsAPage = []string{"interaction_required", "login_required", "account_selection_required", "consent_required"}

func promptNoneLoggedIn(p *party) {
	first := p.signIn(p.authorization("openid"))
	p.s.Advance(time.Second)
	second := p.signIn(p.authorization("openid", with("prompt", "none")))
	p.noInteraction()
	p.sameLogin(first, second)
}

func idTokenHint(p *party) {
	first := p.signIn(p.authorization("openid"))
	p.s.Advance(time.Second)
	second := p.signIn(p.authorization("openid", with("prompt", "none"), with("id_token_hint", first.raw)))
	p.noInteraction()
	p.sameLogin(first, second)
}

// The login_hint is as configured, or as the suite invents one: no such account has to exist.
func loginHint(p *party) {
	host := strings.TrimPrefix(p.op.text("issuer"), "https://")
	for _, hint := range []string{p.c.Server.LoginHint, "buffy@" + host} {
		p.b = newBrowser(p.t, p.n, p.b.automated)
		p.signIn(p.authorization("openid", with("login_hint", hint)))
	}
}

// A supported language is used; an unknown language is not an error.
func uiLocales(p *party) {
	for locales, heading := range map[string]string{p.c.Server.UILocales: "Anmelden", "se": "Sign in"} {
		p.b = newBrowser(p.t, p.n, p.b.automated)
		p.signIn(p.authorization("openid", with("ui_locales", locales)))
		if len(p.b.screenshots) == 0 || !strings.Contains(p.b.screenshots[0], heading) {
			p.t.Errorf("%s: the page says %q", locales, p.b.screenshots)
		}
	}
}

func acrValues(p *party) {
	values := p.op.list("acr_values_supported")
	if len(values) == 0 {
		values = []string{"1", "2"}
	}
	l := p.signIn(p.authorization("openid", with("acr_values", strings.Join(values, " "))))
	if !slices.Contains(values, asText(l.id["acr"])) {
		p.t.Errorf("acr is %v, asked for was one of %q", l.id["acr"], values)
	}
}

func codeReuse(p *party) {
	l := p.signIn(p.authorization("openid"))
	p.invalidGrant(p.token(l.exchange))
}

func codeReuseLater(p *party) {
	l := p.signIn(p.authorization("openid"))
	p.s.Advance(30 * time.Second)
	p.invalidGrant(p.token(l.exchange))
	for _, access := range []string{l.access, cmp.Or(l.front, l.access)} {
		r := p.request("GET", p.op.text("userinfo_endpoint"), "")
		r.Header.Set("Authorization", "Bearer "+access)
		if a := p.call(r); a.status/100 != 4 {
			p.t.Errorf("an access token of the request still works: %d", a.status)
		}
	}
}

// staysAtServer demands that the browser ended on a page of the server, and was not sent anywhere
// else.
func (p *party) staysAtServer() {
	p.t.Helper()
	if len(p.n.arrived) > 0 {
		p.t.Errorf("the browser was sent to %s", p.n.arrived[0].url.String())
	}
	if !strings.HasPrefix(p.b.at.String(), p.op.text("issuer")+"/") || len(p.b.screenshots) == 0 {
		p.t.Errorf("no page was seen: the browser is at %s (%d): %s", p.b.at, p.b.status, p.b.text())
	}
}

func registeredRedirectURI(p *party) {
	p.b.visit(p.endpoint(p.authorization("openid", with("redirect_uri", callbackURL+"/"+random(10)))))
	p.staysAtServer()
	if p.b.status/100 != 4 {
		p.t.Errorf("the page came with status %d", p.b.status)
	}
}

// The request is posted by a form on another site, for which browsers send no cookies, and by a
// script, which has no site. Each is done twice: the second time the user is logged in.
func postRequest(p *party) {
	for _, post := range []func(*browser, string){(*browser).post, (*browser).script} {
		p.b = newBrowser(p.t, p.n, p.b.automated)
		for range 2 {
			q := p.authorization("openid")
			p.n.arrived = nil
			post(p.b, p.endpoint(q))
			p.redeem(q, p.code(q, p.back()))
		}
		p.noInteraction()
	}
}

// byReference leaves in the query only the parameters that OAuth demands there (RFC 6749 section
// 3.1, OIDC Core section 6). The others are in the request object alone.
func byReference(q url.Values) url.Values {
	out := url.Values{}
	for _, name := range []string{"response_type", "client_id", "scope", "redirect_uri"} {
		out[name] = q[name]
	}
	return out
}

// unsigned returns q as a request object without a signature.
func (p *party) unsigned(q url.Values) string {
	object := apitest.Fields{}
	for name := range q {
		object[name] = q.Get(name)
	}
	text, err := json.Marshal(object)
	if err != nil {
		p.t.Fatal(err)
	}
	return apitest.Encode(`{"alg":"none"}`) + "." + base64.RawURLEncoding.EncodeToString(text) + "."
}

// suiteDocuments are the request objects at the suite, by their addresses.
var suiteDocuments sync.Map

func fetchFromSuite(_ context.Context, address string) ([]byte, error) {
	text, found := suiteDocuments.Load(address)
	if !found {
		return nil, errors.New("404")
	}
	return []byte(text.(string)), nil
}

// The request object is at an address of the suite, which the client registers. The fragment is no
// hash, and the object is processed: state and nonce are in it alone.
func requestURI(p *party) {
	p.supportsObjects()
	if p.op["request_uri_parameter_supported"] != true {
		p.t.Error("discovery does not say that there is request_uri")
	}
	address := suiteURL + "/requesturi/" + random(10)
	uri := address + "#" + random(10)
	client, err := p.s.DB.ClientByID(p.t.Context(), p.client.ID)
	if err == nil {
		client.RequestURIs = []string{uri}
		err = p.s.DB.UpdateClient(p.t.Context(), client)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	q := p.authorization("openid")
	suiteDocuments.Store(address, p.unsigned(q))
	sent := byReference(q)
	sent.Set("request_uri", uri)
	p.redeem(q, p.code(q, p.authorize(sent)))
}

// The object is processed: state and nonce are in it alone.
func requestObject(p *party) {
	p.supportsObjects()
	q := p.authorization("openid")
	sent := byReference(q)
	sent.Set("request", p.unsigned(q))
	p.redeem(q, p.code(q, p.authorize(sent)))
}

// supportsObjects demands that discovery lists request objects without a signature.
func (p *party) supportsObjects() {
	p.t.Helper()
	if p.op["request_parameter_supported"] != true ||
		!slices.Contains(p.op.list("request_object_signing_alg_values_supported"), "none") {
		p.t.Error("discovery does not say that there are request objects without a signature")
	}
}

// The redirect URI of the request object takes precedence over the other one, which is not
// registered.
func requestObjectWithRedirectURI(p *party) {
	p.supportsObjects()
	q := p.authorization("openid")
	sent := byReference(q)
	sent.Set("redirect_uri", callbackURL+"_invalid")
	sent.Set("request", p.unsigned(q))
	p.redeem(q, p.code(q, p.authorize(sent)))
}

func claimsEssential(p *party) {
	if p.op["claims_parameter_supported"] != true {
		p.t.Error("discovery does not say that there is the claims parameter")
	}
	alone := p.responseType == "id_token"
	where := "userinfo"
	if alone {
		where = "id_token"
	}
	l := p.signIn(p.authorization("openid", with("claims", `{"`+where+`":{"name":{"essential":true}}}`)))
	if l.userinfo["name"] != "Ada King" || (l.id["name"] != nil) != alone {
		p.t.Errorf("name is %v in userinfo and %v in the ID token", l.userinfo["name"], l.id["name"])
	}
}

// Both clients get refresh tokens and use them, one with scope and one without. Neither can use the
// other's refresh token.
func refreshToken(p *party) {
	for _, name := range []string{"authorization_code", "refresh_token"} {
		if !slices.Contains(p.op.list("grant_types_supported"), name) {
			p.t.Errorf("discovery does not say %s", name)
		}
	}
	if !slices.Contains(p.op.list("scopes_supported"), "offline_access") {
		p.t.Error("discovery does not say offline_access")
	}
	const scopes = "openid offline_access"
	var last login
	for _, client := range []configuredClient{p.c.Client, p.c.Client2} {
		p.client = client
		l := p.signIn(p.authorization(scopes, with("prompt", "consent"), with("nonce", random(43))))
		if l.refresh == "" {
			p.t.Fatal("no refresh token, though offline_access was allowed")
		}
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {l.refresh}}
		if client == p.c.Client {
			form.Set("scope", scopes)
		}
		p.s.Advance(time.Second)
		last = l
		last.refreshed = true
		p.tokens(&last, p.token(form))
		for _, name := range []string{"iss", "sub", "aud", "auth_time", "azp"} {
			if l.id[name] != last.id[name] {
				p.t.Errorf("the refreshed ID token has %s %v, the first had %v", name, last.id[name], l.id[name])
			}
		}
		if l.id["iat"] == last.id["iat"] || l.access == last.access {
			p.t.Error("refreshing gave the same tokens again")
		}
		p.userinfo(last)
		if last.refresh == "" { // the first one goes on
			last.refresh = l.refresh
		}
	}
	p.client = p.c.Client
	p.invalidGrant(p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {last.refresh},
		"scope": {scopes}}))
	// The other client's attempt does not affect the owner of the refresh token.
	p.client = p.c.Client2
	p.tokens(&last, p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {last.refresh}}))
}

func pkce(p *party) {
	verifier := random(64)
	sum := sha256.Sum256([]byte(verifier))
	q := p.authorization("openid", with("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:])),
		with("code_challenge_method", "S256"))
	p.redeem(q, p.code(q, p.authorize(q)), with("code_verifier", verifier))
}

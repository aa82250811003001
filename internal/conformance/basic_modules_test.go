package conformance

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/api/apitest"
)

func server(p *party) {
	l := p.signIn(p.authorization("openid"))
	if len(l.code)*8 < 128 || entropy(l.code) < 96 {
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

// Without id_token_signed_response_alg it is RS256, by a key that has a kid: idToken demands it of every one.
func idTokenSignature(p *party) {
	l := p.signIn(p.authorization("openid"))
	var header map[string]any
	decode(p.t, strings.Split(l.raw, ".")[0], &header)
	if header["alg"] != "RS256" || asText(header["kid"]) == "" {
		p.t.Errorf("the header of the ID token is %v", header)
	}
}

// A server need not make unsigned ones; one that does not must not say that it does.
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
	p.about(l, p.call(r))
}

func userinfoPostBody(p *party) {
	l := p.signIn(p.authorization("openid"))
	p.about(l, p.call(p.request("POST", p.op.text("userinfo_endpoint"), url.Values{"access_token": {l.access}}.Encode())))
}

func withoutNonce(p *party) { p.signIn(p.authorization("openid", with("nonce", ""))) }

// sends is a module that only sends one more parameter, which must not be in the way.
func sends(name, value string) func(*party) {
	return func(p *party) { p.signIn(p.authorization("openid", with(name, value))) }
}

// scope demands from userinfo all that the scopes stand for, and nothing else.
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

// The order of scopes and of parameters means nothing.
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

// silent demands that the browser came straight back.
func (p *party) silent() {
	p.t.Helper()
	if p.b.sent > 0 {
		p.t.Errorf("the user was asked: %q", p.b.visited)
	}
}

// asked demands that the user proved who they are.
func (p *party) asked() {
	p.t.Helper()
	if p.b.sent == 0 || len(p.b.screenshots) == 0 {
		p.t.Errorf("the user was not asked: %q", p.b.visited)
	}
}

// same demands that two ID tokens tell of one and the same login.
func (p *party) same(a, b login) {
	p.t.Helper()
	if a.id["sub"] != b.id["sub"] || a.id["auth_time"] != b.id["auth_time"] || a.id["auth_time"] == nil {
		p.t.Errorf("sub and auth_time were %v and %v, and are %v and %v", a.id["sub"], a.id["auth_time"], b.id["sub"], b.id["auth_time"])
	}
}

// later demands that the second ID token tells of a new login, just now.
func (p *party) later(a, b login) {
	p.t.Helper()
	before, _ := a.id["auth_time"].(float64)
	after, ok := b.id["auth_time"].(float64)
	if !ok || after <= before || p.s.Clock.Now().Sub(time.Unix(int64(after), 0)) > time.Second || a.id["sub"] != b.id["sub"] {
		p.t.Errorf("auth_time was %v, and is %v; it is %d", a.id["auth_time"], b.id["auth_time"], p.s.Clock.Now().Unix())
	}
}

func promptLogin(p *party) {
	first := p.signIn(p.authorization("openid"))
	p.s.Advance(time.Second)
	second := p.signIn(p.authorization("openid", with("prompt", "login")))
	p.asked()
	p.later(first, second)
}

func maxAge1(p *party) {
	first := p.signIn(p.authorization("openid"))
	p.s.Advance(2 * time.Second)
	second := p.signIn(p.authorization("openid", with("max_age", "1")))
	p.asked()
	p.later(first, second)
}

func maxAge10000(p *party) {
	first := p.signIn(p.authorization("openid", with("max_age", "15000")))
	p.s.Advance(9000 * time.Second)
	second := p.signIn(p.authorization("openid", with("max_age", "10000")))
	p.silent()
	p.same(first, second)
}

func promptNoneNotLoggedIn(p *party) {
	p.state = 128
	q := p.authorization("openid", with("prompt", "none"))
	p.refused(q, p.authorize(q), needsAPage...)
	p.silent()
}

// needsAPage are the refusals when the user would have to see a page.
var needsAPage = []string{"interaction_required", "login_required", "account_selection_required", "consent_required"}

func promptNoneLoggedIn(p *party) {
	first := p.signIn(p.authorization("openid"))
	p.s.Advance(time.Second)
	second := p.signIn(p.authorization("openid", with("prompt", "none")))
	p.silent()
	p.same(first, second)
}

func idTokenHint(p *party) {
	first := p.signIn(p.authorization("openid"))
	p.s.Advance(time.Second)
	second := p.signIn(p.authorization("openid", with("prompt", "none"), with("id_token_hint", first.raw)))
	p.silent()
	p.same(first, second)
}

// As configured, and as the suite makes one up: nobody has to be there by that name.
func loginHint(p *party) {
	host := strings.TrimPrefix(p.op.text("issuer"), "https://")
	for _, hint := range []string{p.c.Server.LoginHint, "buffy@" + host} {
		p.b = newBrowser(p.t, p.n, p.b.automated)
		p.signIn(p.authorization("openid", with("login_hint", hint)))
	}
}

// A language that we have is used; one that nobody has is no fault.
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
	r := p.request("GET", p.op.text("userinfo_endpoint"), "")
	r.Header.Set("Authorization", "Bearer "+l.access)
	if a := p.call(r); a.status/100 != 4 {
		p.t.Errorf("the access token of the code still works: %d", a.status)
	}
}

// stays demands that the browser ended on a page of the server that says what is wrong, and went nowhere else.
func (p *party) stays() {
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
	p.stays()
	if p.b.status/100 != 4 {
		p.t.Errorf("the page came with status %d", p.b.status)
	}
}

// By a form on another site, to which browsers do not send cookies, and by a script, which has no site. Each is
// done twice: the second time the user is known.
func postRequest(p *party) {
	for _, post := range []func(*browser, string){(*browser).post, (*browser).script} {
		p.b = newBrowser(p.t, p.n, p.b.automated)
		for range 2 {
			q := p.authorization("openid")
			p.n.arrived = nil
			post(p.b, p.endpoint(q))
			p.redeem(q, p.code(q, p.back()))
		}
		p.silent()
	}
}

// byReference leaves in the query what OAuth demands there (RFC 6749 section 3.1, OIDC Core section 6); the rest is in the
// request object alone.
func byReference(q url.Values) url.Values {
	out := url.Values{}
	for _, name := range []string{"response_type", "client_id", "scope", "redirect_uri"} {
		out[name] = q[name]
	}
	return out
}

// unsigned is q as a request object without signature.
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

// The object is somewhere else, so that nothing of it can be known, least of all how to answer.
func requestURI(p *party) {
	if p.op["request_uri_parameter_supported"] != false {
		p.t.Error("discovery does not say that there is no request_uri")
	}
	sent := byReference(p.authorization("openid"))
	sent.Set("request_uri", suiteURL+"/requesturi/"+random(10)+"#"+random(10))
	if p.formPost {
		sent.Set("response_mode", "form_post")
	}
	p.refused(sent, p.authorize(sent), "request_uri_not_supported")
}

// The refusal comes as the object asks: by its response_mode, and with its state.
func requestObject(p *party) {
	if p.op["request_parameter_supported"] != false {
		p.t.Error("discovery does not say that there are no request objects")
	}
	q := p.authorization("openid")
	sent := byReference(q)
	sent.Set("request", p.unsigned(q))
	p.refused(q, p.authorize(sent), "request_not_supported")
}

// The redirect URI of the object would win. Who does not read it must not go to the other one, nor guess.
func requestObjectWithRedirectURI(p *party) {
	q := p.authorization("openid")
	sent := byReference(q)
	sent.Set("redirect_uri", callbackURL+"_invalid")
	sent.Set("request", p.unsigned(q))
	p.b.visit(p.endpoint(sent))
	p.stays()
}

func claimsEssential(p *party) {
	if p.op["claims_parameter_supported"] != true {
		p.t.Error("discovery does not say that there is the claims parameter")
	}
	l := p.signIn(p.authorization("openid", with("claims", `{"userinfo":{"name":{"essential":true}}}`)))
	if l.userinfo["name"] != "Ada King" || l.id["name"] != nil {
		p.t.Errorf("name is %v in userinfo and %v in the ID token", l.userinfo["name"], l.id["name"])
	}
}

// Both clients get refresh tokens and use them, the one with scope, the other without; neither can use the other's.
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
	p.invalidGrant(p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {last.refresh}, "scope": {scopes}}))
	// That somebody else tried has not cost its owner anything.
	p.client = p.c.Client2
	p.tokens(&last, p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {last.refresh}}))
}

func pkce(p *party) {
	verifier := random(64)
	sum := sha256.Sum256([]byte(verifier))
	q := p.authorization("openid", with("code_challenge", base64.RawURLEncoding.EncodeToString(sum[:])), with("code_challenge_method", "S256"))
	p.redeem(q, p.code(q, p.authorize(q)), with("code_verifier", verifier))
}

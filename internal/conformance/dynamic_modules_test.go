package conformance

import (
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
)

// dynamicPlan is the plan of the Dynamic profile. Its clients register themselves, authenticate by
// private_key_jwt, and send no PKCE.
var dynamicPlan = plan{
	name: "dynamic", title: "Dynamic", suite: "oidcc-dynamic-certification-test-plan", variant: []string{"response_type=code"},
	modules: []module{
		{"oidcc-idtoken-rs256", passes, registers(idTokenSignature, member("id_token_signed_response_alg", "RS256"))},
		{"oidcc-idtoken-unsigned", dynamic, registers(idTokenUnsigned)},
		{"oidcc-userinfo-rs256", passes, registers(userinfoRS256, member("userinfo_signed_response_alg", "RS256"))},
		{"oidcc-ensure-redirect-uri-in-authorization-request", pictured,
			registers(redirectURIMissing, member("redirect_uris", []string{callbackURL, callbackURL + "2"}))},
		{"oidcc-redirect-uri-query-OK", passes, registers(redirectURIQuery, member("redirect_uris", []string{callbackURL + callbackQuery}))},
		{"oidcc-redirect-uri-query-mismatch", pictured,
			registers(badRedirectURI(callbackURL+"?foo=bar"), member("redirect_uris", []string{callbackURL + callbackQuery}))},
		{"oidcc-redirect-uri-query-added", pictured, registers(badRedirectURI(callbackURL + callbackQuery))},
		{"oidcc-redirect-uri-regfrag", passes, redirectURIFragment},
		{"oidcc-discovery-endpoint-verification", passes, dynamicDiscovery},
		{"oidcc-server", passes, registers(server)},
		{"oidcc-registration-logo-uri", pictured, registers(pageWithLogo, logoAtAddress)},
		{"oidcc-registration-policy-uri", pictured, registers(pageWithLink(suitePolicyURL), member("policy_uri", suitePolicyURL))},
		{"oidcc-registration-tos-uri", pictured, registers(pageWithLink(suiteTOSURL), member("tos_uri", suiteTOSURL))},
		{"oidcc-registration-jwks-uri", passes, registers(server, keysAtAddress)},
		{"oidcc-registration-sector-uri", passes, registers(registrationSectorURI, sectorOf(callbackURL))},
		{"oidcc-registration-sector-bad", passes, registrationSectorBad},
		{"oidcc-server-rotate-keys", passes, serverRotateKeys},
		{"oidcc-refresh-token-rp-key-rotation", passes,
			registers(keyRotation, keysAtAddress, member("grant_types", []string{"authorization_code", "refresh_token"}))},
		{"oidcc-request-uri-unsigned", passes, registers(requestObjectAtAddress(false), requestAddress)},
		{"oidcc-request-uri-signed-rs256", passes,
			registers(requestObjectAtAddress(true), requestAddress, member("request_object_signing_alg", "RS256"))},
		{"oidcc-ensure-request-object-with-redirect-uri", passes, registers(requestObjectWithRedirectURI)},
		{"oidcc-refresh-token", passes, dynamicRefreshToken},
		{"oidcc-ensure-client-assertion-with-iss-aud-succeeds", passes, registers(assertionForIssuer)},
	},
}

// forDynamic configures a server as docs/conformance.md tells an operator to for the Dynamic profile.
func forDynamic(r *apitest.Replica) {
	r.Issuer.Registration, r.Issuer.RequirePKCE = issuer.RegistrationOpen, issuer.RequirePKCEOfPublic
	r.Issuer.ClientKeys = &issuer.ClientKeys{Fetch: fetchFromSuite}
	fetchingDocuments(r)
	r.Issuer.ResponseTypes, r.API.Clients.ResponseTypes = userstore.ResponseTypes, userstore.ResponseTypes
}

// selfRegistered is what a client that registered itself knows.
type selfRegistered struct {
	key         crypto.Signer
	kid         string
	keysURI     string // where its keys are; empty: in its registration
	requestURI  string
	uri, access string // of its registration
	issuerAud   bool   // the aud of its assertions is the issuer, not the token endpoint
}

// newKey makes a new RSA key, as the suite does: without a kid unless the keys are at an address.
func (c *selfRegistered) newKey(p *party) map[string]any {
	p.t.Helper()
	key, err := keystest.Generator()("RS256")
	if err != nil {
		p.t.Fatal(err)
	}
	c.key = key
	public := key.Public().(*rsa.PublicKey)
	jwk := map[string]any{"kty": "RSA", "e": "AQAB", "use": "sig", "alg": "RS256",
		"n": base64.RawURLEncoding.EncodeToString(public.N.Bytes())}
	if big.NewInt(int64(public.E)).Cmp(big.NewInt(65537)) != 0 {
		p.t.Fatal("the exponent of the key is not 65537")
	}
	if c.keysURI != "" {
		c.kid = random(10)
		jwk["kid"] = c.kid
		text, err := json.Marshal(map[string]any{"keys": []any{jwk}})
		if err != nil {
			p.t.Fatal(err)
		}
		suiteDocuments.Store(c.keysURI, string(text))
	}
	return jwk
}

func (c *selfRegistered) sign(claims apitest.Fields) string {
	header := apitest.Fields{"alg": "RS256", "typ": "JWT"}
	if c.kid != "" {
		header["kid"] = c.kid
	}
	return apitest.Sign(c.key, header.Text(), claims.Text())
}

// registers returns a module of a client that registers itself, and unregisters itself afterwards.
// Each edit changes the request.
func registers(run func(*party), edit ...func(*party, map[string]any)) func(*party) {
	return func(p *party) {
		p.register(edit...)
		run(p)
		r := p.request("DELETE", p.self.uri, "")
		r.Header.Set("Authorization", "Bearer "+p.self.access)
		if a := p.call(r); a.status != http.StatusNoContent {
			p.t.Errorf("the client was not unregistered: %d %s", a.status, a.body)
		}
	}
}

func (p *party) register(edit ...func(*party, map[string]any)) {
	p.t.Helper()
	object := p.json(p.sendRegistration(edit...), http.StatusCreated)
	for _, name := range []string{"error", "error_description"} {
		if object[name] != nil {
			p.t.Errorf("the answer has %s: %v", name, object[name])
		}
	}
	p.client = configuredClient{ID: asText(object["client_id"]), Secret: asText(object["client_secret"])}
	p.self.uri, p.self.access = asText(object["registration_client_uri"]), asText(object["registration_access_token"])
	if (object["client_secret"] != nil) != (object["client_secret_expires_at"] != nil) {
		p.t.Errorf("client_secret and client_secret_expires_at do not come together: %v", slices.Sorted(maps.Keys(object)))
	}
	if p.client.ID == "" || p.self.access == "" || !strings.HasPrefix(p.self.uri, "https://") {
		p.t.Fatalf("the answer lacks something: %v", slices.Sorted(maps.Keys(object)))
	}
}

// sendRegistration sends the request with which the suite registers a client.
func (p *party) sendRegistration(edit ...func(*party, map[string]any)) answer {
	p.t.Helper()
	p.self = &selfRegistered{}
	metadata := map[string]any{
		"client_name": "OIDF conformance test " + random(10), "grant_types": []string{"authorization_code"},
		"token_endpoint_auth_method": "private_key_jwt", "response_types": []string{"code"},
		"redirect_uris": []string{callbackURL}, "contacts": []string{"certification@oidf.org"},
	}
	for _, fn := range edit {
		fn(p, metadata)
	}
	if jwk := p.self.newKey(p); p.self.keysURI == "" {
		metadata["jwks"] = map[string]any{"keys": []any{jwk}}
	}
	text, err := json.Marshal(metadata)
	if err != nil {
		p.t.Fatal(err)
	}
	r := p.request("POST", p.op.text("registration_endpoint"), "")
	r.Body = io.NopCloser(strings.NewReader(string(text)))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	return p.call(r)
}

// member sets a member of the request.
func member(name string, value any) func(*party, map[string]any) {
	return func(_ *party, metadata map[string]any) { metadata[name] = value }
}

func keysAtAddress(p *party, metadata map[string]any) {
	p.self.keysURI = suiteURL + "/client1_jwks/" + random(10)
	metadata["jwks_uri"] = p.self.keysURI
}

func requestAddress(p *party, metadata map[string]any) {
	p.self.requestURI = suiteURL + "/requesturi/" + random(10)
	metadata["request_uris"] = []string{p.self.requestURI + "#" + random(10)}
}

// assertion returns the parameters by which a client that registered itself authenticates.
func (p *party) assertion() url.Values {
	p.t.Helper()
	audience := p.op.text("token_endpoint")
	if p.self.issuerAud {
		audience = p.op.text("issuer")
	}
	now := p.s.Clock.Now().Unix()
	claims := apitest.Fields{"iss": p.client.ID, "sub": p.client.ID, "aud": audience, "jti": random(20), "iat": now, "exp": now + 60}
	return url.Values{
		"client_assertion":      {p.self.sign(claims)},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
}

func redirectURIMissing(p *party) {
	p.b.visit(p.endpoint(p.authorization("openid", with("redirect_uri", ""))))
	p.staysAtServer()
}

// callbackQuery is what the suite adds to its address.
const callbackQuery = "?dummy1=lorem&dummy2=ipsum"

// The query of the redirect URI comes back beside the response.
func redirectURIQuery(p *party) {
	q := p.authorization("openid", with("redirect_uri", callbackURL+callbackQuery))
	got := p.authorize(q)
	if got.Get("dummy1") != "lorem" || got.Get("dummy2") != "ipsum" {
		p.t.Errorf("the query of the redirect URI came back as %v", got)
	}
	got.Del("dummy1")
	got.Del("dummy2")
	p.redeem(q, p.code(q, got), with("redirect_uri", callbackURL+callbackQuery))
}

func badRedirectURI(uri string) func(*party) {
	return func(p *party) {
		p.b.visit(p.endpoint(p.authorization("openid", with("redirect_uri", uri))))
		p.staysAtServer()
	}
}

func redirectURIFragment(p *party) {
	object := p.json(p.sendRegistration(member("redirect_uris", []string{callbackURL + "#foobar"})), http.StatusBadRequest)
	p.describes(asText(object["error"]), asText(object["error_description"]), "invalid_redirect_uri")
}

// dynamicDiscovery demands what OIDC Discovery section 3 demands of dynamic providers.
func dynamicDiscovery(p *party) {
	discovery(p)
	p.https("registration_endpoint")
	for name, values := range map[string][]string{
		"response_types_supported": {"code", "id_token", "id_token token"}, "grant_types_supported": {"authorization_code", "implicit"},
		"request_object_signing_alg_values_supported": {"none", "RS256"}, "userinfo_signing_alg_values_supported": {"RS256"},
		"token_endpoint_auth_methods_supported": {"private_key_jwt"}, "token_endpoint_auth_signing_alg_values_supported": {"RS256"},
	} {
		for _, value := range values {
			if !slices.Contains(p.op.list(name), value) {
				p.t.Errorf("%s lacks %s: %v", name, value, p.op[name])
			}
		}
	}
	for _, name := range []string{"claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported"} {
		if p.op[name] != true {
			p.t.Errorf("%s is %v", name, p.op[name])
		}
	}
}

// pageWithLink demands that the login page leads to a document of the client.
func pageWithLink(address string) func(*party) {
	return func(p *party) {
		b := newBrowser(p.t, p.n, nil)
		b.load(http.MethodGet, p.endpoint(p.authorization("openid")), "", nil)
		if !strings.Contains(b.source, `href="`+address+`"`) {
			p.t.Errorf("the page at %s does not lead to %s", b.at, address)
		}
	}
}

// serverRotateKeys demands that after a rotation the JWK set has a new RSA key, and still the old one
// that signs.
func serverRotateKeys(p *party) {
	kids := func() (all []string) {
		for _, k := range p.keys() {
			if k["kty"] == "RSA" {
				all = append(all, asText(k["kid"]))
			}
		}
		return all
	}
	before := kids()
	p.s.Advance(p.s.Replicas[0].Keys.Policy.Propagation)
	if _, err := p.s.Replicas[0].Keys.Rotate(p.t.Context(), false); err != nil {
		p.t.Fatal(err)
	}
	if err := p.s.Replicas[0].Keys.Step(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	p.keySet()
	after := kids()
	if !slices.ContainsFunc(after, func(kid string) bool { return !slices.Contains(before, kid) }) {
		p.t.Errorf("no new key: %v, then %v", before, after)
	}
	for _, kid := range before {
		if !slices.Contains(after, kid) {
			p.t.Errorf("the key %s is gone", kid)
		}
	}
}

// keyRotation: the client puts another key at its address, waits a minute, and uses its refresh token.
func keyRotation(p *party) {
	q := p.authorization("openid offline_access", with("prompt", "consent"))
	l := p.signIn(q)
	if l.refresh == "" {
		p.t.Fatal("no refresh token, though offline_access was allowed")
	}
	p.self.newKey(p)
	p.s.Advance(time.Minute)
	refreshed := l
	refreshed.refreshed = true
	p.tokens(&refreshed, p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {l.refresh}}))
	p.userinfo(refreshed)
}

// dynamicRefreshToken: two clients get refresh tokens and use them, and neither can use the other's.
func dynamicRefreshToken(p *party) {
	var first, last login
	var self *selfRegistered
	var client configuredClient
	for n := range 2 {
		p.register(member("grant_types", []string{"authorization_code", "refresh_token"}))
		q := p.authorization("openid offline_access", with("prompt", "consent"))
		last = p.signIn(q)
		if last.refresh == "" {
			p.t.Fatal("no refresh token, though offline_access was allowed")
		}
		p.s.Advance(time.Second)
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {last.refresh}}
		if n == 0 {
			form.Set("scope", "openid offline_access")
		}
		refreshed := last
		refreshed.refreshed = true
		p.tokens(&refreshed, p.token(form))
		p.userinfo(refreshed)
		if n == 0 {
			first, self, client = refreshed, p.self, p.client
		}
	}
	p.invalidGrant(p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.refresh}}))
	p.self, p.client = self, client
	p.tokens(&first, p.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.refresh}}))
}

// requestObjectAtAddress: all parameters are in an object at an address that the client registered.
func requestObjectAtAddress(signed bool) func(*party) {
	return func(p *party) {
		if p.op["request_uri_parameter_supported"] != true {
			p.t.Error("discovery does not say that there is request_uri")
		}
		q := p.authorization("openid")
		object := p.unsigned(q)
		if signed {
			claims := apitest.Fields{"iss": p.client.ID, "aud": p.op.text("issuer")}
			for name := range q {
				claims[name] = q.Get(name)
			}
			object = p.self.sign(claims)
		}
		suiteDocuments.Store(p.self.requestURI, object)
		stored, err := p.s.DB.ClientByID(p.t.Context(), p.client.ID)
		if err != nil {
			p.t.Fatal(err)
		}
		sent := byReference(q)
		sent.Set("request_uri", stored.RequestURIs[0])
		p.redeem(q, p.code(q, p.authorize(sent)))
	}
}

func assertionForIssuer(p *party) {
	p.self.issuerAud = true
	q := p.authorization("openid")
	p.redeemOnly(q, p.code(q, p.authorize(q)))
}

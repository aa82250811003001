package discovery_test

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/dpop"
	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// Discovery lists what works under the configuration, and nothing else: what it lists is tried, and
// a member that nobody knows how to try fails the test.
func TestEverythingThatDiscoveryListsWorks(t *testing.T) {
	for name, configure := range map[string]func(*apitest.Replica){
		"as it comes": func(*apitest.Replica) {},
		"with everything on": func(r *apitest.Replica) {
			r.Issuer.Registration, r.Issuer.ClientIDMetadata = issuer.RegistrationOpen, true
			r.Issuer.ResponseTypes, r.API.Clients.ResponseTypes = userstore.ResponseTypes, userstore.ResponseTypes
			r.Keys.Policy.Algorithms = []string{jose.RS256, jose.EdDSA, jose.ES256, jose.PS256}
			r.Issuer.Claims = []issuer.CustomClaim{{Name: "tier", Value: "gold", In: []string{issuer.InUserinfo}}}
		},
		"with MCP on": func(r *apitest.Replica) {
			r.Issuer.OpenToPublic = true
			r.Issuer.Resources = append(r.Issuer.Resources, issuer.Resource{URI: "https://mcp.test/mcp", Scopes: []string{"tools:read"}, SelfMade: true})
			r.API.Clients.SelfMadeScopes = r.Issuer.SelfMadeScopes()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, configure)
			for _, member := range slices.Sorted(maps.Keys(w.m)) {
				t.Run(member, func(t *testing.T) {
					w := *w
					w.Server = w.With(t)
					w.b = w.b.With(w.Server)
					try, known := tries[member]
					if !known {
						t.Fatalf("nothing is known of %s: does it work?", member)
					}
					try(&w)
				})
			}
		})
	}
}

// What is off is not listed.
func TestDiscoveryIsSilentOnWhatIsOff(t *testing.T) {
	w := newWorld(t, func(r *apitest.Replica) { r.Issuer.RequestObjects = nil })
	if _, listed := w.m["registration_endpoint"]; listed || w.m["request_uri_parameter_supported"] != false {
		t.Errorf("%v", w.m)
	}
	if _, listed := w.m["client_id_metadata_document_supported"]; listed {
		t.Errorf("%v", w.m)
	}
	if got := w.list("response_types_supported"); !slices.Equal(got, []string{"code"}) {
		t.Errorf("response types: %v", got)
	}
	w.Do(apitest.Request{Method: "POST", Path: "/oauth2/register", Body: apitest.Fields{}}).Want(401, "invalid_token")
}

// tries has one entry for each member of the document.
var tries = map[string]func(*world){
	"issuer": func(w *world) {
		if w.m["issuer"] != apitest.IssuerURL {
			w.T.Error(w.m["issuer"])
		}
	},
	"authorization_endpoint": endpoint("/oauth2/authorize", func(w *world) { w.login(w.client(userstore.Client{})) }),
	"token_endpoint":         endpoint("/oauth2/token", func(w *world) { w.login(w.client(userstore.Client{})) }),
	"userinfo_endpoint": endpoint("/oauth2/userinfo", func(w *world) {
		if got := apitest.UserinfoOf(w.Server, w.login(w.client(userstore.Client{}))); got["sub"] != w.user.ID {
			w.T.Error(got)
		}
	}),
	"introspection_endpoint": endpoint("/oauth2/introspect", func(w *world) {
		c := w.client(userstore.Client{})
		if got := w.Introspect(c, w.login(c).Access); got["active"] != true {
			w.T.Error(got)
		}
	}),
	"revocation_endpoint": endpoint("/oauth2/revoke", func(w *world) {
		c := w.client(userstore.Client{})
		tokens := w.login(c)
		w.Do(w.Authenticated(c, "/oauth2/revoke", url.Values{"token": {tokens.Refresh}})).Want(200, "")
		if got := w.Introspect(c, tokens.Access); got["active"] != false {
			w.T.Error(got)
		}
	}),
	"device_authorization_endpoint": endpoint("/oauth2/device", func(w *world) { w.byDevice(w.client(userstore.Client{})) }),
	"pushed_authorization_request_endpoint": endpoint("/oauth2/par", func(w *world) {
		c := w.client(userstore.Client{})
		_, query, _ := strings.Cut(apitest.AuthorizePath(c), "?")
		form, err := url.ParseQuery(query)
		if err != nil {
			w.T.Fatal(err)
		}
		var pushed struct {
			URI string `json:"request_uri"`
		}
		w.Do(w.Authenticated(c, "/oauth2/par", form)).Want(201, "").JSON(&pushed)
		p := w.b.Open("/oauth2/authorize?" + url.Values{"client_id": {c.ID}, "request_uri": {w.Secret(pushed.URI)}}.Encode())
		w.TokensOf(c, p.WantPage(200, "consent-approve").Submit("consent-approve", nil))
	}),
	"dpop_signing_alg_values_supported": func(w *world) {
		if listed := w.list("dpop_signing_alg_values_supported"); !slices.Equal(listed, dpop.Algorithms) { // package dpop tries each
			w.T.Errorf("it lists %q", listed)
		}
		key, c := dpoptest.NewKey(w.T), w.client(userstore.Client{})
		q := w.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})
		q.Header = http.Header{"Dpop": {key.Proof(w.T, dpoptest.For("POST", w.m["token_endpoint"].(string), w.Clock.Now()))}}
		var tokens apitest.Tokens
		if w.Do(q).Want(200, "").JSON(&tokens); tokens.Type != "DPoP" {
			w.T.Errorf("token_type %s", tokens.Type)
		}
	},
	"require_pushed_authorization_requests": func(w *world) {
		if w.m["require_pushed_authorization_requests"] != false { // of which all other logins here are the proof
			w.T.Error("it is not false")
		}
	},
	"end_session_endpoint": endpoint("/oauth2/logout", func(w *world) {
		b := w.SignedIn(w.user)
		b.Open("/oauth2/logout").WantPage(200, "logout-confirm").Submit("logout-confirm", nil)
		apitest.WantError(w.T, b.Open(apitest.AuthorizePath(w.client(userstore.Client{}), apitest.Param("prompt", "none"))), "login_required")
	}),
	"jwks_uri": endpoint("/.well-known/jwks.json", func(w *world) {
		w.Do(apitest.Request{Path: "/.well-known/jwks.json"}).Want(200, "")
	}),
	"check_session_iframe": endpoint("/oauth2/session/check", func(w *world) {
		w.Do(apitest.Request{Path: "/oauth2/session/check"}).Want(200, "")
		p := w.allowed(w.client(userstore.Client{}))
		if p.Query().Get("session_state") == "" {
			w.T.Error("the response has no session_state")
		}
	}),
	"registration_endpoint": endpoint("/oauth2/register", func(w *world) {
		w.Do(apitest.Request{Method: "POST", Path: "/oauth2/register",
			Body: apitest.Fields{"redirect_uris": []string{suite + "/cb"}}}).Want(201, "")
	}),
	"client_id_metadata_document_supported": func(w *world) {
		c := w.documents.Publish("/client.json", w.documents.Metadata("/client.json"))
		w.TokensOf(c, w.b.Open(apitest.AuthorizePath(c)).WantPage(200, "consent-approve").Submit("consent-approve", nil))
	},

	"scopes_supported": each("scopes_supported", func(w *world, scope string) {
		resource := ""
		if strings.HasPrefix(scope, "orders:") {
			resource = "https://orders.test"
		}
		c := w.client(userstore.Client{})
		if strings.HasPrefix(scope, "tools:") { // of mcp.resources
			resource = "https://mcp.test/mcp"
			c = w.client(userstore.Client{Kind: userstore.KindRegistered, Scopes: []string{"openid"}})
		}
		tokens := w.login(c, apitest.Params("scope", "openid "+scope, "resource", resource))
		if !slices.Contains(strings.Fields(tokens.Scope), scope) {
			w.T.Errorf("granted: %q", tokens.Scope)
		}
	}),
	"response_types_supported": each("response_types_supported", func(w *world, responseType string) {
		p := w.allowed(w.client(userstore.Client{}), apitest.Param("response_type", responseType))
		got := p.Query()
		if responseType != "code" {
			got = p.Fragment()
		}
		for _, word := range strings.Fields(responseType) {
			if got.Get(map[string]string{"code": "code", "token": "access_token", "id_token": "id_token"}[word]) == "" {
				w.T.Errorf("no %s in %v", word, slices.Sorted(maps.Keys(got)))
			}
		}
	}),
	"response_modes_supported": each("response_modes_supported", func(w *world, mode string) {
		p := w.allowed(w.client(userstore.Client{}), apitest.Param("response_mode", mode))
		var got url.Values
		switch mode {
		case "query":
			got = p.Query()
		case "fragment":
			got = p.Fragment()
		case "form_post":
			_, got = p.WantPage(200, "").Posted()
		}
		if got.Get("code") == "" {
			w.T.Errorf("no code in %v", slices.Sorted(maps.Keys(got)))
		}
	}),
	"grant_types_supported": each("grant_types_supported", func(w *world, grant string) {
		c := w.client(userstore.Client{})
		switch grant {
		case "authorization_code":
			w.login(c)
		case "refresh_token":
			w.Do(w.RefreshRequest(c, w.login(c).Refresh)).Want(200, "")
		case "client_credentials":
			w.Do(w.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {grant}})).Want(200, "")
		case userstore.GrantDeviceCode:
			w.byDevice(c)
		case "implicit":
			if w.allowed(c, apitest.Param("response_type", "id_token")).Fragment().Get("id_token") == "" {
				w.T.Error("no ID token")
			}
		default:
			w.T.Error("nobody knows how to try it")
		}
	}),
	"prompt_values_supported": each("prompt_values_supported", func(w *world, prompt string) {
		p := w.b.Open(apitest.AuthorizePath(w.client(userstore.Client{}), apitest.Param("prompt", prompt)))
		id := map[string]string{"login": "login-submit", "select_account": "login-submit", "consent": "consent-approve"}[prompt]
		if prompt == "none" {
			apitest.WantError(w.T, p, "consent_required")
			return
		}
		p.WantPage(200, cmp.Or(id, "nobody knows how to try it"))
	}),
	"code_challenge_methods_supported": func(w *world) { // by every login here, which has a challenge
		if got := w.list("code_challenge_methods_supported"); !slices.Equal(got, []string{"S256"}) {
			w.T.Error(got)
		}
	},
	"authorization_response_iss_parameter_supported": yes("authorization_response_iss_parameter_supported", func(w *world) {
		if got := w.allowed(w.client(userstore.Client{})).Query().Get("iss"); got != apitest.IssuerURL {
			w.T.Error(got)
		}
	}),

	"token_endpoint_auth_methods_supported":         methods("token_endpoint_auth_methods_supported"),
	"introspection_endpoint_auth_methods_supported": methods("introspection_endpoint_auth_methods_supported"),
	"revocation_endpoint_auth_methods_supported":    methods("revocation_endpoint_auth_methods_supported"),

	"token_endpoint_auth_signing_alg_values_supported": assertions("token_endpoint_auth_signing_alg_values_supported",
		"/oauth2/token", url.Values{"grant_type": {"client_credentials"}}),
	"introspection_endpoint_auth_signing_alg_values_supported": assertions("introspection_endpoint_auth_signing_alg_values_supported",
		"/oauth2/introspect", url.Values{"token": {"x"}}),
	"revocation_endpoint_auth_signing_alg_values_supported": assertions("revocation_endpoint_auth_signing_alg_values_supported",
		"/oauth2/revoke", url.Values{"token": {"x"}}),

	"acr_values_supported": each("acr_values_supported", func(w *world, acr string) {
		u := w.SignUp("user-of-acr-" + acr)
		c := w.client(userstore.Client{})
		var p *apitest.Page
		if acr == "2" {
			app, _ := w.WithApp(u)
			p = w.Browser().SignIn(apitest.AuthorizePath(c, apitest.Param("acr_values", acr)), u)
			p = p.Submit("second-submit", map[string]string{"code": app.Code()})
		} else {
			p = w.Browser().SignIn(apitest.AuthorizePath(c, apitest.Param("acr_values", acr)), u)
		}
		tokens := w.TokensOf(c, p.WantPage(200, "consent-approve").Submit("consent-approve", nil))
		if got := apitest.Claims(tokens.ID)["acr"]; got != acr {
			w.T.Error(got)
		}
	}),
	"subject_types_supported": each("subject_types_supported", func(w *world, kind string) {
		tokens := w.login(w.client(userstore.Client{ClientMetadata: userstore.ClientMetadata{SubjectType: kind}}))
		if sub := apitest.Claims(tokens.ID)["sub"]; (sub == w.user.ID) != (kind == "public") {
			w.T.Error(sub)
		}
	}),
	"id_token_signing_alg_values_supported": each("id_token_signing_alg_values_supported", func(w *world, alg string) {
		tokens := w.login(w.client(userstore.Client{IDTokenAlg: alg}))
		if got := apitest.Header(tokens.ID)["alg"]; got != alg {
			w.T.Error(got)
		}
	}),
	"userinfo_signing_alg_values_supported": each("userinfo_signing_alg_values_supported", func(w *world, alg string) {
		tokens := w.login(w.client(userstore.Client{ClientMetadata: userstore.ClientMetadata{UserinfoAlg: alg}}))
		a := w.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
		if got := apitest.Header(string(a.Body))["alg"]; got != alg {
			w.T.Errorf("%v: %s", got, a.Body)
		}
	}),
	"introspection_signing_alg_values_supported": each("introspection_signing_alg_values_supported", func(w *world, alg string) {
		c := w.client(userstore.Client{ClientMetadata: userstore.ClientMetadata{IntrospectionAlg: alg}})
		a := w.Do(w.Authenticated(c, "/oauth2/introspect", url.Values{"token": {w.login(c).Access}})).Want(200, "")
		if got := apitest.Header(string(a.Body))["alg"]; got != alg {
			w.T.Errorf("%v: %s", got, a.Body)
		}
	}),
	"claim_types_supported": func(w *world) {
		if got := w.list("claim_types_supported"); !slices.Equal(got, []string{"normal"}) {
			w.T.Error(got)
		}
	},
	"claims_supported": func(w *world) {
		c := w.client(userstore.Client{})
		tokens := w.login(c, apitest.Param("scope", "openid profile email address phone"))
		have := apitest.Claims(tokens.ID)
		maps.Copy(have, apitest.UserinfoOf(w.Server, tokens))
		if slices.Contains(w.list("response_types_supported"), "code id_token") {
			maps.Copy(have, apitest.Claims(w.allowed(c, apitest.Param("response_type", "code id_token")).Fragment().Get("id_token")))
		}
		for _, claim := range w.list("claims_supported") {
			if have[claim] == nil {
				w.T.Errorf("no %s", claim)
			}
		}
	},
	"display_values_supported": each("display_values_supported", func(w *world, display string) {
		w.login(w.client(userstore.Client{}), apitest.Param("display", display))
	}),
	"ui_locales_supported": each("ui_locales_supported", func(w *world, tag string) {
		p := w.Browser().Open(apitest.AuthorizePath(w.client(userstore.Client{}), apitest.Param("ui_locales", tag)))
		if got := p.WantPage(200, "login-submit").Header.Get("Content-Language"); got != tag {
			w.T.Errorf("the page is in %q", got)
		}
	}),
	"claims_parameter_supported": yes("claims_parameter_supported", func(w *world) {
		tokens := w.login(w.client(userstore.Client{}), apitest.Params("scope", "openid", "claims", `{"userinfo":{"nickname":null}}`))
		if got := apitest.UserinfoOf(w.Server, tokens); got["nickname"] != "Al" {
			w.T.Error(got)
		}
	}),
	"request_parameter_supported": yes("request_parameter_supported", func(w *world) { w.byObject(jose.RS256, false) }),
	"request_uri_parameter_supported": yes("request_uri_parameter_supported", func(w *world) {
		w.byObject(jose.RS256, true)
	}),
	"require_request_uri_registration": yes("require_request_uri_registration", func(w *world) {
		c := w.client(userstore.Client{ClientMetadata: userstore.ClientMetadata{RequestURIs: []string{suite + "/registered"}}})
		p := w.b.Open(apitest.AuthorizePath(c, apitest.Param("request_uri", suite+"/unregistered")))
		apitest.WantError(w.T, p, "invalid_request_uri")
	}),
	"request_object_signing_alg_values_supported": each("request_object_signing_alg_values_supported",
		func(w *world, alg string) { w.byObject(alg, false) }),

	"frontchannel_logout_supported":         yes("frontchannel_logout_supported", func(w *world) { w.byFrame("") }),
	"frontchannel_logout_session_supported": yes("frontchannel_logout_session_supported", func(w *world) { w.byFrame("sid=") }),
	"backchannel_logout_supported":          yes("backchannel_logout_supported", func(w *world) { w.byServer("sub") }),
	"backchannel_logout_session_supported":  yes("backchannel_logout_session_supported", func(w *world) { w.byServer("sid") }),
}

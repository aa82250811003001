package conformance

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// plan is a certification profile.
type plan struct {
	name, title string
	suite       string   // its name in the suite's API
	variant     []string // as the suite's API takes it
	formPost    bool
	modules     []module // with response_type=code
	runs        []run    // with others; see plans_front_test.go
}

// all returns the runs of the plan.
func (p plan) all() []run { return append([]run{{"code", p.modules}}, p.runs...) }

// run is a list of modules that are run with a response type.
type run struct {
	responseType string
	modules      []module
}

// module is a test of the suite.
type module struct {
	name    string
	outcome string // the result that is expected from the suite
	run     func(p *party)
}

// The outcomes. Modules that the suite cannot run for a client that an operator registered are run
// here as well.
const (
	passes   = "passes"
	pictured = "passes; somebody looks at a screenshot"
	dynamic  = "only for clients that register themselves"
)

// basic is the plan oidcc-basic-certification-test-plan for a client that an operator registered.
var basic = []module{
	{"oidcc-server", passes, server},
	{"oidcc-response-type-missing", passes, responseTypeMissing},
	{"oidcc-idtoken-signature", dynamic, idTokenSignature},
	{"oidcc-idtoken-unsigned", dynamic, idTokenUnsigned},
	{"oidcc-userinfo-get", passes, userinfoGet},
	{"oidcc-userinfo-post-header", passes, userinfoPostHeader},
	{"oidcc-userinfo-post-body", passes, userinfoPostBody},
	{"oidcc-ensure-request-without-nonce-succeeds-for-code-flow", passes, withoutNonce},
	{"oidcc-scope-profile", passes, scope("openid profile")},
	{"oidcc-scope-email", passes, scope("openid email")},
	{"oidcc-scope-address", passes, scope("openid address")},
	{"oidcc-scope-phone", passes, scope("openid phone")},
	{"oidcc-scope-all", passes, scope("openid email phone address profile")},
	{"oidcc-alternate-happy-flow", passes, alternateHappyFlow},
	{"oidcc-display-page", passes, sends("display", "page")},
	{"oidcc-display-popup", passes, sends("display", "popup")},
	{"oidcc-prompt-login", pictured, promptLogin},
	{"oidcc-prompt-none-not-logged-in", passes, promptNoneNotLoggedIn},
	{"oidcc-prompt-none-logged-in", passes, promptNoneLoggedIn},
	{"oidcc-max-age-1", pictured, maxAge1},
	{"oidcc-max-age-10000", passes, maxAge10000},
	{"oidcc-ensure-request-with-unknown-parameter-succeeds", passes, sends("extra", "foobar")},
	{"oidcc-id-token-hint", passes, idTokenHint},
	{"oidcc-login-hint", passes, loginHint},
	{"oidcc-ui-locales", passes, uiLocales},
	{"oidcc-claims-locales", passes, sends("claims_locales", "se")},
	{"oidcc-ensure-request-with-acr-values-succeeds", passes, acrValues},
	{"oidcc-codereuse", passes, codeReuse},
	{"oidcc-codereuse-30seconds", passes, codeReuseLater},
	{"oidcc-ensure-registered-redirect-uri", pictured, registeredRedirectURI},
	{"oidcc-ensure-post-request-succeeds", passes, postRequest},
	{"oidcc-server-client-secret-post", passes, serverClientSecretPost},
	{"oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", dynamic, requestURI},
	{"oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", passes, requestObject},
	{"oidcc-claims-essential", passes, claimsEssential},
	{"oidcc-ensure-request-object-with-redirect-uri", passes, requestObjectWithRedirectURI},
	{"oidcc-refresh-token", passes, refreshToken},
	{"oidcc-ensure-request-with-valid-pkce-succeeds", passes, pkce},
}

// static is the variant for a client that an operator registered.
var static = []string{"server_metadata=discovery", "client_registration=static_client"}

var plans = append([]plan{
	{name: "basic", title: "Basic", suite: "oidcc-basic-certification-test-plan", variant: static, modules: basic},
	{name: "config", title: "Config", suite: "oidcc-config-certification-test-plan", modules: []module{
		{"oidcc-discovery-endpoint-verification", passes, discovery},
	}},
	{name: "formpost", title: "Form Post", suite: "oidcc-formpost-basic-certification-test-plan", variant: static,
		formPost: true, modules: basic},
	{name: "rp-initiated-logout", title: "RP-Initiated Logout", suite: "oidcc-rp-initiated-logout-certification-test-plan",
		variant: []string{"client_registration=static_client", "response_type=code"}, modules: []module{
			{"oidcc-rp-initiated-logout-discovery-endpoint-verification", passes, logoutDiscovery},
			{"oidcc-rp-initiated-logout", passes, logout},
			{"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri", pictured, logoutBadRedirectURI},
			{"oidcc-rp-initiated-logout-modified-id-token-hint", pictured, logoutModifiedHint},
			{"oidcc-rp-initiated-logout-no-id-token-hint", pictured, logoutNoHint},
			{"oidcc-rp-initiated-logout-no-params", pictured, logoutNoParams},
			{"oidcc-rp-initiated-logout-no-post-logout-redirect-uri", pictured, logoutNoRedirectURI},
			{"oidcc-rp-initiated-logout-no-state", passes, logoutNoState},
			{"oidcc-rp-initiated-logout-only-state", pictured, logoutOnlyState},
			{"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri", pictured, logoutQueryAdded},
			{"oidcc-rp-initiated-logout-bad-id-token-hint", pictured, logoutBadHint},
		}},
	backchannelLogout,
	dynamicPlan,
}, append(browserSessionPlans, frontPlans...)...)

// There is one server with one user and three clients, as an operator sets them up for the suite,
// and a fresh browser for each module.
func TestOIDCC(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := prepare(t, s)
		for _, plan := range plans {
			t.Run(plan.name, func(t *testing.T) {
				for _, run := range plan.all() {
					for _, m := range run.modules {
						name := m.name
						if run.responseType != "code" {
							name = run.responseType + "/" + m.name
						}
						t.Run(name, func(t *testing.T) {
							n := &internet{s: s.With(t)}
							p := &party{t: t, s: s, n: n, b: newBrowser(t, n, c.automated(m.name)), c: c, client: c.clientOf(m.name),
								formPost: plan.formPost, responseType: run.responseType}
							p.discover()
							m.run(p)
						})
					}
				}
			})
		}
	}, apitest.Configured(func(r *apitest.Replica) {
		r.Issuer.RequestObjects = &issuer.RequestObjects{Fetch: fetchFromSuite}
		forDynamic(r)
	}))
}

// prepare makes the user and the clients as docs/conformance.md tells an operator to.
func prepare(t *testing.T, s *apitest.Server) configuration {
	t.Helper()
	user := s.SignUp("conformance")
	tokens := s.Login(user, apitest.Fields{"scope": "profile email"})
	s.Do(apitest.Request{Method: "PATCH", Path: "/v1/profile", Token: tokens.Access, Type: "application/merge-patch+json",
		Body: apitest.Fields{
			"name": "Ada King", "given_name": "Ada", "family_name": "King", "middle_name": "Augusta", "nickname": "ada",
			"preferred_username": "ada", "current_password": user.Password, "profile": "https://ada.example/",
			"picture": "https://ada.example/ada.png",
			"website": "https://ada.example/blog", "gender": "female", "birthdate": "1975-12-10", "zoneinfo": "Europe/London",
			"locale":       "en-GB",
			"phone_number": "+442071234567",
			"address":      apitest.Fields{"street_address": "12 St James's Square", "locality": "London", "country": "GB"},
		}}).Want(200, "")

	c := readConfiguration(t, user)
	for _, client := range []struct {
		of     *configuredClient
		method string
	}{{&c.Client, userstore.AuthBasic}, {&c.Client2, userstore.AuthBasic}, {&c.ClientPost, userstore.AuthPost}} {
		client.of.Secret = s.Register(userstore.Client{
			ID: client.of.ID, AuthMethod: client.method,
			GrantTypes: []string{userstore.GrantAuthorizationCode, userstore.GrantImplicit, userstore.GrantRefreshToken},
			ClientMetadata: userstore.ClientMetadata{
				ResponseTypes: userstore.ResponseTypes,
				RedirectURIs:  []string{callbackURL}, PostLogoutRedirectURIs: []string{postLogoutURL}, PKCE: userstore.PKCEOptional,
				RequestObjectAlg: userstore.RequestObjectUnsigned,
			},
		}).Secret
	}
	o := c.Override["oidcc-backchannel-rp-initiated-logout"]
	o.Client.Secret = s.Register(userstore.Client{
		ID: o.Client.ID, AuthMethod: userstore.AuthBasic,
		ClientMetadata: userstore.ClientMetadata{
			RedirectURIs: []string{callbackURL}, PostLogoutRedirectURIs: []string{postLogoutURL}, PKCE: userstore.PKCEOptional,
			BackchannelLogoutURI: backchannelURL, BackchannelLogoutSessionRequired: true,
		},
	}).Secret
	o = c.Override["oidcc-frontchannel-rp-initiated-logout"]
	o.Client.Secret = s.Register(userstore.Client{
		ID: o.Client.ID, AuthMethod: userstore.AuthBasic,
		ClientMetadata: userstore.ClientMetadata{
			RedirectURIs: []string{callbackURL}, PostLogoutRedirectURIs: []string{postLogoutURL}, PKCE: userstore.PKCEOptional,
			FrontchannelLogoutURI: frontchannelURL, FrontchannelLogoutSessionRequired: true,
		},
	}).Secret
	return c
}

// documented returns the rows of a table in docs/conformance.md.
func documented(t *testing.T, header string) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), header+"\n| --- | --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	if !found {
		t.Fatalf("docs/conformance.md has no table %s", header)
	}
	return strings.Split(strings.TrimSuffix(table, "\n"), "\n")
}

func TestTheDocumentedPlansAreTheTestedOnes(t *testing.T) {
	var want []string
	for _, p := range plans {
		variant := "none"
		if len(p.variant) > 0 {
			variant = "`" + strings.Join(p.variant, "` `") + "`"
		}
		want = append(want, "| "+p.title+" | `"+p.suite+"` | "+variant+" |")
	}
	if got := documented(t, "| profile | plan | variant |"); !slices.Equal(got, want) {
		t.Errorf("the table has to be:\n%s", strings.Join(want, "\n"))
	}
}

// Every address for which the automation waits names its host: "*" would match a whole address
// within the query of another.
func TestTheAutomationNamesHosts(t *testing.T) {
	c := readConfiguration(t, apitest.User{})
	for _, b := range slices.Concat(c.Browser, c.Override["oidcc-rp-initiated-logout-no-params"].Browser,
		c.Override["oidcc-rp-initiated-logout-only-state"].Browser) {
		for _, match := range append([]string{b.Match}, b.matches()...) {
			if !strings.HasPrefix(match, apitest.IssuerURL+"/") &&
				!strings.HasPrefix(match, "https://www.certification.openid.net/") {
				t.Errorf("the match %q names no host", match)
			}
		}
	}
}

// The table of docs/conformance.md lists the modules that are run here.
func TestTheDocumentedModulesAreTheTestedOnes(t *testing.T) {
	profiles := map[string][]string{}
	outcomes := map[string]string{}
	var order []string
	for _, p := range plans {
		for _, run := range p.all() {
			for _, m := range run.modules {
				if profiles[m.name] == nil {
					order = append(order, m.name)
				}
				if !slices.Contains(profiles[m.name], p.title) {
					profiles[m.name] = append(profiles[m.name], p.title)
				}
				outcomes[m.name] = m.outcome
			}
		}
	}
	var want []string
	for _, name := range order {
		want = append(want, "| `"+name+"` | "+strings.Join(profiles[name], ", ")+" | "+outcomes[name]+" |")
	}
	if got := documented(t, "| module | profiles | expected |"); !slices.Equal(got, want) {
		t.Errorf("the table has to be:\n%s", strings.Join(want, "\n"))
	}
}

package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/userstore"
)

// registeredDocuments are the modules of the plan oidcc-dynamic-certification-test-plan about what a
// client registers beside itself: its logo, its pages and its sector.
var registeredDocuments = []module{
	{"oidcc-registration-logo-uri", pictured, registrationLogoURI},
	{"oidcc-registration-policy-uri", pictured, registrationPolicyURI},
	{"oidcc-registration-tos-uri", pictured, registrationTOSURI},
	{"oidcc-registration-sector-uri", passes, registrationSectorURI},
	{"oidcc-registration-sector-bad", passes, registrationSectorBad},
}

// The addresses of the suite's server that the modules register. Only the documents of sectors belong
// to one run.
const (
	suiteLogoURL   = "https://www.certification.openid.net/images/openid.png"
	suitePolicyURL = "https://www.certification.openid.net/login.html"
	suiteTOSURL    = "https://openid.net"
	suiteSectorURL = suiteURL + "/redirect_uris.json"
)

func TestOIDCCRegisteredDocuments(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := prepare(t, s)
		for _, m := range registeredDocuments {
			t.Run(m.name, func(t *testing.T) {
				n := &internet{s: s.With(t)}
				p := &party{t: t, s: s, n: n, b: newBrowser(t, n, c.automated(m.name)), c: c}
				p.discover()
				m.run(p)
			})
		}
	}, apitest.Configured(fetchingDocuments))
}

// fetchingDocuments lets a replica fetch from the suite.
func fetchingDocuments(r *apitest.Replica) {
	r.API.Clients.SectorDocument = fetchFromSuite
	r.API.Logos = logos.New(fetchFromSuite, r.API.Now)
}

// registration returns the metadata with which the suite registers a client, and more.
func registration(more apitest.Fields) apitest.Fields {
	out := apitest.Fields{
		"client_name":                "signet " + random(10),
		"grant_types":                []string{"authorization_code"},
		"response_types":             []string{"code"},
		"token_endpoint_auth_method": "client_secret_basic",
		"redirect_uris":              []string{callbackURL},
		"contacts":                   []string{"certification@oidf.org"},
	}
	for name, value := range more {
		out[name] = value
	}
	return out
}

// registerClient registers a client: at the registration endpoint, or as an operator does where discovery
// names none. It sets the client of p, or returns the error code of the refusal.
func (p *party) registerClient(metadata apitest.Fields) (refused string) {
	p.t.Helper()
	text, err := json.Marshal(metadata)
	if err != nil {
		p.t.Fatal(err)
	}
	endpoint := p.op.text("registration_endpoint")
	if endpoint == "" {
		return p.registerByOperator(text)
	}
	r := p.request("POST", endpoint, string(text))
	r.Header.Set("Content-Type", "application/json")
	a := p.call(r)
	if a.status == http.StatusBadRequest {
		code, _ := p.json(a, http.StatusBadRequest)["error"].(string)
		return code
	}
	made := p.json(a, http.StatusCreated)
	p.client = configuredClient{ID: asText(made["client_id"]), Secret: asText(made["client_secret"])}
	return ""
}

func (p *party) registerByOperator(text []byte) (refused string) {
	p.t.Helper()
	var c userstore.Client
	if err := json.Unmarshal(text, &c.ClientMetadata); err != nil {
		p.t.Fatal(err)
	}
	c.Name, c.PKCE = "signet "+random(4), userstore.PKCEOptional
	made, secret, err := p.s.Replicas[0].API.Clients.Create(p.t.Context(), c, "")
	if invalid := (*userstore.ValidationError)(nil); errors.As(err, &invalid) {
		if slices.ContainsFunc(invalid.Fields, func(f userstore.FieldError) bool { return strings.HasPrefix(f.Field, "redirect_uris") }) {
			return "invalid_redirect_uri"
		}
		return "invalid_client_metadata"
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.client = configuredClient{ID: made.ID, Secret: secret}
	return ""
}

// loginPage registers a client and returns the login page that a fresh browser sees. The automation
// takes its picture.
func (p *party) loginPage(metadata apitest.Fields) string {
	p.t.Helper()
	if refused := p.registerClient(registration(metadata)); refused != "" {
		p.t.Fatalf("refused: %s", refused)
	}
	q := p.authorization("openid")
	page := string(p.s.Browser().Open(p.endpoint(q)[len(apitest.IssuerURL):]).Body)
	p.signIn(q)
	if len(p.b.screenshots) == 0 || !strings.Contains(p.b.screenshots[0], "Sign in") {
		p.t.Errorf("the pictures show %q", p.b.screenshots)
	}
	return page
}

// The login page shows the logo, without anything being loaded from elsewhere.
func registrationLogoURI(p *party) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 300, 113))); err != nil {
		p.t.Fatal(err)
	}
	suiteDocuments.Store(suiteLogoURL, picture.String())
	page := p.loginPage(apitest.Fields{"logo_uri": suiteLogoURL})
	_, rest, found := strings.Cut(page, `<img class="app-logo" src="`)
	src, _, _ := strings.Cut(rest, `"`)
	if !found {
		p.t.Fatalf("the login page has no logo: %s", page)
	}
	a := p.call(p.request("GET", apitest.IssuerURL+strings.ReplaceAll(src, "&amp;", "&"), ""))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "image/png" || a.body != picture.String() {
		p.t.Errorf("the logo: %d %s", a.status, a.header.Get("Content-Type"))
	}
}

func registrationPolicyURI(p *party) {
	if page := p.loginPage(apitest.Fields{"policy_uri": suitePolicyURL}); !strings.Contains(page, `href="`+suitePolicyURL+`"`) {
		p.t.Errorf("the login page has no link to the policy: %s", page)
	}
}

func registrationTOSURI(p *party) {
	if page := p.loginPage(apitest.Fields{"tos_uri": suiteTOSURL}); !strings.Contains(page, `href="`+suiteTOSURL+`"`) {
		p.t.Errorf("the login page has no link to the terms: %s", page)
	}
}

func (p *party) pairwise() apitest.Fields {
	p.t.Helper()
	if !slices.Contains(p.op.list("subject_types_supported"), "pairwise") {
		p.t.Error("discovery does not say pairwise: the suite skips the module")
	}
	return registration(apitest.Fields{"subject_type": "pairwise", "sector_identifier_uri": suiteSectorURL})
}

func registrationSectorURI(p *party) {
	suiteDocuments.Store(suiteSectorURL, `["`+callbackURL+`"]`)
	if refused := p.registerClient(p.pairwise()); refused != "" {
		p.t.Fatalf("refused: %s", refused)
	}
	l := p.signIn(p.authorization("openid"))
	if sub := asText(l.id["sub"]); sub == "" || l.userinfo["sub"] != sub {
		p.t.Errorf("sub is %v in the ID token and %v at userinfo", l.id["sub"], l.userinfo["sub"])
	}
}

func registrationSectorBad(p *party) {
	suiteDocuments.Store(suiteSectorURL, `["`+suiteURL+`/not-the-callback"]`)
	if refused := p.registerClient(p.pairwise()); refused != "invalid_client_metadata" {
		p.t.Errorf("refused with %q, want invalid_client_metadata", refused)
	}
}

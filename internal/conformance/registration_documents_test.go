package conformance

import (
	"bytes"
	"image"
	"image/png"
	"net/http"
	"slices"
	"strings"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/logos"
)

// The addresses of the suite's server that the modules about a client's documents register. Only the
// documents of sectors belong to one run.
const (
	suiteLogoURL   = "https://www.certification.openid.net/images/openid.png"
	suitePolicyURL = "https://www.certification.openid.net/login.html"
	suiteTOSURL    = "https://openid.net"
	suiteSectorURL = suiteURL + "/redirect_uris.json"
)

// fetchingDocuments lets a replica fetch from the suite.
func fetchingDocuments(r *apitest.Replica) {
	r.API.Clients.SectorDocument = fetchFromSuite
	r.API.Logos = logos.New(fetchFromSuite, r.API.Now)
}

// picture is what the suite keeps at suiteLogoURL.
func picture(p *party) string {
	p.t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 300, 113))); err != nil {
		p.t.Fatal(err)
	}
	return b.String()
}

func logoAtAddress(p *party, metadata map[string]any) {
	suiteDocuments.Store(suiteLogoURL, picture(p))
	metadata["logo_uri"] = suiteLogoURL
}

// pageWithLogo demands that the login page shows the logo, without anything being loaded from elsewhere.
func pageWithLogo(p *party) {
	page := string(p.s.Browser().Open(p.endpoint(p.authorization("openid"))[len(apitest.IssuerURL):]).Body)
	_, rest, found := strings.Cut(page, `<img class="app-logo" src="`)
	src, _, _ := strings.Cut(rest, `"`)
	if !found {
		p.t.Fatalf("the login page has no logo: %s", page)
	}
	a := p.call(p.request("GET", apitest.IssuerURL+strings.ReplaceAll(src, "&amp;", "&"), ""))
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "image/png" || a.body != picture(p) {
		p.t.Errorf("the logo: %d %s", a.status, a.header.Get("Content-Type"))
	}
}

// sectorOf makes the client pairwise, in the sector of a document that names an address.
func sectorOf(address string) func(*party, map[string]any) {
	return func(p *party, metadata map[string]any) {
		if !slices.Contains(p.op.list("subject_types_supported"), "pairwise") {
			p.t.Error("discovery does not say pairwise: the suite skips the module")
		}
		suiteDocuments.Store(suiteSectorURL, `["`+address+`"]`)
		metadata["subject_type"], metadata["sector_identifier_uri"] = "pairwise", suiteSectorURL
	}
}

func registrationSectorURI(p *party) {
	l := p.signIn(p.authorization("openid"))
	if sub := asText(l.id["sub"]); sub == "" || l.userinfo["sub"] != sub {
		p.t.Errorf("sub is %v in the ID token and %v at userinfo", l.id["sub"], l.userinfo["sub"])
	}
}

func registrationSectorBad(p *party) {
	object := p.json(p.sendRegistration(sectorOf(suiteURL+"/not-the-callback")), http.StatusBadRequest)
	p.describes(asText(object["error"]), asText(object["error_description"]), "invalid_client_metadata")
}

package outgoing_test

import (
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"html"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/logos"
	"github.com/signet-id/signet/internal/outbound"
	"github.com/signet-id/signet/internal/outbound/outboundtest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// request is a request that the server makes to an address of a client.
type request struct {
	member string // of the registration, which names the address
	by     string // what cmd/signet gives the guarded client to; see wired
	// registered returns a client with that address.
	registered func(address string) userstore.Client
	// cause makes the server request the address. It returns once the server has given up, or has
	// its answer.
	cause func(s *apitest.Server, c apitest.Client, address string)
	// checked: cause registers the address, and a registration takes no zone of an interface.
	checked bool
}

// requests are all of them. A member that is new here needs the same: how a client gets the address,
// and what makes the server request it.
var requests = []request{
	{"jwks_uri", "ClientKeys.Fetch", func(address string) userstore.Client {
		return userstore.Client{AuthMethod: userstore.AuthPrivateKeyJWT, GrantTypes: []string{userstore.GrantClientCredentials},
			ClientMetadata: userstore.ClientMetadata{JWKSURI: address}}
	}, func(s *apitest.Server, c apitest.Client, _ string) {
		now := s.Clock.Now().Unix()
		assertion := apitest.Sign(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), `{"alg":"EdDSA","kid":"k"}`,
			apitest.Fields{"iss": c.ID, "sub": c.ID, "aud": apitest.IssuerURL, "iat": now, "exp": now + 60, "jti": c.ID}.Text())
		s.Do(apitest.Request{Method: "POST", Path: "/oauth2/token", Form: url.Values{"grant_type": {"client_credentials"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {assertion}}}).Want(503, "temporarily_unavailable")
	}, false},
	{"request_uris", "RequestObjects.Fetch", func(address string) userstore.Client {
		return userstore.Client{ClientMetadata: userstore.ClientMetadata{RequestURIs: []string{address}}}
	}, func(s *apitest.Server, c apitest.Client, address string) {
		query := url.Values{"client_id": {c.ID}, "redirect_uri": {c.RedirectURIs[0]}, "response_type": {"code"},
			"scope": {"openid"}, "request_uri": {address}}
		page := s.Browser().Open("/oauth2/authorize?" + query.Encode())
		if got := page.Query().Get("error"); got != "invalid_request_uri" {
			s.T.Errorf("the request is answered with %q", got)
		}
	}, false},
	{"sector_identifier_uri", "sectorsBy", func(string) userstore.Client {
		return userstore.Client{} // the address is requested before there is a client
	}, func(s *apitest.Server, c apitest.Client, address string) {
		name := "root of " + c.ID
		_, admin := s.Admin(strings.ReplaceAll(name, " ", "-"))
		s.AdminOf(admin.Access)("POST", "", apitest.Fields{"client_name": name, "subject_type": "pairwise",
			"redirect_uris": []string{"https://one.test/cb"}, "sector_identifier_uri": address}).Want(400, "validation_error")
	}, true},
	{"backchannel_logout_uri", "Sender.Post", func(address string) userstore.Client {
		return userstore.Client{ClientMetadata: userstore.ClientMetadata{BackchannelLogoutURI: address}}
	}, func(s *apitest.Server, c apitest.Client, _ string) {
		b, page := s.Allowed(s.SignUp("user-of-"+strings.ReplaceAll(c.ID, "_", "-")), c)
		s.TokensOf(c, page)
		b.Open("/logout").Submit("logout-confirm", nil)
		if told, err := s.Replicas[0].Logouts.Step(s.T.Context()); err != nil || told != 1 {
			s.T.Errorf("%d apps were told, %v", told, err)
		}
	}, false},
	{"client_id", "documentsBy", func(string) userstore.Client {
		return userstore.Client{} // the client is whatever the document says
	}, func(s *apitest.Server, c apitest.Client, address string) {
		if strings.HasSuffix(address, "/") { // a client_id has a path
			address += "client.json"
		}
		c.ID = address
		if page := s.Browser().Open(apitest.AuthorizePath(c)); page.Status != http.StatusBadRequest || page.To != "" {
			s.T.Errorf("the request is answered with %d, %q", page.Status, page.To)
		}
	}, true},
	{"logo_uri", "logosBy", func(address string) userstore.Client {
		return userstore.Client{ClientMetadata: userstore.ClientMetadata{LogoURI: address}}
	}, func(s *apitest.Server, c apitest.Client, _ string) {
		_, logo, _ := strings.Cut(string(s.Browser().Open(apitest.AuthorizePath(c)).Body), `class="app-logo" src="`)
		logo, _, _ = strings.Cut(logo, `"`)
		if a := s.Do(apitest.Request{Path: html.UnescapeString(logo)}); a.Status != http.StatusNotFound || logo == "" {
			s.T.Errorf("the logo %q is answered with %d", logo, a.Status)
		}
	}, false},
}

// unrequested are the members that name addresses which the server never requests: browsers do, or
// nobody.
var unrequested = []string{
	"redirect_uris", "post_logout_redirect_uris", "client_uri", "policy_uri", "tos_uri",
	"frontchannel_logout_uri", "initiate_login_uri",
}

// serve starts a server whose ways out are as cmd/signet makes them.
func serve(t *testing.T, o outbound.Options) *apitest.Server {
	t.Helper()
	client, err := outbound.New(o)
	if err != nil {
		t.Fatal(err)
	}
	settings := apitest.Options{}
	apitest.Configured(func(r *apitest.Replica) {
		r.Issuer.ClientKeys = &issuer.ClientKeys{Fetch: client.Get}
		r.Issuer.RequestObjects = &issuer.RequestObjects{Fetch: client.Get}
		r.Logouts.Post = client.Post
		r.API.Clients.SectorDocument = func(ctx context.Context, uri string) ([]byte, error) {
			return client.Fetch(ctx, uri, outbound.Document{MaxBytes: 64 << 10})
		}
		r.API.Logos = logos.New(client.Get, r.API.Now)
		r.FetchDocuments(client)
	})(&settings)
	return apitest.New(t, settings)
}

// register registers a client with the address.
func (r request) register(s *apitest.Server, id, address string) apitest.Client {
	c := r.registered(address)
	c.ID = id
	return s.Register(c)
}

// whatever a client registers, nothing arrives at an address of this machine or of its network,
// unless the operator allows the host.
func TestR04NoRequestArrivesAtAnAddressThatIsNotPublic(t *testing.T) {
	for kind, address := range outboundtest.OwnAddresses(t) {
		for _, r := range requests {
			t.Run(r.member+", "+kind, func(t *testing.T) {
				canary := outboundtest.NewCanary(t, address)
				host := netip.MustParseAddrPort(canary.Address).Addr().String()
				s := serve(t, outbound.Options{AllowHosts: []string{host + ":1", "localhost"}})
				r.cause(s, r.register(s, "closed", canary.URL()), canary.URL())
				canary.Unseen(t, r.member)

				s = serve(t, outbound.Options{AllowHosts: []string{host}})
				r.cause(s, r.register(s, "open", canary.URL()), canary.URL())
				if address.Zone() != "" && r.checked {
					canary.Unseen(t, r.member)
					return
				}
				canary.Seen(t, r.member) // so the request is made, and only the guard holds it back
			})
		}
	}
}

// names of this machine, the address of a cloud's metadata, and addresses that hide another one.
func TestR04AddressesThatAreRefusedBeforeTheyAreDialled(t *testing.T) {
	canary := outboundtest.NewCanary(t, netip.MustParseAddr("127.0.0.1"))
	_, port, _ := strings.Cut(canary.Address, ":")
	s := serve(t, outbound.Options{})
	for n, address := range []string{
		"https://localhost:" + port + "/", "https://[::ffff:127.0.0.1]:" + port + "/", "https://169.254.169.254/latest/meta-data/",
		"https://[fd00:ec2::254]/", "https://[64:ff9b::a9fe:a9fe]/", "https://0.0.0.0:" + port + "/", "https://[::]:" + port + "/",
		"http://" + canary.Address + "/", "https://user@" + canary.Address + "/", "ftp://" + canary.Address + "/",
	} {
		for _, r := range requests {
			r.cause(s, r.register(s, r.member+string(rune('a'+n)), address), address)
		}
	}
	canary.Unseen(t, "an address that leads to this machine")
}

// an address that redirects ends there, with one request. (An answer that is no document of
// its kind is refused as one that does not come.)
func TestR03NoRequestFollowsARedirect(t *testing.T) {
	canary := outboundtest.NewCanary(t, netip.MustParseAddr("127.0.0.1"))
	seen := make(chan string, 16)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.URL.Path
		http.Redirect(w, r, canary.URL(), http.StatusFound)
	}))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	s := serve(t, outbound.Options{AllowHosts: []string{"127.0.0.1"}, CAs: ca})
	for _, r := range requests {
		address := server.URL + "/" + r.member
		r.cause(s, r.register(s, r.member, address), address)
		if len(seen) != 1 {
			t.Errorf("%s: %d requests", r.member, len(seen))
		}
		if path := <-seen; path != "/"+r.member {
			t.Errorf("%s: requested %s", r.member, path)
		}
	}
	canary.Unseen(t, "a redirect")
}

// The members that name addresses for others are never requested by the server, not even where the
// operator allows the host.
func TestAddressesThatTheServerNeverRequests(t *testing.T) {
	canary := outboundtest.NewCanary(t, netip.MustParseAddr("127.0.0.1"))
	s := serve(t, outbound.Options{AllowHosts: []string{"127.0.0.1"}})
	address := canary.URL()
	c := s.Register(userstore.Client{ID: "web", ClientMetadata: userstore.ClientMetadata{
		RedirectURIs: []string{address + "cb"}, PostLogoutRedirectURIs: []string{address + "bye"},
		ClientURI: address, PolicyURI: address, TOSURI: address,
	}})
	alice := s.SignUp("alice")
	b, page := s.Allowed(alice, c)
	tokens := s.TokensOf(c, page)
	s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
	b.Open("/account")
	b.Open("/oauth2/logout?" + url.Values{"id_token_hint": {tokens.ID}, "post_logout_redirect_uri": {address + "bye"}}.Encode())
	canary.Unseen(t, "an address for others")
}

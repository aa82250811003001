package authorizations_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/outbound"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// documents are what stands at the addresses of clients.
type documents map[string]string

func (d documents) fetch(_ context.Context, address string) ([]byte, error) {
	text, found := d[address]
	if !found {
		return nil, errors.New("404")
	}
	return []byte(text), nil
}

func fetching(fetch func(context.Context, string) ([]byte, error)) func(*apitest.Options) {
	return apitest.Configured(func(r *apitest.Replica) { r.Issuer.RequestObjects = &issuer.RequestObjects{Fetch: fetch} })
}

func TestRequestObjectsByReference(t *testing.T) {
	at := documents{}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		const first, second = "https://far.test/a?x=y", "https://far.test/b"
		c := signingClient(s, "far", jose.EdDSA, func(c *userstore.Client) {
			c.RequestURIs = []string{first, second + "#version1", "https://far.test/gone"}
		})
		strict := signingClient(s, "strict", jose.EdDSA, func(c *userstore.Client) {
			c.RequestURIs, c.RequireSignedRequestObject = []string{"https://strict.test/r"}, true
		})
		none := s.Register(userstore.Client{ID: "none", ClientMetadata: userstore.ClientMetadata{
			RequestURIs: []string{"https://none.test/r"}, RequestObjectAlg: userstore.RequestObjectUnsigned}})
		whole := c.sign(c.header(), with(with(c.claims(s), parameters(c.Client)), apitest.Fields{"state": "inner"}))
		at[first], at[second] = whole+"\n", whole
		at["https://strict.test/r"] = strict.sign(strict.header(), with(strict.claims(s), parameters(strict.Client)))
		at["https://none.test/r"] = withoutSignature(with(parameters(none), apitest.Fields{"state": "inner"}))
		at["https://far.test/unlisted"] = whole

		only := func(c apitest.Client, uri string) string {
			return "/oauth2/authorize?" + url.Values{"client_id": {c.ID}, "request_uri": {uri}}.Encode()
		}
		for _, row := range []struct {
			name, path, state string
			client            apitest.Client
		}{
			{"nothing else", only(c.Client, first), "inner", c.Client},
			{"parameters beside it", authorizePath(c.Client, set("request_uri", first)), "inner", c.Client},
			{"with a fragment", only(c.Client, first+"#1"), "inner", c.Client},
			{"with another fragment than registered", only(c.Client, second+"#version2"), "inner", c.Client},
			{"of a client that has to sign", only(strict.Client, "https://strict.test/r"), "the state", strict.Client},
			{"without a signature, as registered", only(none, "https://none.test/r"), "inner", none},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				p := s.Browser().SignIn(row.path, alice)
				if p.Has("consent-approve") {
					p = p.Submit("consent-approve", nil)
				}
				if wantCode(t, p); p.Query().Get("state") != row.state || !strings.HasPrefix(p.To, row.client.RedirectURIs[0]+"?") {
					t.Errorf("sent to %q", p.To)
				}
			})
		}

		web := s.WebClient()
		ask(t, s, web, []asking{
			{name: "a client without addresses", edit: set("request_uri", first), want: "request_uri_not_supported"},
		})
		ask(t, s, c.Client, []asking{
			{name: "an address that is not registered", edit: set("request_uri", "https://far.test/unlisted"), want: "invalid_request_uri"},
			{name: "with a slash", edit: set("request_uri", first+"/"), want: "invalid_request_uri"},
			{name: "without its query", edit: set("request_uri", "https://far.test/a"), want: "invalid_request_uri"},
			{name: "in another case", edit: set("request_uri", "https://FAR.test/b"), want: "invalid_request_uri"},
			{name: "in clear", edit: set("request_uri", "http://far.test/b"), want: "invalid_request_uri"},
			{name: "a name of ours in capitals", edit: set("request_uri", "URN:ietf:params:oauth:request_uri:x"), want: "invalid_request_uri"},
			{name: "nothing there", edit: set("request_uri", "https://far.test/gone"), want: "invalid_request_uri"},
			{name: "an object, too", edit: set("request_uri", first, "request", whole), want: "invalid_request"},
			{name: "twice", edit: set("request_uri", first), more: "&request_uri=" + url.QueryEscape(first), want: "invalid_request"},
		})
		at[second] = "<html>"
		ask(t, s, c.Client, []asking{
			{name: "something else there", edit: set("request_uri", second), want: "invalid_request_object"},
		})
		s.Browser().Open(only(c.Client, "https://far.test/gone")).WantPage(http.StatusBadRequest, "")
	}, fetching(at.fetch))
}

// a registered address may lead anywhere. The server connects to public addresses only,
// unless its operator allows a host, and follows no redirect.
func TestR03RequestURIsThatLeadToOurOwnNetwork(t *testing.T) {
	var canary atomic.Int64
	document := ""
	at := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/r":
			_, _ = w.Write([]byte(document))
		case "/away":
			http.Redirect(w, r, "/canary", http.StatusFound)
		case "/long":
			_, _ = w.Write(make([]byte, 300<<10))
		default:
			canary.Add(1)
		}
	}))
	var connections atomic.Int64
	at.Config.ErrorLog = nil
	at.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { connections.Add(1); return nil, nil }}
	at.StartTLS()
	defer at.Close()
	host := strings.TrimPrefix(at.URL, "https://")

	serve := func(allowed ...string) (*apitest.Server, signing) {
		client, err := outbound.New(outbound.Options{AllowHosts: allowed,
			CAs: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: at.Certificate().Raw})})
		if err != nil {
			t.Fatal(err)
		}
		o := apitest.Options{}
		fetching(client.Get)(&o)
		s := apitest.New(t, o)
		c := signingClient(s, "far", jose.EdDSA, func(c *userstore.Client) {
			for _, path := range []string{"/r", "/away", "/long"} {
				c.RequestURIs = append(c.RequestURIs, at.URL+path)
			}
			c.RequestURIs = append(c.RequestURIs, "https://localhost:1/r", "https://10.0.0.1/r", "https://169.254.169.254/r", "https://[::1]:1/r")
		})
		document = c.sign(c.header(), c.claims(s))
		return s, c
	}
	s, c := serve()
	for _, uri := range c.RequestURIs {
		wantError(t, s.Browser().Open(authorizePath(c.Client, set("request_uri", uri))), "invalid_request_uri")
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to an address that is not public", n)
	}

	s, c = serve(host)
	s.Browser().Open(authorizePath(c.Client, set("request_uri", at.URL+"/r"))).WantPage(http.StatusOK, "login-submit")
	for _, path := range []string{"/away", "/long"} {
		wantError(t, s.Browser().Open(authorizePath(c.Client, set("request_uri", at.URL+path))), "invalid_request_uri")
	}
	if canary.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

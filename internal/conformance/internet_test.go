package conformance

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/apitest"
)

// suiteURL is the suite's address for a configuration with the alias signet. No request of the
// tests ever reaches it.
const suiteURL = "https://www.certification.openid.net/test/a/signet"

// The addresses at which the suite waits for the browser.
const (
	callbackURL   = suiteURL + "/callback"
	postLogoutURL = suiteURL + "/post_logout_redirect"
)

// captured is the page that a browser sees at the suite.
const captured = `<!DOCTYPE html><html lang="en"><title>Suite</title><p id="submission_complete">This can be closed.</p></html>`

// internet is the network of one module. Requests to the issuer's name reach the server, as a proxy
// that ends TLS would pass them on. Every other name is the suite's, which records the requests.
type internet struct {
	s       *apitest.Server
	arrived []arrival
}

// arrival is a request that came to the suite.
type arrival struct {
	method string
	url    url.URL
	header http.Header
	body   string
}

// RoundTrip passes a request to the server or to the suite. It checks each answer of the server
// with the checks of apitest.
func (n *internet) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if r.URL.Scheme != "https" {
		return nil, fmt.Errorf("%s goes over the wire in the open", r.URL.Redacted())
	}
	if !strings.HasPrefix(r.URL.String()+"/", apitest.IssuerURL+"/") {
		n.arrived = append(n.arrived, arrival{method: r.Method, url: *r.URL, header: r.Header, body: string(body)})
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/html"}},
			Body: io.NopCloser(strings.NewReader(captured)), Request: r,
		}, nil
	}
	q := apitest.Request{Method: r.Method, Path: r.URL.RequestURI(), Header: r.Header, Host: r.URL.Host}
	if r.Body != nil {
		q.Body, q.Type = body, r.Header.Get("Content-Type")
	}
	a := n.s.Do(q)
	return &http.Response{StatusCode: a.Status, Header: a.Header, Body: io.NopCloser(bytes.NewReader(a.Body)),
		Request: r}, nil
}

// client returns a client for requests from server to server: without cookies, and without
// following redirects.
func (n *internet) client() *http.Client {
	return &http.Client{Transport: n,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

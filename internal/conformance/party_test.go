package conformance

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
)

// party is the suite's part: the relying party of one run of a module, with a fresh browser.
type party struct {
	t        *testing.T
	s        *apitest.Server // for its clock
	n        *internet
	b        *browser
	op       metadata
	c        configuration
	client   configuredClient
	self     *selfRegistered // the client registered itself; nil: an operator did
	inBody   bool            // the client authenticates in the body
	formPost bool            // response_mode=form_post

	responseType string     // of the variant; empty: code
	inFragment   bool       // the answer to the last request comes there
	response     url.Values // the last successful response
	state        int        // length of state
}

// metadata is a discovery document.
type metadata map[string]any

func (m metadata) text(name string) string { text, _ := m[name].(string); return text }

func (m metadata) list(name string) (out []string) {
	list, _ := m[name].([]any)
	for _, v := range list {
		text, _ := v.(string)
		out = append(out, text)
	}
	return out
}

// answer is the answer of an endpoint to a request from server to server.
type answer struct {
	status int
	header http.Header
	body   string
	object map[string]any
}

func (p *party) call(r *http.Request) (a answer) {
	p.t.Helper()
	res, err := p.n.client().Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	a = answer{status: res.StatusCode, header: res.Header, body: string(body)}
	_ = json.Unmarshal(body, &a.object)
	return a
}

func (p *party) request(method, address, body string) *http.Request {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, address, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// json demands an answer that is a JSON object.
func (p *party) json(a answer, status int) map[string]any {
	p.t.Helper()
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if a.status != status || media != "application/json" || a.object == nil {
		p.t.Fatalf("answered %d %s: %.300s", a.status, a.header.Get("Content-Type"), a.body)
	}
	return a.object
}

// discover reads the discovery document, from which all endpoints are taken.
func (p *party) discover() {
	p.t.Helper()
	p.op = p.json(p.call(p.request("GET", p.c.Server.DiscoveryURL, "")), http.StatusOK)
}

// keys returns the keys that verify tokens.
func (p *party) keys() (keys []map[string]any) {
	p.t.Helper()
	a := p.call(p.request("GET", p.op.text("jwks_uri"), ""))
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal([]byte(a.body), &set); a.status != http.StatusOK || err != nil || len(set.Keys) == 0 {
		p.t.Fatalf("the JWK set: %d %v: %.300s", a.status, err, a.body)
	}
	return set.Keys
}

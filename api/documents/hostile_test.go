package documents_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
)

// slowly sends a document a byte at a time. The request ends before the second byte.
func slowly(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte("{"))
	w.(http.Flusher).Flush()
	<-r.Context().Done()
}

func TestDocumentsOfAHostileHost(t *testing.T) {
	s, h := one(t)
	good := h.Metadata("/x")
	with := func(member string, value any) any { return h.Metadata("/x").With(member, value) }
	as := func(mediaType string, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{mediaType}
			_, _ = w.Write([]byte(body))
		}
	}
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for n := 0; n < len(header); n += 2 {
				w.Header().Set(header[n], header[n+1])
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(h.Metadata(r.URL.Path).Text()))
		}
	}
	h.Serve("/elsewhere", apitest.Document(h.Metadata("/elsewhere")))
	text := good.Text()
	for n, c := range []struct {
		name  string
		serve http.HandlerFunc
		fault string
	}{
		{"nothing is there", nil, "fetch"},
		{"a redirect", status(302, "Location", h.URL+"/elsewhere"), "fetch"},
		{"a permanent redirect to itself", status(308, "Location", "/x"), "fetch"},
		{"a redirect to plain http", status(302, "Location", "http://127.0.0.1/"), "fetch"},
		{"another success", status(201), "fetch"},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "fetch"},
		{"a failure", status(500), "fetch"},
		{"one byte a second", slowly, "fetch"},
		{"a connection that breaks", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "fetch"},
		{"1 MiB", apitest.Document(with("x", strings.Repeat("x", 1<<20))), "size"},
		{"one byte too many", apitest.Document(text + strings.Repeat(" ", issuer.MaxDocument-len(text)+1)), "size"},
		{"1 MiB in chunks", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for range 1 << 10 {
				if _, err := w.Write([]byte(strings.Repeat(" ", 1<<10))); err != nil {
					return
				}
			}
		}, "size"},
		{"a page", as("text/html", text), "content_type"},
		{"plain text", as("text/plain", text), "content_type"},
		{"a type that only looks like it", as("application/jsonx", text), "content_type"},
		{"no type", as("", text), "content_type"},
		{"two types", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{"application/json", "text/html"}
			_, _ = w.Write([]byte(text))
		}, "content_type"},
		{"a byte order mark", apitest.Document("\ufeff" + text), "json"},
		{"nothing in it", apitest.Document(""), "json"},
		{"a list", apitest.Document("[" + text + "]"), "json"},
		{"more behind it", apitest.Document(text + "{}"), "json"},
		{"not UTF-8", apitest.Document(strings.Replace(text, "Editor", "\xff", 1)), "json"},
		{"a member twice", apitest.Document(strings.Replace(text, "{", `{"client_id":"https://evil.test/x",`, 1)), "json"},
		{"a number as client_id", apitest.Document(with("client_id", 7)), "json"},
		{"redirect URIs as a string", apitest.Document(with("redirect_uris", "https://editor.test/cb")), "json"},
		{"another client_id", apitest.Document(with("client_id", h.URL+"/elsewhere")), "other_client_id"},
		{"no client_id", apitest.Document(with("client_id", nil)), "other_client_id"},
		{"a client_id in capitals", apitest.Document(with("client_id", strings.ToUpper(h.URL)+"/x")), "other_client_id"},
		{"a client_id with a slash more", apitest.Document(with("client_id", h.URL+"/x/")), "other_client_id"},
		{"a client_id escaped otherwise", apitest.Document(with("client_id", h.URL+"/%78")), "other_client_id"},
		{"a secret", apitest.Document(with("client_secret", "planted-and-public-secret")), "client_secret"},
		{"the end of a secret", apitest.Document(with("client_secret_expires_at", 0)), "client_secret"},
		{"client_secret_basic", apitest.Document(with("token_endpoint_auth_method", "client_secret_basic")), "token_endpoint_auth_method"},
		{"client_secret_post", apitest.Document(with("token_endpoint_auth_method", "client_secret_post")), "token_endpoint_auth_method"},
		{"client_secret_jwt", apitest.Document(with("token_endpoint_auth_method", "client_secret_jwt")), "token_endpoint_auth_method"},
		{"private_key_jwt without keys", apitest.Document(with("token_endpoint_auth_method", "private_key_jwt")), "jwks"},
		{"a symmetric key", apitest.Document(with("jwks", apitest.Fields{"keys": []any{apitest.Fields{"kty": "oct", "k": "c2VjcmV0"}}})), "jwks"},
		{"keys elsewhere", apitest.Document(with("jwks_uri", "https://victim.test/jwks")), "jwks_uri"},
		{"request objects elsewhere", apitest.Document(with("request_uris", []string{"https://victim.test/r"})), "request_uris"},
		{"logouts elsewhere", apitest.Document(with("backchannel_logout_uri", "https://victim.test/out")), "backchannel_logout_uri"},
		{"a sector", apitest.Document(with("sector_identifier_uri", h.URL+"/sector")), "sector_identifier_uri"},
		{"no redirect URI", apitest.Document(with("redirect_uris", []string{})), "redirect_uris"},
		{"a script as redirect URI", apitest.Document(with("redirect_uris", []string{"javascript:alert(1)"})), "redirect_uris"},
		{"plain http as redirect URI", apitest.Document(with("redirect_uris", []string{"http://editor.test/cb"})), "redirect_uris"},
		{"a name that turns around", apitest.Document(with("client_name", "E\u202eroti")), "client_name"},
		{"tokens that are bound to a certificate", apitest.Document(with("tls_client_certificate_bound_access_tokens", true)), "metadata"},
		{"encryption", apitest.Document(with("id_token_encrypted_response_alg", "RSA-OAEP-256")), "metadata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.With(t)
			path := "/x"
			if n < 9 { // the others name /x in their text, and are asked for there
				path = fmt.Sprint("/x", n)
			}
			if c.serve != nil {
				h.Serve(path, c.serve)
			}
			s.Advance(time.Minute) // nothing is fetched again at once
			client := apitest.Client{}
			client.ID, client.AuthMethod, client.RedirectURIs = h.URL+path, "none", []string{"https://editor.test/cb"}
			before := h.Asked(path)
			refused(s, client, c.fault)
			push(s, client).Want(401, "invalid_client")
			s.Do(s.CodeRequest(client, "no-code")).Want(401, "invalid_client")
			if got := h.Asked(path) - before; got != 1 {
				t.Errorf("the document was asked for %d times", got)
			}
		})
	}
	if got := h.Asked("/elsewhere"); got != 0 {
		t.Errorf("a redirect was followed %d times", got)
	}
	if got := rows(s); got != nil {
		t.Errorf("there are the rows %v", got)
	}

	// And the same host with a document as it should be, with members that nobody knows here.
	s.Advance(time.Minute)
	s.Allowed(s.SignUp("alice"), h.Publish("/x", h.Metadata("/x").With("x_unknown", []any{1}).With("grant_types",
		[]string{"authorization_code", "client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange"})))
	if got := row(s, apitest.Client{Client: clientOf(h.URL + "/x")}); len(got.GrantTypes) != 1 || len(rows(s)) != 1 {
		t.Errorf("the row is %+v", got)
	}
}

func TestWhatAClientIDMayBe(t *testing.T) {
	s, h := one(t)
	fetched := 0
	s.Replicas[0].ClientDocuments().Fetch = func(_ context.Context, address string) (issuer.FetchedDocument, error) {
		fetched++
		return issuer.FetchedDocument{MediaType: "application/json", Body: []byte(h.Metadata("").With("client_id", address).Text())}, nil
	}
	client := func(id string) apitest.Client {
		return apitest.Client{Client: clientOf(id)}
	}
	for _, id := range []string{
		"https://app.test/client.json", "https://app.test:8443/client.json", "https://app.test/a/b%20c", "https://app.test/client/",
		"https://203.0.113.7/client.json", "https://app.test/" + strings.Repeat("x", 512-len("https://app.test/")),
	} {
		s.Browser().Open(apitest.AuthorizePath(client(id))).WantPage(200, "login-submit")
		if s.Advance(budgetOver); fetched != 1 {
			t.Errorf("%.80s: %d fetches", id, fetched)
		}
		fetched = 0
	}
	for _, id := range []string{
		"https://app.test", "https://app.test/", "https://app.test/a?b=c", "https://app.test/a?", "https://app.test/a#b", "https://app.test/a#",
		"https://user@app.test/a", "https://user:word@app.test/a", "https://app.test/a/../b", "https://app.test/./a", "https://app.test/%2e%2e/a",
		"https://app.test/a/%2E", "https:///a", "https://app.test:0/a", "https://app.test:99999/a", "https://app.test:/a", "https://app..test/a",
		"https://app.test/\u00e9", "https://app.test/a b", "https://app.test/a\\b", "https://0x7f.1/a", "https://2130706433/a", "https://[fe80::1%25lo]/a",
		"https://app.test/" + strings.Repeat("x", 513-len("https://app.test/")), "https://", "https://\u202eapp.test/a",
	} {
		refused(s, client(id), "client_id")
	}
	for _, id := range []string{
		"http://app.test/client.json", "HTTPS://app.test/client.json", "ftp://app.test/client.json", "//app.test/client.json",
		" https://app.test/client.json", "https:app.test/client.json", "data:application/json,{}", "file:///etc/passwd",
	} {
		s.Browser().Open(apitest.AuthorizePath(client(id))).WantPage(400, "")
	}
	if fetched != 0 {
		t.Errorf("%d documents were fetched at addresses that are refused", fetched)
	}
}

// budgetOver is longer than the window in which fetches are counted.
const budgetOver = 11 * time.Minute

func TestHostsThatTheOperatorAdmits(t *testing.T) {
	s, h := one(t)
	d, fetched := s.Replicas[0].ClientDocuments(), 0
	d.Fetch = func(_ context.Context, address string) (issuer.FetchedDocument, error) {
		fetched++
		return issuer.FetchedDocument{MediaType: "application/json", Body: []byte(h.Metadata("").With("client_id", address).Text())}, nil
	}
	for _, c := range []struct {
		allow, deny []string
		host        string
		admitted    bool
	}{
		{nil, nil, "app.test", true},
		{[]string{"app.test"}, nil, "app.test", true},
		{[]string{"app.test"}, nil, "APP.test:8443", true},
		{[]string{"App.Test"}, nil, "app.test", true},
		{[]string{"app.test"}, nil, "sub.app.test", false},
		{[]string{"app.test"}, nil, "evilapp.test", false},
		{[]string{".app.test"}, nil, "sub.app.test", true},
		{[]string{".app.test"}, nil, "app.test", true},
		{[]string{".app.test"}, nil, "evilapp.test", false},
		{[]string{".app.test"}, nil, "app.test.evil.test", false},
		{[]string{".app.test"}, []string{"bad.app.test"}, "bad.app.test", false},
		{[]string{".app.test"}, []string{"bad.app.test"}, "good.app.test", true},
		{nil, []string{".app.test"}, "sub.app.test", false},
		{nil, []string{".app.test"}, "other.test", true},
	} {
		d.Allow, d.Deny, fetched = c.allow, c.deny, 0
		client := apitest.Client{Client: clientOf("https://" + c.host + "/client.json")}
		if c.admitted {
			s.Browser().Open(apitest.AuthorizePath(client)).WantPage(200, "login-submit")
			s.Advance(budgetOver)
			continue
		}
		if refused(s, client, "host"); fetched != 0 {
			t.Errorf("%+v: fetched", c)
		}
	}
}

// A host that is denied loses its clients at once, also those that people allowed something; so do
// all when the switch is turned off.
func TestADeniedHostLosesItsClients(t *testing.T) {
	s, h := one(t)
	c := h.Publish("/client.json", h.Metadata("/client.json"))
	b, page := s.Allowed(s.SignUp("alice"), c)
	tokens := s.TokensOf(c, page)
	d := s.Replicas[0].ClientDocuments()
	for _, lose := range []func(){func() { d.Deny = []string{"127.0.0.1"} }, func() { d.Deny, d.On = nil, false }} {
		lose()
		b.Open(apitest.AuthorizePath(c)).WantPage(400, "")
		s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(401, "invalid_client")
	}
	d.On = true
	s.Do(s.RefreshRequest(c, tokens.Refresh)).Want(200, "")
}

// 1,000 addresses neither fill the memory nor send 1,000 requests to a victim.
func TestAThousandAddresses(t *testing.T) {
	s, h := one(t)
	ask := func(id string) *apitest.Page {
		return s.Browser().Open(apitest.AuthorizePath(apitest.Client{Client: clientOf(id)}))
	}
	limited := 0
	for n := range 1000 {
		p := ask(fmt.Sprintf("%s/%d", h.URL, n))
		if p.Status == 429 {
			limited++
		} else if p.Status != 400 {
			t.Fatalf("answered %d", p.Status)
		}
	}
	if got := h.Asked(""); got != 100 || limited != 900 {
		t.Errorf("the victim got %d requests, and %d were limited", got, limited)
	}

	// The same with names that all lead to one victim.
	fetched := 0
	s.Replicas[0].ClientDocuments().Fetch = func(context.Context, string) (issuer.FetchedDocument, error) {
		fetched++
		return issuer.FetchedDocument{}, fmt.Errorf("nothing is there")
	}
	for n := range 300 {
		ask(fmt.Sprintf("https://x%d.evil.test/c", n))
	}
	if fetched != 100 { // the network has had the other hundred
		t.Errorf("one network caused %d more fetches", fetched)
	}
	if got := s.Browser().Open(apitest.AuthorizePath(apitest.Client{Client: clientOf("https://y.test/c")})); got.Status != 429 {
		t.Errorf("answered %d", got.Status)
	}
	s.Advance(budgetOver)
	ask("https://y.test/c").WantPage(400, "fault")
	if got := rows(s); got != nil {
		t.Errorf("there are the rows %v", got)
	}
}

// However many ask at once, one fetches.
func TestOneFetchForAll(t *testing.T) {
	s, h := one(t)
	document := h.Metadata("/client.json")
	go_on := make(chan struct{})
	h.Serve("/client.json", func(w http.ResponseWriter, r *http.Request) {
		<-go_on
		apitest.Document(document)(w, r)
	})
	c := apitest.Client{Client: clientOf(h.URL + "/client.json")}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if p := s.Browser().Open(apitest.AuthorizePath(c)); p.Status != 200 {
				t.Errorf("answered %d: %s", p.Status, p.Text())
			}
		})
	}
	close(go_on)
	all.Wait()
	if got := h.Asked(""); got != 1 {
		t.Errorf("%d fetches", got)
	}
}

// What a page says of a document never repeats the document.
func TestThePageRepeatsNothing(t *testing.T) {
	s, h := one(t)
	const planted = "planted<script>"
	c := h.Publish("/client.json", h.Metadata("/client.json").With("redirect_uris", []string{"http://" + planted + ".test/"}).
		With("client_name", planted).With("scope", planted))
	c.RedirectURIs = []string{"https://editor.test/cb"}
	p := s.Browser().Open(apitest.AuthorizePath(c)).WantPage(400, "fault")
	if body := string(p.Body); strings.Contains(body, "planted") || strings.Contains(body, url.QueryEscape(planted)) {
		t.Errorf("the page is %s", body)
	}
	if answer := push(s, c).Want(401, "invalid_client"); strings.Contains(string(answer.Body), "planted") {
		t.Errorf("the answer is %s", answer.Body)
	}
}

package verifier_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/verifier"
)

const (
	mcp   = "https://api.example.com/mcp"
	mcpAt = "https://api.example.com/.well-known/oauth-protected-resource/mcp"
)

// newResource is a stand whose verifier has metadata.
func newResource(t testing.TB, r verifier.Resource) *stand {
	t.Helper()
	return newStand(t, func(c *verifier.Config) { c.Audience, c.Resource = nil, r })
}

func TestTheMetadataSayWhatAClientNeeds(t *testing.T) {
	const rest = `"authorization_servers":["ISSUER"],"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA","Ed25519"]}`
	for _, c := range []struct {
		name     string
		resource verifier.Resource
		at, want string // the address of the document, and the document; ISSUER stands for the issuer
	}{
		{"a URI alone", verifier.Resource{URI: mcp}, mcpAt,
			`{"resource":"https://api.example.com/mcp",` + rest},
		{"everything", verifier.Resource{URI: mcp, ScopesSupported: []string{"tools:read", "tools:write"},
			Name: `Tools "of" <Ada>`, Documentation: "https://example.com/help"}, mcpAt,
			`{"resource":"https://api.example.com/mcp","authorization_servers":["ISSUER"],` +
				`"scopes_supported":["tools:read","tools:write"],"bearer_methods_supported":["header"],` +
				`"resource_name":"Tools \"of\" \u003cAda\u003e","resource_documentation":"https://example.com/help","dpop_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA","Ed25519"]}`},
		{"a host", verifier.Resource{URI: "https://api.example.com"},
			"https://api.example.com/.well-known/oauth-protected-resource",
			`{"resource":"https://api.example.com",` + rest},
		{"a host and a slash", verifier.Resource{URI: "https://api.example.com/"},
			"https://api.example.com/.well-known/oauth-protected-resource",
			`{"resource":"https://api.example.com/",` + rest},
		{"a path and a slash", verifier.Resource{URI: "http://localhost:7070/a/mcp/"},
			"http://localhost:7070/.well-known/oauth-protected-resource/a/mcp/",
			`{"resource":"http://localhost:7070/a/mcp/",` + rest},
		{"an escaped path", verifier.Resource{URI: "https://[::1]:8443/a%2Fb/%C3%A4"},
			"https://[::1]:8443/.well-known/oauth-protected-resource/a%2Fb/%C3%A4",
			`{"resource":"https://[::1]:8443/a%2Fb/%C3%A4",` + rest},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newResource(t, c.resource)
			if got := s.v.MetadataURL(); got != c.at {
				t.Errorf("address %s", got)
			}
			// As one middleware, and before a mux that has never heard of the document.
			for name, h := range map[string]http.Handler{"Middleware": s.handler, "RequireScope": s.v.RequireScope("x")(ok),
				"WithMetadata": s.v.WithMetadata(http.NotFoundHandler())} {
				w := serve(h, request("GET", c.at))
				if got := strings.ReplaceAll(w.Body.String(), s.issuer.URL, "ISSUER"); w.Code != 200 || got != c.want {
					t.Errorf("%s: %d\n%s\n%s", name, w.Code, got, c.want)
				}
				if !json.Valid(w.Body.Bytes()) {
					t.Errorf("%s: no JSON", name)
				}
			}
			challenge := serve(s.handler, request("GET", "/whoami")).Header().Get("WWW-Authenticate")
			if want := `Bearer realm="` + c.resource.URI + `", resource_metadata="` + c.at + `"`; challenge != want {
				t.Errorf("challenge %s", challenge)
			}
			// Config.Audience is the resource, where it says nothing else.
			s.accepted(t, s.issuer.Token(map[string]any{"aud": c.resource.URI}))
			s.refused(t, s.issuer.Token(map[string]any{"aud": "https://api.example.com/other"}), verifier.ErrInvalid)
		})
	}
}

func TestHostileRequestsForMetadata(t *testing.T) {
	s := newResource(t, verifier.Resource{URI: mcp, ScopesSupported: []string{"tools:read"}})
	document := `{"resource":"https://api.example.com/mcp","authorization_servers":["` + s.issuer.URL +
		`"],"scopes_supported":["tools:read"],"bearer_methods_supported":["header"],"dpop_signing_alg_values_supported":["RS256","PS256","ES256","EdDSA","Ed25519"]}`
	const at = "/.well-known/oauth-protected-resource"
	for _, c := range []struct {
		name, method, target, host string
		header                     map[string]string
		status                     int // 200: the document; 401: the request is for something else, and needs a token
	}{
		{"the path inserted", "GET", at + "/mcp", "", nil, 200},
		{"the root", "GET", at, "", nil, 200},
		{"the root with a slash", "GET", at + "/", "", nil, 200},
		{"the path with a slash", "GET", at + "/mcp/", "", nil, 200},
		{"a query", "GET", at + "/mcp?resource=https://evil.example", "", nil, 200},
		{"HEAD", "HEAD", at + "/mcp", "", nil, 200},
		{"somebody else's Host", "GET", at + "/mcp", "evil.example", nil, 200},
		{"no Host", "GET", at + "/mcp", " ", nil, 200},
		{"somebody else's forwarded host", "GET", at + "/mcp", "", map[string]string{
			"Forwarded": "host=evil.example;proto=http", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http",
			"X-Forwarded-Prefix": "/evil", "X-Original-URL": "/evil"}, 200},
		{"the absolute form", "GET", "http://evil.example" + at + "/mcp", "", nil, 200},
		{"a bad token beside it", "GET", at + "/mcp", "", map[string]string{"Authorization": "Bearer x"}, 200},
		{"another method by its header", "GET", at + "/mcp", "", map[string]string{"X-HTTP-Method-Override": "POST"}, 200},

		{"another path", "GET", at + "/other", "", nil, 401},
		{"a longer path", "GET", at + "/mcp/x", "", nil, 401},
		{"a shorter path", "GET", at + "/mc", "", nil, 401},
		{"two slashes", "GET", at + "//mcp", "", nil, 401},
		{"two slashes at the end", "GET", at + "/mcp//", "", nil, 401},
		{"dots", "GET", at + "/x/../mcp", "", nil, 401},
		{"escaped dots", "GET", at + "/x/%2e%2e/mcp", "", nil, 401},
		{"an escaped letter", "GET", at + "/%6Dcp", "", nil, 401},
		{"an escaped slash", "GET", at + "%2Fmcp", "", nil, 401},
		{"a NUL", "GET", at + "/mcp%00", "", nil, 401},
		{"upper case", "GET", at + "/MCP", "", nil, 401},
		{"a longer name", "GET", at + "s", "", nil, 401},
		{"behind another path", "GET", "/x" + at, "", nil, 401},
		{"the resource", "GET", "/mcp", "", nil, 401},
		{"the resource of somebody else's Host", "GET", "/mcp", "evil.example", map[string]string{
			"X-Forwarded-Host": "evil.example"}, 401},

		{"POST", "POST", at + "/mcp", "", nil, 405},
		{"PUT", "PUT", at, "", nil, 405},
		{"DELETE", "DELETE", at + "/mcp", "", nil, 405},
		{"PROPFIND", "PROPFIND", at + "/mcp", "", nil, 405},
		{"a preflight", "OPTIONS", at + "/mcp", "", map[string]string{"Origin": "https://evil.example",
			"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "mcp-protocol-version"}, 204},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request(c.method, c.target)
			if c.host != "" {
				r.Host = strings.TrimSpace(c.host)
			}
			for name, value := range c.header {
				r.Header.Set(name, value)
			}
			w := serve(s.handler, r)
			h := w.Header()
			if w.Code != c.status || s.called > 0 {
				t.Fatalf("%d %v %s, handler called %d times", w.Code, h, w.Body, s.called)
			}
			for name, values := range h {
				if strings.Contains(strings.Join(values, " ")+w.Body.String(), "evil") {
					t.Errorf("%s: %q: a part of the request is in the answer", name, values)
				}
			}
			switch c.status {
			case 200:
				if w.Body.String() != document && c.method != "HEAD" || h.Get("Content-Type") != "application/json" ||
					h.Get("Cache-Control") != "public, max-age=300" || h.Get("ETag") == "" {
					t.Errorf("%v %s", h, w.Body)
				}
			case 204:
				if h.Get("Access-Control-Allow-Methods") != "GET, HEAD" || h.Get("Access-Control-Allow-Headers") != "*" {
					t.Errorf("%v", h)
				}
			case 401:
				want := `Bearer realm="https://api.example.com/mcp", resource_metadata="` + mcpAt + `"`
				if got := h.Get("WWW-Authenticate"); got != want {
					t.Errorf("challenge %s", got)
				}
				return
			case 405:
				if h.Get("Allow") != "GET, HEAD, OPTIONS" || strings.Contains(w.Body.String(), "api.example.com") {
					t.Errorf("%v %s", h, w.Body)
				}
			}
			if h.Get("Access-Control-Allow-Origin") != "*" || h.Get("X-Content-Type-Options") != "nosniff" ||
				h.Get("WWW-Authenticate") != "" || h.Get("Set-Cookie") != "" {
				t.Errorf("%v", h)
			}
		})
	}
}

func TestTheMetadataOverTheWire(t *testing.T) {
	s := newResource(t, verifier.Resource{URI: mcp})
	outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // a CORS handler that allows credentials
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		s.handler.ServeHTTP(w, r)
	})
	server := httptest.NewServer(outer)
	defer server.Close()
	get := func(method string, header map[string]string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(method, server.URL+"/.well-known/oauth-protected-resource/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range header {
			r.Header.Set(name, value)
		}
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	resp := get("GET", map[string]string{"Origin": "https://app.example.com"})
	tag := resp.Header.Get("ETag")
	if resp.StatusCode != 200 || tag == "" || resp.Header.Get("Access-Control-Allow-Origin") != "*" ||
		resp.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	if head := get("HEAD", nil); head.StatusCode != 200 || head.ContentLength != resp.ContentLength {
		t.Errorf("HEAD: %d, %d and %d bytes", head.StatusCode, head.ContentLength, resp.ContentLength)
	}
	for _, c := range []struct {
		known string
		want  int
	}{{tag, 304}, {`"other", W/` + tag, 304}, {"*", 304}, {`"other"`, 200}} {
		if again := get("GET", map[string]string{"If-None-Match": c.known}); again.StatusCode != c.want {
			t.Errorf("If-None-Match: %s: %d", c.known, again.StatusCode)
		}
	}
}

func TestChallengesNameTheMetadataAndTheScopes(t *testing.T) {
	const (
		meta     = `, resource_metadata="` + mcpAt + `"`
		realm    = `Bearer realm="https://api.example.com/mcp"`
		invalid  = `Bearer error="invalid_token", error_description="The access token is not valid here."`
		expired  = `Bearer error="invalid_token", error_description="The access token has expired; get a new one."`
		lacks    = `Bearer error="insufficient_scope", error_description="The access token was not granted the scope that is needed here."`
		stronger = `Bearer error="insufficient_user_authentication", error_description="The login behind the access token is not ` +
			`strong or not recent enough here; the user must log in again.", acr_values="2"`
	)
	described := newResource(t, verifier.Resource{URI: mcp})
	plain := newStand(t, func(c *verifier.Config) { c.Audience = []string{mcp} })
	token := func(claims map[string]any) func(*stand) string {
		return func(s *stand) string {
			all := map[string]any{"aud": mcp, "scope": "tools:read"}
			for name, value := range claims {
				all[name] = value
			}
			return "Bearer " + s.issuer.Token(all)
		}
	}
	fixed := func(text string) func(*stand) string { return func(*stand) string { return text } }
	open := func(v *verifier.Verifier) http.Handler { return v.Middleware(ok) }
	read := func(v *verifier.Verifier) http.Handler { return v.RequireScope("tools:read")(ok) }
	both := func(v *verifier.Verifier) http.Handler { return v.RequireScope("tools:write")(read(v)) }
	second := func(v *verifier.Verifier) http.Handler { return v.RequireACR("2")(ok) }
	write := func(v *verifier.Verifier) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", v.RequireScope("tools:write")(ok))
		return v.RequireScope("tools:read")(mux)
	}
	for _, c := range []struct {
		name          string
		handler       func(*verifier.Verifier) http.Handler
		authorization func(*stand) string
		status        int
		want, without string // the challenge with Resource, and without
	}{
		{"no token", read, fixed(""), 401, realm + `, scope="tools:read"` + meta, realm},
		{"no scope is needed", open, fixed(""), 401, realm + meta, realm},
		{"two guards in one", both, fixed(""), 401, realm + `, scope="tools:write tools:read"` + meta, realm},
		{"another scheme", read, fixed("Basic eDp5"), 401, realm + `, scope="tools:read"` + meta, realm},
		{"not a token", read, fixed("Bearer x"), 401, invalid + `, scope="tools:read"` + meta, invalid},
		{"a token for another resource", read, token(map[string]any{"aud": "https://api.example.com"}), 401,
			invalid + `, scope="tools:read"` + meta, invalid},
		{"an expired token", read, token(map[string]any{"exp": 1, "iat": 0}), 401,
			expired + `, scope="tools:read"` + meta, expired},
		{"the scope is missing", read, token(map[string]any{"scope": "tools:write"}), 403,
			lacks + `, scope="tools:read"` + meta, lacks + `, scope="tools:read"`},
		{"the inner scope is missing", write, token(nil), 403,
			lacks + `, scope="tools:read tools:write"` + meta, lacks + `, scope="tools:read tools:write"`},
		{"a stronger login", second, token(map[string]any{"acr": "1", "auth_time": 1}), 401, stronger + meta, stronger},
	} {
		t.Run(c.name, func(t *testing.T) {
			for s, want := range map[*stand]string{described: c.want, plain: c.without} {
				r := request("GET", "/")
				r.Host = "evil.example"
				if authorization := c.authorization(s); authorization != "" {
					r.Header.Set("Authorization", authorization)
				}
				w := serve(c.handler(s.v), r)
				wanted := []string{want}
				if s == described && c.status == 401 && !strings.Contains(want, "insufficient") {
					wanted = append(wanted, dpopChallenge)
				}
				if got := w.Header().Values("WWW-Authenticate"); w.Code != c.status || !slices.Equal(got, wanted) {
					t.Errorf("%d %s\nnot %d %s", w.Code, got, c.status, want)
				}
				problemCode(t, w)
			}
		})
	}
	// A handler on its own has the metadata, too, and the scopes that it puts into the error.
	w := httptest.NewRecorder()
	described.v.WriteError(w, &verifier.Error{Code: verifier.CodeMissingToken, Scopes: []string{"a", "b"}})
	want := realm + `, scope="a b"` + meta
	if got := w.Header().Get("WWW-Authenticate"); got != want {
		t.Errorf("%s", got)
	}
	// Two tokens are a client's mistake that no scope mends.
	w = serve(read(described.v), request("GET", "/", "Bearer x", "Bearer x"))
	want = `Bearer error="invalid_request", error_description="Send exactly one access token, in the Authorization header."` + meta
	if got := w.Header().Get("WWW-Authenticate"); w.Code != 400 || got != want {
		t.Errorf("%d %s", w.Code, got)
	}
	// Without keys nothing is decided, and nobody is sent to log in.
	w = httptest.NewRecorder()
	described.v.WriteError(w, &verifier.Error{Code: verifier.CodeKeysUnavailable, RetryAfter: time.Second})
	if got := w.Header().Get("WWW-Authenticate"); w.Code != 503 || got != "" {
		t.Errorf("%d %s", w.Code, got)
	}
}

func TestWithoutResourceThereAreNoMetadata(t *testing.T) {
	s := newStand(t)
	if got := s.v.MetadataURL(); got != "" {
		t.Errorf("%s", got)
	}
	for _, target := range []string{verifier.MetadataPath, verifier.MetadataPath + "/whoami"} {
		if w := serve(s.handler, request("GET", target)); w.Code != 401 {
			t.Errorf("%s: %d", target, w.Code)
		}
		if w := serve(s.v.WithMetadata(ok204), request("GET", target)); w.Code != 204 {
			t.Errorf("%s passes on: %d", target, w.Code)
		}
	}
}

var ok204 = status(http.StatusNoContent)

func TestWithMetadataPassesEverythingElseOn(t *testing.T) {
	s := newResource(t, verifier.Resource{URI: mcp})
	for _, c := range []struct{ method, target string }{
		{"GET", "/"}, {"POST", "/mcp"}, {"OPTIONS", "/mcp"}, {"OPTIONS", "*"},
		{"GET", verifier.MetadataPath + "/other"}, {"GET", "/.well-known/openid-configuration"},
	} {
		r := request(c.method, "/")
		r.URL.Path = c.target
		if w := serve(s.v.WithMetadata(ok204), r); w.Code != 204 || len(w.Header()) != 0 {
			t.Errorf("%s %s: %d %v", c.method, c.target, w.Code, w.Header())
		}
	}
}

// Each verifier answers for its own resource. The root is the outermost one's.
func TestSeveralResourcesOfOneHost(t *testing.T) {
	host, a, b := newResource(t, verifier.Resource{URI: "https://api.example.com"}),
		newResource(t, verifier.Resource{URI: "https://api.example.com/a"}),
		newResource(t, verifier.Resource{URI: "https://api.example.com/b"})
	mux := http.NewServeMux()
	mux.Handle("/a", a.v.Middleware(ok))
	mux.Handle("/b", b.v.Middleware(ok))
	h := host.v.WithMetadata(a.v.WithMetadata(b.v.WithMetadata(mux)))
	for target, want := range map[string]string{"": "https://api.example.com", "/a": "https://api.example.com/a",
		"/b": "https://api.example.com/b"} {
		var document struct{ Resource string }
		w := serve(h, request("GET", verifier.MetadataPath+target))
		if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil || document.Resource != want {
			t.Errorf("%s: %s, %v", target, w.Body, err)
		}
		if target == "" {
			continue
		}
		challenge := serve(h, request("GET", target)).Header().Get("WWW-Authenticate")
		want := `, resource_metadata="https://api.example.com` + verifier.MetadataPath + target + `"`
		if !strings.HasSuffix(challenge, want) {
			t.Errorf("%s: %s", target, challenge)
		}
	}
}

func TestFaultsOfAResource(t *testing.T) {
	valid := verifier.Resource{URI: mcp}
	with := func(change func(*verifier.Resource)) verifier.Resource {
		r := valid
		change(&r)
		return r
	}
	uri := func(uri string) verifier.Resource { return verifier.Resource{URI: uri} }
	scope := func(scope string) verifier.Resource {
		return verifier.Resource{URI: mcp, ScopesSupported: []string{"a", scope}}
	}
	for _, c := range []struct {
		name     string
		resource verifier.Resource
		audience []string
		want     string // a part of the fault; empty: none
	}{
		{"nothing but a URI", valid, nil, ""},
		{"the URI among the audiences", valid, []string{"https://old.example.com", mcp}, ""},
		{"the issuer among the servers", with(func(r *verifier.Resource) {
			r.AuthorizationServers = []string{"https://other.example.com", "https://id.example.com"}
		}), nil, ""},
		{"no resource and no audience", verifier.Resource{}, nil, "Audience must name"},
		{"an empty audience", valid, []string{""}, "Audience must name"},
		{"an audience that clients do not ask for", valid, []string{"https://api.example.com"},
			"Audience must hold Resource.URI"},
		{"no URI, but a name", verifier.Resource{Name: "Tools"}, []string{"x"}, "Resource needs a URI"},
		{"no URI, but scopes", verifier.Resource{ScopesSupported: []string{"a"}}, []string{"x"}, "Resource needs a URI"},
		{"no scheme", uri("api.example.com/mcp"), nil, "Resource.URI must be the http or https URL"},
		{"another scheme", uri("ftp://api.example.com/mcp"), nil, "Resource.URI must be the http or https URL"},
		{"a URN", uri("urn:example:mcp"), nil, "Resource.URI must be the http or https URL"},
		{"no host", uri("https:///mcp"), nil, "Resource.URI must be the http or https URL"},
		{"a port alone", uri("https://:8443/mcp"), nil, "Resource.URI must be the http or https URL"},
		{"a user", uri("https://ada@api.example.com/mcp"), nil, "Resource.URI must be the http or https URL"},
		{"a query", uri("https://api.example.com/mcp?a=1"), nil, "Resource.URI must be without query"},
		{"an empty query", uri("https://api.example.com/mcp?"), nil, "Resource.URI must be without query"},
		{"a fragment", uri("https://api.example.com/mcp#a"), nil, "Resource.URI must be without query"},
		{"an empty fragment", uri("https://api.example.com/mcp#"), nil, "Resource.URI must be without query"},
		{"a quote", uri(`https://api.example.com/m"cp`), nil, "Resource.URI must be escaped"},
		{"a space", uri("https://api.example.com/m cp"), nil, "Resource.URI must be escaped"},
		{"a letter that is not ASCII", uri("https://api.example.com/mcpä"), nil, "Resource.URI must be escaped"},
		{"a host that is not ASCII", uri("https://äpi.example.com/mcp"), nil, "Resource.URI must be escaped"},
		{"a line break", uri("https://api.example.com/mcp\r\nX: 1"), nil, "Resource.URI must be"},
		{"a scheme in upper case", uri("HTTPS://api.example.com/mcp"), nil, "Resource.URI must be as a browser writes it"},
		{"a host in upper case", uri("https://API.example.com/mcp"), nil, "Resource.URI must be as a browser writes it"},
		{"an escaped host", uri("https://%61pi.example.com/mcp"), nil, "Resource.URI must be"},
		{"the port of https", uri("https://api.example.com:443/mcp"), nil, "Resource.URI must be as a browser writes it"},
		{"the port of http", uri("http://api.example.com:80/mcp"), nil, "Resource.URI must be as a browser writes it"},
		{"an empty port", uri("https://api.example.com:/mcp"), nil, "Resource.URI must be as a browser writes it"},
		{"dots", uri("https://api.example.com/a/../mcp"), nil, "Resource.URI must be without empty, ."},
		{"escaped dots", uri("https://api.example.com/a/%2E%2e/mcp"), nil, "Resource.URI must be without empty, ."},
		{"two slashes", uri("https://api.example.com//mcp"), nil, "Resource.URI must be without empty, ."},
		{"servers without the issuer", with(func(r *verifier.Resource) {
			r.AuthorizationServers = []string{"https://other.example.com"}
		}), nil, "AuthorizationServers must hold Issuer"},
		{"a server that is no URL", with(func(r *verifier.Resource) {
			r.AuthorizationServers = []string{"https://id.example.com", "javascript:alert(1)"}
		}), nil, `AuthorizationServers: "javascript:alert(1)"`},
		{"a scope with a space", scope("a b"), nil, `"a b" is not a scope`},
		{"an empty scope", scope(""), nil, `"" is not a scope`},
		{"a scope with a quote", scope(`a"`), nil, `is not a scope`},
		{"a scope that is not ASCII", scope("ä"), nil, `is not a scope`},
		{"a page that is no URL", verifier.Resource{URI: mcp, Documentation: "javascript:alert(1)"}, nil,
			"Documentation must be"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := verifier.Config{Issuer: "https://id.example.com", Audience: c.audience, Resource: c.resource}
			_, err := verifier.New(config)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}

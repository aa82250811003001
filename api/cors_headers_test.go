package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// A browser app may send whatever header it needs (Fetch standard section 4.8): the preflight's
// names come back, as far as they are names and not too many.
func TestCORSAnyRequestHeader(t *testing.T) {
	const origin = "https://app.test"
	s := apitest.New(t, apitest.Options{})
	s.Register(userstore.Client{ID: "app", AuthMethod: userstore.AuthNone})
	many := strings.TrimSuffix(strings.Repeat("x-header-of-an-app,", 10_000), ",")
	for _, row := range []struct{ asked, allowed string }{
		{"", ""},
		{"authorization", "authorization"},
		{"authorization,content-type", "authorization, content-type"},
		{"traceparent, tracestate,baggage", "traceparent, tracestate, baggage"},
		{"mcp-protocol-version,dpop", "mcp-protocol-version, dpop"},
		{"X-Requested-With, sentry-trace", "X-Requested-With, sentry-trace"},
		{"x-a, ,b c,,é,<script>,x-b", "x-a, x-b"},
		{"*", "*"},
		{`x"y`, ""},
		{strings.Repeat("x", 5000), ""},
		{many, strings.TrimSuffix(strings.Repeat("x-header-of-an-app, ", 2048/20), ", ")},
	} {
		for path, method := range map[string]string{
			"/oauth2/token": "POST", "/oauth2/userinfo": "GET", "/oauth2/revoke": "POST", "/oauth2/par": "POST", "/oauth2/device": "POST", "/v1/profile": "PATCH",
			"/.well-known/openid-configuration": "GET", "/.well-known/jwks.json": "GET",
		} {
			q := apitest.Request{Method: "OPTIONS", Path: path,
				Header: http.Header{"Origin": {origin}, "Access-Control-Request-Method": {method}}}
			if row.asked != "" {
				q.Header["Access-Control-Request-Headers"] = []string{row.asked}
			}
			h := s.Do(q).Header
			want := row.allowed
			if want == "" { // what an app needs that does not say
				if want = "Authorization, Content-Type"; strings.HasPrefix(path, "/.well-known/") {
					want = "If-None-Match"
				}
			}
			if got := h.Get("Access-Control-Allow-Headers"); got != want {
				t.Errorf("%s: asked for %.60q, allowed %.80q, want %.80q", path, row.asked, got, want)
			}
			if h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Access-Control-Allow-Origin") == "" {
				t.Errorf("%s: %v", path, h)
			}
		}
	}
	// A list of several lines is one list.
	q := apitest.Request{Method: "OPTIONS", Path: "/oauth2/token",
		Header: http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"},
			"Access-Control-Request-Headers": {"x-a, b c,<script>", "x-b"}}}
	if got := s.Do(q).Header.Get("Access-Control-Allow-Headers"); got != "x-a, x-b" {
		t.Errorf("two lines: %q", got)
	}
	// Whoever may not call is told nothing.
	q.Header["Origin"] = []string{"https://evil.test"}
	if h := s.Do(q).Header; h.Get("Access-Control-Allow-Headers") != "" || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("for a stranger: %v", h)
	}
	q.Header["Origin"], q.Path = []string{origin}, "/oauth2/introspect"
	if h := s.Do(q).Header; h.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("where no browser calls: %v", h)
	}
	for path, status := range map[string]int{"/v1/profile": 401, "/.well-known/jwks.json": 200} {
		res := s.Do(apitest.Request{Path: path, Header: http.Header{"Origin": {origin}}})
		exposed := strings.Split(res.Header.Get("Access-Control-Expose-Headers"), ", ")
		for _, name := range []string{"DPoP-Nonce", "WWW-Authenticate", "Retry-After", "X-Request-Id", "Link", "Location"} {
			if res.Status != status || !slices.Contains(exposed, name) {
				t.Errorf("%s %d: %s is not exposed: %q", path, res.Status, name, exposed)
			}
		}
	}
}

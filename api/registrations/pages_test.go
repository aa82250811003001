package registrations_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
)

// An app in a page registers itself from an origin that no client has yet. From then on the endpoints
// for apps answer the origin of its redirect URI at once, and still no other.
func TestAPageRegistersItself(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const page = "https://agent.test"
		from := func(method, path, origin string, body any) *apitest.Response {
			q := apitest.Request{Method: method, Path: path, Body: body, Header: http.Header{"Origin": {origin}}}
			if method == http.MethodOptions {
				q.Header["Access-Control-Request-Method"] = []string{http.MethodPost}
				q.Header["Access-Control-Request-Headers"] = []string{"content-type,mcp-protocol-version"}
			}
			return s.Do(q)
		}
		readable := func(res *apitest.Response, want string) {
			t.Helper()
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != want || res.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("a page may read: %v", res.Header)
			}
		}

		res := from("OPTIONS", "/oauth2/register", page, nil)
		readable(res.Want(204, ""), "*")
		if res.Header.Get("Access-Control-Allow-Headers") != "content-type, mcp-protocol-version" ||
			res.Header.Get("Access-Control-Allow-Methods") != "POST, OPTIONS" {
			t.Errorf("the preflight: %v", res.Header)
		}
		app := shop().With("redirect_uris", []string{page + "/callback"}).With("token_endpoint_auth_method", "none")
		readable(from("POST", "/oauth2/register", page, app.With("redirect_uris", []string{})).Want(400, "invalid_redirect_uri"), "*")
		readable(from("POST", "/oauth2/register", page, app).Want(201, ""), "*")

		code := url.Values{"grant_type": {"authorization_code"}, "code": {"x"}}
		readable(from("OPTIONS", "/oauth2/token", page, nil), page)
		readable(from("POST", "/oauth2/token", page, code), page)
		readable(from("OPTIONS", "/oauth2/token", "https://other.test", nil), "")
	}, mode(issuer.RegistrationOpen))
}

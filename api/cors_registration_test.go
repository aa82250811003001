package api_test

import (
	"net/http"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
)

// A browser app registers itself before anybody knows its redirect URIs: while anybody may
// register, a script of any origin may. Afterwards its own origin may call the other endpoints, at
// once, and no other origin may.
func TestCORSOfRegistration(t *testing.T) {
	const app = "https://editor.test"
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		i := s.Replicas[0].Issuer
		ask := func(method, path, origin string, body any) http.Header {
			q := apitest.Request{Method: method, Path: path, Body: body, Header: http.Header{"Origin": {origin}}}
			if method == "OPTIONS" {
				q.Header["Access-Control-Request-Method"] = []string{"POST"}
				q.Header["Access-Control-Request-Headers"] = []string{"content-type, mcp-protocol-version"}
			}
			return s.Do(q).Header
		}
		body := apitest.Fields{"redirect_uris": []string{app + "/cb"}, "token_endpoint_auth_method": "none"}
		for _, row := range []struct {
			registration string
			public       bool
			want         string
		}{
			{issuer.RegistrationClosed, false, ""}, {issuer.RegistrationToken, false, ""},
			{issuer.RegistrationClosed, true, "*"}, {issuer.RegistrationToken, true, "*"}, {issuer.RegistrationOpen, false, "*"},
		} {
			i.Registration, i.OpenToPublic = row.registration, row.public
			for _, method := range []string{"OPTIONS", "POST"} {
				h := ask(method, "/oauth2/register", "https://other.test", apitest.Fields{})
				if h.Get("Access-Control-Allow-Origin") != row.want || h.Get("Access-Control-Allow-Credentials") != "" {
					t.Errorf("%s under %s, open to public clients: %v: %v", method, row.registration, row.public, h)
				}
				if method == "OPTIONS" && row.want != "" && h.Get("Access-Control-Allow-Headers") != "content-type, mcp-protocol-version" {
					t.Errorf("a preflight may send %q", h.Get("Access-Control-Allow-Headers"))
				}
			}
		}
		i.Registration, i.OpenToPublic = issuer.RegistrationClosed, true
		var made struct {
			ID     string `json:"client_id"`
			Access string `json:"registration_access_token"`
		}
		q := apitest.Request{Method: "POST", Path: "/oauth2/register", Body: body, Header: http.Header{"Origin": {app}}}
		s.Do(q).Want(201, "").JSON(&made)
		for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/register/" + made.ID} {
			for origin, want := range map[string]string{app: app, "https://other.test": ""} {
				if got := ask("OPTIONS", path, origin, nil).Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("%s from %s: %q, want %q", path, origin, got, want)
				}
			}
		}
	})
}

package authorizations_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// consent phishing. What a client calls itself is refused or shown as it looks, beside the
// host that the answer goes to and a mark that nobody verified it; its logo is the browser's affair
// alone.
func TestA34AClientThatPretendsToBeAnother(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		do := adminClients(s, admin.Access)
		for name, row := range map[string]struct{ field, value string }{
			"a zero-width space":       {"client_name", "Google\u200b"},
			"a right-to-left override": {"client_name", "\u202eelgooG"},
			"10 KiB":                   {"client_name", strings.Repeat("x", 10<<10)},
			"a logo of a script":       {"logo_uri", "javascript:alert(1)"},
			"a policy of a script":     {"policy_uri", "data:text/html,x"},
		} {
			t.Run(name+" is not registered", func(t *testing.T) {
				s := s.With(t)
				body := apitest.Fields{"client_name": "Web",
					"redirect_uris": []string{"https://web.test/cb"}}.With(row.field, row.value)
				s.Unchanged(func() {
					if res := adminClients(s, admin.Access)("POST", "", body).
						Want(400, "validation_error"); !strings.Contains(string(res.Body), row.field) {
						t.Errorf("%s", res.Body)
					}
				})
			})
		}

		canary, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer canary.Close()
		var visits atomic.Int64
		go func() {
			for {
				conn, err := canary.Accept()
				if err != nil {
					return
				}
				visits.Add(1)
				conn.Close()
			}
		}()
		logo := "https://" + canary.Addr().String() + "/logo.png"
		const markup = `<img src=x onerror="alert(1)">`
		do("POST", "", apitest.Fields{"client_id": "markup", "client_name": markup,
			"redirect_uris": []string{"https://phish.test/cb"}, "logo_uri": logo}).Want(201, "")
		var registered []apitest.Client
		row, err := s.DB.ClientByID(t.Context(), "markup")
		if err != nil {
			t.Fatal(err)
		}
		registered = append(registered, apitest.Client{Client: row})
		// One that is in the store from before the rules, or past them, is no better off.
		for id, name := range map[string]string{"invisible": "Goo\u200bgle", "turned": "\u202eelgooG\u202c",
			"long": strings.Repeat("Google ", 1500)} {
			registered = append(registered,
				s.Register(userstore.Client{ID: id, Name: name, ClientMetadata: userstore.ClientMetadata{
					RedirectURIs: []string{"https://phish.test/cb"}, LogoURI: "javascript:alert(1)",
					PolicyURI: "javascript:alert(1)"}}))
		}
		alice := s.SignUp("alice")
		for _, c := range registered {
			t.Run(c.ID, func(t *testing.T) {
				s := s.With(t)
				b := s.Browser()
				login := b.Open(authorizePath(c)).WantPage(200, "login-submit")
				for _, p := range []*apitest.Page{login,
					login.Submit("login-submit", alice.Credentials()).WantPage(200, "consent-approve")} {
					text, body := p.Text(), string(p.Body)
					if strings.Contains(body, "<img src=x") || strings.Contains(body, "javascript:") || len(text) > 4<<10 {
						t.Errorf("%s", body)
					}
					if strings.ContainsAny(text, "\u200b\u202e\u202c") {
						t.Errorf("the text hides something: %q", text)
					}
					if c.ID == "markup" && !strings.Contains(text, markup) {
						t.Errorf("the name is not shown as it is: %q", text)
					}
					if p != login && (!strings.Contains(text, "phish.test") || !strings.Contains(text, "ot verified")) {
						t.Errorf("neither host nor mark: %q", text)
					}
				}
			})
		}
		if n := visits.Load(); n > 0 {
			t.Errorf("the server fetched the logo: %d connections", n)
		}
	})
}

// adminClients asks the admin API about clients.
func adminClients(s *apitest.Server, token string) func(method, path string, body any) *apitest.Response {
	return func(method, path string, body any) *apitest.Response {
		s.T.Helper()
		return s.Do(apitest.Request{Method: method, Path: "/v1/admin/clients" + path, Token: token, Body: body})
	}
}

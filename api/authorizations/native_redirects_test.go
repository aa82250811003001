package authorizations_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// The port of a native app's redirect is its own affair also where it is registered with the name
// localhost. The row A-06 holds the limits: no spelling of the user's own machine stands for
// another.
func TestA06ALoopbackRedirectMayHaveAnyPortInItsOwnSpelling(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		native := func(id string, uris ...string) apitest.Client {
			return s.Register(userstore.Client{ID: id, Name: id, AuthMethod: userstore.AuthNone,
				ClientMetadata: userstore.ClientMetadata{RedirectURIs: uris}})
		}
		named := native("named", "http://localhost/cb")
		ported := native("ported", "http://localhost:3000/cb?tenant=a")
		address := native("address", "http://127.0.0.1/cb", "http://[::1]/cb")
		secure := native("secure", "https://localhost/cb", "http://app.localhost/cb")
		confidential := s.Register(userstore.Client{ID: "confidential",
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"http://localhost/cb"}}})
		rows := func(want string, uris ...string) (out []asking) {
			for _, uri := range uris {
				out = append(out, asking{name: uri, edit: set("redirect_uri", uri), want: want})
			}
			return out
		}
		ask(t, s, named, append(rows("", "http://localhost/cb", "http://localhost:1/cb", "http://localhost:51004/cb",
			"http://localhost:65535/cb"),
			rows("page",
				"http://127.0.0.1/cb", "http://127.0.0.1:5/cb", "http://[::1]:5/cb", "http://127.1:5/cb", "https://localhost:5/cb",
				"https://localhost/cb",
				"http://LOCALHOST:5/cb", "HTTP://localhost:5/cb", "http://localhost.:5/cb", "http://localhost.evil.test/cb",
				"http://localhost.evil.test:5/cb",
				"http://localhost:5@evil.test/cb", "http://localhost@evil.test/cb", "http://evil@localhost:5/cb",
				"http://localhost:5.evil.test/cb",
				"http://localhost:/cb", "http://localhost:0/cb", "http://localhost:65536/cb", "http://localhost:5x/cb",
				"http://localhost:+5/cb", "http://localhost:05:6/cb",
				"http://localhost:5/other", "http://localhost:5/cb/", "http://localhost:5/cb?x=1", "http://localhost:5/cb#x",
				"http://localhost:5", "http://localhost:5//cb",
				"http://localhost:5/./cb", "http://localhost:5\\cb", "http://localhostevil:5/cb", "http://app.localhost:5/cb",
				"//localhost:5/cb",
			)...))
		ask(t, s, ported, append(rows("", "http://localhost:3000/cb?tenant=a", "http://localhost:9/cb?tenant=a",
			"http://localhost/cb?tenant=a"),
			rows("page", "http://localhost:9/cb", "http://localhost:9/cb?tenant=b", "http://127.0.0.1:3000/cb?tenant=a")...))
		ask(t, s, address, append(rows("", "http://127.0.0.1:5/cb", "http://[::1]:5/cb"),
			rows("page", "http://localhost/cb", "http://localhost:5/cb")...))
		ask(t, s, secure, rows("page", "https://localhost:5/cb", "http://app.localhost:5/cb", "http://localhost:5/cb"))
		ask(t, s, confidential, append(rows("", "http://localhost/cb"), rows("page", "http://localhost:5/cb")...))

		// A whole login; the user is asked each time, for any program on the machine may listen there.
		b := s.SignedIn(alice)
		for range 2 {
			const uri = "http://localhost:51004/cb"
			p := b.Open(authorizePath(named, set("redirect_uri", uri))).WantPage(http.StatusOK, "consent-approve").
				Submit("consent-approve", nil)
			if !strings.HasPrefix(p.To, uri+"?") {
				t.Fatalf("sent to %q", p.To)
			}
			q := s.CodeRequest(named, wantCode(t, p))
			s.Unchanged(func() {
				s.Do(q).Want(http.StatusBadRequest, "invalid_grant")
			}) // redirect_uri is the one of the request
			q.Form.Set("redirect_uri", uri)
			s.Do(q).Want(http.StatusOK, "")
		}
	})
}

// A scheme of one word that the operator named takes a login to its end; others cannot be
// registered.
func TestARedirectSchemeOfOneWord(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		alice := s.SignUp("alice")
		do := s.AdminOf(admin.Access)
		body := apitest.Fields{"client_id": "editor", "client_name": "Editor", "token_endpoint_auth_method": "none",
			"redirect_uris": []string{"cursor://google.com/callback"}}
		do("POST", "",
			body.With("redirect_uris", []string{"myapp://callback"})).Want(http.StatusBadRequest, "validation_error")
		do("POST", "", body.With("token_endpoint_auth_method", nil)).Want(http.StatusBadRequest, "validation_error")
		do("POST", "", body).Want(http.StatusCreated, "")
		row, err := s.DB.ClientByID(t.Context(), "editor")
		if err != nil {
			t.Fatal(err)
		}
		c := apitest.Client{Client: row}
		ask(t, s, c, []asking{
			{name: "as it is registered", edit: set("redirect_uri", "cursor://google.com/callback")},
			{name: "another path", edit: set("redirect_uri", "cursor://google.com/other"), want: "page"},
			{name: "a port", edit: set("redirect_uri", "cursor://google.com:5/callback"), want: "page"},
			{name: "other case", edit: set("redirect_uri", "Cursor://google.com/callback"), want: "page"},
		})
		b := s.SignedIn(alice)
		for range 2 { // asked each time: any app can claim the scheme
			p := b.Open(authorizePath(c)).WantPage(http.StatusOK, "consent-approve")
			if strings.Contains(p.Text(), "google.com") || !strings.Contains(p.Text(), "cursor") {
				t.Errorf("the consent page names a host that has nothing to do with it: %q", p.Text())
			}
			p = p.Submit("consent-approve", nil)
			if !strings.HasPrefix(p.To, "cursor://google.com/callback?") {
				t.Fatalf("sent to %q", p.To)
			}
			s.TokensOf(c, p)
		}
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.API.Clients.RedirectSchemes = []string{"cursor"} }
	})
}

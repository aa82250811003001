package authorizations_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

const (
	mcpURI   = "https://mcp.test/mcp"
	notesURI = "https://notes.test"
	bareURI  = "https://bare.test/mcp"
	ownURI   = "https://api.test"
)

// withMCP are three resources that every client may ask for which came by itself, and one of the
// operator's own whose scope read has a namesake.
func withMCP(o *apitest.Options) {
	o.Resources = []issuer.Resource{
		{URI: mcpURI, Scopes: []string{"tools:read", "tools:write", "read"}, SelfMade: true},
		{URI: notesURI, Scopes: []string{"notes:read", "admin"}, SelfMade: true},
		{URI: bareURI, SelfMade: true},
		{URI: ownURI, Scopes: []string{"read", "orders:read"}},
	}
}

// selfMade are the clients of these tests, by how they came.
func selfMade(s *apitest.Server) map[string]apitest.Client {
	user := []string{"openid", "profile", "email", "offline_access"}
	out := map[string]apitest.Client{}
	for id, c := range map[string]userstore.Client{
		"registered": {Kind: userstore.KindRegistered, Scopes: user},
		"metadata":   {Kind: userstore.KindMetadata, Scopes: user},
		"operator":   {Scopes: append([]string{"tools:read", "read", "orders:read"}, user...)},
		"listed":     {Scopes: append([]string{"tools:read", "read"}, user...), Resources: []string{mcpURI}},
		"first":      {FirstParty: true},
		"promoted":   {Kind: userstore.KindRegistered, Scopes: append([]string{"orders:read"}, user...), Resources: []string{ownURI}},
	} {
		c.ID, c.AuthMethod = id, userstore.AuthNone
		c.RedirectURIs = []string{"https://" + id + ".test/cb"}
		out[id] = s.Register(c)
	}
	return out
}

// TestWhoMayAskForWhat: a client that came by itself may ask for the resources that are open to all
// of these, with their scopes and nothing else; other clients only for what they are registered
// for.
func TestWhoMayAskForWhat(t *testing.T) {
	const none, target, scope = "", "invalid_target", "invalid_scope"
	const strangers = "registered metadata"
	rows := []struct {
		clients, resource, scope string
		refused                  string
		granted, audience        string
	}{
		{strangers, mcpURI, "tools:read", none, "tools:read", mcpURI},
		{strangers, mcpURI, "tools:read tools:write", none, "tools:read tools:write", mcpURI},
		{strangers, mcpURI, "", none, "tools:read tools:write read", mcpURI},
		{strangers, mcpURI, "openid tools:read offline_access", none, "openid tools:read offline_access", mcpURI},
		{strangers, mcpURI, "openid", none, "openid", mcpURI},
		// With scopes of another resource, as in a list of all that discovery names: they are dropped.
		{strangers, mcpURI, "openid tools:read notes:read orders:read nosuch admin", none, "openid tools:read", mcpURI},
		{strangers, mcpURI, "notes:read orders:read", scope, "", ""},
		{strangers, mcpURI, "admin", scope, "", ""},
		{strangers, notesURI, "admin notes:read", none, "notes:read", notesURI},
		{strangers, notesURI, "admin", scope, "", ""},
		{strangers, notesURI + "/", "notes:read", none, "notes:read", notesURI},
		{strangers, mcpURI + "/", "tools:read", target, "", ""},
		{strangers, mcpURI + "#x", "tools:read", target, "", ""},
		{strangers, bareURI, "", none, "", bareURI},
		{strangers, bareURI, "openid tools:read read", none, "openid", bareURI},
		{strangers, bareURI, "read", scope, "", ""},
		// A resource of the operator's own.
		{strangers, ownURI, "read", target, "", ""},
		{strangers, ownURI, "", target, "", ""},
		{strangers, apitest.IssuerURL, "openid", target, "", ""},
		// Without resource: the one whose scopes are named, if it is one.
		{strangers, "", "tools:read", none, "tools:read", mcpURI},
		{strangers, "", "openid tools:write orders:read", none, "openid tools:write", mcpURI},
		{strangers, "", "openid notes:read", none, "openid notes:read", notesURI},
		{strangers, "", "openid tools:read notes:read", none, "openid", apitest.IssuerURL},
		{strangers, "", "tools:read notes:read", scope, "", ""},
		{strangers, "", "openid profile", none, "openid profile", apitest.IssuerURL},
		{strangers, "", "openid orders:read admin", none, "openid", apitest.IssuerURL},
		{strangers, "", "orders:read", scope, "", ""},
		// An operator's client that is not registered for the resource.
		{"operator", mcpURI, "tools:read", target, "", ""},
		{"operator", bareURI, "openid", target, "", ""},
		{"operator", "", "openid tools:read", none, "openid tools:read", apitest.IssuerURL},
		// And one that is: with the scopes that it is registered for.
		{"listed", mcpURI, "tools:read tools:write read", none, "tools:read read", mcpURI},
		{"listed", mcpURI, "tools:write", scope, "", ""},
		{"listed", notesURI, "notes:read", target, "", ""},
		{"first", mcpURI, "tools:read", target, "", ""},
		{"first", "", "openid", none, "openid", apitest.IssuerURL},
		// One that an operator registered for a resource since.
		{"promoted", ownURI, "orders:read", none, "orders:read", ownURI},
		{"promoted", ownURI, "read orders:read", none, "orders:read", ownURI},
		{"promoted", mcpURI, "read", none, "read", mcpURI},
		{"promoted", mcpURI, "orders:read tools:read", none, "tools:read", mcpURI},
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		clients := selfMade(s)
		b := s.SignedIn(s.SignUp("alice"))
		for _, row := range rows {
			for id := range strings.FieldsSeq(row.clients) {
				t.Run(fmt.Sprintf("%s at %q for %q", id, row.resource, row.scope), func(t *testing.T) {
					s := s.With(t)
					c, b := clients[id], b.With(s)
					p := b.Open(authorizePath(c, set("resource", row.resource, "scope", row.scope)))
					if row.refused != "" {
						wantError(t, p, row.refused)
						return
					}
					if p.To == "" {
						p = p.WantPage(200, "consent-approve").Submit("consent-approve", nil)
					}
					tokens := s.TokensOf(c, p)
					claims := apitest.Claims(tokens.Access)
					if got, _ := claims["scope"].(string); tokens.Scope != row.granted || got != row.granted {
						t.Errorf("granted %q, the token says %q, want %q", tokens.Scope, got, row.granted)
					}
					if claims["aud"] != row.audience {
						t.Errorf("for %v, want %s", claims["aud"], row.audience)
					}
				})
			}
		}
	}, withMCP)
}

// TestGrantsOfMCPResources: a refresh narrows; a step-up adds; and what leaves mcp.resources leaves
// existing grants, which never turn into grants for the default audience.
func TestGrantsOfMCPResources(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		clients := selfMade(s)
		b := s.SignedIn(s.SignUp("alice"))
		i := s.Replicas[0].Issuer
		all := i.Resources
		refresh := func(c apitest.Client, token string, pairs ...string) apitest.Request {
			q := s.RefreshRequest(c, token)
			for n := 0; n < len(pairs); n += 2 {
				q.Form.Set(pairs[n], pairs[n+1])
			}
			return q
		}
		refreshed := func(q apitest.Request, scope string) (out apitest.Tokens) {
			t.Helper()
			s.Do(q).Want(http.StatusOK, "").JSON(&out)
			if claims := apitest.Claims(out.Access); out.Scope != scope || claims["scope"] != scope || claims["aud"] != mcpURI {
				t.Errorf("refreshed: %q, %v for %v, want %q", out.Scope, claims["scope"], claims["aud"], scope)
			}
			return out
		}
		for _, id := range []string{"registered", "metadata"} {
			c := clients[id]
			i.Resources = all
			tokens := apitest.LogIn(s, b, c, set("scope", "tools:read tools:write offline_access", "resource", mcpURI, "prompt", "consent"))
			if tokens.Refresh == "" {
				t.Fatal("no refresh token")
			}
			const whole = "tools:read tools:write offline_access"
			tokens = refreshed(refresh(c, tokens.Refresh), whole)
			tokens = refreshed(refresh(c, tokens.Refresh, "resource", mcpURI), whole)
			tokens = refreshed(refresh(c, tokens.Refresh, "resource", mcpURI, "scope", "tools:read notes:read"), "tools:read")
			tokens = refreshed(refresh(c, tokens.Refresh), whole)
			s.Unchanged(func() {
				s.Do(refresh(c, tokens.Refresh, "resource", notesURI)).Want(400, "invalid_target")
				s.Do(refresh(c, tokens.Refresh, "scope", "read notes:read")).Want(400, "invalid_scope")
			})

			// The step-up of MCP: what was granted and what the challenge names, in one new request.
			more := apitest.LogIn(s, b, c, set("scope", "tools:read tools:write read", "resource", mcpURI))
			if more.Scope != "tools:read tools:write read" {
				t.Errorf("after the step-up: %q", more.Scope)
			}

			// A scope leaves the configuration.
			less := append([]issuer.Resource{{URI: mcpURI, Scopes: []string{"tools:read"}, SelfMade: true}}, all[1:]...)
			i.Resources = less
			tokens = refreshed(refresh(c, tokens.Refresh), "tools:read offline_access")
			// The resource becomes one of the operator's own.
			i.Resources = append([]issuer.Resource{{URI: mcpURI, Scopes: []string{"tools:read"}}}, all[1:]...)
			s.Do(refresh(c, tokens.Refresh)).Want(400, "invalid_target")
			s.Do(refresh(c, tokens.Refresh, "resource", mcpURI)).Want(400, "invalid_target")
			wantError(t, b.Open(authorizePath(c, set("scope", "tools:read", "resource", mcpURI))), "invalid_target")
			wantError(t, b.Open(authorizePath(c, set("scope", "tools:read", "resource", ""))), "invalid_scope")
			// It is gone.
			i.Resources = all[1:]
			s.Do(refresh(c, tokens.Refresh)).Want(400, "invalid_target")
			// It is back, and the same refresh token goes on.
			i.Resources = all
			refreshed(refresh(c, tokens.Refresh), whole)
		}
	}, withMCP)
}

// TestCodesOfMCPResources: what leaves the configuration between consent and redemption is not
// granted.
func TestCodesOfMCPResources(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := selfMade(s)["registered"]
		b := s.SignedIn(s.SignUp("alice"))
		i := s.Replicas[0].Issuer
		all := i.Resources
		page := b.Open(authorizePath(c, set("scope", "tools:read tools:write", "resource", mcpURI))).WantPage(200, "consent-approve")
		i.Resources = all[1:]
		wantError(t, page.Submit("consent-approve", nil), "invalid_target")
		i.Resources = all
		code := wantCode(t, b.Open(authorizePath(c, set("scope", "tools:read tools:write", "resource", mcpURI))).Submit("consent-approve", nil))
		i.Resources = all[1:]
		s.Do(s.CodeRequest(c, code)).Want(400, "invalid_target")
		i.Resources = all
		var tokens apitest.Tokens
		s.Do(s.CodeRequest(c, code)).Want(200, "").JSON(&tokens)
		if tokens.Scope != "tools:read tools:write" {
			t.Errorf("granted %q", tokens.Scope)
		}
	}, withMCP)
}

// TestNoMCPResourceWithoutAUser: where no user is asked, only the operator can open a resource.
func TestNoMCPResourceWithoutAUser(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		ask := func(c apitest.Client, scope string) apitest.Request {
			return s.Authenticated(c, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "resource": {mcpURI}, "scope": {scope}})
		}
		scopes := []string{"openid", "tools:read"}
		stranger := s.Register(userstore.Client{ID: "stranger", Kind: userstore.KindRegistered, Scopes: scopes})
		listed := s.Register(userstore.Client{ID: "known", Kind: userstore.KindRegistered, Scopes: scopes, Resources: []string{mcpURI}})
		s.Unchanged(func() {
			s.Do(ask(stranger, "tools:read")).Want(400, "invalid_target")
			s.Do(ask(stranger, "")).Want(400, "invalid_target")
			s.Do(ask(listed, "admin")).Want(400, "invalid_scope")
		})
		var tokens apitest.Tokens
		s.Do(ask(listed, "tools:read")).Want(200, "").JSON(&tokens)
		if claims := apitest.Claims(tokens.Access); claims["aud"] != mcpURI || claims["scope"] != "tools:read" {
			t.Errorf("%v", claims)
		}
	}, withMCP)
}

// TestOfflineAccessOfSelfMadeClients: it is granted after consent to a client that is registered for
// refresh tokens, and dropped for another.
func TestOfflineAccessOfSelfMadeClients(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := s.SignedIn(s.SignUp("alice"))
		for _, kind := range []string{userstore.KindRegistered, userstore.KindMetadata} {
			for _, refresh := range []bool{true, false} {
				grants := []string{userstore.GrantAuthorizationCode}
				want := "tools:read"
				if refresh {
					grants, want = append(grants, userstore.GrantRefreshToken), "tools:read offline_access"
				}
				c := s.Register(userstore.Client{ID: fmt.Sprint(kind, refresh), Kind: kind, AuthMethod: userstore.AuthNone, GrantTypes: grants,
					Scopes: []string{"openid", "offline_access"}})
				p := b.Open(authorizePath(c, set("scope", "tools:read offline_access", "resource", mcpURI, "prompt", "consent"))).
					WantPage(200, "consent-approve")
				const sentence = "keep this access when you are away"
				if strings.Contains(p.Text(), sentence) != refresh {
					t.Errorf("%s, refresh tokens %v: the page says %q", kind, refresh, p.Text())
				}
				tokens := s.TokensOf(c, p.Submit("consent-approve", nil))
				if tokens.Scope != want || (tokens.Refresh != "") != refresh {
					t.Errorf("%s, refresh tokens %v: granted %q and a refresh token: %v", kind, refresh, tokens.Scope, tokens.Refresh != "")
				}
				// prompt=consent asks, whatever was allowed before.
				b.Open(authorizePath(c, set("scope", "tools:read offline_access", "resource", mcpURI, "prompt", "consent"))).
					WantPage(200, "consent-approve")
			}
		}
	}, withMCP)
}

// TestA33ConsentOfSelfMadeClients: any program of the user's machine can pose as a public client
// that redirects there or to a scheme of its own, so the user is asked each time; an https redirect
// is remembered. A06: the port of the moment is free, for the name that was registered.
func TestA33ConsentOfSelfMadeClients(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		b := s.SignedIn(s.SignUp("alice"))
		n := 0
		for _, kind := range []string{userstore.KindRegistered, userstore.KindMetadata} {
			for _, row := range []struct {
				uri   string
				sent  []string
				wrong []string
				asks  bool
			}{
				{"http://localhost/cb", []string{"http://localhost:33418/cb", "http://localhost:7/cb"},
					[]string{"http://127.0.0.1:33418/cb", "http://localhost:33418/other", "https://localhost/cb"}, true},
				{"http://localhost:3000/cb", []string{"http://localhost:3000/cb", "http://localhost:33418/cb"}, []string{"http://localhost.evil.test/cb"}, true},
				{"http://127.0.0.1/cb", []string{"http://127.0.0.1:5000/cb"}, []string{"http://localhost:5000/cb", "http://127.0.0.2/cb"}, true},
				{"com.example.app:/cb", []string{"com.example.app:/cb"}, []string{"com.example.app:/other"}, true},
				{"https://editor.test/cb", []string{"https://editor.test/cb"}, []string{"https://editor.test:8443/cb"}, false},
			} {
				n++
				c := s.Register(userstore.Client{ID: fmt.Sprint("c", n), Kind: kind, AuthMethod: userstore.AuthNone,
					Scopes: []string{"openid"}, ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{row.uri}}})
				ask := func(uri string) *apitest.Page {
					return b.Open(authorizePath(c, set("redirect_uri", uri, "scope", "tools:read", "resource", mcpURI)))
				}
				for n, uri := range append(row.sent, row.sent[0]) {
					p := ask(uri)
					if asked := p.Has("consent-approve"); asked != (row.asks || n == 0) {
						t.Errorf("%s: asked for the %d. time: %v", uri, n+1, asked)
					}
					if p.To == "" {
						p = p.Submit("consent-approve", nil)
					}
					if wantCode(t, p); !strings.HasPrefix(p.To, uri+"?") {
						t.Errorf("%s: the answer went to %s", uri, p.To)
					}
				}
				for _, uri := range row.wrong {
					ask(uri).WantPage(400, "")
				}
			}
		}
	}, withMCP)
}

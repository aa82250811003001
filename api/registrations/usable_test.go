package registrations_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// editors is the metadata of an app that names what it has for all its editions.
func editors() apitest.Fields {
	return apitest.Fields{"client_name": "Editor", "token_endpoint_auth_method": "none",
		"redirect_uris": []string{"http://localhost/cb"}, "grant_types": []string{"authorization_code", "refresh_token"}}
}

// TestRegistrationKeepsWhatIsUsable: what a client cannot have and can do without is left out, at a
// registration and at a replacement, and the answer says what is left (RFC 7591 section 3.2.1).
func TestRegistrationKeepsWhatIsUsable(t *testing.T) {
	list := func(members ...string) []string { return members }
	long := "https://a.test/" + strings.Repeat("x", 10<<10)
	const exchange = "urn:ietf:params:oauth:grant-type:token-exchange"
	rows := []struct {
		name   string
		member string
		sent   any
		kept   any
	}{
		{"one scheme of one word among three", "redirect_uris",
			list("cursor://auth/cb", "http://localhost/cb", "https://a.test/cb"),
			list("http://localhost/cb", "https://a.test/cb")},
		{"a scheme that is allowed stays", "redirect_uris", list("vscode://auth/cb", "cursor://auth/cb"),
			list("vscode://auth/cb")},
		{"an app's own scheme stays", "redirect_uris", list("com.example.app:/cb", "app:/cb"), list("com.example.app:/cb")},
		{"a script, a fragment, a wildcard and one that is too long", "redirect_uris",
			list("javascript:alert(1)", "https://a.test/cb#x", "https://*.a.test/cb", long, "https://a.test/cb"),
			list("https://a.test/cb")},
		{"http on the net", "redirect_uris", list("http://a.test/cb", "http://127.0.0.1:7777/cb"),
			list("http://127.0.0.1:7777/cb")},
		{"the same twice", "redirect_uris", list("https://a.test/cb", "https://a.test/cb"), list("https://a.test/cb")},
		{"the order is the client's", "redirect_uris", list("https://b.test/", "cursor://x", "https://a.test/"),
			list("https://b.test/", "https://a.test/")},
		{"where users go after a logout", "post_logout_redirect_uris", list("cursor://bye", "https://a.test/bye"),
			list("https://a.test/bye")},
		{"a grant type that is not here", "grant_types", list("authorization_code", exchange, "refresh_token", "password"),
			list("authorization_code", "refresh_token")},
		{"implicit, which is off", "grant_types", list("authorization_code", "implicit"), list("authorization_code")},
		{"a grant type twice", "grant_types", list("authorization_code", "authorization_code"), list("authorization_code")},
		{"a response type that is off", "response_types", list("code", "id_token", "token"), list("code")},
		{"a scope that is not here", "scope", "openid claudeai email", "openid email"},
		{"only scopes that are not here", "scope", "claudeai mcp:all", "openid profile email address phone offline_access"},
		{"admin among others", "scope", "openid admin", "openid"},
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				sent := editors().With(row.member, row.sent)
				c := take(s, register(s, sent, "").Want(201, ""))
				same(t, "kept", apitest.Fields{"is": c.Fields[row.member]}, apitest.Fields{"is": row.kept})
				read := take(s, manage(s, "GET", c, nil).Want(200, ""))
				same(t, "read", apitest.Fields{"is": read.Fields[row.member]}, apitest.Fields{"is": row.kept})
				replaced := take(s, manage(s, "PUT", c, sent.With("client_id", c.ID)).Want(200, ""))
				same(t, "replaced", apitest.Fields{"is": replaced.Fields[row.member]}, apitest.Fields{"is": row.kept})
			})
		}
		t.Run("none is left", func(t *testing.T) {
			s := s.With(t)
			c := take(s, register(s, editors(), "").Want(201, ""))
			leavesNothing(s, func() {
				sent := editors().With("redirect_uris", list("cursor://auth/cb", "http://a.test/cb"))
				for _, res := range []*apitest.Response{
					register(s, sent, ""), manage(s, "PUT", c, sent.With("client_id", c.ID)),
				} {
					body := string(res.Want(400, "invalid_redirect_uri").Body)
					for _, reason := range []string{"redirect_uris.0: ", "oauth.redirect_schemes", "redirect_uris.1: ", "use https"} {
						if !strings.Contains(body, reason) {
							t.Errorf("%q is not in %s", reason, body)
						}
					}
				}
				refused := func(member string, value any) {
					t.Helper()
					register(s, editors().With(member, value), "").Want(400, "invalid_client_metadata")
				}
				refused("post_logout_redirect_uris", list("cursor://bye"))
				refused("grant_types", list("password", exchange))
				refused("response_types", list("token"))
				// What a client relies on is refused, not left out.
				refused("grant_types", list("authorization_code", "client_credentials"))
				refused("token_endpoint_auth_method", "tls_client_auth")
				refused("tls_client_certificate_bound_access_tokens", true)
				refused("scope", "admin claudeai")
			})
		})
		// A confidential client has no scheme of its own: the rest of its addresses stays.
		sent := shop().With("redirect_uris", list("com.example.app:/cb", "https://shop.test/cb"))
		c := take(s, register(s, sent, "").Want(201, ""))
		same(t, "of a confidential client",
			apitest.Fields{"is": c.Fields["redirect_uris"]}, apitest.Fields{"is": list("https://shop.test/cb")})
	}, mode(issuer.RegistrationOpen), apitest.Configured(func(r *apitest.Replica) {
		r.API.Clients.RedirectSchemes = []string{"vscode"}
	}))
}

// TestAnOperatorsClientIsNotTrimmed: an operator made a mistake, and hears about it.
func TestAnOperatorsClientIsNotTrimmed(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, _, err := s.Replicas[0].API.Clients.Create(t.Context(), userstore.Client{
			Name:           "Web",
			ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://web.test/cb", "cursor://cb"}},
		}, "")
		if err == nil || !strings.Contains(err.Error(), "redirect_uris.1") {
			t.Errorf("%v", err)
		}
	})
}

// openToPublic is mcp.open_registration with an MCP server.
func openToPublic(mode string) []func(*apitest.Options) {
	return []func(*apitest.Options){
		func(o *apitest.Options) {
			o.Resources = []issuer.Resource{
				{URI: "https://mcp.test/mcp", Scopes: []string{"tools:read", "tools:write"}, SelfMade: true},
			}
		},
		apitest.Configured(func(r *apitest.Replica) { r.Issuer.Registration, r.Issuer.OpenToPublic = mode, true }),
	}
}

// TestR01OpenToPublicClients: mcp.open_registration opens the endpoint to public clients and to no
// other, beside what oauth.registration allows.
func TestR01OpenToPublicClients(t *testing.T) {
	for _, mode := range []string{issuer.RegistrationClosed, issuer.RegistrationToken, issuer.RegistrationOpen} {
		t.Run(mode, func(t *testing.T) {
			apitest.Each(t, func(t *testing.T, s *apitest.Server) {
				metadata := string(s.Do(apitest.Request{Path: "/.well-known/oauth-authorization-server"}).Body)
				if !strings.Contains(metadata, `"registration_endpoint":"https://id.test/oauth2/register"`) {
					t.Error("discovery does not list the endpoint")
				}
				_, token := initialToken(s, registration.NewToken{Uses: 20})
				open, byToken := mode == issuer.RegistrationOpen, mode != issuer.RegistrationClosed
				for _, row := range []struct{ asked, got string }{
					{"none", "none"}, {"client_secret_post", "client_secret_post"}, {"client_secret_basic", "client_secret_basic"},
					{"", "client_secret_basic"},
				} {
					sent := editors().With("token_endpoint_auth_method", nil)
					if row.asked != "" {
						sent = sent.With("token_endpoint_auth_method", row.asked)
					}
					for _, text := range []string{"", token} {
						want := row.got
						if confidential := open || byToken && text != ""; !confidential {
							want = "none"
						}
						c := take(s, register(s, sent, text).Want(201, ""))
						method := c.Fields["token_endpoint_auth_method"]
						if method != want || (c.Secret == "") != (want == "none") {
							t.Errorf("asked for %q: %v, a secret: %v", row.asked, method, c.Secret != "")
						}
						if want != "none" || open {
							continue
						}
						// What was registered as public stays public.
						changed := editors().With("client_id", c.ID).With("token_endpoint_auth_method", "client_secret_post")
						again := take(s, manage(s, "PUT", c, changed).Want(200, ""))
						if again.Fields["token_endpoint_auth_method"] != "none" || again.Secret != "" {
							t.Errorf("replaced: %v", again.Fields)
						}
					}
				}
				keyed := editors().With("token_endpoint_auth_method", "private_key_jwt").With("jwks_uri", "https://a.test/jwks")
				if !open {
					leavesNothing(s, func() { register(s, keyed, "").Want(400, "invalid_client_metadata") })
				}
				leavesNothing(s, func() { register(s, editors(), "wrong").Want(401, "invalid_token") })
			}, openToPublic(mode)...)
		})
	}
}

// TestWhatMCPClientsRegister: what the official SDKs and their users send, with the scopes of an MCP
// server.
func TestWhatMCPClientsRegister(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		for _, row := range []struct{ name, sent, kept string }{
			{"the scopes of a challenge", "tools:read", "openid offline_access tools:read tools:write"},
			{"with offline_access", "tools:read tools:write offline_access", "offline_access tools:read tools:write"},
			{"all that discovery lists", "openid profile email address phone offline_access tools:read tools:write",
				"openid profile email address phone offline_access tools:read tools:write"},
			{"of another server, too", "tools:read notes:read", "openid offline_access tools:read tools:write"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				c := take(s, register(s, editors().With("scope", row.sent).With("application_type", "native"), "").Want(201, ""))
				if c.Fields["scope"] != row.kept {
					t.Errorf("the answer says %v, want %s", c.Fields["scope"], row.kept)
				}
				if got := take(s, manage(s, "GET", c, nil).Want(200, "")); got.Fields["scope"] != row.kept {
					t.Errorf("read: %v", got.Fields["scope"])
				}
				stored, err := s.DB.ClientByID(t.Context(), c.ID)
				if err != nil || len(stored.Scopes) == 0 || stored.Resources != nil ||
					strings.Contains(strings.Join(stored.Scopes, " "), "tools") {
					t.Errorf("stored %v of %v, %v", stored.Scopes, stored.Resources, err)
				}
			})
		}
		c := take(s, register(s, editors().With("grant_types", nil).With("scope", "tools:read"), "").Want(201, ""))
		if c.Fields["scope"] != "openid tools:read tools:write" {
			t.Errorf("without refresh tokens: %v", c.Fields["scope"])
		}
	}, openToPublic(issuer.RegistrationClosed)...)
}

// TestR12OpenToPublicIsThrottled: the bounds of registrations without a token hold.
func TestR12OpenToPublicIsThrottled(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		const here = "198.51.100.7"
		for range 3 {
			registerFrom(s, 0, here, editors()).Want(201, "")
		}
		before := clients(s)
		res := registerFrom(s, 0, here, editors()).Want(429, "temporarily_unavailable")
		if res.Header.Get("Retry-After") != "3600" {
			t.Errorf("%v", res.Header)
		}
		if after := clients(s); after != before {
			t.Errorf("%d clients became %d", before, after)
		}
	}, append([]func(*apitest.Options){capped(3, 1000)}, openToPublic(issuer.RegistrationClosed)...)...)
}

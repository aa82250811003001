package protocol_test

import (
	"net/url"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestClientCredentials(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		machine := s.Register(userstore.Client{
			ID: "machine", GrantTypes: []string{userstore.GrantClientCredentials}, Resources: []string{"https://api.test"},
			Scopes: []string{"openid", "api.read", "jobs"},
		})
		ask := func(s *apitest.Server, c apitest.Client, form url.Values) *apitest.Response {
			form.Set("grant_type", "client_credentials")
			return s.Do(s.Authenticated(c, "/oauth2/token", form))
		}
		t.Run("what it gets", func(t *testing.T) {
			s := s.With(t)
			for _, row := range []struct {
				form       url.Values
				scope, aud string
			}{
				{url.Values{}, "api.read jobs", apitest.IssuerURL},
				{url.Values{"scope": {"jobs"}}, "jobs", apitest.IssuerURL},
				{url.Values{"resource": {"https://api.test"}}, "api.read", "https://api.test"},
				{url.Values{"resource": {"https://api.test"}, "scope": {"api.read"}}, "api.read", "https://api.test"},
			} {
				var tokens apitest.Tokens
				s.Unchanged(func() { ask(s, machine, row.form).Want(200, "").JSON(&tokens) })
				c := apitest.Claims(tokens.Access)
				if tokens.Refresh != "" || tokens.ID != "" || tokens.ExpiresIn != 600 || tokens.Scope != row.scope {
					t.Errorf("%v: %+v", row.form, tokens)
				}
				if c["sub"] != "machine" || c["client_id"] != "machine" || c["aud"] != row.aud || c["scope"] != row.scope {
					t.Errorf("%v: %v", row.form, c)
				}
				for _, name := range []string{"sid", "auth_time", "acr", "amr", "roles"} {
					if c[name] != nil {
						t.Errorf("it says %s, though there is no user", name)
					}
				}
			}
			var tokens apitest.Tokens
			ask(s, f.rs, url.Values{}).Want(200, "").JSON(&tokens)
			if _, has := apitest.Claims(tokens.Access)["scope"]; has || tokens.Scope != "" {
				t.Errorf("a client without scopes got %q", tokens.Scope)
			}
		})
		for name, row := range map[string]struct {
			form url.Values
			code string
		}{
			"openid":                           {url.Values{"scope": {"openid"}}, "invalid_scope"},
			"admin":                            {url.Values{"scope": {"admin"}}, "invalid_scope"},
			"offline_access":                   {url.Values{"scope": {"jobs offline_access"}}, "invalid_scope"},
			"a scope that is not the client's": {url.Values{"scope": {"api.write"}}, "invalid_scope"},
			"a scope that is none":             {url.Values{"scope": {"a\"b"}}, "invalid_scope"},
			"a resource that is not its own":   {url.Values{"resource": {"https://files.test"}}, "invalid_target"},
			"a resource that nobody knows":     {url.Values{"resource": {"https://evil.test"}}, "invalid_target"},
		} {
			t.Run(name, func(t *testing.T) { s := s.With(t); ask(s, machine, row.form).Want(400, row.code) })
		}
		t.Run("there is no user behind it", func(t *testing.T) {
			s := s.With(t)
			var tokens apitest.Tokens
			ask(s, machine, url.Values{}).Want(200, "").JSON(&tokens)
			s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(403, "insufficient_scope")
			s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(403, "insufficient_scope")
		})
		t.Run("D-30 a disabled client gets none, and what it has is dead at once", func(t *testing.T) {
			s := s.With(t)
			gone := s.Register(userstore.Client{ID: "gone", Resources: []string{"https://api.test"}})
			var tokens apitest.Tokens
			ask(s, gone, url.Values{"resource": {"https://api.test"}}).Want(200, "").JSON(&tokens)
			if s.Introspect(f.rs, tokens.Access)["active"] != true {
				t.Error("not active")
			}
			if err := s.DB.SetClientActive(t.Context(), "gone", false, s.Clock.Now()); err != nil {
				t.Fatal(err)
			}
			ask(s, gone, url.Values{}).Want(401, "invalid_client")
			if s.Introspect(f.rs, tokens.Access)["active"] != false {
				t.Error("active")
			}
		})
	}, withIntrospection)
}

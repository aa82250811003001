package registrations_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
)

// TestA33ConsentOfRegisteredClients: an app on the user's machine asks every time, because any program
// there can pose as it; a web app is remembered.
func TestA33ConsentOfRegisteredClients(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		for _, row := range []struct {
			uri, method string
			asks        bool
		}{
			{"http://127.0.0.1/cb", "none", true}, {"http://localhost/cb", "none", true}, {"com.example.app:/cb", "none", true},
			{"https://shop.test/cb", "none", false}, {"https://shop.test/cb", "client_secret_basic", false},
		} {
			c := take(s, register(s, apitest.Fields{"redirect_uris": []string{row.uri}, "token_endpoint_auth_method": row.method}, "").Want(201, ""))
			b, page := s.Allowed(alice, c.Client)
			apitest.WantCode(t, page)
			again := b.Open(apitest.AuthorizePath(c.Client))
			if asked := again.Has("consent-approve"); asked != row.asks {
				t.Errorf("%s of %s: asked again: %v", row.uri, row.method, asked)
			}
		}
	}, mode(issuer.RegistrationOpen))
}

// TestA34WhatARegisteredClientSaysIsShownAsText: markup in its name is text, and the page names the
// host that the user is led to.
func TestA34WhatARegisteredClientSaysIsShownAsText(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		name := `<img src=x onerror="alert(1)">`
		c := take(s, register(s, shop().With("client_name", name), "").Want(201, ""))
		b := s.Browser()
		page := b.SignIn(apitest.AuthorizePath(c.Client), s.SignUp("alice")).WantPage(200, "consent-approve")
		body := string(page.Body)
		if strings.Contains(body, "<img src=x") || !strings.Contains(page.Text(), name) || !strings.Contains(page.Text(), "shop.test") {
			t.Errorf("the page says %s", page.Text())
		}
	}, mode(issuer.RegistrationOpen))
}

// TestARegisteredClientGetsNoMore: neither the account API, nor scope admin, nor a resource, nor a
// token without a user.
func TestARegisteredClientGetsNoMore(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		root, _ := s.Admin("root")
		c := take(s, register(s, shop().With("scope", "openid profile email admin").With("first_party", true), "").Want(201, ""))
		b := s.Browser()
		page := b.SignIn(apitest.AuthorizePath(c.Client, apitest.Param("scope", "openid profile admin orders:read")), root).
			WantPage(200, "consent-approve").Submit("consent-approve", nil)
		tokens := s.TokensOf(c.Client, page)
		if got := apitest.Claims(tokens.Access)["scope"]; got != "openid profile" {
			t.Errorf("scope %v", got)
		}
		s.Do(apitest.Request{Path: "/v1/admin/users", Token: tokens.Access}).Want(401, "token_invalid")
		s.Do(apitest.Request{Path: "/v1/profile", Token: tokens.Access}).Want(401, "token_invalid")
		apitest.WantError(t, b.Open(apitest.AuthorizePath(c.Client, apitest.Param("resource", "https://api.test"))), "invalid_target")
		s.Do(s.Authenticated(c.Client, "/oauth2/token", url.Values{"grant_type": {"client_credentials"}})).Want(400, "unauthorized_client")
		if _, ok := c.Fields["first_party"]; ok || c.Fields["scope"] != "openid profile email" {
			t.Errorf("%v", c.Fields)
		}
	}, mode(issuer.RegistrationOpen), func(o *apitest.Options) {
		o.Resources = []issuer.Resource{{URI: "https://api.test", Scopes: []string{"orders:read"}}}
	})
}

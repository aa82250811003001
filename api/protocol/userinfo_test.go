package protocol_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func TestUserinfo(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		u, err := s.DB.UserByID(t.Context(), f.alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		u.Username, u.UsernameKey = "alice", "alice"
		u.Claims = userstore.Claims{
			Name: "Alice A", GivenName: "Alice", FamilyName: "A", MiddleName: "M", Nickname: "Al", Profile: "https://a.test/p",
			Picture: "https://a.test/i",
			Website: "https://a.test", Gender: "female", Birthdate: "1984-02-29", Zoneinfo: "Europe/Paris", Locale: "fr",
			PhoneNumber: "+4930123456",
			Address:     &userstore.Address{Formatted: "1 Street\nTown", Country: "FR"},
		}
		u.Roles = []string{"editor"}
		if err := s.DB.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		scoped := func(scopes ...string) func(*userstore.Code) {
			return func(c *userstore.Code) { c.Scopes = append([]string{"openid"}, scopes...) }
		}
		ask := func(s *apitest.Server, token string) apitest.Fields {
			s.T.Helper()
			var out apitest.Fields
			s.Do(apitest.Request{Path: "/oauth2/userinfo", Token: token}).Want(200, "").JSON(&out)
			return out
		}
		profile := apitest.Fields{"name": "Alice A", "given_name": "Alice", "family_name": "A", "middle_name": "M",
			"nickname": "Al", "preferred_username": "alice",
			"profile": "https://a.test/p", "picture": "https://a.test/i", "website": "https://a.test", "gender": "female",
			"birthdate": "1984-02-29",
			"zoneinfo":  "Europe/Paris", "locale": "fr", "updated_at": u.UpdatedAt.Unix()}
		for _, row := range []struct {
			name   string
			scopes []string
			want   apitest.Fields
		}{
			{"openid alone", nil, apitest.Fields{}},
			{"profile: all fourteen", []string{"profile"}, profile},
			{"email", []string{"email"}, apitest.Fields{"email": f.alice.Email, "email_verified": false}},
			{"phone", []string{"phone"}, apitest.Fields{"phone_number": "+4930123456", "phone_number_verified": false}},
			{"address, an object", []string{"address"},
				apitest.Fields{"address": apitest.Fields{"formatted": "1 Street\nTown", "country": "FR"}}},
		} {
			t.Run("scope "+row.name, func(t *testing.T) {
				s := s.With(t)
				got := ask(s, s.Redeem(f.alice, f.web, scoped(row.scopes...)).Access)
				if want := row.want.With("sub", f.alice.ID); got.Text() != want.Text() {
					t.Errorf("got %s, want %s", got.Text(), want.Text())
				}
			})
		}
		t.Run("claims that the client named", func(t *testing.T) {
			s := s.With(t)
			named := func(c *userstore.Code) {
				c.Scopes = []string{"openid"}
				c.Claims = `{"userinfo":{"name":{"essential":true},"email":null,"unknown":null,"sub":null,"nickname":{"value":"x"}},"id_token":{"given_name":null,"auth_time":{"essential":true}}}`
			}
			tokens := s.Redeem(f.alice, f.web, named)
			if got := ask(s, tokens.Access); got.Text() != (apitest.Fields{"sub": f.alice.ID, "name": "Alice A",
				"email": f.alice.Email, "nickname": "Al"}).Text() {
				t.Errorf("%s", got.Text())
			}
			id := apitest.Claims(tokens.ID)
			if id["given_name"] != "Alice" || id["name"] != nil || id["email"] != nil || id["auth_time"] == nil {
				t.Errorf("ID token: %v", id)
			}
			var next apitest.Tokens
			s.Do(s.RefreshRequest(f.web, tokens.Refresh)).Want(200, "").JSON(&next)
			if id := apitest.Claims(next.ID); id["given_name"] != "Alice" {
				t.Errorf("refreshed ID token: %v", id)
			}
			narrow := s.Register(userstore.Client{ID: "narrow", Scopes: []string{"openid", "email"}})
			if got := ask(s, s.Redeem(f.alice, narrow, named).Access); got["name"] != nil || got["email"] == nil {
				t.Errorf("a client that may not ask for profile got %v", got)
			}
		})
		tokens := s.Redeem(f.alice, f.web)
		t.Run("D-25 ways to send it", func(t *testing.T) {
			s := s.With(t)
			form := url.Values{"access_token": {tokens.Access}}
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "")
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/userinfo", Form: form}).Want(200, "")
			s.Do(apitest.Request{Method: "POST", Path: "/oauth2/userinfo", Form: url.Values{"x": {"y"}},
				Token: tokens.Access}).Want(200, "")
			if res := s.Do(apitest.Request{Method: "HEAD", Path: "/oauth2/userinfo", Token: tokens.Access}); res.Status != 200 ||
				len(res.Body) != 0 {
				t.Errorf("HEAD: %d, %d bytes", res.Status, len(res.Body))
			}
			for _, scheme := range []string{"bearer", "BEARER", "Bearer "} { // J-34
				s.Do(apitest.Request{Path: "/oauth2/userinfo",
					Header: http.Header{"Authorization": {scheme + " " + tokens.Access}}}).Want(200, "")
			}
		})
		for name, row := range map[string]struct {
			q      apitest.Request
			status int
			code   string
		}{
			"J-34 header and body": {apitest.Request{Method: "POST", Form: url.Values{"access_token": {tokens.Access}},
				Token: tokens.Access}, 400, "invalid_request"},
			"J-34 twice in the body": {apitest.Request{Method: "POST",
				Form: url.Values{"access_token": {tokens.Access, tokens.Access}}}, 400, "invalid_request"},
			"J-34 two headers": {apitest.Request{Header: http.Header{"Authorization": {"Bearer " + tokens.Access,
				"Bearer " + tokens.Access}}}, 400, "invalid_request"},
			"J-34 in the body of a GET": {apitest.Request{Form: url.Values{"access_token": {tokens.Access}}}, 401,
				"invalid_token"},
			"nothing": {apitest.Request{}, 401, "invalid_token"},
			"nothing in a form": {apitest.Request{Method: "POST", Form: url.Values{"access_token": {""}}}, 401,
				"invalid_token"},
			"another scheme": {apitest.Request{Header: http.Header{"Authorization": {"Digest " + tokens.Access}}},
				401, "invalid_token"},
			"J-13 an ID token": {apitest.Request{Token: tokens.ID}, 401, "invalid_token"},
			"a refresh token":  {apitest.Request{Token: tokens.Refresh}, 401, "invalid_token"},
			"nonsense":         {apitest.Request{Token: "nonsense"}, 401, "invalid_token"},
			"J-04 signed with the secret": {apitest.Request{Token: hmacToken(f.web.Secret, apitest.Claims(tokens.Access))}, 401,
				"invalid_token"},
			"D-25 without scope openid": {apitest.Request{Token: s.Redeem(f.alice, f.web,
				func(c *userstore.Code) { c.Scopes = []string{"profile"} }).Access}, 403, "insufficient_scope"},
			"a body of another type": {apitest.Request{Method: "POST", Body: `{"access_token":"x"}`}, 401, "invalid_token"},
		} {
			t.Run(name, func(t *testing.T) {
				s := s.With(t)
				row.q.Path = "/oauth2/userinfo"
				res := s.Do(row.q).Want(row.status, row.code)
				if challenge := res.Header.Get("WWW-Authenticate"); row.status != 400 && !strings.HasPrefix(challenge, "Bearer ") {
					t.Errorf("challenge %q", challenge)
				}
			})
		}
		t.Run("J-34 in the address it counts for nothing", func(t *testing.T) {
			s := s.With(t)
			s.Do(apitest.Request{Path: "/oauth2/userinfo?access_token=" + tokens.Access}).Want(401, "invalid_token")
			s.Do(apitest.Request{Path: "/oauth2/userinfo?access_token=x", Token: tokens.Access}).Want(200, "")
		})
		t.Run("of a first-party client, too", func(t *testing.T) {
			s := s.With(t)
			if got := ask(s, s.Login(f.alice, apitest.Fields{"scope": "openid email"}).Access); got["email"] != f.alice.Email {
				t.Errorf("%v", got)
			}
		})
		t.Run("of a token for a resource", func(t *testing.T) {
			s := s.With(t)
			ask(s, s.Redeem(f.alice, f.web, forAPI).Access)
		})
	}, withIntrospection)
}

func TestCustomClaims(t *testing.T) {
	all := []string{issuer.InAccessToken, issuer.InIDToken, issuer.InUserinfo}
	claims := []issuer.CustomClaim{
		{Name: "groups", From: "roles", In: all},
		{Name: "https://a.test/staff", From: "is_staff", In: []string{issuer.InIDToken}},
		{Name: "mail", From: "email", In: all, Scope: "email"},
		{Name: "tenant", Value: "acme", In: all},
		{Name: "roles", From: "roles", In: []string{issuer.InIDToken, issuer.InUserinfo}},
	}
	for _, c := range claims {
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
	}
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		u, err := s.DB.UserByID(t.Context(), f.alice.ID)
		if err != nil {
			t.Fatal(err)
		}
		u.Roles, u.IsStaff = []string{"editor"}, true
		if err := s.DB.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		look := func(t *testing.T, tokens apitest.Tokens, mail any) {
			t.Helper()
			access, id := apitest.Claims(tokens.Access), apitest.Claims(tokens.ID)
			var info apitest.Fields
			s.With(t).Do(apitest.Request{Path: "/oauth2/userinfo", Token: tokens.Access}).Want(200, "").JSON(&info)
			for where, c := range map[string]apitest.Fields{"access token": access, "ID token": id, "userinfo": info} {
				groups, _ := c["groups"].([]any)
				roles, _ := c["roles"].([]any)
				if !slices.Equal(groups, []any{"editor"}) || !slices.Equal(roles, groups) || c["tenant"] != "acme" ||
					c["mail"] != mail || c["sub"] != f.alice.ID {
					t.Errorf("%s: %v", where, c)
				}
				if staff := c["https://a.test/staff"]; (where == "ID token") != (staff == true) {
					t.Errorf("%s: staff %v", where, staff)
				}
			}
		}
		tokens := s.Redeem(f.alice, f.web)
		look(t, tokens, f.alice.Email)
		var next apitest.Tokens
		s.Do(s.RefreshRequest(f.web, tokens.Refresh)).Want(200, "").JSON(&next)
		look(t, next, f.alice.Email)
		look(t, s.Redeem(f.alice, f.web, func(c *userstore.Code) { c.Scopes = []string{"openid"} }), nil)
		look(t, s.Login(f.alice, apitest.Fields{"scope": "openid email"}), f.alice.Email)
		if got := s.Introspect(f.web, tokens.Access); got["tenant"] != "acme" {
			t.Errorf("introspection: %v", got)
		}
		var own apitest.Tokens
		s.Do(s.Authenticated(f.web, "/oauth2/token",
			url.Values{"grant_type": {"client_credentials"}})).Want(200, "").JSON(&own)
		if c := apitest.Claims(own.Access); c["tenant"] != "acme" || c["groups"] != nil || c["mail"] != nil {
			t.Errorf("in the client's own name: %v", c)
		}
	}, func(o *apitest.Options) {
		o.Configure = func(r *apitest.Replica) { r.Issuer.Claims = claims }
	})
}

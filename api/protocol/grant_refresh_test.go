package protocol_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

func TestRefreshAtTheTokenEndpoint(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		f := newStandard(s)
		tokens := s.Redeem(f.alice, f.web)
		for _, row := range []struct {
			name string
			by   apitest.Client
			edit func(url.Values)
			code string
		}{
			{"T-25 by another client", f.other, func(url.Values) {}, "invalid_grant"},
			{"T-25 by a public client", f.spa, func(url.Values) {}, "invalid_grant"},
			{"T-27 a character changed", f.web, func(v url.Values) {
				r := []byte(tokens.Refresh)
				r[len(r)/2] ^= 1
				v.Set("refresh_token", string(r))
			}, "invalid_grant"},
			{"T-27 truncated", f.web, func(v url.Values) { v.Set("refresh_token", tokens.Refresh[:len(tokens.Refresh)-1]) },
				"invalid_grant"},
			{"T-27 a NUL", f.web, func(v url.Values) { v.Set("refresh_token", tokens.Refresh+"\x00") }, "invalid_grant"},
			{"an access token", f.web, func(v url.Values) { v.Set("refresh_token", tokens.Access) }, "invalid_grant"},
			{"an ID token", f.web, func(v url.Values) { v.Set("refresh_token", tokens.ID) }, "invalid_grant"},
			{"nothing but a scope that was not granted", f.web, func(v url.Values) { v.Set("scope", "address") },
				"invalid_scope"},
			{"a resource that was not granted", f.web, func(v url.Values) { v.Set("resource", "https://api.test") },
				"invalid_target"},
		} {
			t.Run(row.name, func(t *testing.T) {
				s := s.With(t)
				q := s.RefreshRequest(row.by, tokens.Refresh)
				row.edit(q.Form)
				s.Unchanged(func() { s.Do(q).Want(400, row.code) })
			})
		}
		t.Run("T-27 1 MiB", func(t *testing.T) {
			s := s.With(t)
			s.Unchanged(func() { s.Do(s.RefreshRequest(f.web, strings.Repeat("x", 1<<20))).Want(413, "invalid_request") })
		})
		t.Run("with less scope", func(t *testing.T) {
			s := s.With(t)
			q := s.RefreshRequest(f.web, tokens.Refresh)
			q.Form.Set("scope", "profile")
			var less apitest.Tokens
			s.Do(q).Want(200, "").JSON(&less)
			if less.Scope != "profile" || less.ID != "" {
				t.Errorf("%+v", less)
			}
		})
		t.Run("T-19, T-18 answered again, then a replay", func(t *testing.T) {
			s := s.With(t)
			first := s.Redeem(f.alice, f.web)
			var second, again, third apitest.Tokens
			s.Do(s.RefreshRequest(f.web, first.Refresh)).Want(200, "").JSON(&second)
			s.Do(s.RefreshRequest(f.web, first.Refresh)).Want(200, "").JSON(&again)
			if again.Refresh != second.Refresh {
				t.Error("another successor")
			}
			s.Do(s.RefreshRequest(f.web, second.Refresh)).Want(200, "").JSON(&third)
			s.Do(s.RefreshRequest(f.web, first.Refresh)).Want(400, "invalid_grant")
			s.Do(s.RefreshRequest(f.web, third.Refresh)).Want(400, "invalid_grant")
			if s.Introspect(f.web, third.Access)["active"] != false {
				t.Error("its access token lives")
			}
		})
		t.Run("T-28 after the idle limit", func(t *testing.T) {
			s := s.With(t)
			idle := s.Redeem(f.alice, f.web)
			s.Advance(337 * time.Hour)
			s.Do(s.RefreshRequest(f.web, idle.Refresh)).Want(400, "invalid_grant")
		})
		t.Run("the account API does not take it: the client is not first-party", func(t *testing.T) {
			s := s.With(t)
			fresh := s.Redeem(f.alice, f.web)
			s.Unchanged(func() { s.Refresh(fresh.Refresh).Want(401, "token_invalid") })
			s.Do(apitest.Request{Path: "/v1/profile", Token: fresh.Access}).Want(401, "token_invalid")
		})
		t.Run("a client that is no longer registered for it is refused, and the grant stays", func(t *testing.T) {
			s := s.With(t)
			was := s.Register(userstore.Client{ID: "was"})
			fresh := s.Redeem(f.alice, was)
			c, err := s.DB.ClientByID(t.Context(), "was")
			if err != nil {
				t.Fatal(err)
			}
			c.GrantTypes = []string{userstore.GrantAuthorizationCode}
			if err := s.DB.UpdateClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			s.Unchanged(func() { s.Do(s.RefreshRequest(was, fresh.Refresh)).Want(400, "unauthorized_client") })
		})
	}, withIntrospection)
}

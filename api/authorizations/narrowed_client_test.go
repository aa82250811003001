package authorizations_test

import (
	"net/http"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// What a client is no longer registered for it gets from no grant of before.
func TestA24GrantsAreHeldToWhatTheClientIsRegisteredFor(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		alice := s.SignUp("alice")
		c := s.Register(userstore.Client{ID: "web", Scopes: []string{"openid", "profile", "email"}})
		wishes := func(code *userstore.Code) { code.Claims = `{"id_token":{"email":null}}` }
		before := s.Redeem(alice, c, wishes)
		if before.Scope != "openid profile email" || apitest.Claims(before.ID)["email"] != alice.Email {
			t.Fatalf("scope %q, ID token %v", before.Scope, apitest.Claims(before.ID))
		}
		code := s.Code(alice, c, wishes)
		row, err := s.DB.ClientByID(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		row.Scopes = []string{"openid", "profile"}
		if err := s.DB.UpdateClient(t.Context(), row); err != nil {
			t.Fatal(err)
		}

		if told := userinfoOf(s, before); told["email"] != nil || told["sub"] != alice.ID {
			t.Errorf("userinfo tells %v", told)
		}
		if scope := s.Introspect(c, before.Access)["scope"]; scope != "openid profile" {
			t.Errorf("introspection says scope %q", scope)
		}
		if scope := s.Introspect(c, before.Refresh)["scope"]; scope != "openid profile" {
			t.Errorf("introspection of the refresh token says scope %q", scope)
		}
		asked := s.RefreshRequest(c, before.Refresh)
		asked.Form.Set("scope", "email")
		s.Unchanged(func() { s.Do(asked).Want(http.StatusBadRequest, "invalid_scope") })
		var after apitest.Tokens
		s.Do(s.RefreshRequest(c, before.Refresh)).Want(http.StatusOK, "").JSON(&after)
		if after.Scope != "openid profile" || apitest.Claims(after.Access)["scope"] != "openid profile" ||
			apitest.Claims(after.ID)["email"] != nil {
			t.Errorf("a refresh gets scope %q, ID token %v", after.Scope, apitest.Claims(after.ID))
		}
		s.Do(s.CodeRequest(c, code)).Want(http.StatusOK, "").JSON(&after)
		if after.Scope != "openid profile" || apitest.Claims(after.ID)["email"] != nil {
			t.Errorf("a code gets scope %q, ID token %v", after.Scope, apitest.Claims(after.ID))
		}
	})
}

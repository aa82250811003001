package admin_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// An admin registers a client for the response types that are on, and for no others.
func TestResponseTypesOverHTTP(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		_, admin := s.Admin("root")
		do := s.AdminOf(admin.Access)
		body := apitest.Fields{"client_id": "web", "client_name": "Web", "redirect_uris": []string{"https://web.test/cb"},
			"token_endpoint_auth_method": "none"}
		s.Unchanged(func() {
			for _, row := range []struct{ types, faults string }{
				{"code token", "response_types.0:invalid"}, {"token", "response_types.0:invalid"}, {"none", "response_types.0:invalid"},
			} {
				a := do("POST", "", body.With("response_types", []string{row.types})).Want(400, "validation_error")
				if a.Faults() != row.faults {
					t.Errorf("%s: %s", row.types, a.Faults())
				}
			}
		})
		var made userstore.ClientDocument
		do("POST", "", body.With("response_types", []string{"id_token code"})).Want(201, "").JSON(&made)
		if !slices.Equal(made.ResponseTypes, []string{"code id_token"}) ||
			strings.Join(made.GrantTypes, " ") != "authorization_code implicit" {
			t.Errorf("made %+v", made)
		}
		do("PATCH", "/web", apitest.Fields{"grant_types": []string{"authorization_code"}}).Want(400, "validation_error")
		var patched userstore.ClientDocument
		do("PATCH", "/web", apitest.Fields{"grant_types": []string{"authorization_code"}, "response_types": []string{"code"}}).
			Want(200, "").JSON(&patched)
		if !slices.Equal(patched.ResponseTypes, []string{"code"}) {
			t.Errorf("patched %+v", patched)
		}
	}, apitest.Configured(func(r *apitest.Replica) { r.API.Clients.ResponseTypes = []string{"code", "code id_token"} }))
}

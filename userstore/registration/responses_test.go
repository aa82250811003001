package registration_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// TestBoundTokensComeFromTheTokenEndpoint: a client whose access tokens are bound to its key is registered
// for no response type with one, and the client of the account API is none.
func TestBoundTokensComeFromTheTokenEndpoint(t *testing.T) {
	db := sqltest.SQLite(t)
	r, _ := newRegistry(db)
	r.ResponseTypes = userstore.ResponseTypes
	bound := app()
	bound.DPoPBoundAccessTokens = true
	if made, _, err := r.Create(t.Context(), bound, ""); err != nil || !made.DPoPBoundAccessTokens {
		t.Errorf("with code alone: %v", err)
	}
	bound.ResponseTypes = []string{"code token"}
	if _, _, err := r.Create(t.Context(), bound, ""); err == nil || !strings.Contains(err.Error(), "dpop_bound_access_tokens") {
		t.Errorf("with code token: %v", err)
	}
}

// RFC 7591 section 2: response types and grant types go together, each follows from the
// other, and nobody is registered for what is off.
func TestResponseTypesOfAClient(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		r.ResponseTypes = []string{"code", "id_token", "code id_token"}
		for _, row := range []struct {
			name          string
			types, grants []string
			want          string // response types; grant types; or the faults
		}{
			{"neither", nil, nil, "code; authorization_code"},
			{"id_token", []string{"id_token"}, nil, "id_token; implicit"},
			{"in another order", []string{"id_token code"}, nil, "code id_token; authorization_code implicit"},
			{"several", []string{"code", "id_token"}, nil, "code, id_token; authorization_code implicit"},
			{"with their grant types", []string{"code id_token"}, []string{"implicit", "authorization_code", "refresh_token"},
				"code id_token; implicit authorization_code refresh_token"},

			{"off", []string{"code token"}, nil, "response_types.0 invalid"},
			{"unknown", []string{"code", "evil"}, nil, "response_types.1 invalid"},
			{"token", []string{"token"}, nil, "response_types.0 invalid"},
			{"none", []string{"none"}, nil, "response_types.0 invalid"},
			{"one twice, in two orders", []string{"code id_token", "id_token code"}, nil, "response_types.1 invalid"},
			{"without implicit", []string{"id_token"}, []string{"authorization_code"}, "response_types invalid"},
			{"without authorization_code", []string{"code id_token"}, []string{"implicit"}, "response_types invalid"},
			{"implicit for nothing", []string{"code"}, []string{"authorization_code", "implicit"}, "response_types invalid"},
			{"implicit alone", nil, []string{"implicit"}, "response_types invalid"},
		} {
			t.Run(row.name, func(t *testing.T) {
				c := userstore.Client{Name: "App", GrantTypes: row.grants, ClientMetadata: userstore.ClientMetadata{
					RedirectURIs: []string{"https://app.test/cb"}, ResponseTypes: row.types}}
				made, _, err := r.Create(t.Context(), c, "")
				got := strings.Join(made.ResponseTypes, ", ") + "; " + strings.Join(made.GrantTypes, " ")
				if err != nil {
					got = strings.Join(fields(t, err), ", ")
				}
				if got != row.want {
					t.Errorf("got %s, want %s", got, row.want)
				}
				for _, one := range userstore.ResponseTypes {
					if made.Answers(one) != (err == nil && slices.Contains(made.ResponseTypes, one)) {
						t.Errorf("answered %s: %t", one, made.Answers(one))
					}
				}
			})
		}

		// What is turned off later stays in the registration, and does not stand in the way of edits.
		c := userstore.Client{Name: "App", ClientMetadata: userstore.ClientMetadata{
			RedirectURIs: []string{"https://app.test/cb"}, ResponseTypes: []string{"id_token"}}}
		made, _, err := r.Create(t.Context(), c, "")
		if err != nil {
			t.Fatal(err)
		}
		r.ResponseTypes = nil
		edited, _, err := r.Edit(t.Context(), made.ID, "", func(c *userstore.Client) error { c.Name = "Renamed"; return nil })
		if err != nil || !slices.Equal(edited.ResponseTypes, []string{"id_token"}) {
			t.Errorf("renamed: %+v, %v", edited, err)
		}
		_, _, err = r.Edit(t.Context(), made.ID, "", func(c *userstore.Client) error {
			c.ResponseTypes = append(c.ResponseTypes, "code id_token")
			c.GrantTypes = append(c.GrantTypes, "authorization_code")
			return nil
		})
		if got := strings.Join(fields(t, err), ", "); got != "response_types.1 invalid" {
			t.Errorf("one more: %s", got)
		}
	})
}

package registration_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A scheme of one word is accepted only if the configuration lists it, and only for a public
// client. A client that has one can still be edited when the configuration no longer lists it.
func TestSchemesOfOneWordAreConfigured(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		native := func(uris ...string) userstore.Client {
			c := app()
			c.AuthMethod, c.RedirectURIs = userstore.AuthNone, uris
			return c
		}
		confidential := app()
		confidential.RedirectURIs = []string{"cursor://app/cb"}
		afterLogout := native("https://app.test/cb")
		afterLogout.PostLogoutRedirectURIs = []string{"cursor://app/bye"}
		for _, row := range []struct {
			name    string
			schemes []string
			client  userstore.Client
			want    string
		}{
			{"not configured", nil, native("cursor://app/cb"), "redirect_uris.0 invalid"},
			{"another one configured", []string{"vscode"}, native("cursor://app/cb"), "redirect_uris.0 invalid"},
			{"one that begins alike", []string{"cursor"}, native("cursors://app/cb", "cur://app/cb"),
				"redirect_uris.0 invalid, redirect_uris.1 invalid"},
			{"configured", []string{"vscode", "cursor"},
				native("cursor://app/cb", "vscode://publisher.app/done", "cursor:/cb"), ""},
			{"after logout", []string{"cursor"}, afterLogout, ""},
			{"after logout, not configured", nil, afterLogout, "post_logout_redirect_uris.0 invalid"},
			{"of a confidential client", []string{"cursor"}, confidential, "redirect_uris.0 invalid"},
			{"with a user name", []string{"cursor"}, native("cursor://a@app/cb"), "redirect_uris.0 invalid"},
			{"with a fragment", []string{"cursor"}, native("cursor://app/cb#x"), "redirect_uris.0 invalid"},
			{"a domain turned around needs no entry", nil, native("com.example.app:/cb"), ""},
			{"what browsers use themselves stays out", []string{"cursor"}, native("javascript:alert(1)", "data:text/html,x"),
				"redirect_uris.0 invalid, redirect_uris.1 invalid"},
		} {
			t.Run(row.name, func(t *testing.T) {
				r.RedirectSchemes = row.schemes
				_, _, err := r.Create(t.Context(), row.client, "")
				switch {
				case row.want == "" && err != nil:
					t.Fatal(err)
				case row.want != "" && strings.Join(fields(t, err), ", ") != row.want:
					t.Errorf("%v, want %s", fields(t, err), row.want)
				}
			})
		}
		r.RedirectSchemes = []string{"cursor"}
		made, _, err := r.Create(t.Context(), native("cursor://app/cb"), "")
		if err != nil {
			t.Fatal(err)
		}
		r.RedirectSchemes = nil
		if _, _, err := r.Edit(t.Context(), made.ID, "",
			func(c *userstore.Client) error { c.Name = "Renamed"; return nil }); err != nil {
			t.Errorf("it cannot be renamed: %v", err)
		}
		_, _, err = r.Edit(t.Context(), made.ID, "", func(c *userstore.Client) error {
			c.RedirectURIs = append(c.RedirectURIs, "cursor://app/other")
			return nil
		})
		if got := strings.Join(fields(t, err), ", "); got != "redirect_uris.1 invalid" {
			t.Errorf("another one: %s", got)
		}
	})
}

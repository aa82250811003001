package registration_test

import (
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// Where a client hears of logouts is an https address without a fragment.
func TestBackchannelLogoutURI(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		r, _ := newRegistry(db)
		for _, row := range []struct {
			uri      string
			change   func(*userstore.Client)
			want     string // "field code"; empty: accepted
			required bool   // backchannel_logout_session_required
		}{
			{uri: "https://app.test/out"},
			{uri: "https://app.test:8443/out?tenant=a%20b", required: true},
			{uri: "https://127.0.0.1:8443/out"}, // refused when it is asked, unless outbound.allow_hosts names it
			{uri: ""},
			{uri: "", required: true, want: "backchannel_logout_uri required"},
			{uri: "https://app.test/out#x", want: "backchannel_logout_uri invalid"},
			{uri: "https://app.test/out#", want: "backchannel_logout_uri invalid"},
			{uri: "http://app.test/out", want: "backchannel_logout_uri invalid"},
			{uri: "http://localhost/out", want: "backchannel_logout_uri invalid"},
			{uri: "http://127.0.0.1/out", want: "backchannel_logout_uri invalid"},
			{uri: "https://u:p@app.test/out", want: "backchannel_logout_uri invalid"},
			{uri: "https:///out", want: "backchannel_logout_uri invalid"},
			{uri: "/out", want: "backchannel_logout_uri invalid"},
			{uri: "javascript:alert(1)", want: "backchannel_logout_uri invalid"},
			{uri: "file:///etc/passwd", want: "backchannel_logout_uri invalid"},
			{uri: "https://app.test/o ut", want: "backchannel_logout_uri invalid"},
			{uri: "https://app.test/" + strings.Repeat("x", 10<<10), want: "backchannel_logout_uri too_long"},
			{uri: "https://app.test/out", want: "backchannel_logout_uri invalid", change: func(c *userstore.Client) {
				c.GrantTypes, c.RedirectURIs = []string{userstore.GrantClientCredentials}, nil
			}},
			{uri: "https://app.test/out", change: func(c *userstore.Client) {
				c.FirstParty, c.AuthMethod, c.RedirectURIs = true, userstore.AuthNone, nil
			}},
		} {
			c := app()
			c.BackchannelLogoutURI, c.BackchannelLogoutSessionRequired = row.uri, row.required
			if row.change != nil {
				row.change(&c)
			}
			made, _, err := r.Create(t.Context(), c, "")
			if row.want != "" {
				if got := strings.Join(fields(t, err), ", "); got != row.want {
					t.Errorf("%.80q: %s, want %s", row.uri, got, row.want)
				}
				continue
			}
			if err != nil {
				t.Errorf("%q: %v", row.uri, err)
				continue
			}
			stored, err := db.ClientByID(t.Context(), made.ID)
			if err != nil || stored.BackchannelLogoutURI != row.uri || stored.BackchannelLogoutSessionRequired != row.required {
				t.Errorf("%q: stored %+v (%v)", row.uri, stored, err)
			}
		}

		made, _, err := r.Create(t.Context(), app(), "")
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = r.Edit(t.Context(), made.ID, "", func(c *userstore.Client) error {
			c.BackchannelLogoutURI, c.BackchannelLogoutSessionRequired = "https://app.test/out", true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		events := strings.Join(clientEvents(t, db, made.ID), "\n")
		if !strings.Contains(events, "backchannel_logout_uri=>https://app.test/out") ||
			!strings.Contains(events, "backchannel_logout_session_required=false>true") {
			t.Error(events)
		}
	})
}

package registrations_test

import (
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// TestManagementIsRefused: everything but the client's own registration access token, and what a
// client may not say.
func TestManagementIsRefused(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		c := take(s, register(s, shop(), "").Want(201, ""))
		other := take(s, register(s, shop(), "").Want(201, ""))
		web := s.WebClient()
		_, root := s.Admin("root")
		_, initial := initialToken(s, registration.NewToken{Uses: 5})
		replacement := shop().With("client_id", c.ID)
		leavesNothing(s, func() {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				for _, row := range []struct{ name, id, access, code string }{
					{"no token", c.ID, "", "invalid_token"},
					{"another client's token", c.ID, other.Access, "invalid_token"},
					{"its secret", c.ID, c.Secret, "invalid_token"},
					{"an initial access token", c.ID, initial, "invalid_token"},
					{"an admin's access token", c.ID, root.Access, "invalid_token"},
					{"half of it", c.ID, c.Access[:20], "invalid_token"},
					{"an unknown client", "nobody", c.Access, "invalid_token"},
					{"a client of an operator", web.ID, c.Access, "invalid_token"},
					{"the built-in one", "signet", c.Access, "invalid_token"},
				} {
					t.Run(method+" "+row.name, func(t *testing.T) {
						as := registered{Client: apitest.Client{Client: userstore.Client{ID: row.id}}, Access: row.access}
						manage(s.With(t), method, as, replacement.With("client_id", row.id)).Want(401, row.code)
					})
				}
			}
			for _, row := range []struct {
				name string
				body apitest.Fields
			}{
				{"no client_id", shop()},
				{"another client_id", shop().With("client_id", other.ID)},
				{"another secret", replacement.With("client_secret", other.Secret)},
				{"a secret of its choice", replacement.With("client_secret", "a secret of its own choice")},
				{"the access token", replacement.With("registration_access_token", c.Access)},
				{"the address", replacement.With("registration_client_uri", "https://id.test")},
				{"when it was issued", replacement.With("client_id_issued_at", 1)},
				{"when the secret ends", replacement.With("client_secret_expires_at", 0)},
			} {
				t.Run(row.name, func(t *testing.T) { manage(s.With(t), "PUT", c, row.body).Want(400, "invalid_request") })
			}
		})
	}, mode(issuer.RegistrationOpen))
}

// TestWhatOperatorsDecidedStays: a client does not enable itself, nor lead a first-party client
// elsewhere, nor lose or gain by a replacement what only operators give.
func TestWhatOperatorsDecidedStays(t *testing.T) {
	apitest.Each(t, func(t *testing.T, s *apitest.Server) {
		clients := s.Replicas[0].API.Clients
		c := take(s, register(s, shop(), "").Want(201, ""))
		_, _, err := clients.Edit(t.Context(), c.ID, "", func(c *userstore.Client) error {
			c.PKCE, c.IDTokenClaims, c.Resources = userstore.PKCEOptional, true, []string{"https://api.test"}
			c.GrantTypes = append(c.GrantTypes, userstore.GrantClientCredentials)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		read := take(s, manage(s, "GET", c, nil).Want(200, "")) // says nothing of what is not of the standard
		same(t, "read", read.Fields, c.Fields.With("client_secret", nil).With("grant_types", []string{"authorization_code", "client_credentials"}))
		body := shop().With("client_id", c.ID).With("grant_types", read.Fields["grant_types"])
		manage(s, "PUT", c, body).Want(200, "")
		stored, err := s.DB.ClientByID(t.Context(), c.ID)
		if err != nil || stored.PKCE != userstore.PKCEOptional || !stored.IDTokenClaims || len(stored.Resources) != 1 || len(stored.GrantTypes) != 2 {
			t.Errorf("%+v, %v", stored, err)
		}
		if !stored.UnusedUntil.IsZero() {
			t.Error("an operator edited it, and it expires")
		}
		// What it gave up it does not get back.
		manage(s, "PUT", c, shop().With("client_id", c.ID)).Want(200, "")
		manage(s, "PUT", c, body).Want(400, "invalid_client_metadata")

		for _, act := range []struct {
			name string
			do   func() error
		}{
			{"disabled", func() error { return clients.SetActive(t.Context(), c.ID, false) }},
			{"first-party", func() error {
				if err := clients.SetActive(t.Context(), c.ID, true); err != nil {
					return err
				}
				_, _, err := clients.Edit(t.Context(), c.ID, "", func(c *userstore.Client) error { c.FirstParty = true; return nil })
				return err
			}},
		} {
			if err := act.do(); err != nil {
				t.Fatal(err)
			}
			leavesNothing(s, func() {
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					manage(s, method, c, shop().With("client_id", c.ID).With("disabled", false)).Want(403, "access_denied")
				}
			})
		}
	}, mode(issuer.RegistrationOpen), func(o *apitest.Options) { o.Resources = []issuer.Resource{{URI: "https://api.test"}} })
}

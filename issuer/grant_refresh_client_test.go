package issuer_test

import (
	"encoding/base64"
	"testing"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

func TestT25AnotherClientsToken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.client(userstore.Client{ID: "other", AuthMethod: userstore.AuthNone, FirstParty: true,
			GrantTypes: []string{"refresh_token"}})
		w.client(userstore.Client{ID: "third", AuthMethod: userstore.AuthNone, GrantTypes: []string{"refresh_token"}})
		token := w.login("profile").RefreshToken
		w.untouched(token, func() {
			_, err := w.Refresh(t.Context(),
				issuer.RefreshRequest{RefreshToken: token, ClientID: "other", FirstParty: true})
			w.refused(err, issuer.InvalidGrant)
			_, err = w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token})
			w.refused(err, issuer.InvalidClient)
			// A thief of a signing key and a refresh token cannot move the token to another client.
			stolen := w.forge(jose.EdDSA, issuer.TypeRefreshToken,
				with(w.claims(token), map[string]any{"client_id": "other"}))
			for _, r := range []issuer.RefreshRequest{
				{RefreshToken: stolen, FirstParty: true}, {RefreshToken: stolen, ClientID: "other"},
				{RefreshToken: stolen, ClientID: "other", Scope: "profile"},
			} {
				_, err := w.Refresh(t.Context(), r)
				w.refused(err, issuer.InvalidGrant)
			}
		})
		// The right client gets it, named or not.
		next, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token, ClientID: "app"})
		w.must(err)
		w.refreshed(next.RefreshToken)
	})
}

// /v1/refresh serves public first-party clients only; the grants of others stay.
func TestFirstPartyOnly(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for id, c := range map[string]userstore.Client{
			"third":        {AuthMethod: userstore.AuthNone},
			"confidential": {FirstParty: true},
		} {
			t.Run(id, func(t *testing.T) {
				w := w.in(t)
				c.ID, c.GrantTypes = id, []string{"refresh_token"}
				w.client(c)
				token := w.grantFor(id)
				w.untouched(token, func() {
					for _, scope := range []string{"", "profile"} {
						_, err := w.Refresh(t.Context(),
							issuer.RefreshRequest{RefreshToken: token, Scope: scope, FirstParty: true})
						w.refused(err, issuer.InvalidGrant)
					}
				})
				r, err := w.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: token, ClientID: id})
				w.must(err)
				if c := w.claims(r.AccessToken); c["client_id"] != id {
					t.Errorf("client_id %v", c["client_id"])
				}
			})
		}
	})
}

// grantFor stores a grant of alice for a client that /v1/login would not serve,
// and makes its refresh token by hand.
func (w *world) grantFor(client string) string {
	w.Helper()
	alice, err := w.db.UserByID(w.Context(), w.alice.ID)
	w.must(err)
	now := w.clock.Now()
	g := userstore.Grant{
		ID: w.NewGrant(), SessionID: newID(), UserID: alice.ID, ClientID: client, Scopes: []string{"openid", "profile"},
		AuthTime: now, AMR: []string{"pwd"}, ACR: "1",
		Generation: 1, RotatedAt: now, CreatedAt: now, ExpiresAt: now.Add(w.RefreshAbsolute),
	}
	w.must(w.db.StartGrant(w.Context(), userstore.StartGrant{Grant: g, PasswordHash: alice.PasswordHash}))
	jti, err := w.ring.RefreshJTI(g.ID, 1)
	w.must(err)
	return w.forge(jose.EdDSA, issuer.TypeRefreshToken, map[string]any{
		"iss": issuerURL, "aud": issuerURL, "client_id": client, "grant": base64.RawURLEncoding.EncodeToString(g.ID[:]),
		"gen": 1, "jti": jti, "iat": now.Unix(), "exp": now.Add(w.RefreshIdle).Unix(),
	})
}

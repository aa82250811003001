package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// An algorithm stays as long as a client names it, by whichever member.
func TestAnAlgorithmThatAClientNamesIsNotTakenAway(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		kek, err := jose.ParseKEK(keystest.KEK)
		if err != nil {
			t.Fatal(err)
		}
		ctx := audit.WithOrigin(context.Background(), system)
		start := func(algorithms ...string) error {
			m := &keys.Manager{Store: db, KEKs: []jose.KEK{kek}, Now: time.Now, DatabaseNow: db.Now, Generate: keystest.Generator(),
				TypesToSign: issuer.TokenTypes, AlgorithmInUse: registeredFor(db),
				Policy: keys.Policy{Algorithms: algorithms, Rotation: 720 * time.Hour, Propagation: time.Hour,
					JWKSMaxAge: 5 * time.Minute, ClockSkew: time.Minute, LongestLifetime: 10 * time.Minute,
					RefreshAbsolute: 720 * time.Hour}}
			return m.Start(ctx)
		}
		if err := start(jose.RS256, jose.EdDSA, jose.ES256, jose.PS256); err != nil {
			t.Fatal(err)
		}
		for _, row := range []struct {
			alg, member string
			set         func(c *userstore.Client, alg string)
		}{
			{jose.ES256, "id_token_signed_response_alg", func(c *userstore.Client, alg string) { c.IDTokenAlg = alg }},
			{jose.EdDSA, "userinfo_signed_response_alg", func(c *userstore.Client, alg string) { c.UserinfoAlg = alg }},
			{jose.PS256, "introspection_signed_response_alg", func(c *userstore.Client, alg string) { c.IntrospectionAlg = alg }},
		} {
			c := userstore.Client{ID: "c" + row.alg, Name: "C", AuthMethod: userstore.AuthBasic}
			row.set(&c, row.alg)
			if err := db.CreateClient(ctx, c); err != nil {
				t.Fatal(err)
			}
			err := start(jose.RS256)
			want := row.alg + " cannot be taken away while client c" + row.alg + " (" + row.member + ") is registered for it"
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", row.member, err)
			}
			if err := db.DeleteClient(ctx, c.ID); err != nil {
				t.Fatal(err)
			}
		}
		if err := start(jose.RS256); err != nil {
			t.Errorf("no client is left: %v", err)
		}
	})
}

package keys_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// sameFactorKeys checks that two replicas derive the same keys from the factor secret.
func sameFactorKeys(t *testing.T, a, b *keys.Manager) {
	t.Helper()
	for _, p := range []keys.FactorPurpose{keys.AuthenticatorApps, keys.RecoveryCodes} {
		keyA, errA := a.FactorKey(p)
		keyB, errB := b.FactorKey(p)
		if errA != nil || errB != nil || !bytes.Equal(keyA, keyB) {
			t.Errorf("replicas have different factor secrets: %v, %v", errA, errB)
		}
	}
}

// olderServers is the store as servers of versions before second factors use it.
type olderServers struct{ keys.Store }

func (s olderServers) LoadRing(ctx context.Context) (keys.Ring, error) {
	ring, err := s.Store.LoadRing(ctx)
	ring.FactorSecret = ""
	return ring, err
}

func (s olderServers) ChangeRing(ctx context.Context, version int64, c keys.Change) error {
	c.FactorSecret = ""
	return s.Store.ChangeRing(ctx, version, c)
}

// Servers that start at once on a store from before second factors make one factor secret, while a
// server of the older version works beside them.
func TestFactorSecretRace(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		c := startClock()
		older := managers(t, olderServers{db}, c, 1)[0]
		if err := older.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, err := db.LoadRing(t.Context())
		if err != nil || before.FactorSecret != "" {
			t.Fatalf("%q, %v", before.FactorSecret, err)
		}
		all := managers(t, db, c, 6)
		together(t, append(all, older), func(m *keys.Manager) error {
			if m == older {
				_, err := m.Revoke(t.Context(), nil, true)
				return err
			}
			return m.Start(t.Context())
		})
		for _, m := range all {
			if err := m.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			sameFactorKeys(t, all[0], m)
		}
		after, err := db.LoadRing(t.Context())
		if err != nil || after.Version != before.Version+2 || after.FactorSecret == "" {
			t.Errorf("version %d after %d, want one change for the secret and one for the revocation: %v",
				after.Version, before.Version, err)
		}
		agree(t, all)
	})
}

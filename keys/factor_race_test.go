package keys_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/factorseal"
	"github.com/signet-id/signet/internal/jose"
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

// A rewrap under live replicas: what was sealed under the factor secret opens before, during and
// after it, at servers that never stop, and at a server that has only the new key-encryption key.
func TestRewrapKeepsWhatTheFactorSecretSealed(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		kek, err := jose.ParseKEK(jose.NewKEK())
		if err != nil {
			t.Fatal(err)
		}
		all := managers(t, db, startClock(), 5)
		live, operator, after := all[:3], all[3], all[4]
		old := operator.KEKs[0]
		for _, m := range live {
			m.KEKs = []jose.KEK{old, kek}
		}
		operator.KEKs, after.KEKs = []jose.KEK{kek, old}, []jose.KEK{kek}
		together(t, live, func(m *keys.Manager) error { return m.Start(t.Context()) })

		const user, app, secret = "the user", "the app", "12345678901234567890"
		key, err := live[0].FactorKey(keys.AuthenticatorApps)
		if err != nil {
			t.Fatal(err)
		}
		sealed := factorseal.Seal(key, user, app, []byte(secret))
		opens := func(m *keys.Manager) {
			key, err := m.FactorKey(keys.AuthenticatorApps)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := factorseal.Open(key, user, app, sealed); err != nil || string(got) != secret {
				t.Errorf("%q, %v", got, err)
			}
		}

		var replicas sync.WaitGroup
		rewrapped := make(chan struct{})
		for _, m := range live {
			replicas.Go(func() {
				for last := false; !last; {
					select {
					case <-rewrapped:
						last = true // one more round, on the new ring
					default:
					}
					if err := m.Step(t.Context()); err != nil {
						t.Error(err)
					}
					opens(m)
				}
			})
		}
		report, err := operator.Rewrap(t.Context())
		close(rewrapped)
		replicas.Wait()
		if err != nil || !strings.HasPrefix(report.Message, "The refresh secret, the factor secret and 4 private keys are") {
			t.Fatalf("%q, %v", report.Message, err)
		}
		ring, err := db.LoadRing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if id, err := jose.SealedUnder(ring.FactorSecret); err != nil || id != kek.ID {
			t.Errorf("sealed under %s, %v", id, err)
		}
		if err := after.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		opens(after)
		sameFactorKeys(t, live[0], after)
	})
}

// F-20: a server that dies at any moment of its first start on a store from before leaves no factor
// secret or a whole one, and no later start makes another.
func TestF20CrashWhileTheFactorSecretIsMade(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		c := startClock()
		older := managers(t, olderServers{db}, c, 1)[0]
		if err := older.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		made, crashes := "", 0
		for calls := 0; ; calls++ {
			victim := managers(t, &dying{Store: db, left: calls}, c, 1)[0]
			err := victim.Start(t.Context())
			if err != nil && !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			ring, loadErr := db.LoadRing(t.Context())
			if loadErr != nil {
				t.Fatal(loadErr)
			}
			if made != "" && ring.FactorSecret != made {
				t.Fatalf("after a crash at call %d there is another secret", calls)
			}
			if made = ring.FactorSecret; err != nil && made != "" {
				crashes++
				survivor := managers(t, db, c, 1)[0]
				if err := survivor.Start(t.Context()); err != nil {
					t.Fatalf("after a crash at call %d: %v", calls, err)
				}
				sameFactorKeys(t, survivor, survivor)
			}
			if stepErr := older.Step(t.Context()); stepErr != nil {
				t.Fatalf("the older server, after a crash at call %d: %v", calls, stepErr)
			}
			if err == nil {
				break
			}
		}
		if made == "" || crashes == 0 {
			t.Error("no crash came after the secret was made: the test looks at the wrong thing")
		}
	})
}

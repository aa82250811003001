package keys_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// managers returns replicas on one real store, not started yet. They use Ed25519 and P-256 keys,
// because losers of a race throw their keys away.
func managers(t *testing.T, store keys.Store, c *clock, n int) []*keys.Manager {
	t.Helper()
	kek, err := jose.ParseKEK(keystest.KEK)
	if err != nil {
		t.Fatal(err)
	}
	var all []*keys.Manager
	for range n {
		all = append(all, &keys.Manager{
			Store: store, KEKs: []jose.KEK{kek}, Now: c.now, Generate: keystest.Generator(), TypesToSign: []string{"at+jwt"},
			DatabaseNow: func(context.Context) (time.Time, error) { return c.now(), nil },
			Policy: keys.Policy{
				Algorithms: []string{jose.EdDSA, jose.ES256}, Rotation: 720 * time.Hour, Propagation: time.Hour,
				JWKSMaxAge: 5 * time.Minute,
				ClockSkew:  time.Minute, LongestLifetime: 10 * time.Minute, RefreshAbsolute: 24 * time.Hour,
			},
		})
	}
	return all
}

func startClock() *clock { return &clock{at: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

// together runs act for all managers at the same time.
func together(t *testing.T, all []*keys.Manager, act func(*keys.Manager) error) {
	t.Helper()
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for _, m := range all {
		wg.Go(func() {
			<-begin
			if err := act(m); err != nil {
				t.Error(err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// agree checks that all managers publish the same bytes and sign with the same keys.
func agree(t *testing.T, all []*keys.Manager) {
	t.Helper()
	first, err := all[0].JWKS()
	if err != nil {
		t.Fatal(err)
	}
	noPrivateMembers(t, first.Body)
	for _, m := range all {
		if doc, err := m.JWKS(); err != nil || !bytes.Equal(doc.Body, first.Body) {
			t.Fatalf("replicas publish different keys: %v", err)
		}
		for _, alg := range []string{jose.EdDSA, jose.ES256} {
			a, errA := all[0].Signer(alg)
			b, errB := m.Signer(alg)
			if errA != nil || errB != nil || a.KeyID() != b.KeyID() || a.Algorithm() != alg {
				t.Fatalf("replicas sign with different %s keys: %v, %v", alg, errA, errB)
			}
		}
	}
}

// count returns how many keys of alg the store has, whose seq must be without gaps.
func count(t *testing.T, store keys.Store, alg string) int {
	t.Helper()
	ring, err := store.LoadRing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, k := range ring.Keys {
		if k.Algorithm == alg {
			if n++; k.Seq != int64(n) {
				t.Errorf("key %d of %s has seq %d", n, alg, k.Seq)
			}
		}
	}
	return n
}

func TestFirstStartRace(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		all := managers(t, db, startClock(), 6)
		together(t, all, func(m *keys.Manager) error { return m.Start(t.Context()) })
		agree(t, all)
		if n := count(t, db, jose.EdDSA) + count(t, db, jose.ES256); n != 4 {
			t.Errorf("%d keys, want an active one and a successor for each of two algorithms", n)
		}
		jti, _ := all[0].RefreshJTI([16]byte{1}, 1)
		for _, m := range all {
			if got, err := m.RefreshJTI([16]byte{1}, 1); err != nil || got != jti {
				t.Errorf("replicas have different refresh secrets: %v", err)
			}
			sameFactorKeys(t, all[0], m)
		}
	})
}

func TestF21RotationRace(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		c := startClock()
		all := managers(t, db, c, 3)
		together(t, all, func(m *keys.Manager) error { return m.Start(t.Context()) })
		rounds := 30
		if n, thorough := rotations(t); thorough {
			rounds = n
		}
		for round := range rounds {
			if round%2 == 0 { // rotation is due in the same instant
				c.move(720 * time.Hour)
				together(t, all, func(m *keys.Manager) error { return m.Step(t.Context()) })
			} else { // several operators
				c.move(2 * time.Hour)
				together(t, all, func(m *keys.Manager) error { return m.Step(t.Context()) })
				together(t, all, func(m *keys.Manager) error {
					_, err := m.Rotate(t.Context(), false)
					return err
				})
			}
			ring, err := db.LoadRing(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fresh := slices.DeleteFunc(ring.Keys,
				func(k keys.Key) bool { return k.Algorithm != jose.EdDSA || !k.CreatedAt.Equal(c.now()) })
			if len(fresh) != 1 {
				t.Fatalf("round %d made %d successors", round, len(fresh))
			}
			for _, k := range fresh {
				if k.ActivateAt.IsZero() || k.ActivateAt.Sub(c.now()) < time.Hour {
					t.Fatalf("round %d: the successor activates at %v", round, k.ActivateAt)
				}
			}
			together(t, all, func(m *keys.Manager) error { return m.Step(t.Context()) })
			agree(t, all)
		}
	})
}

func TestRevocationRace(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		c := startClock()
		all := managers(t, db, c, 3)
		together(t, all, func(m *keys.Manager) error { return m.Start(t.Context()) })
		for range 10 {
			c.move(3 * time.Minute)
			together(t, all, func(m *keys.Manager) error { return m.Step(t.Context()) })
			signer, err := all[0].Signer(jose.ES256)
			if err != nil {
				t.Fatal(err)
			}
			victim := signer.KeyID()
			together(t, all, func(m *keys.Manager) error {
				_, err := m.Revoke(t.Context(), []string{victim}, false)
				return err
			})
			together(t, all, func(m *keys.Manager) error { return m.Step(t.Context()) })
			agree(t, all)
			if _, ok := all[1].PublishedKey(victim); ok {
				t.Fatal("a revoked key is published")
			}
		}
		// One successor for each revocation, however many commands asked for it.
		if got := count(t, db, jose.ES256); got != 12 {
			t.Errorf("%d keys after 10 revocations", got)
		}
	})
}

// TestF20CrashAtEachStep ends the process after each call of the store that a rotation makes. After
// each of them the next replica finds a valid ring.
func TestF20CrashAtEachStep(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		c := startClock()
		survivor := managers(t, db, c, 1)[0]
		if err := survivor.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for calls := 0; ; calls++ {
			c.move(720 * time.Hour)
			crashing := &dying{Store: db, left: calls}
			victim := managers(t, crashing, c, 1)[0]
			err := victim.Start(t.Context())
			if err != nil && !errors.Is(err, errDead) {
				t.Fatal(err)
			}
			ring, loadErr := db.LoadRing(t.Context())
			if loadErr != nil {
				t.Fatal(loadErr)
			}
			if err := survivor.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			// The dead process left either everything or nothing: either way there is one successor
			// in the end, and all sealed keys open.
			after, _ := db.LoadRing(t.Context())
			if after.Version != ring.Version && after.Version != ring.Version+1 {
				t.Errorf("after a crash at call %d the survivor needed %d changes", calls, after.Version-ring.Version)
			}
			agree(t, []*keys.Manager{survivor})
			for _, alg := range []string{jose.EdDSA, jose.ES256} {
				pending := 0
				for _, k := range after.Keys {
					if k.Algorithm == alg && k.State(c.now()) == keys.Pending {
						pending++
					}
				}
				if pending != 1 {
					t.Errorf("after a crash at call %d there are %d pending %s keys", calls, pending, alg)
				}
			}
			if err == nil {
				if calls < 5 {
					t.Errorf("a rotation makes only %d calls of the store: the test looks at the wrong thing", calls)
				}
				return
			}
		}
	})
}

// dying is a store whose process ends after some calls; the last one may have
// been carried out.
type dying struct {
	keys.Store
	left int
}

var errDead = errors.New("the process is dead")

func (d *dying) dead() bool { d.left--; return d.left < 0 }

func (d *dying) RingVersion(ctx context.Context) (int64, error) {
	if d.dead() {
		return 0, errDead
	}
	return d.Store.RingVersion(ctx)
}

func (d *dying) LoadRing(ctx context.Context) (keys.Ring, error) {
	if d.dead() {
		return keys.Ring{}, errDead
	}
	return d.Store.LoadRing(ctx)
}

func (d *dying) ChangeRing(ctx context.Context, version int64, c keys.Change) error {
	if d.dead() {
		return errDead
	}
	return d.Store.ChangeRing(ctx, version, c)
}

package crashes_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/keys/keystest"
)

// F-16 for a first start: every statement that makes the first keys and secrets fails. What is left is
// nothing or the whole ring; another replica starts on it, and so does the one that failed, and both
// publish the same keys.
func TestF16EveryStatementOfAFirstStart(t *testing.T) {
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		st := open(t)
		st.arm(statement{}, none)
		if err := manager(t, st.faulty, now, keystest.KEK).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ran := st.disarm()
		points := ran.points(st.faults)
		if ring := wholeRing(t, st, now); ring.Version != 1 || len(points) == 0 {
			t.Fatalf("a first start is %d changes and %d points", ring.Version, len(points))
		}
		for _, p := range points {
			t.Run(fmt.Sprintf("statement %d of %d %s", p.number, len(ran.statements), p.fault), func(t *testing.T) {
				st := open(t)
				victim, survivor := manager(t, st.faulty, now, keystest.KEK), manager(t, st.direct, now, keystest.KEK)
				st.arm(p.statement, p.fault)
				err := victim.Start(t.Context())
				if !st.disarm().met {
					t.Errorf("the start does not run %s", p.sql)
				}
				wholeOrNot(t, p, ringVersion(t, st), err)
				for name, m := range map[string]*keys.Manager{"another replica": survivor, "the same replica": victim} {
					if err := m.Start(t.Context()); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
				wholeRing(t, st, now)
				same(t, victim, survivor)
			})
		}
		t.Logf("%d statements, %d points", len(ran.statements), len(points))
	})
}

// F-16 for another key-encryption key: every statement of `keys rewrap` fails. Each secret can be opened
// with the old key or the new one, a replica that has both goes on, and the repeated command ends what
// was begun.
func TestF16EveryStatementOfARewrap(t *testing.T) {
	const other = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8"
	now := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	eachStore(t, func(t *testing.T, open func(*testing.T) *store) {
		st := open(t)
		if err := manager(t, st.direct, now, keystest.KEK).Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Each rewrap goes to the key that the one before came from.
		from, to := keystest.KEK, other
		rewrap := func(db keys.Store) error {
			_, err := manager(t, db, now, to, from).Rewrap(t.Context())
			return err
		}
		st.arm(statement{}, none)
		if err := rewrap(st.faulty); err != nil {
			t.Fatal(err)
		}
		ran := st.disarm()
		points := ran.points(st.faults)
		if len(points) == 0 {
			t.Fatal("a rewrap runs no statement")
		}
		for _, p := range points {
			from, to = to, from
			t.Run(fmt.Sprintf("statement %d of %d %s", p.number, len(ran.statements), p.fault), func(t *testing.T) {
				before := ringVersion(t, st)
				st.arm(p.statement, p.fault)
				err := rewrap(st.faulty)
				if !st.disarm().met {
					t.Errorf("the rewrap does not run %s", p.sql)
				}
				wholeOrNot(t, p, ringVersion(t, st)-before, err)
				live := manager(t, st.direct, now, from, to)
				if err := live.Start(t.Context()); err != nil {
					t.Fatalf("a replica with both keys: %v", err)
				}
				if err := rewrap(st.direct); err != nil {
					t.Fatalf("again: %v", err)
				}
				after := manager(t, st.direct, now, to)
				if err := after.Start(t.Context()); err != nil {
					t.Fatalf("a replica with the new key alone: %v", err)
				}
				wholeRing(t, st, now)
				same(t, live, after)
			})
		}
		t.Logf("%d statements, %d points", len(ran.statements), len(points))
	})
}

// manager returns what a replica with these key-encryption keys keeps its keys with.
func manager(t *testing.T, db keys.Store, now time.Time, keks ...string) *keys.Manager {
	t.Helper()
	m := &keys.Manager{
		Store: db, Now: func() time.Time { return now }, Generate: keystest.Generator(), TypesToSign: issuer.TokenTypes,
		DatabaseNow: func(context.Context) (time.Time, error) { return now, nil },
		Policy: keys.Policy{
			Algorithms: quick, Rotation: 720 * time.Hour, Propagation: time.Hour, JWKSMaxAge: 5 * time.Minute,
			ClockSkew: time.Minute, LongestLifetime: 10 * time.Minute, RefreshAbsolute: 720 * time.Hour,
		},
	}
	for _, text := range keks {
		kek, err := jose.ParseKEK(text)
		if err != nil {
			t.Fatal(err)
		}
		m.KEKs = append(m.KEKs, kek)
	}
	return m
}

// wholeRing checks that each algorithm has a key that signs and a successor, and that the secrets are
// there.
func wholeRing(t *testing.T, st *store, now time.Time) keys.Ring {
	t.Helper()
	ring, err := st.direct.LoadRing(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]map[keys.State]int{}
	for _, k := range ring.Keys {
		if states[k.Algorithm] == nil {
			states[k.Algorithm] = map[keys.State]int{}
		}
		states[k.Algorithm][k.State(now)]++
	}
	for _, alg := range quick {
		if s := states[alg]; len(s) != 2 || s[keys.Active] != 1 || s[keys.Pending] != 1 {
			t.Errorf("%s has keys in the states %v", alg, s)
		}
	}
	if ring.RefreshSecret == "" || ring.FactorSecret == "" {
		t.Error("a secret is missing")
	}
	return ring
}

// same checks that two replicas that poll publish the same keys.
func same(t *testing.T, one, two *keys.Manager) {
	t.Helper()
	var published [2][]byte
	for i, m := range []*keys.Manager{one, two} {
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		set, err := m.JWKS()
		if err != nil {
			t.Fatal(err)
		}
		published[i] = set.Body
	}
	if !bytes.Equal(published[0], published[1]) {
		t.Error("the replicas publish different keys")
	}
}

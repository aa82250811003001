package keys

import (
	"context"
	"crypto"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/keys/keystest"
)

// F-26: whichever of two clocks is wrong, a replica publishes every key that either of them would
// publish, never a revoked one, and changes nothing in the store.
func TestClockJumpWithdrawsNoLiveKey(t *testing.T) {
	const month = 31 * 24 * time.Hour
	for _, c := range []struct {
		name          string
		own, database time.Duration
	}{
		{"the database's clock jumps ahead by a month", 0, month},
		{"the database's clock jumps ahead by ten years", 0, 120 * month},
		{"the database's clock jumps ahead by an hour", 0, time.Hour},
		{"the database's clock is set back by a month", 0, -month},
		{"the database's clock is set back by a year", 0, -12 * month},
		{"this clock jumps ahead by a month", month, 0},
		{"this clock jumps ahead by ten years", 120 * month, 0},
		{"this clock is set back by a month", -month, 0},
		{"this clock is set back by a minute", -time.Minute, 0},
		{"both jump, apart from each other", month, -month},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, store := newClock(), &memStore{}
			var own, database time.Duration
			generate := keystest.Generator()
			make := func() *Manager {
				m := replica(t, store, base, generate)
				m.Now = func() time.Time { return base.Now().Add(own) }
				m.DatabaseNow = func(context.Context) (time.Time, error) { return base.Now().Add(database), nil }
				return m
			}
			m := make()
			if err := m.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			// The store has retiring keys, and a revoked one.
			base.Move(720*time.Hour + time.Minute)
			if err := m.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			revoked := store.ring.Keys[1].ID
			if _, err := m.Revoke(t.Context(), []string{revoked}, false); err != nil {
				t.Fatal(err)
			}
			if err := m.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			version := store.ring.Version

			own, database = c.own, c.database
			for n := range 40 { // the set is kept from before the jump, and after it read anew
				if n == 20 {
					m = make() // one that has seen the wrong clock only
				}
				if n%10 == 9 {
					store.mu.Lock()
					version++
					store.ring.Version = version // as when another replica writes something else
					store.mu.Unlock()
				}
				if m.Step(t.Context()) == nil {
					t.Fatal("Step takes clocks for right that are apart")
				}
				if m.Ready() == nil {
					t.Fatal("it is ready")
				}
				var want []string
				for _, k := range store.ring.Keys {
					if k.RevokedAt.IsZero() && (k.State(m.Now()) != Removed || k.State(base.Now().Add(database)) != Removed) {
						want = append(want, k.ID)
					}
				}
				got := kids(t, mustJWKS(t, m))
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(got, want) {
					t.Fatalf("step %d: published are %v, either clock would publish %v", n, got, want)
				}
				for _, k := range store.ring.Keys {
					if _, ok := m.PublishedKey(k.ID); ok != slices.Contains(want, k.ID) {
						t.Fatalf("step %d: PublishedKey(%s) = %v", n, k.ID, ok)
					}
				}
				if slices.Contains(got, revoked) || len(got) == 0 {
					t.Fatalf("published are %v", got)
				}
				if len(m.ActiveAlgorithms()) != 2 && c.own > -month && c.database > -month {
					t.Fatalf("discovery lists %v", m.ActiveAlgorithms())
				}
				if store.ring.Version != version {
					t.Fatal("it wrote to the store")
				}
				doc, err := m.Export(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if exported := kids(t, doc); len(exported) != len(want) {
					t.Fatalf("keys export prints %v", exported)
				}
				base.Move(time.Second)
			}
			own, database = 0, 0
			if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
				t.Errorf("with the clocks set right: %v, %v", err, m.Ready())
			}
		})
	}
}

// A clock that is set while keys are generated must not decide a change.
func TestClockJumpDuringGeneration(t *testing.T) {
	base, store := newClock(), &memStore{}
	var database time.Duration
	generate := keystest.Generator()
	m := replica(t, store, base, generate)
	m.DatabaseNow = func(context.Context) (time.Time, error) { return base.Now().Add(database), nil }
	if err := m.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	base.Move(720 * time.Hour)
	version := store.ring.Version
	m.Generate = func(alg string) (crypto.Signer, error) {
		database = 31 * 24 * time.Hour
		return generate(alg)
	}
	wants(t, m.Step(t.Context()), "behind the database's")
	if store.ring.Version != version {
		t.Error("it wrote to the store")
	}
}

// Generating RSA keys takes long on a busy machine. A replica goes on reading the store meanwhile:
// it signs, it learns what others changed, and it ends when it is stopped.
func TestRunStaysCurrentWhileKeysAreGenerated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, generate := &memStore{}, keystest.Generator()
		m := replica(t, store, newClock(), generate)
		m.Now = time.Now
		m.DatabaseNow = func(context.Context) (time.Time, error) { return time.Now(), nil }
		m.Policy.Propagation, m.Policy.JWKSMaxAge, m.Policy.ClockSkew, m.Policy.Rotation = 40*time.Second, 10*time.Second,
			10*time.Second, time.Minute
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int64
		m.Generate = func(alg string) (crypto.Signer, error) {
			calls.Add(1)
			time.Sleep(20 * time.Second)
			return generate(alg)
		}
		version := store.ring.Version
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { m.Run(ctx); close(done) }()

		for range 300 {
			time.Sleep(time.Second)
			if err := m.Ready(); err != nil {
				t.Fatalf("while keys are generated: %v", err)
			}
			if _, err := m.Signer("RS256"); err != nil {
				t.Fatal(err)
			}
		}
		store.mu.Lock()
		if store.ring.Version == version || calls.Load() < 4 {
			t.Errorf("version %d, %d keys generated: nothing was rotated", store.ring.Version, calls.Load())
		}
		store.mu.Unlock()
		// A change by another replica is known within a second.
		kid := m.view.Load().set.ring.Keys[len(m.view.Load().set.ring.Keys)-1].ID
		other := replica(t, store, newClock(), generate)
		other.Now, other.DatabaseNow, other.Policy = m.Now, m.DatabaseNow, m.Policy
		if _, err := other.Revoke(t.Context(), []string{kid}, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1001 * time.Millisecond)
		if _, ok := m.PublishedKey(kid); ok {
			t.Error("a revoked key is published still")
		}
		cancel()
		<-done
	})
}

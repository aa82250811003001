package keys

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/keys/keystest"
)

func TestChange(t *testing.T) {
	down := errors.New("connection lost")
	t.Run("the loser of a race reads the winner's rows", func(t *testing.T) {
		c, store := newClock(), &memStore{}
		generate := keystest.Generator()
		m := started(t, store, c, generate)
		other := replica(t, store, c, generate)
		c.Move(2 * time.Hour)
		store.before = func() {
			if _, err := other.Rotate(context.Background(), false); err != nil {
				t.Error(err)
			}
		}
		r, err := m.Rotate(t.Context(), false)
		if err != nil || states(r, "RS256") != "retiring active pending" {
			t.Errorf("%+v, %v", r, err)
		}
	})
	t.Run("a lost answer of a change that was applied", func(t *testing.T) {
		for name, answer := range map[string]error{"as an error": down, "as a conflict with oneself": ErrConflict} {
			c, store := newClock(), &memStore{}
			m := started(t, store, c, keystest.Generator())
			c.Move(2 * time.Hour)
			store.after = func(error) error { store.after = nil; return answer }
			r, err := m.Rotate(t.Context(), false)
			if err != nil || !r.Changed || states(r, "EdDSA") != "retiring active pending" {
				t.Errorf("rotate, %s: %+v, %v", name, r, err)
			}
			store.after = func(error) error { store.after = nil; return answer }
			if r, err = m.Revoke(t.Context(), nil, true); err != nil || !r.Changed {
				t.Errorf("revoke, %s: %+v, %v", name, r, err)
			}
			if len(store.ring.Keys) != 10 {
				t.Errorf("%s: %d keys", name, len(store.ring.Keys))
			}
		}
	})
	t.Run("a store that stays away", func(t *testing.T) {
		c, store := newClock(), &memStore{}
		m := started(t, store, c, keystest.Generator())
		c.Move(2 * time.Hour)
		before := store.ring
		store.before = func() { store.failing = down }
		if _, err := m.Rotate(t.Context(), false); !errors.Is(err, down) {
			t.Errorf("rotate: %v", err)
		}
		if store.ring.Version != before.Version {
			t.Error("the store was changed")
		}
	})
	t.Run("conflicts without end", func(t *testing.T) {
		c, store := newClock(), &memStore{}
		m := started(t, store, c, keystest.Generator())
		c.Move(2 * time.Hour)
		m.Store = conflicting{store}
		if _, err := m.Rotate(t.Context(), false); !errors.Is(err, ErrConflict) {
			t.Errorf("rotate: %v", err)
		}
	})
	t.Run("F-21 a commit that comes late counts propagation from then", func(t *testing.T) {
		// The process is stopped for half an hour in the middle of its commit, at the worst moment:
		// the new key was to sign after an hour.
		c, store := newClock(), &memStore{}
		m := started(t, store, c, keystest.Generator())
		c.Move(9000 * time.Hour)
		store.before = func() { c.Move(30 * time.Minute) }
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, alg := range []string{"RS256", "EdDSA"} {
			k, _ := store.ring.following(alg, 2)
			if wait := k.ActivateAt.Sub(c.Now()); wait < time.Hour || !k.CreatedAt.Equal(c.Now()) {
				t.Errorf("%s signs %v after it became known", alg, wait)
			}
			if a, _ := store.ring.active(alg, c.Now()); !a.RetireAt.Equal(k.ActivateAt) {
				t.Errorf("the end of the %s predecessor does not follow", alg)
			}
		}
	})
	t.Run("a generator that fails", func(t *testing.T) {
		c, store := newClock(), &memStore{}
		m := replica(t, store, c, nil)
		m.Policy.Algorithms = []string{"EdDSA"}
		if err := m.Start(t.Context()); err != nil {
			t.Fatalf("with the real one: %v", err)
		}
		if _, err := GenerateKey("HS256"); err == nil {
			t.Error("a symmetric key was made")
		}
	})
}

type conflicting struct{ *memStore }

func (conflicting) ChangeRing(context.Context, int64, Change) error {
	return fmt.Errorf("wrapped: %w", ErrConflict)
}

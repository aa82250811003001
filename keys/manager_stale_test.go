package keys

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/keys/keystest"
)

func TestStaleView(t *testing.T) {
	setup := func(t *testing.T) (*memStore, *clock, *Manager) {
		c, store := newClock(), &memStore{}
		return store, c, started(t, store, c, keystest.Generator())
	}
	down := errors.New("the store is down")

	t.Run("F-22 signs until the stale limit, publishes until another could sign with an unknown key", func(t *testing.T) {
		store, c, m := setup(t)
		store.failing = down
		for _, s := range []struct {
			move              time.Duration
			signs, publishes_ bool
		}{
			{6 * time.Minute, true, true},
			{time.Microsecond, false, true},
			{48*time.Minute - time.Microsecond, false, true},
			{time.Microsecond, false, false},
		} {
			c.Move(s.move)
			if err := m.Step(t.Context()); !errors.Is(err, down) {
				t.Fatalf("Step: %v", err)
			}
			if _, err := m.Signer("RS256"); (err == nil) != s.signs || err != nil && !errors.Is(err, ErrNotReady) {
				t.Errorf("at %v Signer: %v", c.Now(), err)
			}
			if err := m.Ready(); (err == nil) != s.signs || err != nil && !errors.Is(err, ErrStale) {
				t.Errorf("at %v Ready: %v", c.Now(), err)
			}
			if _, err := m.JWKS(); (err == nil) != s.publishes_ || err != nil && !errors.Is(err, ErrNotReady) {
				t.Errorf("at %v JWKS: %v", c.Now(), err)
			}
		}
		store.failing = nil
		if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
			t.Errorf("after the outage: %v, %v", err, m.Ready())
		}
	})
	t.Run("F-32 a replica that was frozen signs nothing until it has read the store", func(t *testing.T) {
		_, c, m := setup(t)
		c.Move(7 * time.Minute)
		if _, err := m.Signer("RS256"); !errors.Is(err, ErrNotReady) {
			t.Errorf("after the thaw: %v", err)
		}
		if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
			t.Errorf("after the next poll: %v, %v", err, m.Ready())
		}
	})
	t.Run("a poll that takes long makes no view look younger than its beginning", func(t *testing.T) {
		_, c, m := setup(t)
		m.Store = &slowStore{Store: m.Store, slow: func() { c.Move(5 * time.Minute) }}
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Move(time.Minute)
		if _, err := m.Signer("RS256"); err != nil {
			t.Errorf("6 minutes after the poll began: %v", err)
		}
		c.Move(time.Second)
		if _, err := m.Signer("RS256"); err == nil {
			t.Error("it signs, though the poll began before the stale limit")
		}
	})
	t.Run("a poll that is overtaken does not bring the older view back", func(t *testing.T) {
		store, c, m := setup(t)
		operator := replica(t, store, c, keystest.Generator())
		operator.Generate = m.Generate
		slow := &slowStore{Store: m.Store}
		slow.slow = func() {
			slow.slow = nil
			c.Move(2 * time.Hour)
			if _, err := operator.Rotate(t.Context(), false); err != nil {
				t.Error(err)
			}
			if err := m.Step(t.Context()); err != nil { // begins later, ends sooner
				t.Error(err)
			}
		}
		m.Store = slow
		before := m.view.Load().set.ring.Version
		// The slow poll has read the old version before it was overtaken.
		if err := m.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := m.view.Load(); got.set.ring.Version == before || !got.readAt.Equal(c.Now()) {
			t.Errorf("the view is version %d of %v", got.set.ring.Version, got.readAt)
		}
	})
}

// slowStore runs slow after the version was read, before the answer arrives.
type slowStore struct {
	Store
	slow func()
}

func (s *slowStore) RingVersion(ctx context.Context) (int64, error) {
	version, err := s.Store.RingVersion(ctx)
	if s.slow != nil {
		s.slow()
	}
	return version, err
}

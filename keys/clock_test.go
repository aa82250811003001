package keys

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/keys/keystest"
)

func TestClockCheck(t *testing.T) {
	base := newClock()
	var offset time.Duration
	setup := func(t *testing.T) (*memStore, *Manager) {
		offset = 0
		store := &memStore{}
		m := replica(t, store, base, keystest.Generator())
		m.Now = func() time.Time { return base.Now().Add(offset) }
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return store, m
	}

	for _, c := range []struct {
		name   string
		offset time.Duration
		ok     bool
	}{
		{"half of the skew ahead", 30 * time.Second, true},
		{"half of the skew behind", -30 * time.Second, true},
		{"a little more", 30*time.Second + time.Millisecond, false},
		{"a little more behind", -30*time.Second - time.Millisecond, false},
		{"F-26 an hour ahead", time.Hour, false},
		{"F-26 an hour behind", -time.Hour, false},
		{"F-26 a day ahead", 24 * time.Hour, false},
		{"F-26 40 days ahead: nothing rotates or retires", 40 * 24 * time.Hour, false},
		{"F-26 a day behind", -24 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, m := setup(t)
			version, before := store.ring.Version, mustJWKS(t, m)
			offset = c.offset
			if doc, err := m.JWKS(); err == nil && doc.ETag != before.ETag {
				t.Error("before the next poll the JWKS has changed")
			}
			if err := m.Step(t.Context()); (err == nil) != c.ok {
				t.Fatalf("Step: %v", err)
			}
			if _, err := m.Signer("EdDSA"); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrNotReady) {
				t.Errorf("Signer: %v", err)
			}
			if err := m.Ready(); (err == nil) != c.ok {
				t.Errorf("Ready: %v", err)
			}
			if mustJWKS(t, m).ETag != before.ETag {
				t.Error("the JWKS has changed")
			}
			if _, err := m.Rotate(t.Context(), true); (err == nil) != c.ok {
				t.Errorf("Rotate: %v", err)
			}
			if _, err := m.Revoke(t.Context(), nil, true); (err == nil) != c.ok {
				t.Errorf("Revoke: %v", err)
			}
			if !c.ok && store.ring.Version != version {
				t.Error("a machine with a wrong clock wrote instants into the store")
			}
			offset = 0
			if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
				t.Errorf("with the clock set right: %v, %v", err, m.Ready())
			}
		})
	}

	t.Run("F-26 a jump between two polls withdraws no key whose tokens live", func(t *testing.T) {
		store, m := setup(t)
		m.Policy.LongestLifetime = 30 * time.Minute
		base.Move(720 * time.Hour)
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := mustJWKS(t, m)
		offset = 50 * time.Minute // past remove_at, and not too old to be shown
		if now := m.now(); now.Before(store.ring.Keys[0].RemoveAt) {
			t.Fatalf("%v is before remove_at %v", now, store.ring.Keys[0].RemoveAt)
		}
		if mustJWKS(t, m).ETag != before.ETag {
			t.Error("the retiring key was withdrawn")
		}
		if _, ok := m.PublishedKey(store.ring.Keys[0].ID); !ok {
			t.Error("the retiring key is not accepted")
		}
	})
	t.Run("a start with a wrong clock fails", func(t *testing.T) {
		_, m := setup(t)
		offset = time.Minute
		wants(t, m.Start(t.Context()), "1m0s ahead of the database's", "NTP")
	})
	t.Run("a start without the database's clock fails", func(t *testing.T) {
		_, m := setup(t)
		m.DatabaseNow = nil
		wants(t, m.Start(t.Context()), "DatabaseNow")
	})
	t.Run("a database that takes too long to tell the time tells nothing", func(t *testing.T) {
		_, m := setup(t)
		m.DatabaseNow = func(context.Context) (time.Time, error) {
			base.Move(31 * time.Second)
			return base.Now(), nil
		}
		wants(t, m.Step(t.Context()), "31s")
	})
	t.Run("a wrong clock stops the signing even if the ring cannot be read", func(t *testing.T) {
		store, m := setup(t)
		offset, store.failing = time.Minute, errors.New("down")
		if m.Step(t.Context()) == nil {
			t.Error("Step worked")
		}
		if _, err := m.Signer("RS256"); !errors.Is(err, ErrNotReady) {
			t.Errorf("Signer: %v", err)
		}
	})
}

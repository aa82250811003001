package keys

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

// memStore is a Store in memory, for tests of rules that do not involve a database. It applies
// changes with Ring.with, which the tests of the real stores compare with them.
type memStore struct {
	mu      sync.Mutex
	ring    Ring
	failing error             // every call fails with it
	before  func()            // runs before a change is checked, without the lock
	after   func(error) error // may replace the answer to a change
	loads   int

	events []audit.Event // of all changes
	seen   []Key         // all keys ever made, as they were made
}

func (s *memStore) RingVersion(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ring.Version, s.failing
}

func (s *memStore) LoadRing(context.Context) (Ring, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	ring := s.ring
	ring.Keys = slices.Clone(ring.Keys)
	return ring, s.failing
}

func (s *memStore) ChangeRing(_ context.Context, version int64, c Change) error {
	if s.before != nil {
		before := s.before
		s.before = nil
		before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.failing
	if err == nil {
		err = s.change(version, c)
	}
	if s.after != nil {
		err = s.after(err)
	}
	return err
}

func (s *memStore) change(version int64, c Change) error {
	if version != s.ring.Version {
		return ErrConflict
	}
	for _, k := range c.Insert {
		if k.ID == "" || len(k.Public) == 0 {
			return fmt.Errorf("key %s/%d has no material", k.Algorithm, k.Seq)
		}
		for _, old := range s.ring.Keys {
			if old.ID == k.ID || old.Algorithm == k.Algorithm && old.Seq == k.Seq {
				return fmt.Errorf("key %s/%d is there already", k.Algorithm, k.Seq)
			}
		}
	}
	s.ring = s.ring.with(c)
	s.events = append(s.events, c.Events...)
	s.seen = append(s.seen, c.Insert...)
	return nil
}

// clock is a clock to move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *clock) Database(context.Context) (time.Time, error) { return c.Now(), nil }

// standard is the policy of a server with nothing configured.
func standard() Policy {
	return Policy{
		Algorithms: []string{jose.RS256, jose.EdDSA}, Rotation: 720 * time.Hour, Propagation: time.Hour,
		JWKSMaxAge: 5 * time.Minute, ClockSkew: time.Minute, LongestLifetime: 10 * time.Minute,
		RefreshAbsolute: 720 * time.Hour,
	}
}

func testKEK(tb testing.TB) jose.KEK {
	tb.Helper()
	kek, err := jose.ParseKEK(keystest.KEK)
	if err != nil {
		tb.Fatal(err)
	}
	return kek
}

// replica returns a manager that was not started yet.
func replica(tb testing.TB, store Store, c *clock, generate func(string) (crypto.Signer, error)) *Manager {
	tb.Helper()
	return &Manager{
		Store: store, Policy: standard(), KEKs: []jose.KEK{testKEK(tb)}, Now: c.Now, DatabaseNow: c.Database,
		Generate: generate, TypesToSign: []string{"at+jwt"},
	}
}

// started returns a replica that is ready.
func started(tb testing.TB, store Store, c *clock, generate func(string) (crypto.Signer, error)) *Manager {
	tb.Helper()
	m := replica(tb, store, c, generate)
	if err := m.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return m
}

package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

// brief formats events, with kids as alg/seq.
func (s *memStore) brief() []string {
	var out []string
	for _, e := range s.events {
		line := fmt.Sprintf("%s by %s", e.Name, strings.TrimSpace(string(e.Actor.Type)+" "+e.Actor.ID))
		for _, k := range s.seen {
			if k.ID == e.Target.ID {
				line += fmt.Sprintf(" on %s/%d", k.Algorithm, k.Seq)
			}
		}
		if e.Reason != "" {
			line += ": " + e.Reason
		}
		out = append(out, line)
	}
	s.events = nil
	slices.Sort(out)
	return out
}

// O-10: every change of the ring is in the audit log, with its actor, and a call that changes
// nothing is not.
func TestO10ChangesOfTheRingAreRecorded(t *testing.T) {
	operator := audit.WithOrigin(t.Context(), audit.Origin{Actor: audit.Actor{Type: audit.ByOperator, ID: "root"}})
	system := audit.WithOrigin(t.Context(), audit.Origin{Actor: audit.Actor{Type: audit.BySystem}})
	c, store := newClock(), &memStore{}
	m := replica(t, store, c, keystest.Generator())
	m.Policy.Algorithms = []string{jose.EdDSA}

	step := func(what string, err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := store.brief(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s is recorded as\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}

	step("the first start", m.Start(system),
		"keys_changed by system on EdDSA/1: created", "keys_changed by system on EdDSA/2: created",
		"keys_changed by system: algorithms")
	step("a start with nothing to do", m.Start(system))
	_, err := m.Rotate(operator, true)
	step("a dry run", err)

	c.Move(2 * time.Hour)
	if err := m.Step(system); err != nil {
		t.Fatal(err)
	}
	_, err = m.Rotate(operator, false)
	step("a rotation", err, "keys_changed by operator root on EdDSA/3: created",
		"keys_rotated by operator root on EdDSA/2")
	_, err = m.Rotate(operator, false)
	step("a rotation too soon", err, "keys_rotated by operator root on EdDSA/3")
	_, err = m.Rotate(operator, false)
	step("another", err)

	kid := store.ring.Keys[0].ID
	_, err = m.Revoke(operator, []string{kid}, false)
	step("a revocation", err, "keys_revoked by operator root on EdDSA/1")
	_, err = m.Revoke(operator, []string{kid}, false)
	step("the same again", err)

	kek, err := jose.ParseKEK(jose.NewKEK())
	if err != nil {
		t.Fatal(err)
	}
	m.KEKs = []jose.KEK{kek, testKEK(t)}
	_, err = m.Rewrap(operator)
	step("a rewrap", err,
		"keys_rewrapped by operator root on EdDSA/2", "keys_rewrapped by operator root on EdDSA/3",
		"keys_rewrapped by operator root: factor_secret", "keys_rewrapped by operator root: refresh_secret")
	_, err = m.Rewrap(operator)
	step("the same again", err)

	// The schedule: keys that sign no more are wiped and in the end deleted, and there is always a
	// next key.
	c.Move(3 * time.Hour)
	step("the schedule, soon", m.Step(system), "keys_changed by system on EdDSA/2: wiped",
		"keys_changed by system on EdDSA/4: created")
	c.Move(31 * 24 * time.Hour)
	step("the schedule, in a month", m.Step(system),
		"keys_changed by system on EdDSA/1: deleted", "keys_changed by system on EdDSA/2: deleted",
		"keys_changed by system on EdDSA/3: wiped", "keys_changed by system on EdDSA/5: created")

	store.failing = errors.New("no store")
	if _, err := m.Revoke(operator, nil, true); err == nil {
		t.Fatal("revoked without a store")
	}
	store.failing = nil
	step("what failed", nil)
}

// O-10: no audit entry of the ring holds a private half.
func TestO10EventsOfTheRingHoldNoSecret(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	if _, err := m.Revoke(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", store.events)
	if len(store.events) < 8 || strings.Contains(text, store.ring.RefreshSecret) ||
		strings.Contains(text, store.ring.FactorSecret) {
		t.Errorf("%d events: %s", len(store.events), text)
	}
	for _, k := range store.seen {
		if k.Sealed != "" && strings.Contains(text, k.Sealed) {
			t.Errorf("a sealed key is in the audit log: %s", text)
		}
	}
}

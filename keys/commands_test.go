package keys

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/keys/keystest"
)

// states are the keys of alg in a report, as `active pending`.
func states(r Report, alg string) string {
	var states []string
	for _, k := range r.Keys {
		if k.Algorithm == alg {
			states = append(states, string(k.State))
		}
	}
	return strings.Join(states, " ")
}

func TestCommandsOnAnEmptyStore(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := replica(t, store, c, keystest.Generator())
	r, err := m.Timeline(t.Context())
	if err != nil || len(r.Keys) != 0 || r.Keys == nil || !strings.Contains(r.Message, "signet serve") {
		t.Errorf("Timeline: %+v, %v", r, err)
	}
	_, rotate := m.Rotate(t.Context(), false)
	_, dry := m.Rotate(t.Context(), true)
	_, revoke := m.Revoke(t.Context(), nil, true)
	_, rewrap := m.Rewrap(t.Context())
	_, export := m.Export(t.Context())
	_, bundle := m.Bundle(t.Context(), bundleIssuer, "", time.Hour)
	for name, err := range map[string]error{"rotate": rotate, "dry run": dry, "revoke": revoke, "rewrap": rewrap,
		"export": export, "bundle": bundle, "step": m.Step(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "signet serve") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if store.ring.Version != 0 {
		t.Error("a command made the first keys")
	}
}

func TestTimelineNeedsNoSecrets(t *testing.T) {
	c, store := newClock(), &memStore{}
	started(t, store, c, keystest.Generator())
	m := &Manager{Store: store, Policy: standard(), Now: c.Now}
	r, err := m.Timeline(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if states(r, "RS256") != "active pending" || states(r, "EdDSA") != "active pending" || r.Keys[0].Algorithm != "RS256" {
		t.Errorf("%+v", r.Keys)
	}
	var what []string
	for i, e := range r.Events {
		if !e.At.After(r.Now) || i > 0 && e.At.Before(r.Events[i-1].At) || e.Text == "" {
			t.Errorf("event %d is out of order: %+v", i, e)
		}
		if e.Algorithm == "RS256" {
			what = append(what, string(e.What))
		}
	}
	if got := strings.Join(what, " "); got != "retire activate wipe remove forget" {
		t.Errorf("what happens next: %s", got)
	}
	text, err := json.Marshal(r)
	if err != nil || strings.Contains(string(text), "0001-01-01") ||
		strings.Contains(string(text), store.ring.Keys[0].Sealed) {
		t.Errorf("the report as JSON shows an unknown instant or a sealed key: %s, %v", text, err)
	}

	doc, err := m.Export(t.Context())
	if err != nil || len(kids(t, doc)) != 4 {
		t.Errorf("O-13 export: %v", err)
	}
}

func TestRotate(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	run := func(dry bool) Report {
		t.Helper()
		r, err := m.Rotate(t.Context(), dry)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	version := store.ring.Version
	if r := run(true); r.Changed || !strings.Contains(r.Message, "dry run") ||
		!strings.Contains(r.Message, "2026-11-21 13:00:00 UTC") {
		t.Errorf("dry run: %+v", r)
	}
	if store.ring.Version != version {
		t.Error("a dry run changed the store")
	}

	// The successors were made at 12:00: they may sign an hour later.
	if r := run(false); !r.Changed || !strings.Contains(r.Message, "signs from 2026-11-21 13:00:00 UTC") ||
		states(r, "RS256") != "active pending" {
		t.Errorf("first: %+v", r)
	}
	version = store.ring.Version
	c.Move(59 * time.Minute)
	for range 3 {
		if r := run(false); r.Changed || !strings.HasPrefix(r.Message, "Nothing changed") ||
			!strings.Contains(r.Message, "2026-11-21 13:00:00 UTC") {
			t.Errorf("before that instant: %+v", r)
		}
	}
	if store.ring.Version != version {
		t.Error("a rotation that changes nothing wrote to the store")
	}
	if err := m.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	old, _ := m.Signer("RS256")
	c.Move(time.Minute)
	if s, _ := m.Signer("RS256"); s == old {
		t.Error("at that instant, and without another step, the old key still signs")
	}

	c.Move(100 * time.Hour)
	if err := m.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Move(2 * time.Hour)
	r := run(false)
	if !r.Changed || !strings.Contains(r.Message, "signs now") ||
		!strings.HasSuffix(states(r, "RS256"), "retiring active pending") {
		t.Errorf("when the successor is long published: %+v", r)
	}
	if r.Message == "" || strings.Contains(r.Message, "  ") {
		t.Errorf("message: %q", r.Message)
	}
}

func TestRotateDryRunShowsKeysThatItDoesNotMake(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	c.Move(2 * time.Hour)
	r, err := m.Rotate(t.Context(), true)
	if err != nil || states(r, "EdDSA") != "retiring active pending" || r.Keys[2].KeyID != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if len(store.ring.Keys) != 4 {
		t.Error("the store was changed")
	}
}

package keys

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/keys/keystest"
)

// A command that runs with another environment than the servers' plans with their parameters, and
// says so.
func TestCommandsPlanWithTheServersParameters(t *testing.T) {
	c, store, generate := newClock(), &memStore{}, keystest.Generator()
	server := replica(t, store, c, generate)
	server.Policy.Propagation, server.Policy.Rotation, server.Policy.LongestLifetime = 6*time.Hour,
		100*time.Hour, 24*time.Hour
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if store.ring.Parameters != server.Policy.Parameters() {
		t.Fatalf("stored are %+v", store.ring.Parameters)
	}
	same := replica(t, store, c, generate)
	same.Policy = server.Policy
	command := replica(t, store, c, generate) // with the defaults
	for name, show := range map[string]func(*Manager) (Report, error){
		"list":   func(m *Manager) (Report, error) { return m.Timeline(t.Context()) },
		"rotate": func(m *Manager) (Report, error) { return m.Rotate(t.Context(), true) },
		"rewrap": func(m *Manager) (Report, error) { return m.Rewrap(t.Context()) },
	} {
		r, err := show(command)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"keys.propagation is 6h there and 1h here", "keys.rotation is 100h there and 720h here",
			"the longest token lifetime is 24h there and 10m here"} {
			if !strings.Contains(r.Notice, text) {
				t.Errorf("%s: the notice lacks %q: %q", name, text, r.Notice)
			}
		}
		if strings.Contains(r.Notice, "clock_skew") {
			t.Errorf("%s names what is the same: %q", name, r.Notice)
		}
		if r, err := show(same); err != nil || r.Notice != "" {
			t.Errorf("%s with the servers' own settings: %q, %v", name, r.Notice, err)
		}
	}

	c.Move(2 * time.Hour) // by the command's parameters the pending key could sign
	version := store.ring.Version
	r, err := command.Rotate(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	pending, _ := store.ring.following("RS256", 1)
	if want := pending.CreatedAt.Add(6 * time.Hour); !pending.ActivateAt.Equal(want) || !r.Changed {
		t.Errorf("the key activates at %v, the servers' propagation is over at %v", pending.ActivateAt, want)
	}
	active, _ := store.ring.find(store.ring.Keys[0].ID)
	if window := active.RemoveAt.Sub(active.RetireAt); window < 24*time.Hour {
		t.Errorf("the retiring key stays published for %v only", window)
	}
	if store.ring.Version == version {
		t.Error("nothing was written")
	}
	if store.ring.Parameters != server.Policy.Parameters() {
		t.Error("a command changed the stored parameters")
	}

	// The keys that a revocation makes wait as long as the servers' verifiers need, too.
	all, err := command.Revoke(t.Context(), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if want := c.Now().Add(6 * time.Hour); !all.RefusedUntil.Equal(want) {
		t.Errorf("refused until %v, want %v", all.RefusedUntil, want)
	}

	// A command whose own parameters are invalid still revokes: they are not used.
	broken := replica(t, store, c, generate)
	broken.Policy.Propagation = time.Second
	if _, err := broken.Revoke(t.Context(), nil, true); err != nil {
		t.Error(err)
	}
}

func TestParametersFollowTheServerThatStartedLast(t *testing.T) {
	c, store, generate := newClock(), &memStore{}, keystest.Generator()
	started(t, store, c, generate)
	version := store.ring.Version
	started(t, store, c, generate)
	if store.ring.Version != version {
		t.Error("a start with the same parameters wrote to the store")
	}
	events := len(store.events)
	other := replica(t, store, c, generate)
	other.Policy.Rotation = 240 * time.Hour
	if err := other.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if store.ring.Parameters.Rotation != 240*time.Hour {
		t.Errorf("stored are %+v", store.ring.Parameters)
	}
	told := store.events[events:]
	if len(told) != 1 || told[0].Name != audit.KeysChanged || told[0].Reason != "parameters" ||
		len(told[0].Changes) != 1 ||
		told[0].Changes[0] != (audit.Change{Field: "keys.rotation", Before: "720h", After: "240h"}) {
		t.Errorf("the audit log says %+v", told)
	}

	// A store from an older release has no parameters: a command plans with its own.
	store.ring.Parameters = Parameters{}
	m := replica(t, store, c, generate)
	m.Policy.Propagation = 2 * time.Hour
	r, err := m.Timeline(t.Context())
	if err != nil || r.Notice != "" {
		t.Errorf("%q, %v", r.Notice, err)
	}
	if r, err := m.Rotate(t.Context(), false); err != nil || !strings.Contains(r.Message, "2h") && !r.Changed {
		t.Errorf("%+v, %v", r, err)
	}
}

package keys

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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
	for name, err := range map[string]error{"rotate": rotate, "dry run": dry, "revoke": revoke, "rewrap": rewrap,
		"export": export, "step": m.Step(t.Context())} {
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

func TestRevoke(t *testing.T) {
	for _, row := range []struct {
		name     string
		revoke   []int // indexes into the ring: EdDSA 1 and 2, RS256 1 and 2; none: all
		after    time.Duration
		rs256    string
		accepted time.Duration // after now; zero: not in the report
		refused  time.Duration
		says     []string
	}{
		{"the active key, its successor unpropagated", []int{2}, 10 * time.Minute, "removed active pending", 6 * time.Minute,
			50 * time.Minute,
			[]string{"1 key revoked", "may still accept", "may refuse new tokens until 2026-11-21 13:00:00 UTC"}},
		{"the active key, its successor propagated", []int{2}, 2 * time.Hour, "removed active pending", 6 * time.Minute, 0,
			[]string{"1 key revoked", "signs now"}},
		{"the pending key", []int{3}, 10 * time.Minute, "active removed pending", 6 * time.Minute, 0,
			[]string{"1 key revoked"}},
		{"all", nil, 2 * time.Hour, "removed removed active pending", 6 * time.Minute, time.Hour,
			[]string{"4 keys revoked", "may refuse"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, store := newClock(), &memStore{}
			m := started(t, store, c, keystest.Generator())
			c.Move(row.after)
			if err := m.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			var victims []string
			for _, i := range row.revoke {
				victims = append(victims, store.ring.Keys[i].ID)
			}
			r, err := m.Revoke(t.Context(), victims, row.revoke == nil)
			if err != nil || !r.Changed {
				t.Fatalf("%+v, %v", r, err)
			}
			wants(t, errors.New(r.Message), row.says...)
			if got := states(r, "RS256"); got != row.rs256 {
				t.Errorf("RS256 keys: %s, want %s", got, row.rs256)
			}
			for what, pair := range map[string][2]time.Time{
				"accepted until": {r.AcceptedUntil, c.Now().Add(row.accepted)},
				"refused until":  {r.RefusedUntil, c.Now().Add(row.refused)},
			} {
				want := pair[1]
				if want.Equal(c.Now()) {
					want = time.Time{}
				}
				if !pair[0].Equal(want) {
					t.Errorf("%s %v, want %v", what, pair[0], want)
				}
			}
			if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
				t.Fatalf("after it: %v, %v", err, m.Ready())
			}
			for _, k := range store.ring.Keys {
				if k.RevokedAt.IsZero() {
					continue
				}
				if k.Sealed != "" || k.RetireAt.After(k.RevokedAt) {
					t.Errorf("revoked key %s: wiped %v, retires %v", k.ID, k.Sealed == "", k.RetireAt)
				}
				if _, ok := m.PublishedKey(k.ID); ok || slices.Contains(kids(t, mustJWKS(t, m)), k.ID) {
					t.Errorf("revoked key %s is published", k.ID)
				}
				if _, ok := m.KnownKey(k.ID); !ok {
					t.Errorf("revoked key %s does not verify refresh tokens: its users are logged out", k.ID)
				}
			}
			for _, alg := range []string{"RS256", "EdDSA"} {
				if s, err := m.Signer(alg); err != nil || s.Algorithm() != alg {
					t.Errorf("%s after it: %v", alg, err)
				}
			}
			if len(victims) > 0 {
				version := store.ring.Version
				r, err := m.Revoke(t.Context(), victims, false)
				if err != nil || r.Changed || !strings.HasPrefix(r.Message, "Nothing changed") || store.ring.Version != version {
					t.Errorf("again: %+v, %v", r, err)
				}
			}
		})
	}

	t.Run("a key that is not there: nothing is revoked", func(t *testing.T) {
		c, store := newClock(), &memStore{}
		m := started(t, store, c, keystest.Generator())
		_, err := m.Revoke(t.Context(), []string{store.ring.Keys[0].ID, "nobody"}, false)
		wants(t, err, "nobody", "nothing was revoked")
		if store.ring.Version != 1 {
			t.Error("the store was changed")
		}
	})
	t.Run("neither keys nor all, or both", func(t *testing.T) {
		c, store := newClock(), &memStore{}
		m := started(t, store, c, keystest.Generator())
		for _, args := range []struct {
			kids []string
			all  bool
		}{{nil, false}, {[]string{store.ring.Keys[0].ID}, true}} {
			if _, err := m.Revoke(t.Context(), args.kids, args.all); err == nil {
				t.Errorf("%+v was accepted", args)
			}
		}
	})
	t.Run("all means the keys of now: a race with a rotation revokes none that it made", func(t *testing.T) {
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
		if _, err := m.Revoke(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		if got := chain(store.ring, "RS256", c.Now()); got != "active pending" ||
			store.ring.Keys[len(store.ring.Keys)-1].Seq != 4 {
			t.Errorf("RS256: %s\n%s", got, dump(store.ring, c.Now()))
		}
	})
}

func TestAlgorithms(t *testing.T) {
	generate := keystest.Generator()
	setup := func(t *testing.T) (*memStore, *clock, *Manager) {
		c, store := newClock(), &memStore{}
		return store, c, started(t, store, c, generate)
	}

	t.Run("an added algorithm falls back until its first key has propagated", func(t *testing.T) {
		store, c, older := setup(t)
		var log bytes.Buffer
		m := replica(t, store, c, generate)
		m.Policy.Algorithms = []string{"RS256", "EdDSA", "ES256"}
		m.Log = slog.New(slog.NewTextHandler(&log, nil))
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(log.String(), "alg=ES256 signs_from=2026-11-21T13:00:00.000Z meanwhile=RS256") {
			t.Errorf("the start does not say until when it waits:\n%s", &log)
		}
		for _, m := range []*Manager{m, older} { // replicas with an older configuration follow the store
			if err := m.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s, err := m.Signer("ES256"); err != nil || s.Algorithm() != "RS256" {
				t.Errorf("before: %v", err)
			}
			if slices.Contains(m.ActiveAlgorithms(), "ES256") {
				t.Error("discovery would list it already")
			}
			if got := len(kids(t, mustJWKS(t, m))); got != 5 {
				t.Errorf("%d keys are published", got)
			}
		}
		c.Move(time.Hour)
		for _, m := range []*Manager{older, m} {
			if err := m.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			if s, err := m.Signer("ES256"); err != nil || s.Algorithm() != "ES256" {
				t.Errorf("after: %v", err)
			}
			if got := m.ActiveAlgorithms(); !slices.Equal(got, []string{"RS256", "EdDSA", "ES256"}) {
				t.Errorf("active: %v", got)
			}
		}
		if len(store.ring.Algorithms) != 3 {
			t.Error("the replica with the older configuration took it away again")
		}
	})
	t.Run("an algorithm taken away retires, and its tokens verify on", func(t *testing.T) {
		store, c, older := setup(t)
		old, _ := older.Signer("RS256")
		m := replica(t, store, c, generate)
		m.Policy.Algorithms = []string{"EdDSA"}
		asked := ""
		m.AlgorithmInUse = func(_ context.Context, alg string) (string, error) { asked = alg; return "", nil }
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s, err := m.Signer("RS256"); err != nil || s.Algorithm() != "EdDSA" || asked != "RS256" {
			t.Errorf("signs with %v, asked for %q", err, asked)
		}
		if _, ok := m.PublishedKey(old.KeyID()); !ok {
			t.Error("its key is not published any more, though tokens of it live")
		}
		if got := len(kids(t, mustJWKS(t, m))); got != 3 {
			t.Errorf("%d keys are published; the pending one should be dropped", got)
		}
		for range 5 { // only a start may change the list
			c.Move(time.Second)
			if err := errors.Join(older.Step(t.Context()), m.Step(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
		if len(store.ring.Algorithms) != 1 {
			t.Errorf("the list flips: %v", store.ring.Algorithms)
		}
	})
	t.Run("refused while somebody is registered for it", func(t *testing.T) {
		store, c, _ := setup(t)
		m := replica(t, store, c, generate)
		m.Policy.Algorithms = []string{"EdDSA"}
		wants(t, m.Start(t.Context()), "RS256", "nothing tells")
		m.AlgorithmInUse = func(context.Context, string) (string, error) { return `client "shop"`, nil }
		wants(t, m.Start(t.Context()), "RS256", `client "shop"`)
		m.AlgorithmInUse = func(context.Context, string) (string, error) { return "", errors.New("down") }
		wants(t, m.Start(t.Context()), "down")
		if len(store.ring.Algorithms) != 2 {
			t.Error("it was taken away")
		}
	})
	t.Run("refused when nothing could sign", func(t *testing.T) {
		store, c, _ := setup(t)
		m := replica(t, store, c, generate)
		m.Policy.Algorithms = []string{"ES256"}
		m.AlgorithmInUse = func(context.Context, string) (string, error) { return "", nil }
		wants(t, m.Start(t.Context()), "no key of ES256 signs yet")
	})
	t.Run("the order alone", func(t *testing.T) {
		store, c, _ := setup(t)
		m := replica(t, store, c, generate)
		m.Policy.Algorithms = []string{"EdDSA", "RS256"}
		if err := m.Start(t.Context()); err != nil || !slices.Equal(m.ActiveAlgorithms(), m.Policy.Algorithms) {
			t.Errorf("%v, %v", m.ActiveAlgorithms(), err)
		}
		if s, _ := m.Signer("PS256"); s == nil || s.Algorithm() != "EdDSA" {
			t.Error("the fallback is not the first of the list")
		}
	})
}

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

// `signet keys list` shows the first eight characters of a kid: they name a key as long as they
// name one only.
func TestRevokeByTheBeginningOfAKid(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	victim := store.ring.Keys[2].ID
	for _, name := range []string{"", victim[:7], victim[:8] + "*", strings.ToUpper(victim[:8]) + "x", "nonesuch"} {
		if r, err := m.Revoke(t.Context(), []string{name}, false); err == nil || r.Changed {
			t.Errorf("%q: %+v, %v", name, r, err)
		}
	}
	r, err := m.Revoke(t.Context(), []string{victim[:8]}, false)
	if err != nil || !r.Changed || states(r, "RS256") != "removed active pending" {
		t.Errorf("%+v, %v", r, err)
	}
	twin := store.ring.Keys[3]
	twin.ID = twin.ID[:20] + "another"
	store.ring.Keys = append(store.ring.Keys, twin)
	if _, ok := store.ring.named(twin.ID[:10]); ok {
		t.Error("a beginning that two keys share named one of them")
	}
}

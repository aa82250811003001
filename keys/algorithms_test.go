package keys

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/keys/keystest"
)

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

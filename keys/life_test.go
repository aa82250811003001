package keys

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

// TestLife drives random lives of a key set: replicas with clocks that differ, that are cut off,
// frozen and restarted with other configurations, months switched off, rotations and revocations by
// any replica. After each action it checks what the replicas sign and publish against the invariant
// in doc.go.
func TestLife(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) { w.check(t) },
			"time passes": func(t *rapid.T) {
				w.clock.Move(w.span(t))
				w.check(t) // as a replica sees it that was frozen till now
				w.stepAll(t)
			},
			"a second passes": func(t *rapid.T) {
				w.clock.Move(time.Second)
				w.stepAll(t)
			},
			"until something happens": func(t *rapid.T) {
				r := report(w.store.ring, w.policy, w.clock.Now())
				if len(r.Events) == 0 {
					return
				}
				event := rapid.SampledFrom(r.Events).Draw(t, "event")
				around := time.Duration(rapid.IntRange(-61, 61).Draw(t, "seconds")) * time.Second
				w.clock.Move(max(0, event.At.Sub(w.clock.Now())+around)) // the database's clock never goes back
				w.stepAll(t)
			},
			"cut off or heal": func(t *rapid.T) {
				n := w.any(t)
				// If a wrong clock is set right while no replica can compare it, only time.Now's
				// monotonic reading shows it, which the clock of this test lacks.
				if n.offset.Abs() <= w.policy.ClockLimit() {
					n.cut.Store(!n.cut.Load())
				}
			},
			"rotate": func(t *rapid.T) {
				if _, err := w.connected(t).Rotate(context.Background(), false); err != nil {
					t.Fatal(err)
				}
			},
			"revoke": func(t *rapid.T) {
				n := w.connected(t)
				key := rapid.SampledFrom(w.store.ring.Keys).Draw(t, "key")
				if _, err := n.Revoke(context.Background(), []string{key.ID}, false); err != nil {
					t.Fatal(err)
				}
				w.excuse()
			},
			"revoke all": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "seldom") > 0 {
					return
				}
				if _, err := w.connected(t).Revoke(context.Background(), nil, true); err != nil {
					t.Fatal(err)
				}
				w.excuse()
			},
			"a clock is set": func(t *rapid.T) {
				n := w.connected(t)
				n.offset = time.Duration(
					rapid.SampledFrom([]int{-30, -10, 0, 20, 30, -3600, 3600, -86400, 86400}).Draw(t, "offset")) * time.Second
				w.check(t)
				_ = n.Step(context.Background()) // an error when the clock is off
			},
			"restart with other algorithms": func(t *rapid.T) {
				n := w.connected(t)
				p := n.Policy
				p.Algorithms = rapid.SampledFrom([][]string{{"EdDSA", "ES256"}, {"ES256", "EdDSA"}, {"EdDSA"},
					{"ES256"}}).Draw(t, "algorithms")
				if err := w.start(n, p); err != nil && !strings.Contains(err.Error(), "keep one of") {
					t.Fatal(err)
				}
			},
			"rolling restart with another lifetime": func(t *rapid.T) {
				p := w.policy
				p.LongestLifetime = time.Duration(rapid.IntRange(1, 180).Draw(t, "minutes")) * time.Minute
				for _, n := range w.nodes {
					n.cut.Store(false)
					n.offset = 0
					p.Algorithms = n.Policy.Algorithms
					if err := w.start(n, p); err != nil && !strings.Contains(err.Error(), "keep one of") {
						t.Fatal(err)
					}
					w.check(t)
				}
			},
			"switched off for long": func(t *rapid.T) {
				w.clock.Move(time.Duration(rapid.IntRange(1, 200).Draw(t, "days")) * 24 * time.Hour)
				for _, n := range w.nodes {
					n.cut.Store(false)
					n.offset = 0
					p := n.Policy
					p.Algorithms = w.store.ring.Algorithms
					if err := w.start(n, p); err != nil {
						t.Fatal(err)
					}
				}
			},
		})
	})
}

type world struct {
	clock  *clock
	store  *memStore
	policy Policy
	nodes  []*node
	make   func(alg string) (crypto.Signer, error)

	served  []served        // what verifiers may have in their caches
	tokens  []token         // not expired yet
	refresh []token         // refresh tokens, not expired yet
	excused map[string]bool // keys that sign early for a reason that the design names
}

type node struct {
	*Manager
	offset time.Duration
	cut    atomic.Bool
}

type served struct {
	at   time.Time
	kids []string
	by   int
}

type token struct {
	kid string
	exp time.Time
}

func newWorld(t *rapid.T) *world {
	p := standard()
	p.Algorithms = []string{"EdDSA", "ES256"}
	w := &world{clock: newClock(), store: &memStore{}, policy: p, make: keystest.Generator(), excused: map[string]bool{}}
	for range 3 {
		n := &node{}
		if err := w.start(n, p); err != nil {
			t.Fatal(err)
		}
		w.nodes = append(w.nodes, n)
	}
	w.excuse()
	return w
}

// start starts a new process in n's place, if it can start.
func (w *world) start(n *node, p Policy) error {
	kek, _ := jose.ParseKEK(keystest.KEK)
	m := &Manager{
		Store: &cutStore{w.store, &n.cut}, Policy: p, KEKs: []jose.KEK{kek}, Generate: w.make,
		Now: func() time.Time { return w.clock.Now().Add(n.offset) },
		DatabaseNow: func(context.Context) (time.Time, error) {
			if n.cut.Load() {
				return time.Time{}, errCut
			}
			return w.clock.Now(), nil
		},
		TypesToSign:    []string{"at+jwt"},
		AlgorithmInUse: func(context.Context, string) (string, error) { return "", nil },
	}
	if n.Manager == nil {
		n.Manager = m
	}
	if err := m.Start(context.Background()); err != nil {
		return err
	}
	n.Manager = m
	return nil
}

func (w *world) span(t *rapid.T) time.Duration {
	unit := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "unit")
	return time.Duration(rapid.IntRange(1, 60).Draw(t, "count")) * unit
}

func (w *world) any(t *rapid.T) *node { return rapid.SampledFrom(w.nodes).Draw(t, "replica") }

// connected returns a replica that reaches the store and has a right clock. If there is none, it
// connects one, and that replica polls before anything else happens.
func (w *world) connected(t *rapid.T) *node {
	n := w.any(t)
	if n.cut.Load() || n.offset.Abs() > w.policy.ClockLimit() {
		n.cut.Store(false)
		n.offset = 0
		if err := n.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func (w *world) stepAll(t *rapid.T) {
	for _, i := range rapid.Permutation([]int{0, 1, 2}).Draw(t, "order") {
		n := w.nodes[i]
		err := n.Step(context.Background())
		if right := !n.cut.Load() && n.offset.Abs() <= w.policy.ClockLimit(); right != (err == nil) {
			t.Fatalf("replica %d, cut off %v, clock off by %v: Step says %v", i, n.cut.Load(), n.offset, err)
		}
		if err == nil {
			w.checkRing(t, n)
		}
	}
}

// checkRing compares the stored keys with the design right after a step.
func (w *world) checkRing(t *rapid.T, n *node) {
	ring, now := w.store.ring, n.Now()
	for _, alg := range ring.Algorithms {
		// A replica whose clock is behind may still see what another replica, whose clock is ahead,
		// has done.
		if got := chain(ring, alg, now); got != "active pending" && !(got == "pending" && added(ring, alg)) &&
			chain(ring, alg, now.Add(w.policy.ClockSkew)) != "active pending" {
			t.Fatalf("%s has no active key with one published successor but %q:\n%s", alg, got, dump(ring, now))
		}
	}
	for _, k := range ring.Keys {
		if k.ActivateAt.Sub(k.CreatedAt) < n.Policy.Propagation && !w.excused[k.ID] {
			t.Fatalf("key %s signs %v after it was made:\n%s", k.ID, k.ActivateAt.Sub(k.CreatedAt), dump(ring, now))
		}
		if !k.RevokedAt.IsZero() && k.Sealed != "" {
			t.Fatalf("revoked key %s keeps its private half", k.ID)
		}
		if !k.RetireAt.IsZero() && now.After(n.Policy.wipeAt(&k)) && k.Sealed != "" {
			t.Fatalf("key %s retired at %v and keeps its private half at %v", k.ID, k.RetireAt, now)
		}
	}
}

// chain returns the states of the keys of alg that sign or will sign.
func chain(ring Ring, alg string, now time.Time) string {
	var states []string
	for _, k := range ring.Keys {
		if state := k.State(now); k.Algorithm == alg && k.Sealed != "" && (state == Active || state == Pending) &&
			!k.RetireAt.Equal(k.ActivateAt) {
			states = append(states, string(state))
		}
	}
	return strings.Join(states, " ")
}

// added reports whether the pending key of alg is the first of an added algorithm.
func added(ring Ring, alg string) bool {
	i := slices.IndexFunc(ring.Keys, func(k Key) bool {
		return k.Algorithm == alg && k.Sealed != "" && k.ActivateAt.Equal(k.CreatedAt.Add(standard().Propagation))
	})
	return i >= 0
}

// excuse records the keys that may sign before they have propagated: those of the first start, and
// those that follow a revoked key.
func (w *world) excuse() {
	for _, k := range w.store.ring.Keys {
		if k.ActivateAt.Sub(k.CreatedAt) < w.policy.Propagation {
			w.excused[k.ID] = true
		}
	}
}

func (w *world) check(t *rapid.T) {
	now := w.clock.Now()
	revoked := map[string]time.Time{}
	for _, k := range w.store.ring.Keys {
		if !k.RevokedAt.IsZero() {
			revoked[k.ID] = k.RevokedAt
		}
	}

	w.served = slices.DeleteFunc(w.served, func(s served) bool { return now.Sub(s.at) > w.policy.JWKSMaxAge })
	current := len(w.served)
	for i, n := range w.nodes {
		if doc, err := n.JWKS(); err == nil {
			w.served = append(w.served, served{now, kids(t, doc), i})
		} else if age := n.now().Sub(n.view.Load().readAt); !errors.Is(err, ErrNotReady) ||
			age >= 0 && age <= w.policy.JWKSLimit() {
			t.Fatalf("replica %d does not publish what it read %v ago: %v", i, age, err)
		}
	}

	for i, n := range w.nodes {
		for _, alg := range []string{"EdDSA", "ES256", "RS256"} {
			signer, err := n.Signer(alg)
			if err != nil {
				v := n.view.Load()
				age := n.now().Sub(v.readAt)
				if !errors.Is(err, ErrNotReady) || !v.off && age >= 0 && age <= w.policy.StaleLimit() {
					t.Fatalf("replica %d, which read the store %v ago, does not sign: %v\n%s", i, age, err, dump(v.set.ring, n.now()))
				}
				continue
			}
			kid := signer.KeyID()
			if at, is := revoked[kid]; is && n.view.Load().readAt.Add(-n.offset).After(at.Add(w.policy.ClockSkew)) {
				t.Fatalf("replica %d signs with %s, which was revoked at %v", i, kid, at)
			}
			if k, ok := w.store.ring.find(kid); !ok || k.Sealed == "" && k.RevokedAt.IsZero() {
				t.Fatalf("replica %d signs with %s, whose private half is wiped", i, kid)
			}
			for _, s := range w.served {
				if !slices.Contains(s.kids, kid) && revoked[kid].IsZero() && !w.excusedNow(kid) {
					t.Fatalf("at %v replica %d signs with %s; a verifier may have cached the keys of replica %d from %v without it: %v\n%s",
						now, i, kid, s.by, s.at, s.kids, dump(w.store.ring, now))
				}
			}
			at := n.now()
			w.tokens = append(w.tokens, token{kid, at.Add(n.Policy.LongestLifetime)})
			w.refresh = append(w.refresh, token{kid, at.Add(n.Policy.RefreshAbsolute)})
		}
	}

	expired := func(k token) bool { return !now.Before(k.exp) }
	w.tokens = compact(slices.DeleteFunc(w.tokens, expired))
	w.refresh = compact(slices.DeleteFunc(w.refresh, expired))
	for _, s := range w.served[current:] {
		for _, k := range w.tokens {
			if !slices.Contains(s.kids, k.kid) && revoked[k.kid].IsZero() && !w.excusedNow(k.kid) {
				t.Fatalf("at %v replica %d publishes no key %s, though a token of it lives until %v\n%s", now, s.by, k.kid, k.exp,
					dump(w.store.ring, now))
			}
		}
	}
	for _, k := range w.refresh {
		if _, ok := w.store.ring.find(k.kid); !ok {
			t.Fatalf("key %s was deleted, though a refresh token of it lives until %v", k.kid, k.exp)
		}
	}
}

// excusedNow: once it has propagated, a key that signed early is like any other.
func (w *world) excusedNow(kid string) bool {
	k, _ := w.store.ring.find(kid)
	return w.excused[kid] && w.clock.Now().Before(k.CreatedAt.Add(w.policy.Propagation+w.policy.ClockSkew))
}

// compact keeps the longest-lived token of each key.
func compact(tokens []token) []token {
	longest := map[string]time.Time{}
	for _, k := range tokens {
		longest[k.kid] = later(longest[k.kid], k.exp)
	}
	tokens = tokens[:0]
	for kid, exp := range longest {
		tokens = append(tokens, token{kid, exp})
	}
	return tokens
}

// fataler is both *testing.T and *rapid.T.
type fataler interface{ Fatalf(string, ...any) }

// kids are those of a JWK set, which is searched for private members (D-28).
func kids(t fataler, doc *Document) []string {
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(doc.Body, &set); err != nil {
		t.Fatalf("JWKS: %v", err)
	}
	var kids []string
	for _, k := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if _, there := k[private]; there {
				t.Fatalf("D-28 the JWKS holds the private member %q: %s", private, doc.Body)
			}
		}
		if k["use"] != "sig" || k["alg"] == nil {
			t.Fatalf("a published key lacks use or alg: %v", k)
		}
		kids = append(kids, fmt.Sprint(k["kid"]))
	}
	return kids
}

func dump(ring Ring, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "ring %d of %v at %v\n", ring.Version, ring.Algorithms, now)
	for _, k := range ring.Keys {
		fmt.Fprintf(&b, "%s %d %.6s %-8s created %v activate %v retire %v remove %v revoked %v sealed %v\n", k.Algorithm,
			k.Seq, k.ID, k.State(now),
			k.CreatedAt, k.ActivateAt, k.RetireAt, k.RemoveAt, k.RevokedAt, k.Sealed != "")
	}
	return b.String()
}

var errCut = errors.New("cut off from the store")

// cutStore is a store behind a wire that can be cut.
type cutStore struct {
	*memStore
	cut *atomic.Bool
}

func (s *cutStore) RingVersion(ctx context.Context) (int64, error) {
	if s.cut.Load() {
		return 0, errCut
	}
	return s.memStore.RingVersion(ctx)
}

func (s *cutStore) LoadRing(ctx context.Context) (Ring, error) {
	if s.cut.Load() {
		return Ring{}, errCut
	}
	return s.memStore.LoadRing(ctx)
}

func (s *cutStore) ChangeRing(ctx context.Context, version int64, c Change) error {
	if s.cut.Load() {
		return errCut
	}
	return s.memStore.ChangeRing(ctx, version, c)
}

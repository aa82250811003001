package keys

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/keys/keystest"
)

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

package keys

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

func factorKey(t *testing.T, m *Manager, p FactorPurpose) []byte {
	t.Helper()
	key, err := m.FactorKey(p)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// The keys of a purpose seal what stays for years, so a server of another version must derive the
// same ones (RFC 5869).
func TestFactorKey(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	secret, err := jose.Open(store.ring.FactorSecret, "factor-secret", testKEK(t))
	if err != nil || len(secret) != 32 {
		t.Fatalf("the factor secret in the store: %d bytes, %v", len(secret), err)
	}
	for p, name := range map[FactorPurpose]string{
		AuthenticatorApps: "signet authenticator apps", RecoveryCodes: "signet recovery codes",
	} {
		want, err := hkdf.Key(sha256.New, secret, nil, name, 32)
		if err != nil {
			t.Fatal(err)
		}
		if got := factorKey(t, m, p); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", name, got, want)
		}
	}
	if len(factorPurposes) != 2 {
		t.Errorf("%d purposes: fix the bytes of the new ones here", len(factorPurposes))
	}

	// No key of a purpose is that of another, nor is either secret one.
	refresh, err := jose.Open(store.ring.RefreshSecret, refreshSecretName, testKEK(t))
	if err != nil {
		t.Fatal(err)
	}
	all := [][]byte{secret, refresh}
	for p := range factorPurposes {
		all = append(all, factorKey(t, m, FactorPurpose(p)))
	}
	for p := range purposes {
		key, err := m.Secret(Purpose(p))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, key)
	}
	for i, key := range all {
		if len(key) != 32 || slices.ContainsFunc(all[:i], func(other []byte) bool { return bytes.Equal(key, other) }) {
			t.Errorf("%d: %d bytes, or one that was there before", i, len(key))
		}
	}
}

// A first start that dies after its first change leaves a ring with both secrets and its keys.
func TestTheFirstChangeMakesBothSecrets(t *testing.T) {
	c, store := newClock(), &memStore{}
	died := errors.New("the server died")
	store.after = func(error) error { store.failing = died; return died }
	if err := replica(t, store, c, keystest.Generator()).Start(t.Context()); !errors.Is(err, died) {
		t.Fatalf("%v", err)
	}
	ring := store.ring
	if ring.Version != 1 || ring.RefreshSecret == "" || ring.FactorSecret == "" || len(ring.Keys) != 4 {
		t.Fatalf("%+v", ring)
	}
	store.failing, store.after = nil, nil
	m := started(t, store, c, nil)
	factorKey(t, m, AuthenticatorApps)
	if store.ring.Version != 1 {
		t.Errorf("the next start wrote, too: version %d", store.ring.Version)
	}
}

func TestTheFactorSecretStays(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	key, sealed := factorKey(t, m, AuthenticatorApps), store.ring.FactorSecret
	for name, act := range map[string]func() error{
		"a revocation": func() error { _, err := m.Revoke(t.Context(), nil, true); return err },
		"a rotation":   func() error { _, err := m.Rotate(t.Context(), false); return err },
		"a start":      func() error { return m.Start(t.Context()) },
		"a month":      func() error { c.Move(31 * 24 * time.Hour); return m.Step(t.Context()) },
	} {
		if err := act(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if store.ring.FactorSecret != sealed || !bytes.Equal(factorKey(t, m, AuthenticatorApps), key) {
			t.Errorf("%s changed the factor secret", name)
		}
	}
}

func TestFactorKeyOfARingThatIsNotReady(t *testing.T) {
	c, store := newClock(), &memStore{}
	refused := func(what string, m *Manager, words ...string) {
		t.Helper()
		for p := range factorPurposes {
			key, err := m.FactorKey(FactorPurpose(p))
			if !errors.Is(err, ErrNotReady) || key != nil {
				t.Errorf("%s: %x, %v", what, key, err)
			}
			wants(t, err, words...)
		}
	}
	refused("never loaded", replica(t, store, c, keystest.Generator()), "never loaded")

	m := started(t, store, c, keystest.Generator())
	kek, err := jose.ParseKEK(jose.NewKEK())
	if err != nil {
		t.Fatal(err)
	}
	for _, given := range [][]jose.KEK{nil, {kek}} {
		wrong := replica(t, store, c, keystest.Generator())
		wrong.KEKs = given
		if err := wrong.LoadView(t.Context()); err != nil {
			t.Fatal(err)
		}
		refused("another key-encryption key", wrong, testKEK(t).ID, "keys.encryption_key")
		if _, err := wrong.FactorKey(AuthenticatorApps); !errors.Is(err, ErrSealed) {
			t.Errorf("not told apart from other reasons: %v", err)
		}
	}

	// Only the factor secret is unreadable: then the error names it, and the replica is not ready.
	good := store.ring.FactorSecret
	under := func(kek jose.KEK, name string) string {
		sealed, err := jose.Seal(make([]byte, 32), kek, name)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	for name, tt := range map[string]struct {
		sealed string
		words  []string
	}{
		"sealed under another key":      {under(kek, factorSecretName), []string{"factor secret", kek.ID, testKEK(t).ID}},
		"the refresh secret in its row": {store.ring.RefreshSecret, []string{"factor secret", "moved from another row"}},
		"a signing key in its row":      {store.ring.Keys[0].Sealed, []string{"factor secret", "moved from another row"}},
		"sealed for another name":       {under(testKEK(t), "factor"), []string{"factor secret", "moved from another row"}},
		"cut off":                       {good[:len(good)-3], []string{"factor secret", "damaged"}},
		"no seal":                       {"x", []string{"factor secret", "damaged"}},
	} {
		store.ring.FactorSecret = tt.sealed
		store.ring.Version++
		other := replica(t, store, c, keystest.Generator())
		wants(t, other.Start(t.Context()), tt.words...)
		wants(t, m.Step(t.Context()), tt.words...)
		wants(t, m.Ready(), tt.words...)
		if !errors.Is(m.Ready(), ErrSealed) {
			t.Errorf("%s: %v", name, m.Ready())
		}
		refused(name, m, tt.words...)
		refused(name, other, tt.words...)
		if store.ring.FactorSecret != tt.sealed {
			t.Fatalf("%s: another factor secret took its place", name)
		}
	}
	store.ring.FactorSecret = good
	store.ring.Version++
	if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
		t.Errorf("restored: %v, %v", err, m.Ready())
	}
	factorKey(t, m, RecoveryCodes)
}

// olderServers is the store as servers of versions before second factors use it: they neither read
// nor write the factor secret.
type olderServers struct{ Store }

func (s olderServers) LoadRing(ctx context.Context) (Ring, error) {
	ring, err := s.Store.LoadRing(ctx)
	ring.FactorSecret = ""
	return ring, err
}

func (s olderServers) ChangeRing(ctx context.Context, version int64, c Change) error {
	c.FactorSecret = ""
	return s.Store.ChangeRing(ctx, version, c)
}

func TestAStoreFromBeforeGetsAFactorSecret(t *testing.T) {
	setup := func(t *testing.T) (*memStore, *clock, *Manager) {
		c, store := newClock(), &memStore{}
		older := started(t, olderServers{store}, c, keystest.Generator())
		if store.ring.Version == 0 || store.ring.FactorSecret != "" {
			t.Fatal("the store is not one from before")
		}
		store.events = nil
		return store, c, older
	}

	t.Run("at the start, with nothing else changed, and once", func(t *testing.T) {
		store, c, _ := setup(t)
		before := store.ring
		var log strings.Builder
		m := replica(t, store, c, nil)
		m.Log = slog.New(slog.NewTextHandler(&log, nil))
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := store.ring
		if after.FactorSecret == "" || after.Version != before.Version+1 {
			t.Errorf("version %d after %d", after.Version, before.Version)
		}
		if !strings.Contains(log.String(), "factor secret created") || strings.Contains(log.String(), after.FactorSecret) {
			t.Errorf("the log: %s", log.String())
		}
		if len(store.events) != 0 {
			t.Errorf("%v", store.events)
		}
		key := factorKey(t, m, RecoveryCodes)
		before.Version, before.FactorSecret = after.Version, after.FactorSecret
		if fmt.Sprintf("%+v", before) != fmt.Sprintf("%+v", after) {
			t.Errorf("%+v became %+v", before, after)
		}
		if err := m.Start(t.Context()); err != nil || store.ring.Version != after.Version {
			t.Errorf("another start wrote: %v", err)
		}
		if other := started(t, store, c, nil); !bytes.Equal(factorKey(t, other, RecoveryCodes), key) {
			t.Error("another replica has another secret")
		}
	})
	t.Run("by a start only: commands and polls leave the store to the servers", func(t *testing.T) {
		store, c, _ := setup(t)
		m := replica(t, store, c, keystest.Generator())
		if err := m.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := m.FactorKey(RecoveryCodes)
		if !errors.Is(err, ErrNotReady) {
			t.Errorf("%v", err)
		}
		wants(t, err, "no factor secret yet", "signet serve")
		c.Move(2 * time.Hour)
		if _, err := m.Rotate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		kek, err := jose.ParseKEK(jose.NewKEK())
		if err != nil {
			t.Fatal(err)
		}
		m.KEKs = []jose.KEK{kek, testKEK(t)}
		r, err := m.Rewrap(t.Context())
		if err != nil || !strings.HasPrefix(r.Message, "The refresh secret and 6 private keys are sealed") {
			t.Errorf("%q, %v", r.Message, err)
		}
		if store.ring.FactorSecret != "" {
			t.Error("made by a command")
		}
	})
	t.Run("a server of an older version beside it goes on, and leaves the secret alone", func(t *testing.T) {
		store, c, older := setup(t)
		m := started(t, store, c, keystest.Generator())
		sealed, key := store.ring.FactorSecret, factorKey(t, m, AuthenticatorApps)
		for range 3 {
			c.Move(720 * time.Hour)
			for _, server := range []*Manager{older, m} {
				if err := server.Step(t.Context()); err != nil || server.Ready() != nil {
					t.Fatalf("%v, %v", err, server.Ready())
				}
			}
		}
		if _, err := older.Revoke(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		if err := m.Step(t.Context()); err != nil || store.ring.FactorSecret != sealed ||
			!bytes.Equal(factorKey(t, m, AuthenticatorApps), key) {
			t.Errorf("the secret changed, or %v", err)
		}
	})
	t.Run("never under a key-encryption key that the other servers lack", func(t *testing.T) {
		store, c, _ := setup(t)
		kek, err := jose.ParseKEK(jose.NewKEK())
		if err != nil {
			t.Fatal(err)
		}
		version := store.ring.Version
		for _, given := range [][]jose.KEK{nil, {kek}} {
			m := replica(t, store, c, nil)
			m.KEKs = given
			wants(t, m.Start(t.Context()), "refresh secret", testKEK(t).ID, "keys.encryption_key")
		}
		if store.ring.FactorSecret != "" || store.ring.Version != version {
			t.Fatal("it was made")
		}
		m := replica(t, store, c, nil)
		m.KEKs = []jose.KEK{kek, testKEK(t)} // the new one comes first before the rewrap
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if id, err := jose.SealedUnder(store.ring.FactorSecret); err != nil || id != testKEK(t).ID {
			t.Errorf("sealed under %s, %v", id, err)
		}
	})
	t.Run("of two servers at once, one makes it and both use it", func(t *testing.T) {
		store, c, _ := setup(t)
		first, second := replica(t, store, c, nil), replica(t, store, c, nil)
		store.before = func() {
			if err := second.Start(t.Context()); err != nil {
				t.Error(err)
			}
		}
		version := store.ring.Version
		if err := first.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if store.ring.Version != version+1 ||
			!bytes.Equal(factorKey(t, first, AuthenticatorApps), factorKey(t, second, AuthenticatorApps)) {
			t.Errorf("version %d after %d, or two secrets", store.ring.Version, version)
		}
	})
	t.Run("once when the answer is lost, whether it was stored or not", func(t *testing.T) {
		for _, stored := range []bool{true, false} {
			store, c, _ := setup(t)
			version := store.ring.Version
			lost := errors.New("the connection broke")
			store.after = func(error) error { store.after = nil; return lost }
			if !stored {
				store.before = func() { store.failing = lost }
				store.after = func(error) error { store.after, store.failing = nil, nil; return lost }
			}
			m := replica(t, store, c, nil)
			if err := m.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if store.ring.Version != version+1 {
				t.Errorf("stored %v: version %d after %d", stored, store.ring.Version, version)
			}
			factorKey(t, m, RecoveryCodes)
		}
	})
	t.Run("not while the store is down", func(t *testing.T) {
		store, c, _ := setup(t)
		down := errors.New("the store is down")
		store.after = func(error) error { return down }
		store.before = func() { store.failing = down }
		m := replica(t, store, c, nil)
		if err := m.Start(t.Context()); !errors.Is(err, down) {
			t.Errorf("%v", err)
		}
		if _, err := m.FactorKey(RecoveryCodes); !errors.Is(err, ErrNotReady) {
			t.Errorf("%v", err)
		}
		store.failing, store.after = nil, nil
		if store.ring.FactorSecret != "" {
			t.Error("it was made")
		}
		if err := m.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		factorKey(t, m, RecoveryCodes)
	})
}

// A rewrap seals the factor secret anew and changes none of the keys that are derived from it, so
// what is sealed under them needs no change.
func TestRewrapOfTheFactorSecret(t *testing.T) {
	kek, err := jose.ParseKEK(jose.NewKEK())
	if err != nil {
		t.Fatal(err)
	}
	c, store := newClock(), &memStore{}
	live := started(t, store, c, keystest.Generator())
	live.KEKs = []jose.KEK{testKEK(t), kek}
	app, codes := factorKey(t, live, AuthenticatorApps), factorKey(t, live, RecoveryCodes)
	operator := replica(t, store, c, nil)
	operator.KEKs = []jose.KEK{kek, testKEK(t)}
	same := func(m *Manager) {
		t.Helper()
		if !bytes.Equal(factorKey(t, m, AuthenticatorApps), app) || !bytes.Equal(factorKey(t, m, RecoveryCodes), codes) {
			t.Error("the keys changed")
		}
	}

	before := store.ring
	if _, err := operator.Rewrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(live) // before its next poll
	if err := live.Step(t.Context()); err != nil || live.Ready() != nil {
		t.Fatalf("a live replica: %v, %v", err, live.Ready())
	}
	same(live)
	if id, err := jose.SealedUnder(store.ring.FactorSecret); err != nil || id != kek.ID {
		t.Errorf("sealed under %s, %v", id, err)
	}
	after := replica(t, store, c, nil)
	after.KEKs = []jose.KEK{kek}
	if err := after.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(after)

	// Only the factor secret was left behind, as by a server that did not know of it.
	store.ring.FactorSecret = before.FactorSecret
	store.ring.Version++
	wants(t, replicaWith(t, store, c, kek).Start(t.Context()), "factor secret", testKEK(t).ID, "keys.encryption_key_previous")
	store.events = nil
	r, err := operator.Rewrap(t.Context())
	want := "The factor secret is sealed under the key-encryption key " + kek.ID + " now."
	if err != nil || !r.Changed || !strings.HasPrefix(r.Message, want) {
		t.Errorf("%q, %v", r.Message, err)
	}
	if got := store.brief(); len(got) != 1 || !strings.HasSuffix(got[0], ": factor_secret") {
		t.Errorf("recorded as %v", got)
	}
	last := replicaWith(t, store, c, kek)
	if err := last.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	same(last)

	// Without the key that it is sealed under, nothing is sealed anew.
	store.ring = before
	sealed, err := jose.Seal(make([]byte, 32), kek, factorSecretName)
	if err != nil {
		t.Fatal(err)
	}
	store.ring.FactorSecret = sealed
	third, err := jose.ParseKEK(jose.NewKEK())
	if err != nil {
		t.Fatal(err)
	}
	operator.KEKs = []jose.KEK{third, testKEK(t)}
	version := store.ring.Version
	_, err = operator.Rewrap(t.Context())
	wants(t, err, "factor secret", kek.ID)
	if store.ring.Version != version {
		t.Error("half of the ring was sealed anew")
	}
}

func replicaWith(t *testing.T, store Store, c *clock, keks ...jose.KEK) *Manager {
	m := replica(t, store, c, nil)
	m.KEKs = keks
	return m
}

func TestResealed(t *testing.T) {
	one, two := make([]Key, 1), make([]Key, 2)
	for _, tt := range []struct {
		change Change
		want   string
	}{
		{Change{RefreshSecret: "x"}, "The refresh secret is"},
		{Change{FactorSecret: "x"}, "The factor secret is"},
		{Change{RefreshSecret: "x", FactorSecret: "x"}, "The refresh secret and the factor secret are"},
		{Change{Update: one}, "1 private key is"},
		{Change{Update: two}, "2 private keys are"},
		{Change{RefreshSecret: "x", Update: one}, "The refresh secret and 1 private key are"},
		{Change{RefreshSecret: "x", FactorSecret: "x", Update: two},
			"The refresh secret, the factor secret and 2 private keys are"},
	} {
		if got := resealed(tt.change); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

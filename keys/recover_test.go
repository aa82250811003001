package keys

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

// otherKEK returns a key-encryption key that is not keystest.KEK.
func otherKEK(t *testing.T) jose.KEK {
	t.Helper()
	kek, err := jose.ParseKEK(jose.NewKEK())
	if err != nil {
		t.Fatal(err)
	}
	return kek
}

func TestF35RecoverRestoredTrustsNothingOfTheCopy(t *testing.T) {
	c, store := newClock(), &memStore{}
	m := started(t, store, c, keystest.Generator())
	before := store.ring
	jti, err := m.RefreshJTI([16]byte{1}, 1)
	if err != nil {
		t.Fatal(err)
	}
	factors, err := m.FactorKey(AuthenticatorApps)
	if err != nil {
		t.Fatal(err)
	}
	c.Move(2 * time.Hour)
	if err := m.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := m.Recover(t.Context(), Restored, end)
	if err != nil || !r.Changed {
		t.Fatalf("%+v, %v", r, err)
	}
	wants(t, errors.New(r.Message), "4 keys revoked and wiped", "may refuse new tokens until 2026-11-21 15:00:00 UTC")
	if err := m.Step(t.Context()); err != nil || m.Ready() != nil {
		t.Fatal(err, m.Ready())
	}
	published := kids(t, mustJWKS(t, m))
	for _, k := range before.Keys {
		after, ok := store.ring.find(k.ID)
		if !ok || after.RevokedAt.IsZero() || after.Sealed != "" || slices.Contains(published, k.ID) {
			t.Errorf("the restored key %s: %+v, published %v", k.ID, after, published)
		}
	}
	if len(published) != 4 { // a key and its successor of each algorithm
		t.Errorf("published: %v", published)
	}
	for _, alg := range store.ring.Algorithms {
		if _, err := m.Signer(alg); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
	if again, err := m.RefreshJTI([16]byte{1}, 1); err != nil || again == jti {
		t.Errorf("refresh tokens of the copy are still good: %v", err)
	}
	if again, err := m.FactorKey(AuthenticatorApps); err != nil || !slices.Equal(again, factors) {
		t.Errorf("the factor secret changed: %v", err)
	}
	reasons := map[string]int{}
	for _, e := range store.events {
		if e.Name == audit.KeysChanged {
			reasons[e.Reason]++
		}
	}
	if reasons["refresh_secret"] != 1 || reasons["factor_secret"] != 0 {
		t.Errorf("events: %v", reasons)
	}
}

func TestRecoverAfterTheKEKIsLost(t *testing.T) {
	c, store := newClock(), &memStore{}
	old := started(t, store, c, keystest.Generator())
	before := store.ring
	signer, err := old.Signer(jose.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	jti, _ := old.RefreshJTI([16]byte{1}, 1)
	factors, _ := old.FactorKey(AuthenticatorApps)

	fresh := &Manager{Store: store, Policy: old.Policy, Now: old.Now, DatabaseNow: old.DatabaseNow, Generate: old.Generate,
		KEKs: []jose.KEK{otherKEK(t)}}
	c.Move(10 * time.Minute)
	r, err := fresh.Recover(t.Context(), KEKLost, end)
	if err != nil || !r.Changed {
		t.Fatalf("%+v, %v", r, err)
	}
	wants(t, errors.New(r.Message), "4 private keys are lost", "what they signed verifies until it expires", "signs now",
		"may refuse new tokens until 2026-11-21 13:10:00 UTC")
	if err := fresh.Step(t.Context()); err != nil || fresh.Ready() != nil {
		t.Fatal(err, fresh.Ready())
	}
	for _, k := range before.Keys {
		after, ok := store.ring.find(k.ID)
		if !ok || !after.RevokedAt.IsZero() || after.Sealed != "" || after.RetireAt.After(c.Now()) ||
			!after.RemoveAt.After(c.Now()) {
			t.Errorf("the lost key %s: %+v", k.ID, after)
		}
	}
	// Resource servers notice nothing: the key that signed a minute ago still verifies.
	if _, ok := fresh.PublishedKey(signer.KeyID()); !ok {
		t.Error("what the lost key signed does not verify any more")
	}
	if next, err := fresh.Signer(jose.EdDSA); err != nil || next.KeyID() == signer.KeyID() {
		t.Errorf("signs: %v, %v", next, err)
	}
	if again, err := fresh.RefreshJTI([16]byte{1}, 1); err != nil || again == jti {
		t.Errorf("the refresh secret: %v", err)
	}
	if again, err := fresh.FactorKey(AuthenticatorApps); err != nil || slices.Equal(again, factors) {
		t.Errorf("the factor secret: %v", err)
	}
	for what, sealed := range map[string]string{"refresh": store.ring.RefreshSecret, "factor": store.ring.FactorSecret} {
		if id, err := jose.SealedUnder(sealed); err != nil || id != fresh.KEKs[0].ID {
			t.Errorf("the %s secret is sealed under %s, %v", what, id, err)
		}
	}
}

// end is given where no session is there.
func end() error { return nil }

// Until the sessions have ended the keys stay, so that the recovery is begun again.
func TestRecoverEndsTheSessionsFirst(t *testing.T) {
	for _, loss := range []Loss{Restored, KEKLost} {
		c, store := newClock(), &memStore{}
		m := started(t, store, c, keystest.Generator())
		if loss == KEKLost {
			m = &Manager{Store: store, Policy: m.Policy, Now: m.Now, DatabaseNow: m.DatabaseNow, Generate: m.Generate,
				KEKs: []jose.KEK{otherKEK(t)}}
		}
		before := fmt.Sprint(store.ring)
		gone := errors.New("the store is gone")
		_, err := m.Recover(t.Context(), loss, func() error { return gone })
		if !errors.Is(err, gone) || fmt.Sprint(store.ring) != before {
			t.Errorf("%v: %v; the keys: %v", loss, err, store.ring)
		}
		if r, err := m.Recover(t.Context(), loss, end); err != nil || !r.Changed {
			t.Errorf("%v: %+v, %v", loss, r, err)
		}
	}
}

func TestRecoverRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		loss   Loss
		keks   func(t *testing.T) []jose.KEK
		damage func(*memStore)
		words  string
	}{
		"no loss":                 {0, present, nil, "say what happened"},
		"another loss":            {KEKLost + 1, present, nil, "say what happened"},
		"a KEK that is not lost":  {KEKLost, present, nil, "opens the store, so nothing is lost"},
		"the previous KEK opens":  {KEKLost, lostAndPresent, nil, "nothing is lost"},
		"no new KEK":              {KEKLost, none, nil, "`signet keys new-kek`"},
		"damage":                  {KEKLost, present, func(s *memStore) { s.ring.RefreshSecret = "x" + s.ring.RefreshSecret }, "damaged"},
		"restored, without KEK":   {Restored, none, nil, "is sealed under the key-encryption key"},
		"restored, another KEK":   {Restored, other, nil, "is sealed under the key-encryption key"},
		"a store never served":    {Restored, present, func(s *memStore) { s.ring = Ring{} }, "there are no signing keys yet"},
		"a clock that is too far": {Restored, present, nil, "clock"},
	} {
		t.Run(name, func(t *testing.T) {
			c, store := newClock(), &memStore{}
			m := started(t, store, c, keystest.Generator())
			if row.damage != nil {
				row.damage(store)
			}
			command := Manager{Store: store, Policy: m.Policy, Now: m.Now, DatabaseNow: m.DatabaseNow, Generate: m.Generate,
				KEKs: row.keks(t)}
			if name == "a clock that is too far" {
				command.Now = func() time.Time { return c.Now().Add(time.Hour) }
			}
			before := fmt.Sprint(store.ring)
			ended := false
			_, err := command.Recover(t.Context(), row.loss, func() error { ended = true; return nil })
			wants(t, err, row.words)
			if ended || fmt.Sprint(store.ring) != before {
				t.Errorf("sessions ended: %v; the keys: %v, before: %s", ended, store.ring, before)
			}
		})
	}
}

func none(*testing.T) []jose.KEK { return nil }

func other(t *testing.T) []jose.KEK { return []jose.KEK{otherKEK(t)} }

func lostAndPresent(t *testing.T) []jose.KEK { return append(other(t), present(t)...) }

func present(t *testing.T) []jose.KEK {
	t.Helper()
	kek, err := jose.ParseKEK(keystest.KEK)
	if err != nil {
		t.Fatal(err)
	}
	return []jose.KEK{kek}
}

// An answer that was lost leads to one recovery, and a change that came between to none less.
func TestRecoverIsMadeOnce(t *testing.T) {
	for name, disturb := range map[string]func(m *Manager, s *memStore){
		"the answer is lost": func(_ *Manager, s *memStore) {
			s.after = func(err error) error {
				s.after = nil
				return errors.Join(err, errors.New("the connection is gone"))
			}
		},
		"a rotation is faster": func(m *Manager, s *memStore) {
			s.before = func() {
				if _, err := m.Rotate(t.Context(), false); err != nil {
					t.Error(err)
				}
			}
		},
	} {
		c, store := newClock(), &memStore{}
		m := started(t, store, c, keystest.Generator())
		c.Move(10 * time.Minute)
		before := store.ring
		disturb(m, store)
		if _, err := m.Recover(t.Context(), Restored, end); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		live := 0
		for _, k := range store.ring.Keys {
			if k.RevokedAt.IsZero() {
				live++
			}
		}
		if live != 4 || store.ring.RefreshSecret == before.RefreshSecret {
			t.Errorf("%s: %d keys live, a new refresh secret: %v", name, live, store.ring.RefreshSecret != before.RefreshSecret)
		}
	}
}

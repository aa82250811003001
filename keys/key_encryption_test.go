package keys

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/keys/keystest"
)

func TestKeyEncryptionKey(t *testing.T) {
	c, generate := newClock(), keystest.Generator()
	wrongText := jose.NewKEK()
	wrong, err := jose.ParseKEK(wrongText)
	if err != nil {
		t.Fatal(err)
	}
	right := testKEK(t)

	t.Run("without one the first start says how to make one, and makes no keys", func(t *testing.T) {
		m := replica(t, &memStore{}, c, generate)
		m.KEKs = nil
		wants(t, m.Start(t.Context()), "signet keys new-kek", "keys.encryption_key")
		if m.Store.(*memStore).ring.Version != 0 {
			t.Error("keys were made")
		}
	})
	t.Run("without the right one a start names the one it needs, by its id", func(t *testing.T) {
		store := &memStore{}
		started(t, store, c, generate)
		for _, given := range [][]jose.KEK{nil, {wrong}} {
			m := replica(t, store, c, generate)
			m.KEKs = given
			err := m.Start(t.Context())
			wants(t, err, right.ID, "keys.encryption_key")
			if err := m.LoadView(t.Context()); err != nil {
				t.Errorf("LoadView needs no key-encryption key: %v", err)
			}
			if _, ok := m.KnownKey(store.ring.Keys[0].ID); !ok || !errors.Is(m.Ready(), ErrSealed) {
				t.Errorf("after LoadView: %v, %v", ok, m.Ready())
			}
			if _, err := m.RefreshJTI([16]byte{}, 1); !errors.Is(err, ErrNotReady) {
				t.Errorf("a jti without the secret: %v", err)
			}
			if strings.Contains(err.Error(), keystest.KEK) || strings.Contains(err.Error(), wrongText) {
				t.Errorf("the error holds a key: %v", err)
			}
			// … and nothing is written that the others could not open.
			version := store.ring.Version
			if _, err := m.Revoke(t.Context(), []string{store.ring.Keys[0].ID}, false); err == nil {
				t.Error("revoke made a successor that nobody can open")
			}
			if _, err := m.Rewrap(t.Context()); err == nil {
				t.Error("rewrap without the old key worked")
			}
			if store.ring.Version != version {
				t.Error("the store was changed")
			}
		}
	})
	t.Run("a private half under another key's name is not used", func(t *testing.T) {
		store := &memStore{}
		started(t, store, c, generate)
		store.ring.Keys[0].Sealed = store.ring.Keys[1].Sealed
		if err := replica(t, store, c, generate).Start(t.Context()); err == nil {
			t.Error("it is")
		}
		// Not even a key that an attacker who has the KEK sealed for this name.
		other, _ := GenerateKey(jose.EdDSA)
		der, err := x509.MarshalPKCS8PrivateKey(other)
		if err != nil {
			t.Fatal(err)
		}
		if store.ring.Keys[0].Sealed, err = jose.Seal(der, right, store.ring.Keys[0].ID); err != nil {
			t.Fatal(err)
		}
		wants(t, replica(t, store, c, generate).Start(t.Context()), "another key than its name says")
	})
	t.Run("rewrap under live replicas", func(t *testing.T) {
		store := &memStore{}
		old := started(t, store, c, generate)
		old.KEKs = []jose.KEK{right, wrong} // the new KEK opens already
		operator := replica(t, store, c, generate)
		operator.KEKs = []jose.KEK{wrong, right}
		jti, _ := old.RefreshJTI([16]byte{}, 1)

		r, err := operator.Rewrap(t.Context())
		if err != nil || !r.Changed {
			t.Fatalf("%+v, %v", r, err)
		}
		wants(t, errors.New(r.Message), "The refresh secret, the factor secret and 4 private keys are sealed", wrong.ID)
		for _, k := range r.Keys {
			if k.SealedUnder != wrong.ID {
				t.Errorf("%s is sealed under %s", k.KeyID, k.SealedUnder)
			}
		}
		if r, err := operator.Rewrap(t.Context()); err != nil || r.Changed ||
			!strings.Contains(r.Message, "Nothing changed") {
			t.Errorf("again: %+v, %v", r, err)
		}
		if err := old.Step(t.Context()); err != nil || old.Ready() != nil {
			t.Errorf("a live replica: %v, %v", err, old.Ready())
		}
		if again, err := old.RefreshJTI([16]byte{}, 1); err != nil || again != jti {
			t.Errorf("the refresh secret changed: %v", err)
		}
		after := replica(t, store, c, generate)
		after.KEKs = []jose.KEK{wrong} // the old KEK is removed
		if err := after.Start(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a replica that cannot open the next keys is not ready and tells why, but publishes them", func(t *testing.T) {
		store := &memStore{}
		behind := started(t, store, c, generate)
		operator := replica(t, store, c, generate)
		operator.KEKs = []jose.KEK{wrong, right}
		if _, err := operator.Revoke(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		if err := behind.Step(t.Context()); err != nil || behind.Ready() != nil {
			t.Fatalf("a replica with a newer key-encryption key sealed under it before the rewrap: %v, %v", err, behind.Ready())
		}
		if _, err := operator.Rewrap(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := operator.Revoke(t.Context(), nil, true); err != nil {
			t.Fatal(err)
		}
		wants(t, behind.Step(t.Context()), wrong.ID)
		wants(t, behind.Ready(), wrong.ID)
		if err := behind.Ready(); !errors.Is(err, ErrSealed) || errors.Is(err, ErrStale) || errors.Is(err, ErrClock) {
			t.Errorf("not told apart from other reasons: %v", err)
		}
		if s, err := behind.Signer("RS256"); !errors.Is(err, ErrNotReady) {
			t.Errorf("it signs with %v, %v", s, err)
		}
		if doc, err := behind.JWKS(); err != nil || len(kids(t, doc)) != 4 {
			t.Errorf("its JWKS: %v", err)
		}
		// The missing key is configured, and the replica recovers.
		behind.KEKs = []jose.KEK{right, wrong}
		if err := behind.Step(t.Context()); err != nil || behind.Ready() != nil {
			t.Errorf("with the key: %v, %v", err, behind.Ready())
		}
	})
}

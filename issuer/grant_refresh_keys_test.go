package issuer_test

import (
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
)

// Rotating or revoking signing keys never logs a user out.
func TestKeysComeAndGo(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		kid := func(token string) string {
			parsed, err := jose.Parse(token)
			w.must(err)
			return parsed.Header.KeyID
		}
		for range 20 {
			w.wait(24 * time.Hour)
		}
		token := w.login("profile").RefreshToken
		for range 11 { // past the rotation, which comes after 30 days
			w.wait(24 * time.Hour)
		}
		retired := kid(token)
		if _, ok := w.ring.PublishedKey(retired); ok {
			t.Fatal("the retired key is still published")
		}
		token = w.refreshed(token).RefreshToken
		active := kid(token)
		if active == retired {
			t.Fatal("no key rotated")
		}

		w.revokeKeys()
		if _, ok := w.ring.PublishedKey(active); ok {
			t.Fatal("the revoked key is still published")
		}
		next := w.refreshed(token)
		if kid(next.RefreshToken) == active {
			t.Error("signed with a revoked key")
		}
		if again := w.refreshed(token); again.RefreshToken != next.RefreshToken {
			t.Error("answered again with another token")
		}
		w.refreshed(next.RefreshToken)
	})
}

// A generation that is answered once more after a key rotation is signed anew, with the same
// claims.
func TestAGenerationIsAnsweredOnceMoreUnderAnotherKey(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first := w.login("profile")
		second := w.refreshed(first.RefreshToken)
		w.revokeKeys()
		again := w.refreshed(first.RefreshToken)
		a, err := jose.Parse(second.RefreshToken)
		w.must(err)
		b, err := jose.Parse(again.RefreshToken)
		w.must(err)
		if string(a.Payload) != string(b.Payload) || a.Header.KeyID == b.Header.KeyID {
			t.Errorf("payload\n%s\nand again\n%s", a.Payload, b.Payload)
		}
	})
}

func (w *world) revokeKeys() {
	w.Helper()
	_, err := w.ring.Revoke(w.Context(), nil, true)
	w.must(err)
	w.must(w.ring.Step(w.Context()))
}

// Right after an emergency revocation another replica may sign with a key that this one has not
// read yet.
func TestAKeyYoungerThanOurLastRead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		behind, ring := w.Issuer, w.ring
		token := w.login("profile").RefreshToken
		w.replica()
		w.revokeKeys()
		next := w.refreshed(token)
		parsed, err := jose.Parse(next.RefreshToken)
		w.must(err)
		if _, ok := ring.KnownKey(parsed.Header.KeyID); ok {
			t.Fatal("the first replica knows the key already")
		}
		_, err = behind.Refresh(t.Context(), issuer.RefreshRequest{RefreshToken: next.RefreshToken, FirstParty: true})
		w.must(err)
	})
}

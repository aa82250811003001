package issuer

import (
	"context"
	"crypto/ed25519"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// A stranger who makes up a key id makes us fetch from the client's server, which may be slow: the
// client itself does not wait for that.
func TestAKnownKeyDoesNotWaitForAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		jwk, err := jose.MarshalPublic(jose.PublicKey{ID: "one", Algorithm: jose.EdDSA,
			Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public()})
		if err != nil {
			t.Fatal(err)
		}
		fetched := 0
		ck := &ClientKeys{Fetch: func(context.Context, string) ([]byte, error) {
			fetched++
			time.Sleep(3 * time.Second)
			return []byte(`{"keys":[` + string(jwk) + `]}`), nil
		}}
		find := func(kid string, want int, within time.Duration) {
			t.Helper()
			began := time.Now()
			keys, err := ck.find(t.Context(), "https://far.test/jwks", kid, began)
			if took := time.Since(began); err != nil || len(keys) != want || took > within {
				t.Errorf("%s: %d keys, %v, after %s", kid, len(keys), err, took)
			}
		}
		find("one", 1, 3*time.Second)
		time.Sleep(keySetCooldown)
		go find("made up", 0, 3*time.Second)
		synctest.Wait() // the fetch is under way
		find("one", 1, 0)
		time.Sleep(5 * time.Second)
		if fetched != 2 {
			t.Errorf("fetched %d times, want 2", fetched)
		}
		// After keySetFresh the key is fetched anew, and the request waits.
		time.Sleep(keySetFresh)
		find("one", 1, 3*time.Second)
		if fetched != 3 {
			t.Errorf("fetched %d times, want 3", fetched)
		}
	})
}

package issuer_test

import (
	"context"
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/issuer"
)

// A token whose signature is remembered is refused as soon as a new one would be.
func TestARememberedTokenIsCheckedLikeANewOne(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, c := range map[string]struct {
			end  func(w *world, r issuer.TokenResponse)
			code issuer.Code
		}{
			"expired": {func(w *world, _ issuer.TokenResponse) { w.wait(11 * time.Minute) }, issuer.Expired},
			"signed in the future": {func(w *world, _ issuer.TokenResponse) {
				w.wait(-2 * time.Minute)
				w.Cleanup(func() {
					w.clock.add(2 * time.Minute)
					w.must(w.ring.Step(context.Background()))
				})
			}, issuer.InvalidToken},
			"the session has ended": {func(w *world, r issuer.TokenResponse) {
				w.must(w.db.RevokeGrant(w.Context(), w.grantOf(r.RefreshToken), w.clock.Now()))
			}, issuer.InvalidToken},
			"the account is disabled": {func(w *world, _ issuer.TokenResponse) {
				w.must(w.db.SetActive(w.Context(), w.alice.ID, false, w.clock.Now()))
			}, issuer.InvalidToken},
			"the key is revoked": {func(w *world, _ issuer.TokenResponse) { w.revokeKeys() }, issuer.InvalidToken},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.another()
				r := w.login("openid profile")
				for range 3 {
					_, err := w.Bearer(t.Context(), r.AccessToken)
					w.must(err)
				}
				if w.Tokens.Len() == 0 {
					t.Fatal("the token is not remembered")
				}
				c.end(w, r)
				_, err := w.Bearer(t.Context(), r.AccessToken)
				w.refused(err, c.code)
			})
		}
	})
}

// Another key under the same kid did not sign the token.
func TestARememberedTokenIsThatOfItsKey(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		w.AccessAlg = jose.EdDSA
		token := w.login("openid profile").AccessToken
		for range 2 {
			_, err := w.Bearer(t.Context(), token)
			w.must(err)
		}
		other, err := w.ring.Generate(jose.EdDSA)
		w.must(err)
		w.Issuer.Keys = otherKeys{w.ring, other}
		_, err = w.Bearer(t.Context(), token)
		w.refused(err, issuer.InvalidToken)
	})
}

// otherKeys publishes another key under every kid of the ring.
type otherKeys struct {
	issuer.Keys
	key crypto.Signer
}

func (k otherKeys) PublishedKey(kid string) (jose.PublicKey, bool) {
	known, ok := k.Keys.PublishedKey(kid)
	return jose.PublicKey{ID: kid, Algorithm: known.Algorithm, Key: k.key.Public()}, ok
}

// Bytes with another signature are not remembered, however little they differ from a remembered
// token.
func TestOnlyTokensOfOursAreRemembered(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		r := w.login("openid profile")
		_, err := w.Bearer(t.Context(), r.AccessToken)
		w.must(err)
		had := w.Tokens.Len()
		for name, raw := range map[string]string{
			"a changed signature": r.AccessToken[:len(r.AccessToken)-8] + "AAAAAAAA",
			"a changed payload":   strings.Replace(r.AccessToken, ".ey", ".eyA", 1),
			"one byte more":       r.AccessToken + "A",
			"a space before":      " " + r.AccessToken,
			"an ID token":         r.IDToken,
			"a refresh token":     r.RefreshToken,
			"too long":            r.AccessToken + strings.Repeat("A", jose.MaxTokenBytes),
			"nothing":             "",
		} {
			for range 2 {
				if _, err := w.Bearer(t.Context(), raw); err == nil {
					t.Errorf("%s: accepted", name)
				}
			}
		}
		if n := w.Tokens.Len(); n != had {
			t.Errorf("%d tokens are remembered instead of %d", n, had)
		}
	})
}

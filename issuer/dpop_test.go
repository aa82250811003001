package issuer_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/signet-id/signet/internal/dpop/dpoptest"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// TestAnUnknownUseIsNoUse: while the store cannot say whether a proof was used, nothing is given for it,
// and nothing is written: the same request with another proof succeeds.
func TestAnUnknownUseIsNoUse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key := dpoptest.NewKey(t)
		token := w.login("profile").RefreshToken
		refresh := func() (issuer.TokenResponse, error) { return w.refreshesWith([]string{w.keyProof(key)})(token) }
		w.store.on("UseDPoPProof", func() error { return fmt.Errorf("write: %w", userstore.ErrUnavailable) }, nil)
		w.untouched(token, func() {
			_, err := refresh()
			w.refused(err, issuer.Unavailable)
		})
		// The answer is lost after the commit: nobody knows whether the proof was used.
		w.store.on("UseDPoPProof", nil, func() error { return fmt.Errorf("write: %w", userstore.ErrUnavailable) })
		w.untouched(token, func() {
			_, err := refresh()
			w.refused(err, issuer.Unavailable)
		})
		w.store.on("UseDPoPProof", nil, nil)
		got, err := refresh()
		w.must(err)
		if got.TokenType != "DPoP" {
			t.Errorf("token_type %s", got.TokenType)
		}
	})
}

// TestAProofIsUsedAfterEveryOtherRefusal: a request that is refused for another reason uses up no proof, so
// that strangers store nothing.
func TestAProofIsUsedAfterEveryOtherRefusal(t *testing.T) {
	one(t, func(t *testing.T, w *world) {
		key := dpoptest.NewKey(t)
		proof := []string{w.keyProof(key)}
		auth := issuer.ClientAuth{ClientID: "app"}
		w.store.called()
		for _, r := range []issuer.TokenRequest{
			{GrantType: userstore.GrantRefreshToken, Auth: auth, RefreshToken: "x", Proofs: proof},
			{GrantType: userstore.GrantRefreshToken, Auth: auth, Proofs: proof},
			{GrantType: userstore.GrantRefreshToken, Auth: issuer.ClientAuth{ClientID: "nobody"}, RefreshToken: "x", Proofs: proof},
		} {
			if _, err := w.Token(t.Context(), r); err == nil {
				t.Fatalf("%+v was answered", r)
			}
		}
		for _, call := range w.store.called() {
			if call == "UseDPoPProof" {
				t.Error("a refused request used up its proof")
			}
		}
	})
}

// TestTheAccountAPIGivesNoBoundClientABearerToken: /v1/login and /v1/refresh know no proofs.
func TestTheAccountAPIGivesNoBoundClientABearerToken(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		token := w.login("profile").RefreshToken
		c, err := w.store.ClientByID(t.Context(), "app")
		w.must(err)
		c.DPoPBoundAccessTokens = true
		w.must(w.store.UpdateClient(t.Context(), c))
		w.untouched(token, func() {
			_, err := w.refresh(token)
			w.refused(err, issuer.UnauthorizedClient)
		})
		_, err = w.Login(t.Context(), issuer.LoginRequest{Email: w.alice.Email, Password: password, ClientID: "app"})
		var refusal *issuer.Error
		if !errors.As(err, &refusal) || refusal.Code != issuer.UnauthorizedClient {
			t.Errorf("a login: %v", err)
		}
	})
}

type refreshing = func(token string) (issuer.TokenResponse, error)

// refreshesWith refreshes at the token endpoint, each time with the next of the proofs.
func (w *world) refreshesWith(proofs []string) refreshing {
	return func(token string) (issuer.TokenResponse, error) {
		r := issuer.TokenRequest{GrantType: userstore.GrantRefreshToken, Auth: issuer.ClientAuth{ClientID: "app"}, RefreshToken: token}
		if len(proofs) > 0 {
			r.Proofs, proofs = proofs[:1], proofs[1:]
		}
		return w.Token(w.Context(), r)
	}
}

// keyProof makes a DPoP proof for the token endpoint.
func (w *world) keyProof(key dpoptest.Key) string {
	return key.Proof(w.TB, dpoptest.For("POST", issuerURL+"/oauth2/token", w.clock.Now()))
}

package userstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// Accounts without a throttle, which was forgotten, check no secret and accept no sign-up.
// Operators are not bound by it.
func TestWithoutAThrottleNothingIsTried(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		started := w.Hasher.Stats().Started
		w.Throttle = nil
		ctx := t.Context()
		_, login := w.Authenticate(ctx, u.Email, "", password, userstore.FirstPartyClientID, nil)
		_, signup := w.Register(ctx, userstore.NewUser{Email: "bob@example.com", Password: changed})
		for name, err := range map[string]error{
			"a login":                  login,
			"a sign-up":                signup,
			"a change of the password": w.ChangePassword(ctx, u.ID, userstore.Proof{Password: password}, changed, ""),
			"a client's secret": w.CheckClientSecret(ctx,
				userstore.ClientAttempt{ID: "web", Client: userstore.Client{ID: "web"}}, "a secret that is nobody's"),
		} {
			if err == nil || !strings.Contains(err.Error(), "throttle is missing") ||
				errors.Is(err, userstore.ErrInvalidCredentials) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if now := w.Hasher.Stats().Started; now != started {
			t.Errorf("%d hashes were made", now-started)
		}
		if _, err := w.RegisterByOperator(ctx,
			userstore.OperatorUser{NewUser: userstore.NewUser{Email: "bob@example.com", Password: changed}}); err != nil {
			t.Errorf("by an operator: %v", err)
		}
	})
}

package issuer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// A login is a read, a reservation that counts it before anything is hashed, and the batch, which
// returns the reservation. A wrong password keeps the attempt counted; a throttled login is not
// hashed, and asks once more to say until when.
func TestLoginIsOneReadOneReservationAndOneBatch(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.store.called()
		w.login("openid")
		w.wantCalls("LoginView", "ReserveAttempt", "StartGrant")
		_, err := w.Login(t.Context(), issuer.LoginRequest{Email: "alice@example.test", Password: "wrong but long enough"})
		w.refused(err, issuer.InvalidCredentials)
		w.wantCalls("LoginView", "ReserveAttempt", "FailAttempt")
		unknown := issuer.LoginRequest{Email: "nobody@example.test", Password: password}
		for range 10 {
			_, err = w.Login(t.Context(), unknown)
			w.refused(err, issuer.InvalidCredentials)
			w.wantCalls("LoginView", "ReserveAttempt", "FailAttempt")
		}
		hashed := w.Accounts.Hasher.Stats().Started
		_, err = w.Login(t.Context(), unknown)
		w.refused(err, issuer.RateLimited)
		w.wantCalls("LoginView", "ReserveAttempt", "Tallies")
		var limited *userstore.RateLimitedError
		if !errors.As(err, &limited) || limited.RetryAfter != time.Minute {
			t.Errorf("refused with %v", limited)
		}
		if now := w.Accounts.Hasher.Stats().Started; now != hashed {
			t.Errorf("a refused login started %d hashes", now-hashed)
		}
	})
}

// A failure of ours costs no user an attempt, and lets no attempt through uncounted.
func TestLoginGivesBackWhatFailedOnOurSide(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		down := func() error { return fmt.Errorf("dial: %w", userstore.ErrUnavailable) }
		login := func() error {
			_, err := w.Login(audit.WithOrigin(t.Context(), audit.Origin{Address: "192.0.2.7"}),
				issuer.LoginRequest{Email: w.alice.Email, Password: password})
			return err
		}
		for name, fault := range map[string]struct {
			method        string
			before, after func() error
		}{
			"the reservation is refused":                {"ReserveAttempt", down, nil},
			"the answer to the reservation is lost":     {"ReserveAttempt", nil, down},
			"the batch is refused":                      {"StartGrant", down, nil},
			"the answer to the batch is lost":           {"StartGrant", nil, down},
			"the batch is refused, nor can be returned": {"both", down, nil},
		} {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				methods := []string{fault.method}
				if fault.method == "both" {
					methods = []string{"StartGrant", "ReturnAttempt"}
				}
				for _, m := range methods {
					w.store.on(m, fault.before, fault.after)
				}
				hashed := w.Accounts.Hasher.Stats().Started
				w.Accounts.Throttle.Wait = 10 * time.Millisecond
				for range 25 { // more than any budget holds
					// Overloaded, once attempts that could not be returned stand in the way; both
					// are 503.
					var e *issuer.Error
					if err := login(); !errors.As(err, &e) || e.Code != issuer.Unavailable && e.Code != issuer.Overloaded {
						t.Errorf("got %v, want a failure of ours", err)
					}
				}
				w.Accounts.Throttle.Wait = 0
				if fault.method == "ReserveAttempt" && w.Accounts.Hasher.Stats().Started != hashed {
					t.Error("a password was checked that nobody counted")
				}
				for _, m := range methods {
					w.store.on(m, nil, nil)
				}
				w.must(login())
			})
		}
	})
}

// A change between the read of a login and its batch decides the answer.
func TestLoginThatLosesARace(t *testing.T) {
	rows := map[string]struct {
		change func(w *world) error
		always bool
		code   issuer.Code // empty: the login works
	}{
		"the user is disabled": {func(w *world) error {
			return w.db.SetActive(w.Context(), w.alice.ID, false, w.clock.Now())
		}, false, issuer.AccountDisabled},
		"the user is deleted": {func(w *world) error { return w.db.DeleteUser(w.Context(), w.alice.ID) }, false,
			issuer.InvalidCredentials},
		"the client is disabled": {func(w *world) error {
			return w.db.SetClientActive(w.Context(), "app", false, w.clock.Now())
		}, false, issuer.InvalidClient},
		"the password is changed": {func(w *world) error {
			return w.Accounts.SetPassword(w.Context(), w.alice.ID, "another password of alice")
		}, false, issuer.InvalidCredentials},
		"another login upgrades the hash": {rehash, false, ""},
		"the hash never stays":            {rehash, true, issuer.Unavailable},
	}
	each(t, func(t *testing.T, w *world) {
		for name, c := range rows {
			t.Run(name, func(t *testing.T) {
				w := w.in(t)
				w.another()
				defer func() { w.must(w.db.SetClientActive(context.Background(), "app", true, w.clock.Now())) }()
				hook := func() error { return c.change(w) }
				if !c.always {
					hook = once(hook)
				}
				w.store.on("LoginView", nil, hook)
				_, err := w.Login(t.Context(), issuer.LoginRequest{Email: w.alice.Email, Password: password, ClientID: "app"})
				if c.code == "" {
					w.must(err)
				} else {
					w.refused(err, c.code)
				}
			})
		}
	})
}

// rehash stores another hash of the same password, as a login does when the costs were raised.
func rehash(w *world) error {
	hash, err := w.Accounts.Hasher.Hash(w.Context(), password)
	if err != nil {
		return err
	}
	return w.db.SetPassword(w.Context(), userstore.PasswordChange{UserID: w.alice.ID, NewHash: hash, At: w.clock.Now()})
}

func TestLoginWhenSomethingOfOursFails(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		down := func() error { return fmt.Errorf("dial: %w", userstore.ErrUnavailable) }
		login := func() error {
			_, err := w.Login(t.Context(), issuer.LoginRequest{Email: "alice@example.test", Password: password, ClientID: "app"})
			return err
		}
		for _, method := range []string{"LoginView", "StartGrant"} {
			w.store.on(method, down, nil)
			w.refused(login(), issuer.Unavailable)
			w.store.on(method, nil, nil)
		}
		// Keys that this replica may not sign with stop a login before its first permanent write.
		w.clock.add(time.Hour)
		w.store.called()
		w.refused(login(), issuer.Unavailable)
		w.wantCalls("LoginView", "ReserveAttempt", "ReturnAttempt")
		grants, err := w.db.ListGrants(t.Context(), w.alice.ID, w.clock.Now(), time.Time{})
		w.must(err)
		if len(grants) != 0 {
			t.Errorf("failed logins left %d grants", len(grants))
		}
		w.wait(0)
		w.must(login())
	})
}

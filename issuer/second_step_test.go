package issuer_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// P-05, P-10: a login in two steps, by everything that can be the second, with the claims that it
// gives. The second step comes two minutes later, at another replica.
func TestTheSecondStepOfALogin(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		for what, c := range map[string]struct {
			synced bool
			step   func(o *owner, login string) (issuer.TokenResponse, error)
			amr    string
			newest bool // auth_time is that of the second step
		}{
			"a code": {step: func(o *owner, login string) (issuer.TokenResponse, error) {
				return w.LoginSecond(t.Context(), login, w.proof(o))
			}, amr: "[pwd otp mfa]"},
			"a recovery code": {step: func(o *owner, login string) (issuer.TokenResponse, error) {
				return w.LoginSecond(t.Context(), login, userstore.FactorProof{RecoveryCode: o.recovery[3]})
			}, amr: "[pwd otp mfa]"},
			"a passkey of one device": {step: func(o *owner, login string) (issuer.TokenResponse, error) {
				options, err := w.LoginPasskeyOptions(t.Context(), login)
				w.must(err)
				return w.LoginSecond(t.Context(), login, userstore.FactorProof{Passkey: w.answer(o, options)})
			}, amr: "[pwd pop user mfa]", newest: true},
			"a synced passkey": {synced: true, step: func(o *owner, login string) (issuer.TokenResponse, error) {
				options, err := w.LoginPasskeyOptions(t.Context(), login)
				w.must(err)
				return w.LoginSecond(t.Context(), login, userstore.FactorProof{Passkey: w.answer(o, options)})
			}, amr: "[pwd pop user swk mfa]", newest: true},
			"a passkey alone": {step: func(o *owner, _ string) (issuer.TokenResponse, error) {
				login, options, err := w.BeginPasskeyLogin(t.Context(), issuer.PasskeyLoginRequest{ClientID: "app", Scope: "openid api.read", Resource: []string{apiURI}})
				w.must(err)
				return w.PasskeyLogin(t.Context(), login.Login, w.answer(o, options))
			}, amr: "[pop user mfa]", newest: true},
		} {
			o := w.withPasskey(w.withApp(w.owner()), c.synced)
			typed := w.clock.Now().Unix()
			login := w.firstStep(o, "openid api.read", apiURI)
			w.read(o)
			if !o.LastLoginAt.IsZero() {
				t.Errorf("%s: the first step is a login", what)
			}
			w.wait(2 * time.Minute)
			w.replica()
			w.second()
			r, err := c.step(o, login)
			if err != nil {
				t.Fatalf("%s: %v %v", what, err, errorOf(err).Cause)
			}
			if c.newest {
				typed += 120
			}
			for token, claims := range map[string]map[string]any{"access": w.claims(r.AccessToken), "ID": w.claims(r.IDToken)} {
				got := fmt.Sprint(claims["acr"], " ", claims["amr"], " ", claims["auth_time"])
				if want := fmt.Sprintf("2 %s %d", c.amr, typed); got != want {
					t.Errorf("%s, %s token: %s, want %s", what, token, got, want)
				}
			}
			if got := w.claims(r.AccessToken); got["scope"] != "openid api.read" || got["aud"] != apiURI || got["client_id"] != "app" {
				t.Errorf("%s: the token is for %v", what, got)
			}
			again := w.claims(w.refreshed(r.RefreshToken).AccessToken)
			if again["acr"] != "2" || fmt.Sprint(again["amr"]) != c.amr {
				t.Errorf("%s, refreshed: %v", what, again)
			}
		}
	})
}

// P-10: handles that are of no use for a second step, with a right code.
func TestP10HandlesOfLogins(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withApp(w.owner())
		second := func(login string) error {
			_, err := w.LoginSecond(t.Context(), login, w.proof(o))
			return err
		}
		for what, c := range map[string]struct {
			login func() string
			want  issuer.Code
		}{
			"none":             {func() string { return "" }, issuer.LoginOver},
			"a word":           {func() string { return "login" }, issuer.LoginOver},
			"much":             {func() string { return strings.Repeat("A", 1<<20) }, issuer.LoginOver},
			"one that was cut": {func() string { l := w.firstStep(o, ""); return l[:len(l)-4] }, issuer.LoginOver},
			"one of 5 minutes": {func() string { l := w.firstStep(o, ""); w.wait(5 * time.Minute); return l }, issuer.LoginOver},
			"one of a passkey": {func() string {
				s, _, err := w.BeginPasskeyLogin(t.Context(), issuer.PasskeyLoginRequest{})
				w.must(err)
				return s.Login
			}, issuer.LoginOver},
			"another purpose's": {func() string { s, err := w.Seal("proof", []byte(`{"for":"second_step"}`)); w.must(err); return s }, issuer.LoginOver},
			"one of a setup": {func() string {
				w.Accounts.SecondFactor = userstore.SecondFactorRequired
				defer func() { w.Accounts.SecondFactor = userstore.SecondFactorOptional }()
				_, err := w.Login(t.Context(), issuer.LoginRequest{Email: w.owner().Email, Password: password})
				w.refused(err, issuer.SecondFactorSetup)
				return errorOf(err).Step.Login
			}, issuer.LoginOver},
			"one of a client that was disabled": {func() string {
				l := w.firstStep(o, "")
				w.must(w.db.SetClientActive(t.Context(), "app", false, w.clock.Now()))
				return l
			}, issuer.InvalidClient},
		} {
			if err := second(c.login()); errorOf(err) == nil || errorOf(err).Code != c.want {
				t.Errorf("%s: %v, want %s", what, err, c.want)
			}
			_ = w.db.SetClientActive(t.Context(), "app", true, w.clock.Now())
		}
		login := w.firstStep(o, "")
		if _, err := w.PasskeyLogin(t.Context(), login, nil); errorOf(err).Code != issuer.LoginOver {
			t.Errorf("as a login by passkey: %v", err)
		}
		w.must(second(login))
		w.wait(30 * time.Second)
		w.refused(second(login), issuer.LoginOver)
		// A replica whose clock is behind does not take a handle again that another has forgotten.
		w.clock.add(-30 * time.Second)
		_, err := w.db.RemoveSpentHandles(t.Context(), w.clock.Now().Add(5*time.Minute), 100)
		w.must(err)
		w.wait(time.Minute)
		w.refused(second(login), issuer.LoginOver)
		factors, err := w.db.SecondFactors(t.Context(), o.ID)
		w.must(err)
		if factors.WrongCodes != 0 {
			t.Errorf("%d of the right codes are counted as wrong", factors.WrongCodes)
		}

		// The account was deleted.
		login = w.firstStep(o, "")
		w.must(w.db.DeleteUser(t.Context(), o.ID))
		w.refused(second(login), issuer.LoginOver)
		_, err = w.LoginPasskeyOptions(t.Context(), login)
		w.refused(err, issuer.LoginOver)
	})
}

// A login whose account changed between the check and the batch is checked once more, with the same
// proof: nothing was spent. A role that is missing refuses the login, and counts no code.
func TestASecondStepAfterAConflict(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withPasskey(w.withApp(w.owner()), false)
		conflict := func() error { return userstore.ErrConflict }
		for what, proof := range map[string]func(login string) userstore.FactorProof{
			"a code":          func(string) userstore.FactorProof { return w.proof(o) },
			"a recovery code": func(string) userstore.FactorProof { return userstore.FactorProof{RecoveryCode: o.recovery[0]} },
			"a passkey": func(login string) userstore.FactorProof {
				options, err := w.LoginPasskeyOptions(t.Context(), login)
				w.must(err)
				return userstore.FactorProof{Passkey: w.answer(o, options)}
			},
		} {
			login := w.firstStep(o, "")
			w.store.on("StartGrant", once(conflict), nil)
			if _, err := w.LoginSecond(t.Context(), login, proof(login)); err != nil {
				t.Errorf("%s, after one conflict: %v", what, errorOf(err).Reason())
			}
			w.store.on("StartGrant", nil, nil)
		}
		w.wait(time.Minute)
		login := w.firstStep(o, "")
		w.store.on("StartGrant", conflict, nil)
		_, err := w.LoginSecond(t.Context(), login, w.proof(o))
		w.refused(err, issuer.Unavailable)
		w.store.on("StartGrant", nil, nil)
		_, err = w.LoginSecond(t.Context(), login, w.proof(o))
		w.must(err)

		w.wait(time.Minute)
		for range 3 {
			_, err := w.LoginSecond(t.Context(), w.firstStep(o, "admin"), w.proof(o))
			w.refused(err, issuer.InvalidScope)
		}
		_, err = w.LoginSecond(t.Context(), w.firstStep(o, ""), w.proof(o))
		w.must(err)
	})
}

// P-10, P-07: three replicas get the second step of one login at once.
func TestP10OneLoginAtThreeReplicas(t *testing.T) {
	eachSecond(t, func(t *testing.T, w *world) {
		o := w.withApp(w.owner())
		login := w.firstStep(o, "")
		var replicas []*issuer.Issuer
		for range 3 {
			w.replica()
			w.second()
			replicas = append(replicas, w.Issuer)
		}
		errs := make([]error, 3)
		var all sync.WaitGroup
		for n, i := range replicas {
			all.Go(func() { _, errs[n] = i.LoginSecond(context.Background(), login, w.proof(o)) })
		}
		all.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if code := errorOf(err).Code; code != issuer.LoginOver && code != issuer.FactorRefused {
				t.Errorf("refused by %v", errorOf(err).Reason())
			}
		}
		if won != 1 {
			t.Errorf("%d logins, want 1", won)
		}
	})
}

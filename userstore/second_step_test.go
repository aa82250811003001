package userstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	hashes "github.com/signet-id/signet/userstore/password"
)

// P-05: the right password of an account with a second factor starts nothing, however often it comes,
// and the store refuses a caller that forgets the second step.
func TestP05APasswordAloneStartsNothing(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		for name, c := range map[string]struct {
			p       *person
			methods []string
		}{
			"an app":     {w.person().withApp(), []string{"totp", "recovery_code"}},
			"a passkey":  {w.person().withPasskey(), []string{"passkey", "recovery_code"}},
			"both":       {w.person().withApp().withPasskey(), []string{"passkey", "totp", "recovery_code"}},
			"an admin's": {w.person(userstore.RoleAdmin).withApp(), []string{"totp", "recovery_code"}},
		} {
			for _, policy := range []userstore.SecondFactorPolicy{userstore.SecondFactorOptional, userstore.SecondFactorOff,
				userstore.SecondFactorAdmins, userstore.SecondFactorRequired} {
				w.replicas[0].SecondFactor = policy
				for range 4 { // 16 in all: the right password never counts
					var e *userstore.SecondFactorError
					err := w.login(0, c.p.Email, password, "203.0.113.9")
					if !errors.As(err, &e) || !slices.Equal(e.Methods, c.methods) || e.User.ID != c.p.ID || !e.At.Equal(*w.clock) {
						t.Fatalf("%s, policy %q: %v %+v", name, policy, err, e)
					}
				}
			}
			w.replicas[0].SecondFactor = userstore.SecondFactorOptional
			for what, second := range map[string]userstore.SecondStep{
				"nothing of a second factor": {}, "only the version": {FactorVersion: c.p.FactorVersion},
				"an older version": {FactorVersion: c.p.FactorVersion - 1, Proved: true},
			} {
				v := userstore.Verified{User: c.p.User, Second: second}
				if err := w.replicas[0].StartGrant(t.Context(), v, c.p.grant(), time.Time{}); !errors.Is(err, userstore.ErrConflict) {
					t.Errorf("%s, %s is shown to the store: %v", name, what, err)
				}
			}
			c.p.read()
			w.want(name+": logins", c.p.grants(), 0)
			w.want(name+": never logged in", c.p.LastLoginAt.IsZero(), true)
			w.want(name+": guesses that are free", c.p.free(), 10)
		}
	})
}

// P-10: what ends a login that waits for its second step. No proof of it is spent or counted.
func TestP10AWaitingLoginEnds(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		a, ctx := w.replicas[0], t.Context()
		for what, c := range map[string]struct {
			change func(p *person) error
			want   error
		}{
			"nothing happened": {func(*person) error { return nil }, nil},
			"a new password": {func(p *person) error {
				return a.Store.SetPassword(ctx, userstore.PasswordChange{UserID: p.ID, NewHash: "$other", At: *w.clock, KeepSession: userstore.KeepAll})
			}, userstore.ErrStepOver},
			"a new passkey":      {func(p *person) error { q := *p; q.withPasskey(); return nil }, userstore.ErrStepOver},
			"new recovery codes": {func(p *person) error { _, err := a.NewRecoveryCodes(ctx, p.User, ""); return err }, userstore.ErrStepOver},
			"the factors are removed": {func(p *person) error {
				return a.RemoveFactors(ctx, p.User, userstore.RemovedFactors{All: true}, true, "")
			}, userstore.ErrStepOver},
			"the account is disabled": {func(p *person) error { return a.Store.SetActive(ctx, p.ID, false, *w.clock) }, userstore.ErrAccountDisabled},
			"the account is deleted":  {func(p *person) error { return a.Store.DeleteUser(ctx, p.ID) }, userstore.ErrStepOver},
			"the address has to be proved": {func(*person) error { a.Verification = userstore.VerificationRequired; return nil },
				userstore.ErrEmailNotVerified},
		} {
			p := w.person().withApp()
			l := p.waiting()
			codes := p.recovery
			w.must(c.change(p))
			for how, proof := range map[string]userstore.FactorProof{
				"a code": p.byCode(p.code(0)), "a recovery code": p.byRecovery(codes[0]),
			} {
				if err := p.second(0, l, proof); !errors.Is(err, c.want) || err != nil && c.want == nil {
					t.Errorf("%s, %s: %v, want %v", what, how, err, c.want)
				}
			}
			a.Verification = userstore.VerificationOptional
		}
		p := w.person().withApp()
		for what, l := range map[string]func(*userstore.SecondLogin){
			"another user": func(l *userstore.SecondLogin) { l.UserID = w.person().withApp().ID },
			"no user":      func(l *userstore.SecondLogin) { l.UserID = "" },
			"no password":  func(l *userstore.SecondLogin) { l.PasswordMark = nil },
			"no version":   func(l *userstore.SecondLogin) { l.FactorVersion = 0 },
		} {
			edited := p.waiting()
			l(&edited)
			if err := p.second(0, edited, p.byCode(p.code(0))); !errors.Is(err, userstore.ErrStepOver) {
				t.Errorf("%s: %v", what, err)
			}
		}
		w.want("wrong codes", p.factors().WrongCodes, 0)
		w.must(p.second(0, p.waiting(), p.byCode(p.code(0))))
	})
}

// U-36: a weaker hash is upgraded at the right password also where a second step follows, and the
// login that waits goes on with it.
func TestU36WeakerHashIsUpgradedBeforeTheSecondStep(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		a := w.replicas[0]
		p, must := w.person().withApp(), w.person()
		old := a.Hasher
		a.Hasher = hashes.New(hashes.Params{MemoryKiB: 16, Time: 2, Threads: 1}, 2, 10, time.Minute)
		if err := w.login(0, p.Email, wrong, "192.0.2.7"); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Fatal(err)
		}
		before := p.PasswordHash
		p.read()
		w.want("after a wrong password", p.PasswordHash, before)

		var e *userstore.SecondFactorError
		if err := w.login(0, p.Email, password, "192.0.2.7"); !errors.As(err, &e) {
			t.Fatal(err)
		}
		p.read()
		if !strings.Contains(p.PasswordHash, "$m=16,t=2,p=1$") || e.User.PasswordHash != p.PasswordHash {
			t.Errorf("after the right password the hash is %s, and the login waits with %s", p.PasswordHash, e.User.PasswordHash)
		}
		w.want("never logged in", p.LastLoginAt.IsZero(), true)
		upgraded := p.PasswordHash
		if err := w.login(0, p.Email, password, "192.0.2.7"); !errors.Is(err, userstore.ErrSecondFactor) {
			t.Fatal(err)
		}
		p.read()
		w.want("after another login", p.PasswordHash, upgraded)
		l := p.waiting()
		l.PasswordMark = e.User.PasswordMark()
		w.must(p.second(0, l, p.byCode(p.code(0))))

		a.SecondFactor = userstore.SecondFactorRequired
		var setup *userstore.SetupRequiredError
		if err := w.login(0, must.Email, password, "192.0.2.7"); !errors.As(err, &setup) {
			t.Fatal(err)
		}
		must.read()
		if !strings.Contains(must.PasswordHash, "$m=16,t=2,p=1$") || setup.User.PasswordHash != must.PasswordHash {
			t.Errorf("before a setup the hash is %s, and the login waits with %s", must.PasswordHash, setup.User.PasswordHash)
		}

		// The password changes between the read and the upgrade.
		a.SecondFactor, a.Hasher = userstore.SecondFactorOptional, old
		late := w.person().withApp()
		a.Hasher = hashes.New(hashes.Params{MemoryKiB: 16, Time: 2, Threads: 1}, 2, 10, time.Minute)
		real := a.Store
		a.Store = racing{real, func() {
			w.must(real.SetPassword(t.Context(), userstore.PasswordChange{UserID: late.ID, NewHash: "$other", At: *w.clock}))
		}}
		if err := w.login(0, late.Email, password, "192.0.2.7"); !errors.Is(err, userstore.ErrConflict) {
			t.Errorf("the password changed meanwhile: %v", err)
		}
		a.Store = real
		late.read()
		w.want("after that", late.PasswordHash, "$other")
		w.want("guesses that are free", late.free(), 10)
	})
}

// racing is a store in which something happens right before a hash is upgraded.
type racing struct {
	userstore.Store
	before func()
}

func (r racing) UpgradeHash(ctx context.Context, id, old, upgraded string) error {
	r.before()
	return r.Store.UpgradeHash(ctx, id, old, upgraded)
}

// Who has to have a second factor, by policy.
func TestWhoMustHaveASecondFactor(t *testing.T) {
	user, admin := userstore.User{}, userstore.User{Roles: []string{userstore.RoleAdmin}}
	for policy, want := range map[userstore.SecondFactorPolicy][2]bool{
		userstore.SecondFactorOptional: {false, false}, userstore.SecondFactorOff: {false, false},
		userstore.SecondFactorAdmins: {false, true}, userstore.SecondFactorRequired: {true, true},
	} {
		a := &userstore.Accounts{SecondFactor: policy}
		for i, u := range []userstore.User{user, admin} {
			if got := a.MustHaveSecondFactor(u); got != want[i] {
				t.Errorf("policy %q, roles %v: %v", policy, u.Roles, got)
			}
			u.SecondFactor = true
			if a.MustHaveSecondFactor(u) {
				t.Errorf("policy %q, roles %v: one who has it must have it", policy, u.Roles)
			}
		}
	}
}

package userstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

	"github.com/signet-id/signet/internal/audit"
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

// P-07: the clock moves through the codes of an app.
func TestP07ACodeCountsOnce(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		p := w.person()
		p.read()
		p.withApp()
		confirmed := code(p.secret, w.clock.Add(-time.Minute))
		for _, step := range []struct {
			what string
			wait time.Duration
			code func() string
			want error
		}{
			{"the code that confirmed the app, a step later", -30 * time.Second, func() string { return confirmed }, userstore.ErrFactorRefused},
			{"the code of this step", 30 * time.Second, func() string { return p.code(0) }, nil},
			{"the same code at once", 0, func() string { return p.code(0) }, userstore.ErrFactorRefused},
			{"the code of the step before", 0, func() string { return p.code(-1) }, userstore.ErrFactorRefused},
			{"the same code in the next step", 30 * time.Second, func() string { return p.code(-1) }, userstore.ErrFactorRefused},
			{"the code of two steps later", 0, func() string { return p.code(2) }, userstore.ErrFactorRefused},
			{"the code of a clock that is ahead, in groups", 0, func() string { return p.code(1)[:3] + " " + p.code(1)[3:] }, nil},
			{"an earlier code of a clock that is right", 0, func() string { return p.code(0) }, userstore.ErrFactorRefused},
			{"a code of a clock that is behind", 3 * time.Minute, func() string { return p.code(-1) }, nil},
			{"a code of two steps ago", 3 * time.Minute, func() string { return p.code(-2) }, userstore.ErrFactorRefused},
			{"no code", 0, func() string { return "" }, userstore.ErrFactorRefused},
			{"a code of other digits", 0, func() string { return p.code(0) + "0" }, userstore.ErrFactorRefused},
		} {
			w.wait(step.wait)
			if err := p.second(0, p.waiting(), p.byCode(step.code())); !errors.Is(err, step.want) || err != nil && step.want == nil {
				t.Errorf("%s: %v, want %v", step.what, err, step.want)
			}
		}
		w.want("logins", p.grants(), 3)
	})
}

// P-07, P-08, P-10: three replicas get one proof at the same moment.
func TestP07OneProofAtThreeReplicas(t *testing.T) {
	eachSecond(t, 3, func(t *testing.T, w *throttled) {
		p := w.person().withApp().withPasskey()
		same := p.newHandle()
		sent := 0
		for _, race := range []struct {
			what  string
			proof func() func() userstore.FactorProof
		}{
			{"a code of three logins", func() func() userstore.FactorProof {
				text := p.code(0)
				return func() userstore.FactorProof { return p.byCode(text) }
			}},
			{"a recovery code of three logins", func() func() userstore.FactorProof {
				text := p.recovery[0]
				return func() userstore.FactorProof { return p.byRecovery(text) }
			}},
			{"three recovery codes of one login", func() func() userstore.FactorProof {
				handle := p.newHandle()
				return func() userstore.FactorProof {
					sent++
					return userstore.FactorProof{RecoveryCode: p.recovery[sent], Handle: handle}
				}
			}},
			{"one answer of a passkey", func() func() userstore.FactorProof {
				proof := p.answer("a challenge that is sent three times")
				proof.Handle = same
				return func() userstore.FactorProof { return proof }
			}},
		} {
			w.wait(time.Minute)
			before := p.grants()
			next := race.proof()
			var proofs []userstore.FactorProof
			for range w.replicas {
				proofs = append(proofs, next())
			}
			errs := make([]error, len(w.replicas))
			var all sync.WaitGroup
			for i := range w.replicas {
				all.Go(func() { errs[i] = p.second(i, p.waiting(), proofs[i]) })
			}
			all.Wait()
			won := 0
			for _, err := range errs {
				switch {
				case err == nil:
					won++
				case !errors.Is(err, userstore.ErrFactorRefused) && !errors.Is(err, userstore.ErrStepOver):
					t.Errorf("%s: %v", race.what, err)
				}
			}
			w.want(race.what+": logins", won, 1)
			w.want(race.what+": stored logins", p.grants()-before, 1)
		}
	})
}

// Each outcome of a second step counts as it should among the wrong codes in a row and among the
// attempts at the account.
func TestWhatASecondStepCounts(t *testing.T) {
	down := fmt.Errorf("%w: the test", userstore.ErrUnavailable)
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		ctx := t.Context()
		a := w.replicas[0]
		real := a.Store
		right := func(p *person) userstore.Verified {
			v, err := a.AuthenticateSecond(ctx, p.waiting(), p.byCode(p.code(0)))
			w.must(err)
			return v
		}
		for _, c := range []struct {
			what  string
			try   func(p *person) error
			want  error
			codes int // wrong ones in a row
			free  int // of the 10 guesses at the account
		}{
			{"a right code", func(p *person) error { return p.second(0, p.waiting(), p.byCode(p.code(0))) }, nil, 0, 10},
			{"a wrong code", func(p *person) error { return p.second(0, p.waiting(), p.byCode(p.wrongCode())) },
				userstore.ErrFactorRefused, 1, 9},
			{"a right code after two wrong ones", func(p *person) error {
				for range 2 {
					_ = p.second(0, p.waiting(), p.byCode(p.wrongCode()))
				}
				return p.second(0, p.waiting(), p.byCode(p.code(0)))
			}, nil, 0, 8},
			{"a code that was used", func(p *person) error {
				w.must(p.second(0, p.waiting(), p.byCode(p.code(0))))
				return p.second(0, p.waiting(), p.byCode(p.code(0)))
			}, userstore.ErrFactorRefused, 1, 10}, // it counts at the network that is known by now
			{"a code that another login used after it was checked", func(p *person) error {
				late := right(p)
				w.must(p.second(0, p.waiting(), p.byCode(p.code(0))))
				defer a.Release(ctx, late)
				return a.StartGrant(ctx, late, p.grant(), time.Time{})
			}, userstore.ErrFactorRefused, 0, 9}, // the other login took all counts back
			{"a right code of a login that was finished", func(p *person) error {
				proof := p.byCode(p.code(0))
				w.must(p.second(0, p.waiting(), proof))
				proof.Code = p.code(1)
				return p.second(0, p.waiting(), proof)
			}, userstore.ErrStepOver, 0, 10},
			{"a right code of a login that is given up", func(p *person) error { a.Release(ctx, right(p)); return nil }, nil, 0, 10},
			{"a right code, given up twice", func(p *person) error {
				_ = p.second(0, p.waiting(), p.byCode(p.wrongCode()))
				v := right(p)
				a.Release(ctx, v)
				a.Release(ctx, v)
				return nil
			}, nil, 1, 9},
			{"a wrong code of another person while a login ends", func(p *person) error {
				v := right(p)
				w.must(a.StartGrant(ctx, v, p.grant(), time.Time{}))
				err := p.second(0, p.waiting(), p.byCode(p.wrongCode()))
				a.Release(ctx, v)
				return err
			}, userstore.ErrFactorRefused, 1, 9},
			{"a right code of a login that is refused", func(p *person) error {
				v := right(p)
				defer a.Release(ctx, v)
				return a.Refuse(ctx, v, "not_admin", errors.New("refused"))
			}, nil, 0, 10},
			{"a right code, when the store does not answer", func(p *person) error {
				a.Store = failing{Store: real, startGrant: down}
				defer func() { a.Store = real }()
				return p.second(0, p.waiting(), p.byCode(p.code(0)))
			}, userstore.ErrUnavailable, 0, 10},
			{"a right code, when the account changed meanwhile", func(p *person) error {
				a.Store = failing{Store: real, startGrant: userstore.ErrConflict}
				err := p.second(0, p.waiting(), p.byCode(p.code(0)))
				a.Store = real
				w.must(p.second(0, p.waiting(), p.byCode(p.code(0)))) // the second try has what the first had
				return err
			}, userstore.ErrConflict, 0, 10},
			{"a wrong code, which cannot be counted", func(p *person) error {
				a.Store = failing{Store: real, countWrongCode: down}
				defer func() { a.Store = real }()
				return p.second(0, p.waiting(), p.byCode(p.wrongCode()))
			}, userstore.ErrUnavailable, 0, 10},
			{"a right code, when its secret cannot be read", func(p *person) error {
				key := a.AppKey
				a.AppKey = func() ([]byte, error) { return nil, errors.New("no ring yet") }
				defer func() { a.AppKey = key }()
				return p.second(0, p.waiting(), p.byCode(p.code(0)))
			}, userstore.ErrUnavailable, 0, 10},
			{"a right code, when its secret was sealed under another key", func(p *person) error {
				key := a.AppKey
				a.AppKey = func() ([]byte, error) { return []byte(strings.Repeat("k", 32)), nil }
				defer func() { a.AppKey = key }()
				return p.second(0, p.waiting(), p.byCode(p.code(0)))
			}, userstore.ErrUnavailable, 0, 10},
			{"a right recovery code", func(p *person) error { return p.second(0, p.waiting(), p.byRecovery(p.recovery[0])) }, nil, 0, 10},
			{"a right recovery code, typed as people do", func(p *person) error {
				return p.second(0, p.waiting(), p.byRecovery(" "+strings.ToUpper(strings.ReplaceAll(p.recovery[0], "-", " "))))
			}, nil, 0, 10},
			{"a wrong recovery code", func(p *person) error { return p.second(0, p.waiting(), p.byRecovery("00000-00000-00000")) },
				userstore.ErrFactorRefused, 0, 9},
			{"a used recovery code", func(p *person) error {
				w.must(p.second(0, p.waiting(), p.byRecovery(p.recovery[0])))
				return p.second(0, p.waiting(), p.byRecovery(p.recovery[0]))
			}, userstore.ErrFactorRefused, 0, 10},
			{"a recovery code, when its key cannot be read", func(p *person) error {
				key := a.RecoveryKey
				a.RecoveryKey = func() ([]byte, error) { return nil, errors.New("no ring yet") }
				defer func() { a.RecoveryKey = key }()
				return p.second(0, p.waiting(), p.byRecovery(p.recovery[0]))
			}, userstore.ErrUnavailable, 0, 10},
			{"a passkey of an account that has none", func(p *person) error {
				owner := w.person().withPasskey()
				return p.second(0, p.waiting(), owner.answer("of somebody else"))
			}, userstore.ErrFactorRefused, 0, 10},
			{"what is no answer of a passkey", func(p *person) error {
				return p.second(0, p.waiting(), userstore.FactorProof{Passkey: []byte(`{}`), Handle: p.newHandle()})
			}, userstore.ErrFactorRefused, 0, 10},
			{"a right code for a proof", func(p *person) error {
				_, err := a.ProveFactor(ctx, p.User, userstore.FactorProof{Code: p.code(0), Session: "session"})
				return err
			}, nil, 0, 10},
			{"a wrong code for a proof", func(p *person) error {
				_, err := a.ProveFactor(ctx, p.User, userstore.FactorProof{Code: p.wrongCode(), Session: "session"})
				return err
			}, userstore.ErrFactorRefused, 1, 9},
		} {
			t.Run(c.what, func(t *testing.T) {
				p := w.person().withApp()
				if err := c.try(p); c.want != nil && !errors.Is(err, c.want) || c.want == nil && err != nil && err.Error() != "refused" {
					t.Errorf("%v, want %v", err, c.want)
				}
				w.want(c.what+": wrong codes in a row", p.factors().WrongCodes, c.codes)
				w.want(c.what+": guesses that are free", p.free(), c.free)

				// Without a throttle the codes in a row are counted alike.
				throttle := a.Throttle
				a.Throttle = userstore.NoThrottle
				defer func() { a.Throttle = throttle }()
				p = w.person().withApp()
				_ = c.try(p)
				w.want(c.what+", without a throttle: wrong codes in a row", p.factors().WrongCodes, c.codes)
			})
		}
	})
}

// failing is a store of which some methods fail.
type failing struct {
	userstore.Store
	startGrant, countWrongCode error
}

func (f failing) StartGrant(ctx context.Context, g userstore.StartGrant) error {
	if f.startGrant != nil {
		return f.startGrant
	}
	return f.Store.StartGrant(ctx, g)
}

func (f failing) CountWrongCode(ctx context.Context, id string, most int) error {
	if f.countWrongCode != nil {
		return f.countWrongCode
	}
	return f.Store.CountWrongCode(ctx, id, most)
}

// After MaxWrongCodes wrong codes in a row the app is of no use until it is set up anew. Passkeys and
// recovery codes let the owner in, and give the person who guesses no further codes.
func TestTooManyWrongCodes(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		p := w.person().withApp().withPasskey()
		for range userstore.MaxWrongCodes - 1 {
			w.must(w.replicas[0].Store.CountWrongCode(t.Context(), p.ID, userstore.MaxWrongCodes))
		}
		w.must(p.second(0, p.waiting(), p.byCode(p.code(0)))) // the hundredth one is still checked
		for range userstore.MaxWrongCodes {
			w.must(w.replicas[0].Store.CountWrongCode(t.Context(), p.ID, userstore.MaxWrongCodes))
		}
		blocked := func(when string) {
			t.Helper()
			w.wait(time.Minute)
			for range 12 {
				if err := p.second(0, p.waiting(), p.byCode(p.code(0))); !errors.Is(err, userstore.ErrCodesBlocked) {
					t.Fatalf("%s, a right code: %v", when, err)
				}
			}
			w.want(when+": wrong codes", p.factors().WrongCodes, userstore.MaxWrongCodes)
		}
		blocked("after 100 wrong codes")
		w.must(p.second(0, p.waiting(), p.byRecovery(p.recovery[0])))
		blocked("after a login with a recovery code")
		w.must(p.byPasskey(0, p.answer("one")))
		w.must(p.second(0, p.waiting(), p.answer("two")))
		blocked("after logins with a passkey")
		if _, err := w.replicas[0].ProveFactor(t.Context(), p.User, userstore.FactorProof{RecoveryCode: p.recovery[1]}); err != nil {
			t.Fatal(err)
		}
		p.withApp()
		w.must(p.second(0, p.waiting(), p.byCode(p.code(0))))
		w.want("wrong codes of the new app", p.factors().WrongCodes, 0)
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

// P-09: a passkey alone. Refusals count nowhere, and a passkey needs no budget.
func TestP09APasskeyAlone(t *testing.T) {
	eachSecond(t, 2, func(t *testing.T, w *throttled) {
		p, other := w.person().withPasskey(), w.person().withPasskey()
		w.must(p.byPasskey(0, p.answer("a first login")))
		by := func(o virtualwebauthn.AuthenticatorOptions) virtualwebauthn.Authenticator {
			if o.UserHandle == nil {
				o.UserHandle = p.handle
			}
			return virtualwebauthn.NewAuthenticatorWithOptions(o)
		}
		at := func(id, origin string) virtualwebauthn.RelyingParty {
			return virtualwebauthn.RelyingParty{ID: id, Name: "Lantern", Origin: origin}
		}
		for what, proof := range map[string]userstore.FactorProof{
			"of another origin":     p.answerBy(at("localhost", "http://localhost:9090"), by(virtualwebauthn.AuthenticatorOptions{}), "c"),
			"of another RP id":      p.answerBy(at("evil.test", passkeyIssuer), by(virtualwebauthn.AuthenticatorOptions{}), "c"),
			"for another user":      p.answerBy(party, by(virtualwebauthn.AuthenticatorOptions{UserHandle: other.handle}), "c"),
			"for no user":           p.answerBy(party, virtualwebauthn.NewAuthenticator(), "c"),
			"without verification":  p.answerBy(party, by(virtualwebauthn.AuthenticatorOptions{UserNotVerified: true}), "c"),
			"without presence":      p.answerBy(party, by(virtualwebauthn.AuthenticatorOptions{UserNotPresent: true}), "c"),
			"that nobody made":      {Passkey: []byte("null"), Challenge: p.answer("c").Challenge},
			"to another challenge":  func() userstore.FactorProof { f := p.answer("c"); f.Challenge = p.answer("d").Challenge; return f }(),
			"of an unknown passkey": w.unknownPasskey(p).answer("c"),
		} {
			for range 12 {
				if err := p.byPasskey(0, proof); !errors.Is(err, userstore.ErrFactorRefused) {
					t.Fatalf("an answer %s: %v", what, err)
				}
			}
		}
		if err := other.second(0, other.waiting(), p.answer("c")); !errors.Is(err, userstore.ErrFactorRefused) {
			t.Errorf("as the second step of another user: %v", err)
		}
		again := p.answer("sent twice")
		w.must(p.byPasskey(0, again))
		for i := range 12 {
			if err := p.byPasskey(i%2, again); !errors.Is(err, userstore.ErrStepOver) {
				t.Fatalf("an answer that was used: %v", err)
			}
		}
		p.passkey.Counter = 7
		w.must(p.byPasskey(0, p.answer("it counts from now on")))
		for _, counter := range []uint32{7, 3, 0} {
			p.passkey.Counter = counter
			if err := p.byPasskey(1, p.answer("a counter that went back")); !errors.Is(err, userstore.ErrFactorRefused) {
				t.Errorf("counter %d after 7: %v", counter, err)
			}
		}
		p.passkey.Counter = 8
		for range 12 { // a copy of the passkey answers while the passkey does
			a, answers := w.replicas[0], [2]userstore.Verified{}
			var err error
			for i := range answers {
				answers[i], err = a.AuthenticatePasskey(t.Context(), p.answer(fmt.Sprint("copy ", i)), "")
				w.must(err)
			}
			w.must(a.StartGrant(t.Context(), answers[0], p.grant(), time.Time{}))
			if err := a.StartGrant(t.Context(), answers[1], p.grant(), time.Time{}); !errors.Is(err, userstore.ErrFactorRefused) {
				t.Fatalf("of two with one counter: %v", err)
			}
			a.Release(t.Context(), answers[1])
			p.passkey.Counter++
		}
		w.want("guesses that are free to the browser of the copy", w.guesses(11, p.Email, ""), 10)
		w.want("guesses that are free", p.free(), 10)
		w.limited(w.login(0, p.Email, password, "203.0.113.9"), time.Minute)
		w.must(p.byPasskey(1, p.answer("it waits for no budget")))
		if err := w.login(0, p.Email, password, "192.0.2.7"); !errors.Is(err, userstore.ErrSecondFactor) {
			t.Errorf("a login by passkey makes its network known; a password from there: %v", err)
		}
		w.must(w.replicas[0].Store.SetActive(t.Context(), p.ID, false, *w.clock))
		p.passkey.Counter++
		if err := p.byPasskey(0, p.answer("disabled")); !errors.Is(err, userstore.ErrAccountDisabled) {
			t.Errorf("of a disabled account: %v", err)
		}
		w.replicas[0].Passkeys = nil
		if err := other.byPasskeyOf(w.replicas[0]); !errors.Is(err, userstore.ErrFactorRefused) {
			t.Errorf("where there are none: %v", err)
		}
	})
}

func (p *person) byPasskeyOf(a *world) error {
	_, err := a.AuthenticatePasskey(p.Context(), userstore.FactorProof{Passkey: []byte("{}")}, "")
	return err
}

// unknownPasskey is p with a passkey that was never registered.
func (w *throttled) unknownPasskey(p *person) *person {
	q := *p
	key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	q.passkey = &key
	return &q
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

// A trusted browser skips the second factor of its own user, until password or factors change or its
// time is over.
func TestATrustedBrowser(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		a := w.replicas[0]
		from := func(secret string) context.Context { return userstore.WithTrust(t.Context(), secret) }
		session := func(p *person) userstore.BrowserSession {
			s := userstore.BrowserSession{ID: newID(), UserID: p.ID, AuthTime: *w.clock, ACR: "1", CreatedAt: *w.clock,
				LastUsedAt: *w.clock, ExpiresAt: w.clock.Add(time.Hour)}
			copy(s.Hash[:], newID())
			return s
		}
		trusting := func() (*person, string) {
			p, secret := w.person().withApp(), newID()
			v, err := a.AuthenticateSecond(t.Context(), p.waiting(), p.byCode(p.code(0)))
			w.must(err)
			v.Second.Trust = &userstore.NewTrust{Hash: userstore.TrustHash(secret), ID: newID(), EndsAt: w.clock.Add(24 * time.Hour)}
			w.must(a.StartSession(t.Context(), v, session(p), userstore.SessionHash{}, time.Time{}))
			return p, secret
		}
		for what, c := range map[string]struct {
			change func(p *person) error
			skips  bool
		}{
			"nothing happened": {func(*person) error { return nil }, true},
			"a day later":      {func(*person) error { w.wait(24 * time.Hour); return nil }, false},
			"new recovery codes": {func(p *person) error {
				_, err := a.NewRecoveryCodes(t.Context(), p.User, userstore.KeepAll)
				return err
			}, false},
			"signed out everywhere": {func(p *person) error {
				_, err := a.Store.RevokeUserGrants(t.Context(), p.ID, "", *w.clock)
				return err
			}, false},
			"the trust was ended": {func(p *person) error { return a.Store.EndTrust(t.Context(), p.ID, "") }, false},
		} {
			p, secret := trusting()
			w.must(c.change(p))
			v, err := a.AuthenticatePage(from(secret), p.Email, password)
			if c.skips {
				w.must(err)
				w.want(what+": factors", fmt.Sprintf("%d %s", len(v.Proved), v.Proved[0].Method), "1 password")
				w.must(a.StartSession(t.Context(), v, session(p), userstore.SessionHash{}, time.Time{}))
			} else if !errors.Is(err, userstore.ErrSecondFactor) {
				t.Errorf("%s: %v", what, err)
			}
		}
		p, secret := trusting()
		for what, secret := range map[string]string{"no cookie": "", "another value": newID()} {
			if _, err := a.AuthenticatePage(from(secret), p.Email, password); !errors.Is(err, userstore.ErrSecondFactor) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := a.AuthenticatePage(from(secret), w.person().withApp().Email, password); !errors.Is(err, userstore.ErrSecondFactor) {
			t.Errorf("the cookie of another user: %v", err)
		}
		if _, err := a.AuthenticatePage(from(secret), p.Email, wrong); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("a wrong password in a trusted browser: %v", err)
		}
		v, err := a.AuthenticatePage(from(secret), p.Email, password)
		w.must(err)
		w.must(a.Store.EndTrust(t.Context(), p.ID, ""))
		if err := a.StartSession(t.Context(), v, session(p), userstore.SessionHash{}, time.Time{}); !errors.Is(err, userstore.ErrConflict) {
			t.Errorf("the trust ends during a login: %v", err)
		}
		a.Release(t.Context(), v)
	})
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

// A refusal of a second step has its entry in the audit log, with the client and without the code.
func TestRefusedSecondStepsAreRecorded(t *testing.T) {
	eachSecond(t, 1, func(t *testing.T, w *throttled) {
		p := w.person().withApp()
		_ = p.second(0, p.waiting(), p.byCode(p.wrongCode()))
		_ = p.second(0, p.waiting(), p.byRecovery("00000-00000-00000"))
		proof := p.byCode(p.code(0))
		w.must(p.second(0, p.waiting(), proof))
		proof.Code = p.code(1)
		_ = p.second(0, p.waiting(), proof)
		events, err := w.replicas[0].Store.ListEvents(t.Context(), userstore.EventQuery{TargetID: p.ID, Limit: 100})
		w.must(err)
		var got []string
		for _, e := range events {
			if e.Name == audit.FactorRefused {
				got = append(got, e.Reason+" "+e.ClientID)
			}
		}
		slices.Sort(got)
		want := []string{"login_used_before signet", "wrong_code signet", "wrong_recovery_code signet"}
		for i := range want {
			want[i] = strings.Replace(want[i], "signet", userstore.FirstPartyClientID, 1)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

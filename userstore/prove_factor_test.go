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

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

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

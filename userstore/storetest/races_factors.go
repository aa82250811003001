package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// raceFactors: of many uses of one code at once, one counts.
func raceFactors(t *testing.T, f *fixture) {
	FactorsAtOnce(t, f, f)
}

// FactorsAtOnce uses each kind of what may be used once many times at once, through all of the
// stores, which are replicas of one (P-07, P-08, P-09, P-10).
func FactorsAtOnce(t *testing.T, replicas ...userstore.Store) {
	f := &fixture{Store: replicas[0].(Store), now: base}
	const many = 12
	counter := int64(appCounter)
	for name, test := range map[string]struct {
		// use returns the uses of one round, of which one counts; done checks what is left after it.
		use  func(t *testing.T, s userstore.SecondFactors, codes [][]byte) func(i int) factorUse
		done func(before, after userstore.SecondFactors) bool
		want int
	}{
		"one code of an app (P-07)": {
			func(_ *testing.T, s userstore.SecondFactors, _ [][]byte) func(int) factorUse {
				return func(int) factorUse { return factorUse{App: s.App.ID, Counter: counter} }
			},
			func(_, after userstore.SecondFactors) bool { return after.App.LastCounter == counter }, 1,
		},
		"one recovery code (P-08)": {
			func(_ *testing.T, _ userstore.SecondFactors, codes [][]byte) func(int) factorUse {
				return func(int) factorUse { return factorUse{Recovery: codes[:1]} }
			},
			func(before, after userstore.SecondFactors) bool { return after.RecoveryCodes == before.RecoveryCodes-1 },
			1,
		},
		"the last two recovery codes (P-08)": {
			func(_ *testing.T, _ userstore.SecondFactors, codes [][]byte) func(int) factorUse {
				return func(i int) factorUse { return factorUse{Recovery: codes[i%2 : i%2+1]} }
			},
			func(_, after userstore.SecondFactors) bool { return after.RecoveryCodes == 0 }, 2,
		},
		"one answer of a passkey (P-09)": {
			func(_ *testing.T, s userstore.SecondFactors, _ [][]byte) func(int) factorUse {
				return func(int) factorUse {
					return factorUse{Passkey: s.Passkeys[0].ID, SignCount: s.Passkeys[0].SignCount + 1}
				}
			},
			func(before, after userstore.SecondFactors) bool {
				return after.Passkeys[0].SignCount == before.Passkeys[0].SignCount+1
			}, 1,
		},
		"one challenge of a passkey that does not count (P-09)": {
			func(_ *testing.T, s userstore.SecondFactors, _ [][]byte) func(int) factorUse {
				h := []usedOnce{{ID: id(), EndsAt: f.now.Add(time.Hour)}}
				return func(int) factorUse { return factorUse{Passkey: s.Passkeys[1].ID, Handles: h} }
			},
			func(_, after userstore.SecondFactors) bool { return after.Passkeys[1].SignCount == 0 }, 1,
		},
		"one handle, with a code of its own each (P-10)": {
			func(_ *testing.T, _ userstore.SecondFactors, codes [][]byte) func(int) factorUse {
				h := []usedOnce{{ID: id(), EndsAt: f.now.Add(time.Hour)}}
				return func(i int) factorUse { return factorUse{Recovery: codes[i%2 : i%2+1], Handles: h} }
			},
			func(before, after userstore.SecondFactors) bool { return after.RecoveryCodes == before.RecoveryCodes-1 },
			1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := f.user(t)
			f.app(t, &u)
			f.passkey(t, &u)
			silent := f.newPasskey(u)
			silent.SignCount, silent.CreatedAt = 0, f.now.Add(time.Second)
			f.changeFactors(t, &u, func(c *factorChange) { c.AddPasskey = &silent })
			for range 5 {
				counter++
				codes := f.recoveryCodes(t, &u, 2)
				before := f.factors(t, u)
				use := test.use(t, before, codes)
				grants, sessions := 0, 0
				var mu sync.Mutex
				won := winners(t, many, userstore.ErrSpent, func(i int) error {
					step := secondStep{FactorVersion: u.FactorVersion, Proved: true, Use: use(i)}
					step.Use.At = f.now
					store, started := replicas[i%len(replicas)], &grants
					var err error
					switch i % 3 {
					case 0:
						err = store.StartGrant(t.Context(),
							userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash, Second: step})
					case 1:
						started = &sessions
						err = store.StartSession(t.Context(),
							newLogin{Session: f.newSession(u), PasswordHash: u.PasswordHash, Second: step})
					default:
						started = nil
						err = store.UseFactor(t.Context(), u.ID, u.FactorVersion, step.Use)
					}
					mu.Lock()
					defer mu.Unlock()
					if err == nil && started != nil {
						*started++
					}
					return err
				})
				equal(t, "winners", won, test.want)
				after := f.factorRows(t, u)
				equal(t, "grants and sessions", []int{len(after.grants), len(after.sessions)}, []int{grants, sessions})
				if !test.done(before, after.factors) {
					t.Errorf("before %+v, after %+v", before, after.factors)
				}
				if _, err := f.RevokeUserGrants(t.Context(), u.ID, "", f.now); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// raceFactorChange: a login that rests on the factors of before does not outlive a change that ends
// all sessions, at whatever instant it comes.
func raceFactorChange(t *testing.T, f *fixture) {
	for round := range 12 {
		u := f.user(t)
		step := secondStep{}
		if round%2 == 0 { // otherwise the change adds the first factor, and the logins know of none
			f.app(t, &u)
			step = secondStep{FactorVersion: u.FactorVersion, Proved: true}
		}
		p := f.newPasskey(u)
		change := newFactorChange(f, u)
		change.RemoveApp, change.AddPasskey, change.PasskeyHandle, change.KeepSession = round%2 == 0, &p, "handle", ""
		app := ""
		if round%2 == 0 {
			app = f.factors(t, u).App.ID
		}
		together(9, func(i int) {
			step := step
			if app != "" && i%3 == 1 {
				step.Use = factorUse{App: app, Counter: appCounter + 1, At: f.now}
			}
			var err error
			switch {
			case i == 4:
				if err = f.ChangeFactors(t.Context(), change); err != nil {
					t.Errorf("the change: %v", err)
				}
				return
			case i%2 == 0:
				err = f.StartGrant(t.Context(), userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash,
					Second: step})
			default:
				if app != "" {
					step.Trust = &newTrust{Hash: sessionHash(), ID: id(), EndsAt: f.now.Add(time.Hour)}
				}
				err = f.StartSession(t.Context(), newLogin{Session: f.newSession(u), PasswordHash: u.PasswordHash,
					Second: step})
			}
			if err != nil && !errors.Is(err, userstore.ErrConflict) &&
				(app == "" || !errors.Is(err, userstore.ErrSpent)) {
				t.Errorf("a login: %v", err)
			}
		})
		after := f.factorRows(t, u)
		equal(t, "grants, sessions and trusted browsers that outlive it",
			[]int{len(after.grants), len(after.sessions), len(after.trusted)}, []int{0, 0, 0})
	}
}

// racePasskeys: first passkeys that are stored at once share a handle, and keep the bound.
func racePasskeys(t *testing.T, f *fixture) {
	for _, anyVersion := range []bool{false, true} {
		u := f.user(t)
		want, lost := 1, userstore.ErrConflict
		if anyVersion {
			want, lost = userstore.MaxPasskeys, userstore.ErrExists
		}
		handles := map[string]bool{}
		for i := range 40 {
			handles[fmt.Sprint("handle-", i)] = true
		}
		equal(t, "winners", winners(t, 40, lost, func(i int) error {
			p, c := f.newPasskey(u), newFactorChange(f, u)
			c.AddPasskey, c.PasskeyHandle = &p, fmt.Sprint("handle-", i)
			if anyVersion {
				c.Version = userstore.AnyFactorVersion
			}
			return f.ChangeFactors(t.Context(), c)
		}), want)
		got := f.factors(t, u)
		equal(t, "passkeys and versions", []any{len(got.Passkeys), got.Version, handles[got.PasskeyHandle]},
			[]any{want, int64(want), true})

		// One credential for many accounts is one passkey.
		var users []userstore.User
		for range 8 {
			users = append(users, f.user(t))
		}
		credential := random(32)
		equal(t, "owners", winners(t, len(users), userstore.ErrExists, func(i int) error {
			p, c := f.newPasskey(users[i]), newFactorChange(f, users[i])
			p.CredentialID = credential
			c.AddPasskey, c.PasskeyHandle = &p, "handle"
			return f.ChangeFactors(t.Context(), c)
		}), 1)
	}
}

// raceSetups: of many setups that begin at once, one waits, and of many confirmations one counts.
func raceSetups(t *testing.T, f *fixture) {
	for range 6 {
		u := f.user(t)
		f.app(t, &u)
		var apps []userstore.AuthenticatorApp
		for range 8 {
			apps = append(apps, f.newApp(u))
		}
		together(len(apps), func(i int) {
			if err := f.BeginApp(t.Context(), apps[i], u.FactorVersion); err != nil {
				t.Error(err)
			}
		})
		waiting := f.factors(t, u).Waiting
		if waiting == nil {
			t.Fatal("no setup waits")
		}
		equal(t, "winners", winners(t, 8, userstore.ErrConflict, func(i int) error {
			if i == 3 {
				return f.BeginApp(t.Context(), *waiting, u.FactorVersion-1)
			}
			c := newFactorChange(f, u)
			c.ConfirmApp, c.Counter, c.RecoveryCodes = waiting.ID, appCounter+1, [][]byte{{byte(i)}}
			return f.ChangeFactors(t.Context(), c)
		}), 1)
		got := f.factors(t, u)
		equal(t, "what is there", []any{got.App.ID, got.Waiting == nil, got.RecoveryCodes, got.Version},
			[]any{waiting.ID, true, 1, u.FactorVersion + 1})
	}
}

// raceWrongCodes: codes that are checked at once never exceed their number.
func raceWrongCodes(t *testing.T, f *fixture) {
	u := f.user(t)
	equal(t, "counted", winners(t, 30, userstore.ErrConflict, func(int) error {
		return f.CountWrongCode(t.Context(), u.ID, 10)
	}), 10)
	equal(t, "wrong codes", f.factors(t, u).WrongCodes, 10)
	const returned = 8 // fewer than are counted, so each takes one back
	var counted atomic.Int64
	together(2*returned, func(i int) {
		if i%2 == 0 {
			if err := f.UncountWrongCode(t.Context(), u.ID); err != nil {
				t.Error(err)
			}
		} else if err := f.CountWrongCode(t.Context(), u.ID, 10); err == nil {
			counted.Add(1)
		} else {
			isAsync(t, err, userstore.ErrConflict)
		}
	})
	equal(t, "wrong codes in the end", f.factors(t, u).WrongCodes, 10-returned+int(counted.Load()))
}

// raceTrust: a login that skips the second factor does not outlive the end of the trust that also
// ends sessions, and none comes after the end of the trust.
func raceTrust(t *testing.T, f *fixture) {
	ctx := t.Context()
	for name, end := range map[string]func(u userstore.User, b userstore.TrustedBrowser) (endsSessions bool, err error){
		"one": func(u userstore.User, b userstore.TrustedBrowser) (bool, error) {
			return false, f.EndTrust(ctx, u.ID, b.ID)
		},
		"all": func(u userstore.User, _ userstore.TrustedBrowser) (bool, error) {
			return false, f.EndTrust(ctx, u.ID, "")
		},
		"user": func(u userstore.User, _ userstore.TrustedBrowser) (bool, error) {
			return true, f.SetActive(ctx, u.ID, false, f.now)
		},
		"everywhere": func(u userstore.User, _ userstore.TrustedBrowser) (bool, error) {
			_, err := f.RevokeUserGrants(ctx, u.ID, "", f.now)
			return true, err
		},
		"password": func(u userstore.User, _ userstore.TrustedBrowser) (bool, error) {
			return true, f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, NewHash: id(), At: f.now})
		},
	} {
		for range 6 {
			u := f.user(t)
			f.app(t, &u)
			b := f.trust(t, u)
			ends := false
			together(8, func(i int) {
				if i == 3 {
					var err error
					if ends, err = end(u, b); err != nil {
						t.Errorf("%s: %v", name, err)
					}
					return
				}
				if err := f.skip(t, u, b); err != nil && !errors.Is(err, userstore.ErrSpent) &&
					!errors.Is(err, userstore.ErrConflict) {
					t.Errorf("%s: a login: %v", name, err)
				}
			})
			f.trusted(t, name, u, b, false)
			if n := len(f.factorRows(t, u).sessions); ends && n != 0 {
				t.Errorf("%s: %d sessions outlive it", name, n)
			}
		}
	}
}

// raceEverything runs operations of every kind on one user at once. Each has an answer of its own,
// and what is there in the end is consistent.
func raceEverything(t *testing.T, f *fixture) {
	ctx := t.Context()
	allowed := []error{nil, userstore.ErrConflict, userstore.ErrSpent, userstore.ErrExists, userstore.ErrNotFound}
	for range 8 {
		u := f.user(t)
		f.app(t, &u)
		p := f.passkey(t, &u)
		codes := f.recoveryCodes(t, &u, 3)
		b := f.trust(t, u)
		setup := f.newApp(u)
		must(t, f.BeginApp(ctx, setup, u.FactorVersion))
		step := f.step(t, u)
		change := func(edit func(*factorChange)) error {
			c := newFactorChange(f, u)
			edit(&c)
			return f.ChangeFactors(ctx, c)
		}
		ops := []func() error{
			func() error {
				return f.StartGrant(ctx, userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash,
					Second: step})
			},
			func() error { return f.skip(t, u, b) },
			func() error { return f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Recovery: codes[:1]}) },
			func() error { return change(func(c *factorChange) { c.RemovePasskeys = []string{p.ID} }) },
			func() error { return change(func(c *factorChange) { c.ConfirmApp, c.Counter = setup.ID, 500 }) },
			func() error {
				return change(func(c *factorChange) {
					c.Version, c.RecoveryCodes = userstore.AnyFactorVersion, [][]byte{{1}, {2}}
				})
			},
			func() error { return f.BeginApp(ctx, f.newApp(u), u.FactorVersion) },
			func() error { return f.EndTrust(ctx, u.ID, b.ID) },
			func() error {
				return f.RenamePasskey(ctx, renamed{UserID: u.ID, ID: p.ID, Before: p.Name, After: "New"})
			},
			func() error { return f.CountWrongCode(ctx, u.ID, 9) },
			func() error { return f.SetActive(ctx, u.ID, false, f.now) },
			func() error { return f.UncountWrongCode(ctx, u.ID) },
			func() error { _, err := f.RemoveSpentHandles(ctx, f.now.Add(-time.Hour), 10); return err },
		}
		together(2*len(ops), func(i int) {
			err := ops[i%len(ops)]()
			for _, a := range allowed {
				if errors.Is(err, a) && !errors.Is(err, userstore.ErrUnavailable) {
					return
				}
			}
			t.Errorf("operation %d: %v", i%len(ops), err)
		})
		got := f.factors(t, u)
		f.read(t, &u)
		equal(t, "a second factor", u.SecondFactor, got.App != nil || len(got.Passkeys) > 0)
		equal(t, "the version", u.FactorVersion, got.Version)
	}
}

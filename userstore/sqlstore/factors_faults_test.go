//go:build unix

package sqlstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

// P-07, P-08, P-09, P-10: replicas with pools of their own.
func TestP07OneCodeAtThreeReplicas(t *testing.T) {
	t.Parallel()
	sqltest.EachURL(t, func(t *testing.T, url string) {
		storetest.FactorsAtOnce(t, open(t, url, sqlstore.Options{}), open(t, url, sqlstore.Options{}),
			open(t, url, sqlstore.Options{}))
	})
}

// withFactors returns a user with an authenticator app, a passkey and two recovery codes.
func withFactors(tb testing.TB, db *sqlstore.DB) (u userstore.User, app userstore.AuthenticatorApp) {
	tb.Helper()
	ctx := tb.Context()
	u = newUser()
	app = userstore.AuthenticatorApp{ID: rand.Text(), UserID: u.ID, Sealed: []byte("sealed"), Algorithm: "SHA1", Digits: 6,
		Period: 30, CreatedAt: now}
	c := userstore.FactorChange{UserID: u.ID, PasswordHash: u.PasswordHash, At: now, ConfirmApp: app.ID, Counter: 100,
		AddPasskey: &userstore.Passkey{ID: rand.Text(), UserID: u.ID, CredentialID: []byte(rand.Text()), PublicKey: []byte("key"),
			Name: "Phone", CreatedAt: now},
		PasskeyHandle: "handle", RecoveryCodes: [][]byte{[]byte("one"), []byte("two")}, KeepSession: userstore.KeepAll}
	for _, op := range []func() error{
		func() error { return db.CreateUser(ctx, u) },
		func() error { return db.BeginApp(ctx, app, 0) },
		func() error { return db.ChangeFactors(ctx, c) },
		func() error { return db.CountWrongCode(ctx, u.ID, 100) },
		func() error { return db.CountWrongCode(ctx, u.ID, 100) },
		func() (err error) { u, err = db.UserByID(ctx, u.ID); return err },
	} {
		if err := op(); err != nil {
			tb.Fatal(err)
		}
	}
	return u, app
}

// F-08, for each answer that each operation without audit entries waits for: an operation that would
// be done twice is not retried when it may have been committed, and is unavailable then; any other
// succeeds. None is refused because of its own earlier try.
func TestF08EveryAnswerOfAUseOfFactors(t *testing.T) {
	t.Parallel()
	p := newProxy(t, sqltest.PostgresURL(t))
	db := open(t, p.url, sqlstore.Options{MaxConns: 1})
	type world struct {
		u   userstore.User
		app userstore.AuthenticatorApp
	}
	handles := func() []userstore.Handle { return []userstore.Handle{{ID: rand.Text(), EndsAt: now.Add(time.Hour)}} }
	step := func(w world, use userstore.FactorUse) userstore.SecondStep {
		use.At = now
		return userstore.SecondStep{FactorVersion: w.u.FactorVersion, Proved: true, Use: use}
	}
	change := func(ctx context.Context, w world, edit func(*userstore.FactorChange)) error {
		c := userstore.FactorChange{UserID: w.u.ID, Version: w.u.FactorVersion, PasswordHash: w.u.PasswordHash, At: now,
			KeepSession: userstore.KeepAll}
		edit(&c)
		return db.ChangeFactors(ctx, c)
	}
	for _, test := range []struct {
		name    string
		retried bool
		op      func(ctx context.Context, w world) error
		times   func(s userstore.SecondFactors) int // how often it happened
		most    int                                 // how often it may happen; 0: once
	}{
		{name: "a wrong code is taken back", op: func(ctx context.Context, w world) error { return db.UncountWrongCode(ctx, w.u.ID) },
			times: func(s userstore.SecondFactors) int { return 2 - s.WrongCodes }},
		{name: "a wrong code is counted", retried: true, most: 2, // twice harms only a person who guesses
			op:    func(ctx context.Context, w world) error { return db.CountWrongCode(ctx, w.u.ID, 100) },
			times: func(s userstore.SecondFactors) int { return s.WrongCodes - 2 }},
		{name: "the last wrong code is counted", most: 1,
			op:    func(ctx context.Context, w world) error { return ifConflict(db.CountWrongCode(ctx, w.u.ID, 3)) },
			times: func(s userstore.SecondFactors) int { return s.WrongCodes - 2 }, retried: true},
		{name: "a code", op: func(ctx context.Context, w world) error {
			return db.UseFactor(ctx, w.u.ID, w.u.FactorVersion, userstore.FactorUse{App: w.app.ID, Counter: 101, At: now})
		}, times: func(s userstore.SecondFactors) int { return int(s.App.LastCounter - 100) }},
		{name: "a recovery code, and a handle", op: func(ctx context.Context, w world) error {
			return db.UseFactor(ctx, w.u.ID, w.u.FactorVersion,
				userstore.FactorUse{Recovery: [][]byte{[]byte("one")}, Handles: handles()})
		}, times: func(s userstore.SecondFactors) int { return 2 - s.RecoveryCodes }},
		{name: "a login with a code", op: func(ctx context.Context, w world) error {
			return db.StartGrant(ctx, userstore.StartGrant{Grant: newGrant(w.u), PasswordHash: w.u.PasswordHash,
				Second: step(w, userstore.FactorUse{App: w.app.ID, Counter: 101})})
		}, times: func(s userstore.SecondFactors) int { return int(s.App.LastCounter - 100) }},
		{name: "a login at the pages with a recovery code", op: func(ctx context.Context, w world) error {
			return db.StartSession(ctx, userstore.StartSession{Session: newSession(w.u), PasswordHash: w.u.PasswordHash,
				Second: step(w, userstore.FactorUse{Recovery: [][]byte{[]byte("one")}, Handles: handles()})})
		}, times: func(s userstore.SecondFactors) int { return 2 - s.RecoveryCodes }},
		{name: "a setup", retried: true, op: func(ctx context.Context, w world) error {
			w.app.ID = rand.Text()
			return db.BeginApp(ctx, w.app, w.u.FactorVersion)
		}, times: func(s userstore.SecondFactors) int { return count(s.Waiting != nil) }},
		{name: "a change", op: func(ctx context.Context, w world) error {
			return change(ctx, w, func(c *userstore.FactorChange) { c.RemoveApp = true })
		}, times: func(s userstore.SecondFactors) int { return int(s.Version - 1) }},
		{name: "a change by an operator", op: func(ctx context.Context, w world) error {
			return change(ctx, w, func(c *userstore.FactorChange) { c.Version, c.RemoveAll = userstore.AnyFactorVersion, true })
		}, times: func(s userstore.SecondFactors) int { return int(s.Version - 1) }},
		{name: "another name", retried: true, op: func(ctx context.Context, w world) error {
			s, err := db.SecondFactors(ctx, w.u.ID)
			if err != nil {
				return err
			}
			return db.RenamePasskey(ctx,
				userstore.PasskeyRename{UserID: w.u.ID, ID: s.Passkeys[0].ID, Before: s.Passkeys[0].Name, After: "New"})
		}, times: func(s userstore.SecondFactors) int { return count(s.Passkeys[0].Name == "New") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			prepare := func() (w world) {
				w.u, w.app = withFactors(t, db)
				return w
			}
			times := func(w world) int {
				t.Helper()
				s, err := db.SecondFactors(t.Context(), w.u.ID)
				if err != nil {
					t.Fatal(err)
				}
				return test.times(s)
			}
			w := prepare()
			if err := test.op(t.Context(), w); err != nil || times(w) != 1 { // prepares the statements
				t.Fatalf("%v, done %d times", err, times(w))
			}
			uncertain := 0
			for nth := int64(1); ; nth++ {
				w := prepare()
				p.skip.Store(nth - 1)
				p.lose.Store(1)
				err := test.op(t.Context(), w)
				lost := p.lose.Swap(0) == 0
				n := times(w)
				switch {
				case err == nil && n >= 1 && n <= max(test.most, 1):
				case err != nil && !test.retried && errors.Is(err, userstore.ErrUnavailable) && (n == 0 || n == 1):
					uncertain += n
				default:
					t.Errorf("answer %d lost %v: %v, done %d times", nth, lost, err, n)
				}
				if !lost {
					break
				}
			}
			if !test.retried && uncertain == 0 {
				t.Error("no answer was uncertain: the test loses none after a commit")
			}
		})
	}
}

// ifConflict returns nil for ErrConflict.
func ifConflict(err error) error {
	if errors.Is(err, userstore.ErrConflict) {
		return nil
	}
	return err
}

func count(happened bool) int {
	if happened {
		return 1
	}
	return 0
}

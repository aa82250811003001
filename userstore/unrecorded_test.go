package userstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// unrecordable is a store that cannot record failures.
type unrecordable struct {
	userstore.Store
	off bool
}

func (m *unrecordable) FailAttempt(ctx context.Context, at userstore.Attempt, events ...audit.Event) error {
	if m.off {
		return m.Store.FailAttempt(ctx, at, events...)
	}
	return fmt.Errorf("disk full: %w", userstore.ErrUnavailable)
}

func (m *unrecordable) Record(ctx context.Context, events ...audit.Event) error {
	if m.off {
		return m.Store.Record(ctx, events...)
	}
	return fmt.Errorf("disk full: %w", userstore.ErrUnavailable)
}

// The result of a guess is not answered before it is recorded: neither that the password was wrong,
// nor whether the account exists. The guess counts all the same.
func TestNoVerdictWithoutItsRecord(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		w.register("alice@x.test", "alice")
		off, root := w.register("off@x.test", ""), w.register("root@x.test", "")
		a := w.replicas[0]
		if err := a.SetActive(t.Context(), off.ID, false); err != nil {
			t.Fatal(err)
		}
		if _, err := a.EditByOperator(t.Context(), root.ID,
			func(u *userstore.User) error { u.Roles = []string{"admin"}; return nil }); err != nil {
			t.Fatal(err)
		}
		m := &unrecordable{Store: a.Store}
		a.Store, a.Throttle.Store = m, m
		const home = "192.0.2.1"
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: home})
		for name, act := range map[string]func() error{
			"a wrong password":                         func() error { return w.login(0, "root@x.test", wrong, home) },
			"an unknown name":                          func() error { return w.login(0, "nobody@x.test", wrong, home) },
			"the right password of a disabled account": func() error { return w.login(0, "off@x.test", password, home) },
			"a login that its caller refuses": func() error {
				return a.Refuse(ctx, userstore.Verified{User: root}, "not_admin", errors.New("no admin"))
			},
			"a sign-up with an address that is taken": func() error {
				_, err := a.Register(ctx, userstore.NewUser{Email: "alice@x.test", Password: password})
				if errors.Is(err, userstore.ErrExists) {
					t.Error("a sign-up was told of an account")
				}
				return err
			},
			"the last admin leaves":      func() error { return a.DeleteByOperator(ctx, root.ID) },
			"the last admin is disabled": func() error { return a.SetActive(ctx, root.ID, false) },
			"a wrong current password":   func() error { return a.CheckPassword(ctx, root, wrong) },
			"a wrong current password, of a deletion": func() error {
				return a.Delete(ctx, root.ID, userstore.Proof{Password: wrong})
			},
			"a wrong password where nobody counts attempts": func() error {
				throttle := a.Throttle
				defer func() { a.Throttle = throttle }()
				a.Throttle = userstore.NoThrottle
				return w.login(0, "root@x.test", wrong, home)
			},
		} {
			if err := act(); !errors.Is(err, userstore.ErrUnavailable) || errors.Is(err, userstore.ErrInvalidCredentials) {
				t.Errorf("%s: %v", name, err)
			}
		}

		for range 10 {
			if err := w.login(0, "alice", wrong, home); !errors.Is(err, userstore.ErrUnavailable) {
				t.Fatal(err)
			}
		}
		m.off = true
		w.wait(30 * time.Second)
		w.limited(w.login(0, "alice", wrong, home), 30*time.Second)
		w.wait(30 * time.Second)
		if err := w.login(0, "alice", password, home); err != nil {
			t.Error(err)
		}
		if err := a.CheckPassword(ctx, off, password); !errors.Is(err, userstore.ErrAccountDisabled) {
			t.Error(err)
		}
	})
}

package userstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// dying is a store of a process that dies right after it creates an account, or whose creation
// fails.
type dying struct {
	userstore.Store
	creates bool
	dead    bool
}

var errDead = errors.New("the process is dead")

func (d *dying) CreateUser(ctx context.Context, u userstore.User, events ...audit.Event) error {
	if !d.creates {
		return errDead
	}
	d.dead = true
	return d.Store.CreateUser(ctx, u, events...)
}

func (d *dying) RequestMail(
	ctx context.Context, r userstore.MailRequest, l []userstore.Limit, m outbox.Message,
) error {
	if d.dead {
		return errDead
	}
	return d.Store.RequestMail(ctx, r, l, m)
}

func (d *dying) TakeMailRoom(ctx context.Context, r userstore.MailRequest, l []userstore.Limit) (bool, error) {
	if d.dead {
		return false, errDead
	}
	return d.Store.TakeMailRoom(ctx, r, l)
}

// The message of a sign-up is stored together with the account: nothing comes between them, and
// neither is there without the other. The budget of the address bounds it.
func TestP12TheFirstMessageIsStoredWithTheAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		real := w.Store
		w.Verification = userstore.VerificationOptional
		waits := func() (n int) {
			t.Helper()
			page, err := real.ListMessages(t.Context(), nil, 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range page {
				if m.Kind != outbox.VerifyEmail || m.To != "alice@x.test" {
					t.Errorf("%+v", m)
				}
			}
			return len(page)
		}
		signUp := func() (userstore.SignedUp, error) {
			return w.SignUp(t.Context(), userstore.NewUser{Email: "alice@x.test", Password: password})
		}
		w.Store = &dying{Store: real}
		if _, err := signUp(); !errors.Is(err, errDead) || waits() != 0 {
			t.Errorf("an account that was not created: %v, %d messages", err, waits())
		}
		w.now = w.now.Add(time.Hour)
		w.Store = &dying{Store: real, creates: true}
		done, err := signUp()
		if err != nil || done.Handle == "" || waits() != 1 {
			t.Fatalf("%+v %v, %d messages", done, err, waits())
		}
		w.Store = real
		if err := real.DeleteUser(t.Context(), done.User.ID); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Second)
		if done, err = signUp(); err != nil || done.Handle == "" || waits() != 1 {
			t.Errorf("within the same minute: %+v %v, %d messages", done, err, waits())
		}
	})
}

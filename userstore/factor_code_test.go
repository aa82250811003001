package userstore_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// sent returns the message of a kind that waits, which is removed, and what it would say; ok is false
// if there is none.
func (w *world) sent(t *testing.T, kind outbox.Kind) (m outbox.Message, c outbox.Contents, ok bool) {
	t.Helper()
	waiting, err := w.Store.ListMessages(t.Context(), nil, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range waiting {
		if m.Kind != kind {
			continue
		}
		if err := w.Store.RemoveMessage(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		c, err := w.Contents(t.Context(), m.Message)
		if errors.Is(err, userstore.ErrNothingToSend) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return m.Message, c, true
	}
	return m, c, false
}

// proved is alice after she proved her address.
func (w *world) proved(t *testing.T) userstore.User {
	t.Helper()
	u, err := w.EditByOperator(t.Context(), w.alice(t).ID, func(u *userstore.User) error { u.EmailVerified = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return w.read(t, u.ID)
}

// P-05: the code that the setup of the first second factor needs goes to the mailbox, and is of use
// once, in one session, to one account, for a quarter of an hour.
func TestP05CodeBeforeTheFirstSecondFactor(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		u := w.proved(t)
		if !w.NeedsMailbox(u) {
			t.Fatal("the mailbox is not needed")
		}
		ask := func() (handle, code string) {
			t.Helper()
			handle, err := w.RequestFactorCode(ctx, u, "session")
			if err != nil {
				t.Fatal(err)
			}
			m, c, ok := w.sent(t, outbox.FactorCode)
			if !ok || c.Link != "" || len(c.Code) != 8 || c.To != u.Email || m.EndsAt.Sub(m.At) != 15*time.Minute {
				t.Fatalf("P-05 the message: %+v %+v", m, c)
			}
			w.now = w.now.Add(time.Minute) // until the next one may be sent
			return handle, c.Code
		}
		refused := func(what string, err error) {
			t.Helper()
			if !errors.Is(err, userstore.ErrTokenInvalid) {
				t.Errorf("P-05 %s: %v", what, err)
			}
		}
		handle, code := ask()
		bob, err := w.Register(ctx, userstore.NewUser{Email: "bob@x.test", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		refused("in another session", w.CheckFactorCode(ctx, u, "other", handle, code))
		refused("in no session", w.CheckFactorCode(ctx, u, "", handle, code))
		refused("of another account", w.CheckFactorCode(ctx, bob, "session", handle, code))
		refused("as a reset", w.ResetPassword(ctx, userstore.Mailed{Handle: handle, Code: code}, changed))
		if err := w.CheckFactorCode(ctx, u, "session", handle, code[:4]+" "+code[4:]); err != nil {
			t.Fatal(err)
		}
		refused("twice", w.CheckFactorCode(ctx, u, "session", handle, code))
		if after := w.read(t, u.ID); after.Version != u.Version || !after.EmailVerified {
			t.Errorf("the code changed the account: %+v", after)
		}

		// Of several at once one counts.
		handle, code = ask()
		var wg sync.WaitGroup
		errs := make([]error, 3)
		for i := range errs {
			wg.Go(func() { errs[i] = w.CheckFactorCode(ctx, u, "session", handle, code) })
		}
		wg.Wait()
		n := 0
		for _, err := range errs {
			if err == nil {
				n++
			} else {
				refused("at once", err)
			}
		}
		if n != 1 {
			t.Errorf("P-05 a code counted %d times", n)
		}

		// A newer one ends the older; each handle has five tries; a new password ends all.
		older, its := ask()
		handle, code = ask()
		refused("of an older message", w.CheckFactorCode(ctx, u, "session", older, its))
		for range 5 {
			refused("a wrong code", w.CheckFactorCode(ctx, u, "session", handle, "1234567"))
		}
		refused("after five wrong ones", w.CheckFactorCode(ctx, u, "session", handle, code))
		handle, code = ask()
		w.now = w.now.Add(14*time.Minute - time.Microsecond)
		refused("after a quarter of an hour", w.CheckFactorCode(ctx, u, "session", handle+"x", code))
		w.now = w.now.Add(time.Microsecond)
		refused("after a quarter of an hour", w.CheckFactorCode(ctx, u, "session", handle, code))
		w.now = w.now.Add(time.Hour)
		handle, code = ask()
		if err := w.SetPassword(ctx, u.ID, changed); err != nil {
			t.Fatal(err)
		}
		refused("after a new password", w.CheckFactorCode(ctx, u, "session", handle, code))
	})
}

// Two requests of a session at once make one message, and one handle.
func TestFactorCodesAreBounded(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.proved(t)
		var first string
		for i := range 3 {
			handle, err := w.RequestFactorCode(t.Context(), u, "session")
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = handle
			}
			if handle != first {
				t.Errorf("a second request within a minute has the handle %s, want %s", handle, first)
			}
		}
		if _, err := w.RequestFactorCode(t.Context(), u, "another"); err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; ; n++ {
			if _, _, ok := w.sent(t, outbox.FactorCode); !ok {
				break
			}
		}
		if n != 1 {
			t.Errorf("%d messages", n)
		}
		for what, change := range map[string]func(*userstore.User){
			"an address that is not proved": func(u *userstore.User) { u.EmailVerified = false },
			"a disabled account":            func(u *userstore.User) { u.IsActive = false },
			"one with a second factor":      func(u *userstore.User) { u.SecondFactor = true },
		} {
			other := u
			change(&other)
			if _, err := w.RequestFactorCode(t.Context(), other, "session"); err == nil {
				t.Errorf("%s gets a code", what)
			}
		}
		w.NoMail = true
		if _, err := w.RequestFactorCode(t.Context(), u, "session"); !errors.Is(err, userstore.ErrNoMail) || w.NeedsMailbox(u) {
			t.Errorf("without mail: %v", err)
		}
	})
}

package storetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// Proofs of one address at once, with one token and with several, and an operator who creates an
// account with the address: one account is made, and nothing is left.
func raceProvedUsers(t *testing.T, f *fixture) {
	for round := range 12 {
		first := f.sent(t, address())
		second := f.newSignup(first.Email)
		f.save(t, second)
		must(t, f.IssueSignupToken(t.Context(), second.ID, signupToken(second)))
		var proved, created atomic.Int64
		target := id()
		together(6, func(i int) {
			s := first
			if i%2 == 1 {
				s = second
			}
			u := s.user()
			u.UsernameKey = fmt.Sprint(u.UsernameKey, i)
			var err error
			if i == 0 && round%2 == 0 {
				if err = f.CreateUser(t.Context(), u, f.event(target)); err == nil {
					created.Add(1)
				}
			} else if err = f.CreateProvedUser(t.Context(), s.ID, u, f.event(target)); err == nil {
				proved.Add(1)
			}
			if err != nil && !errors.Is(err, userstore.ErrExists) {
				isAsync(t, err, userstore.ErrConflict)
			}
		})
		equal(t, "accounts", proved.Load()+created.Load(), int64(1))
		equal(t, "entries", f.storedEntries(t, target), 1)
		left, err := f.PendingSignups(t.Context(), first.EmailKey, userstore.BrowserKey{}, f.now, 9)
		must(t, err)
		equal(t, "left", len(left), 2*int(created.Load()))
	}
}

// However often one form is sent at once, it is one sign-up with one message; and sign-ups of an
// address at once are all stored (U-12).
func raceSignups(t *testing.T, f *fixture) {
	for _, browser := range []userstore.BrowserKey{{1}, {}} {
		to := address()
		var ids [8]string
		together(len(ids), func(i int) {
			s := f.newSignup(to)
			s.Browser = browser
			var err error
			since := s.At.Add(-time.Minute)
			ids[i], err = f.SavePendingSignup(t.Context(), s.PendingSignup, since, s.request, nil, s.message)
			if err != nil {
				t.Error(err)
			}
		})
		different := map[string]bool{}
		for _, id := range ids {
			different[id] = true
		}
		want := len(ids)
		if browser != (userstore.BrowserKey{}) {
			want = 1
		}
		equal(t, "sign-ups", len(different), want)
		equal(t, "messages", len(f.waits(t, to)), want)
	}
}

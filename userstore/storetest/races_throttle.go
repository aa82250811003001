package storetest

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// However many attempts come at once, from however many networks and at however many accounts. They
// come in rounds: in the first, connections are still being opened, one after the other.
func raceReserve(t *testing.T, f *fixture) {
	for range 15 {
		account, network := f.reserve(), budget()
		var reserved [3]atomic.Int64
		var held [24]userstore.Attempt
		together(len(held), func(i int) {
			var r userstore.Reserve
			kind := i % 3
			switch kind {
			case 0: // one account, from networks that differ
				r = nextAttempt(account, 0)
				r.Own, r.Network = budget(), budget()
			case 1: // one network, at accounts that differ
				r = f.reserve()
				r.Network = network
			case 2: // the same network, at the same account
				r = nextAttempt(account, 0)
				r.Network = network
			}
			if err := f.ReserveAttempt(t.Context(), r); err == nil {
				reserved[kind].Add(1)
				held[i] = r.Attempt
			} else {
				isAsync(t, err, userstore.ErrConflict)
			}
		})
		// A budget may keep room: an attempt that the other budget refused may have taken a place
		// until it was refused.
		ofAccount, ofNetwork := reserved[0].Load()+reserved[2].Load(), reserved[1].Load()+reserved[2].Load()
		if ofAccount > 3 || ofNetwork > 5 || reserved[0].Load()+reserved[1].Load() == 0 {
			t.Errorf("U-15: %d of the account, %d of the network", ofAccount, ofNetwork)
		}
		account.Network = network
		equal(t, "what is counted", f.tallies(t, account), userstore.Tallies{
			Account: userstore.Tally{Pending: int(ofAccount)}, Network: userstore.Tally{Pending: int(ofNetwork)}})

		together(len(held), func(i int) {
			if err := f.ReturnAttempt(t.Context(), held[i]); err != nil {
				t.Error(err)
			}
		})
		equal(t, "after all", f.tallies(t, account), userstore.Tallies{})
	}
}

// Logins with the right password take nothing from the budget, however many there are.
func raceRight(t *testing.T, f *fixture) {
	u, r := f.user(t), f.reserve()
	together(30, func(int) {
		for {
			try := nextAttempt(r, 0)
			err := f.ReserveAttempt(t.Context(), try)
			if errors.Is(err, userstore.ErrConflict) {
				time.Sleep(2 * time.Millisecond)
				continue
			}
			if err == nil {
				err = f.StartGrant(t.Context(), userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash,
					Attempt: try.Attempt, Remember: f.now.Add(time.Hour)})
			}
			if err != nil {
				t.Error(err)
			}
			return
		}
	})
	equal(t, "after all (U-16)", f.tallies(t, r), userstore.Tallies{Remembered: true})
	list, err := f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "sessions", len(list), 30)
	if slices.ContainsFunc(list, func(g userstore.Grant) bool { return g.UserID != u.ID }) {
		t.Error("another user's session")
	}
}

// However many attempts come at once from one block, no more than its budget are allowed.
func raceBlock(t *testing.T, f *fixture) {
	for range 10 {
		block := budget()
		var last userstore.Reserve
		equal(t, "let in", winners(t, 24, userstore.ErrConflict, func(i int) error {
			r := f.reserve()
			r.Block, r.BlockLimit = block, userstore.Limit{Free: 5, Window: time.Hour}
			if i == 0 {
				last = r
			}
			return f.ReserveAttempt(t.Context(), r)
		}), 5)
		equal(t, "counted", f.tallies(t, last).Block.Pending, 5)
	}
}

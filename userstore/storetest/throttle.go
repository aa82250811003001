package storetest

import (
	"crypto/rand"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func budget() (k userstore.BudgetKey) {
	rand.Read(k[:])
	return k
}

// reserve returns the reservation of an attempt on a new account by a new network: 3 in an hour
// from elsewhere, 2 from the network once it is remembered, 5 for the network in all.
func (f *fixture) reserve() userstore.Reserve {
	r := userstore.Reserve{
		Attempt:        userstore.Attempt{At: f.now, Own: budget(), Strangers: budget(), Network: budget()},
		OwnLimit:       userstore.Limit{Free: 2, Window: time.Hour},
		StrangersLimit: userstore.Limit{Free: 3, Window: time.Hour},
		NetworkLimit:   userstore.Limit{Free: 5, Window: time.Hour}, PendingUntil: f.now.Add(time.Minute),
	}
	rand.Read(r.ID[:])
	return r
}

// nextAttempt returns another attempt on the same budgets, later by this time.
func nextAttempt(r userstore.Reserve, later time.Duration) userstore.Reserve {
	rand.Read(r.ID[:])
	r.At, r.PendingUntil = r.At.Add(later), r.PendingUntil.Add(later)
	return r
}

// wrongPasswords reserves n attempts and marks them wrong.
func (f *fixture) wrongPasswords(t *testing.T, r userstore.Reserve, n int) {
	t.Helper()
	for range n {
		r = nextAttempt(r, 0)
		must(t, f.ReserveAttempt(t.Context(), r))
		must(t, f.FailAttempt(t.Context(), r.Attempt))
	}
}

func (f *fixture) tallies(t *testing.T, r userstore.Reserve) userstore.Tallies {
	t.Helper()
	got, err := f.Tallies(t.Context(), r)
	must(t, err)
	return got
}

func throttleAttempts(t *testing.T, f *fixture) {
	ctx, at := t.Context(), stored(f.now)
	r := f.reserve()
	equal(t, "before", f.tallies(t, r), userstore.Tallies{})

	must(t, f.ReserveAttempt(ctx, r))
	pending := userstore.Tally{Pending: 1}
	equal(t, "pending", f.tallies(t, r), userstore.Tallies{Account: pending, Network: pending})
	overdue := r
	overdue.At = r.PendingUntil
	lost := userstore.Tally{Wrong: 1, Oldest: at, Newest: at}
	equal(t, "overdue", f.tallies(t, overdue), userstore.Tallies{Account: lost, Network: lost})

	for range 2 {
		must(t, f.ReturnAttempt(ctx, r.Attempt))
		equal(t, "returned", f.tallies(t, r), userstore.Tallies{})
	}

	f.wrongPasswords(t, r, 1)
	f.wrongPasswords(t, nextAttempt(r, time.Minute), 2)
	full := userstore.Tally{Wrong: 3, Oldest: at, Newest: stored(f.now.Add(time.Minute))}
	equal(t, "wrong", f.tallies(t, nextAttempt(r, time.Minute)), userstore.Tallies{Account: full, Network: full})
	is(t, f.ReserveAttempt(ctx, nextAttempt(r, time.Minute)), userstore.ErrConflict)
	equal(t, "refused", f.tallies(t, nextAttempt(r, time.Minute)), userstore.Tallies{Account: full, Network: full})
	is(t, f.ReserveAttempt(ctx, nextAttempt(r, time.Hour-time.Microsecond)), userstore.ErrConflict)
	must(t, f.ReserveAttempt(ctx, nextAttempt(r, time.Hour)))

	// An attempt that one budget refuses does not count in the other, whichever budget it is.
	other := f.reserve()
	other.Network = r.Network
	f.wrongPasswords(t, other, 1)
	third := f.reserve()
	third.Network = r.Network
	third.At = f.now.Add(time.Minute)
	is(t, f.ReserveAttempt(ctx, third), userstore.ErrConflict)
	equal(t, "of another account", f.tallies(t, third).Account, userstore.Tally{})
	fourth := nextAttempt(r, time.Minute)
	fourth.Network = budget()
	is(t, f.ReserveAttempt(ctx, fourth), userstore.ErrConflict)
	equal(t, "of another network", f.tallies(t, fourth).Network, userstore.Tally{})

	// One budget alone, and a budget without a limit.
	none := userstore.BudgetKey{}
	alone := f.reserve()
	alone.Own, alone.Strangers = none, none
	f.wrongPasswords(t, alone, 5)
	is(t, f.ReserveAttempt(ctx, nextAttempt(alone, 0)), userstore.ErrConflict)
	alone = f.reserve()
	alone.Network = none
	f.wrongPasswords(t, alone, 3)
	is(t, f.ReserveAttempt(ctx, nextAttempt(alone, 0)), userstore.ErrConflict)
	alone.StrangersLimit.Free = 0
	f.wrongPasswords(t, alone, 9)
	alone.Own, alone.Strangers = none, none
	is(t, f.ReserveAttempt(ctx, alone), userstore.ErrInvalid)
}

// A network that logged in has a budget of its own until it is forgotten.
func throttleRemembers(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, r := f.user(t), f.reserve()
	until := f.now.Add(90 * 24 * time.Hour)
	f.wrongPasswords(t, nextAttempt(r, 0), 2)
	login := func(r userstore.Reserve, hash string) error {
		must(t, f.ReserveAttempt(ctx, r))
		return f.StartGrant(ctx, userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: hash, Attempt: r.Attempt,
			Remember: r.At.Add(90 * 24 * time.Hour)})
	}
	refused := nextAttempt(r, 0)
	is(t, login(refused, "another"), userstore.ErrConflict)
	if got := f.tallies(t, r); got.Remembered || got.Account.Pending != 1 {
		t.Errorf("after a refused login: %+v", got)
	}
	must(t, f.ReturnAttempt(ctx, refused.Attempt))
	must(t, login(nextAttempt(r, 0), u.PasswordHash))
	if got := f.tallies(t, r); !got.Remembered || got.Account != (userstore.Tally{}) || got.Network.Wrong != 2 ||
		got.Network.Pending != 0 {
		t.Errorf("after a login: %+v", got)
	}
	stranger := nextAttempt(r, 0)
	stranger.Own, stranger.Network = budget(), budget()
	f.wrongPasswords(t, stranger, 1)
	is(t, f.ReserveAttempt(ctx, nextAttempt(stranger, 0)), userstore.ErrConflict)
	f.wrongPasswords(t, r, 2)
	is(t, f.ReserveAttempt(ctx, nextAttempt(r, 0)), userstore.ErrConflict)
	equal(t, "of strangers", f.tallies(t, stranger).Account.Wrong, 3)

	r.At = until
	equal(t, "forgotten", f.tallies(t, r).Remembered, false)
	r.At = until.Add(-time.Microsecond)
	equal(t, "not yet forgotten", f.tallies(t, r).Remembered, true)
	r.At = f.now.Add(48 * time.Hour)
	r.PendingUntil = r.At.Add(time.Minute)
	must(t, login(nextAttempt(r, 0), u.PasswordHash))
	r.At = until.Add(time.Hour)
	equal(t, "remembered anew", f.tallies(t, r).Remembered, true)
}

// The store allows the same attempts as the rules do, on any schedule.
func throttleAgrees(t *testing.T, f *fixture) {
	for name, l := range map[string]userstore.Limit{
		"a window":   {Free: 4, Window: 10 * time.Minute},
		"with waits": {Free: 3, Window: 24 * time.Hour, Step: time.Minute, Longest: time.Hour},
		"odd waits":  {Free: 1, Window: 2 * time.Hour, Step: 7 * time.Second, Longest: 100 * time.Second},
	} {
		r := f.reserve()
		r.Network, r.StrangersLimit = userstore.BudgetKey{}, l
		let, refused := 0, 0
		dice := mathrand.New(mathrand.NewPCG(1, 2))
		for range 150 {
			pause := time.Duration(dice.Int64N(int64(30 * time.Minute)))
			switch dice.IntN(20) {
			case 0:
				pause = l.Window
			case 1, 2, 3, 4, 5, 6, 7, 8, 9, 10:
				pause /= 200
			}
			r = nextAttempt(r, pause)
			before := f.tallies(t, r).Account
			opens := l.Opens(before)
			err := f.ReserveAttempt(t.Context(), r)
			if !opens.After(stored(r.At)) {
				must(t, err)
				must(t, f.FailAttempt(t.Context(), r.Attempt))
				let++
				continue
			}
			is(t, err, userstore.ErrConflict)
			refused++
			if dice.IntN(2) == 0 { // it is allowed at the time that the rules name
				r = nextAttempt(r, opens.Sub(stored(r.At)))
				must(t, f.ReserveAttempt(t.Context(), r))
				must(t, f.FailAttempt(t.Context(), r.Attempt))
			}
		}
		if let < 10 || refused < 10 {
			t.Errorf("%s: %d let in and %d refused show little", name, let, refused)
		}
	}
}

func throttleRemoves(t *testing.T, f *fixture) {
	ctx, u := t.Context(), f.user(t)
	var all []userstore.Reserve
	for range 3 {
		r := f.reserve()
		f.wrongPasswords(t, r, 2)
		all = append(all, r)
	}
	r := f.reserve()
	must(t, f.ReserveAttempt(ctx, r))
	must(t, f.StartGrant(ctx, userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash,
		Attempt: r.Attempt, Remember: f.now.Add(2 * time.Hour)}))

	remove := func(at time.Duration) (batches []int) {
		for {
			n, err := f.RemoveExpiredAttempts(ctx, f.now.Add(at), 5)
			must(t, err)
			if n == 0 {
				return batches
			}
			batches = append(batches, n)
		}
	}
	equal(t, "while they count", len(remove(time.Hour-time.Microsecond)), 0)
	equal(t, "still there", f.tallies(t, all[2]).Account.Wrong, 2)
	equal(t, "when they do not", remove(time.Hour), []int{5, 5, 2})
	equal(t, "gone", f.tallies(t, all[2]), userstore.Tallies{})
	equal(t, "remembered", f.tallies(t, r).Remembered, true)
	equal(t, "networks", remove(2*time.Hour), []int{1})
	equal(t, "forgotten", f.tallies(t, r).Remembered, false)
}

package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// isAsync does what is does, for goroutines, which may not end the test.
func isAsync(t *testing.T, err, want error) {
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}

// winners runs n operations at once, and returns how many of them succeeded. The others have to fail
// with lost.
func winners(t *testing.T, n int, lost error, op func(i int) error) int {
	var won atomic.Int64
	together(n, func(i int) {
		if err := op(i); err == nil {
			won.Add(1)
		} else {
			isAsync(t, err, lost)
		}
	})
	return int(won.Load())
}

func raceSignup(t *testing.T, f *fixture) {
	for round := range 10 {
		equal(t, "winners", winners(t, 8, userstore.ErrExists, func(int) error {
			u := f.newUser()
			u.EmailKey = fmt.Sprintf("same-%d@x.test", round)
			u.UsernameKey = fmt.Sprintf("name-%d", round)
			return f.CreateUser(t.Context(), u)
		}), 1)
	}
	all, err := f.ListUsers(t.Context(), userstore.UserQuery{Limit: 100})
	must(t, err)
	equal(t, "users", len(all.Users), 10)
}

func raceAdvance(t *testing.T, f *fixture) {
	g := f.grant(t, f.user(t))
	for round := range int64(20) {
		var won atomic.Int64
		together(8, func(int) {
			a := f.advance(g)
			a.Generation = round + 1
			v, err := f.AdvanceGrant(t.Context(), a)
			switch {
			case err != nil:
				isAsync(t, err, userstore.ErrConflict)
			case v.Grant.Generation != round+2:
				t.Errorf("generation %d after %d", v.Grant.Generation, round+1)
			default:
				won.Add(1)
			}
		})
		equal(t, "winners", won.Load(), int64(1))
	}
}

func raceUpdate(t *testing.T, f *fixture) {
	u := f.user(t)
	const writers, each = 4, 8
	together(writers, func(i int) {
		for n := range each {
			for {
				got, err := f.UserByID(t.Context(), u.ID)
				if err != nil {
					t.Error(err)
					return
				}
				got.Roles = append(got.Roles, fmt.Sprintf("%d-%d", i, n))
				err = f.UpdateUser(t.Context(), got)
				if err == nil {
					break
				}
				if !errors.Is(err, userstore.ErrConflict) {
					t.Error(err)
					return
				}
			}
		}
	})
	got, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	equal(t, "edits that are there", len(got.Roles), writers*each)
	equal(t, "version", got.Version, int64(1+writers*each))
}

func raceLogin(t *testing.T, f *fixture) {
	u := f.user(t)
	together(12, func(int) {
		if err := f.StartGrant(t.Context(), userstore.StartGrant{Grant: f.newGrant(u),
			PasswordHash: u.PasswordHash}); err != nil {
			t.Error(err)
		}
	})
	list, err := f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "sessions", len(list), 12)
}

func raceLate(t *testing.T, f *fixture) {
	g := f.live(t, f.grant(t, f.user(t)))
	var answered atomic.Int64
	together(12, func(int) {
		if err := f.AnswerLate(t.Context(), g.ID, g.Generation, 5); err == nil {
			answered.Add(1)
		} else {
			isAsync(t, err, userstore.ErrConflict)
		}
	})
	equal(t, "answered late", answered.Load(), int64(5))
}

func raceRemove(t *testing.T, f *fixture) {
	u := f.user(t)
	for range 60 {
		f.grant(t, u, func(g *userstore.Grant) { g.ExpiresAt = f.now })
	}
	live := f.grant(t, u)
	var removed, refreshed atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	together(5, func(i int) {
		if i == 0 { // refreshes go on meanwhile
			g := live
			for range 20 {
				v, err := f.AdvanceGrant(ctx, f.advance(g))
				if err != nil {
					t.Error(err)
					return
				}
				g = v.Grant
				refreshed.Add(1)
			}
			return
		}
		for {
			n, err := f.RemoveExpired(ctx, f.now, 7)
			if err != nil {
				t.Error(err)
				return
			}
			if removed.Add(int64(n)) >= 60 {
				return
			}
		}
	})
	equal(t, "removed", removed.Load(), int64(60))
	equal(t, "refreshed meanwhile", refreshed.Load(), int64(20))
}

// raceEnd runs refreshes and logins of one user and client against each operation that ends grants.
// After the operation has returned,
//   - no grant that was started before it began may be refreshed,
//   - no login that it forbids may succeed,
//   - and if it ends all grants, no grant may come back to life when user and client are enabled
//     again, also none of a login that was under way.
func raceEnd(t *testing.T, f *fixture) {
	ops := []struct {
		name     string
		op       func(ctx context.Context, u userstore.User, c userstore.Client, g userstore.Grant) error
		one      bool // ends only the one grant g
		forbids  bool // no login may succeed afterwards, and none that was under way leaves a live grant
		reenable func(ctx context.Context, u userstore.User, c userstore.Client) error
	}{
		{name: "revoke the grant", one: true, op: func(
			ctx context.Context, _ userstore.User, _ userstore.Client, g userstore.Grant,
		) error {
			return f.RevokeGrant(ctx, g.ID, f.now)
		}},
		{name: "revoke the session", one: true, op: func(
			ctx context.Context, u userstore.User, _ userstore.Client, g userstore.Grant,
		) error {
			return f.RevokeSession(ctx, u.ID, g.SessionID, f.now)
		}},
		{name: "log out everywhere", op: func(
			ctx context.Context, u userstore.User, _ userstore.Client, _ userstore.Grant,
		) error {
			_, err := f.RevokeUserGrants(ctx, u.ID, "", f.now)
			return err
		}},
		{name: "change the password", forbids: true, op: func(
			ctx context.Context, u userstore.User, _ userstore.Client, _ userstore.Grant,
		) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash,
				NewHash: "changed", At: f.now})
		}},
		{name: "disable the user", forbids: true, op: func(
			ctx context.Context, u userstore.User, _ userstore.Client, _ userstore.Grant,
		) error {
			return f.SetActive(ctx, u.ID, false, f.now)
		}, reenable: func(ctx context.Context, u userstore.User, _ userstore.Client) error {
			return f.SetActive(ctx, u.ID, true, f.now)
		}},
		{name: "disable the client", forbids: true, op: func(
			ctx context.Context, _ userstore.User, c userstore.Client, _ userstore.Grant,
		) error {
			return f.SetClientActive(ctx, c.ID, false, f.now)
		}, reenable: func(ctx context.Context, _ userstore.User, c userstore.Client) error {
			return f.SetClientActive(ctx, c.ID, true, f.now)
		}},
		{name: "delete the user", forbids: true, op: func(
			ctx context.Context, u userstore.User, _ userstore.Client, _ userstore.Grant,
		) error {
			return f.DeleteUser(ctx, u.ID)
		}},
	}
	for _, op := range ops {
		t.Run(op.name, func(t *testing.T) {
			for range 8 {
				raceOne(t, f, op.op, op.one, op.forbids, op.reenable)
			}
		})
	}
}

func raceOne(t *testing.T, f *fixture, op func(context.Context, userstore.User,
	userstore.Client, userstore.Grant) error,
	one, forbids bool, reenable func(context.Context, userstore.User, userstore.Client) error) {
	t.Helper()
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	of := func(g *userstore.Grant) { g.ClientID = c.ID }
	before := []userstore.Grant{f.grant(t, u, of), f.grant(t, u, of)}
	if one {
		before = before[:1]
	}
	var over, stop atomic.Bool // over: the operation has returned
	var mu sync.Mutex
	started := append([]userstore.Grant(nil), before...)

	var workers sync.WaitGroup
	for _, g := range before {
		workers.Go(func() { // refresh as fast as it goes
			for !stop.Load() {
				late := over.Load()
				v, err := f.AdvanceGrant(ctx, f.advance(g))
				if err == nil {
					if late {
						t.Errorf("refreshed to generation %d after it was ended", v.Grant.Generation)
						return
					}
					g = v.Grant
				} else if !errors.Is(err, userstore.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		workers.Go(func() { // log in as fast as it goes, a bounded number of times
			for n := 0; n < 20 && !stop.Load(); n++ {
				late := over.Load()
				g := f.newGrant(u)
				g.ClientID = c.ID
				err := f.StartGrant(ctx, userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash})
				if err == nil {
					if late && forbids {
						t.Error("a login succeeded that the operation forbids")
						return
					}
					mu.Lock()
					started = append(started, g)
					mu.Unlock()
				} else if !errors.Is(err, userstore.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	time.Sleep(3 * time.Millisecond)
	must(t, op(ctx, u, c, before[0]))
	over.Store(true)
	time.Sleep(3 * time.Millisecond)
	stop.Store(true)
	workers.Wait()

	if reenable != nil {
		must(t, reenable(ctx, u, c))
	}
	ended := before
	if forbids {
		ended = started
	}
	for _, g := range ended {
		f.dead(t, g)
	}
}

// together runs fn n times at once.
func together(n int, fn func(i int)) {
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range n {
		done.Go(func() {
			start.Wait()
			fn(i)
		})
	}
	start.Done()
	done.Wait()
}

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

// Refusals that cost nothing are recorded once per interval, in the background. The number of
// requests, and whether the name exists, make no difference.
func TestRefusalsAreRecordedOnceAWhile(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		r := &recorded{throttled: w, seen: map[string]bool{}}
		u := w.register("alice@x.test", "alice")
		refusals := func() (list []string) {
			for _, e := range r.next() {
				if e.Name == audit.RateLimited {
					list = append(list, fmt.Sprint(e.Outcome, " ", e.Reason, " ", e.Target.ID == u.ID, " ", e.Address))
				}
			}
			return list
		}
		for _, name := range []string{"alice@x.test", "nobody@x.test"} {
			w.want("evaluated of 15", w.guesses(15, name, "192.0.2.1"), 10)
			want := fmt.Sprintf("[failure guesses_at_account %v 192.0.2.1]", name == "alice@x.test")
			w.want("five refusals", fmt.Sprint(refusals()), want)
			w.want("more of them", w.guesses(20, name, "198.51.100.1"), 0) // strangers share the budget
			w.want("more of them, from elsewhere", len(refusals()), 0)
		}
		w.wait(16 * time.Minute)
		w.guesses(3, "alice@x.test", "192.0.2.1")
		w.want("after a while", fmt.Sprint(refusals()), "[failure guesses_at_account true 192.0.2.1]")

		a := w.replicas[0]
		a.Throttle.SignupsPerNetwork = 1
		ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: "192.0.2.9"})
		for n := range 4 {
			_, err := a.Register(ctx, userstore.NewUser{Email: fmt.Sprintf("n%d@x.test", n), Password: password})
			if n > 0 && !errors.Is(err, userstore.ErrRateLimited) {
				t.Fatal(err)
			}
		}
		w.want("sign-ups", fmt.Sprint(refusals()), "[failure signups_from_network false 192.0.2.9]")
	})
}

// slowRecorder is a store that takes long to record a refusal, or fails to.
type slowRecorder struct {
	userstore.Store
	answer chan error
}

func (d *slowRecorder) FailAttempt(ctx context.Context, at userstore.Attempt, events ...audit.Event) error {
	if len(events) == 1 && events[0].Name == audit.RateLimited {
		if err := <-d.answer; err != nil {
			return err
		}
	}
	return d.Store.FailAttempt(ctx, at, events...)
}

// A refusal neither waits for the audit log nor fails with it. The next refusal retries an entry
// that could not be recorded.
func TestARefusalDoesNotWaitForTheAuditLog(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		w.register("alice@x.test", "alice")
		a := w.replicas[0]
		d := &slowRecorder{Store: a.Store, answer: make(chan error)}
		a.Throttle.Store = d
		w.guesses(10, "alice@x.test", "192.0.2.1")
		for range 3 { // the store does not answer yet
			w.limited(w.login(0, "alice@x.test", wrong, "192.0.2.1"), time.Minute)
		}
		d.answer <- errors.New("the store is on fire")
		a.Throttle.Drain()
		w.limited(w.login(0, "alice@x.test", wrong, "192.0.2.1"), time.Minute)
		d.answer <- nil
		a.Throttle.Drain()
		events, err := a.Store.ListEvents(t.Context(), userstore.EventQuery{Limit: 10, Name: audit.RateLimited})
		if err != nil || len(events) != 1 {
			t.Errorf("%d events: %v", len(events), err)
		}
	})
}

// However many budgets are used up, the number of entries is bounded.
func TestAFloodOfRefusalsIsNoFloodOfWrites(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := &fullBudgets{now: func() time.Time { return now }}
	a := newWorld(nil)
	a.Accounts.Now = s.now
	a.Accounts.Throttle = &userstore.Throttle{Store: s, SignupsPerNetwork: 1,
		Secret: func() ([]byte, error) { return make([]byte, 32), nil }}
	flood := func() {
		for n := range 3000 {
			ctx := audit.WithOrigin(t.Context(), audit.Origin{Address: fmt.Sprintf("10.0.%d.%d", n/250, n%250)})
			if _, err := a.Register(ctx,
				userstore.NewUser{Email: "a@x.test", Password: password}); !errors.Is(err, userstore.ErrRateLimited) {
				t.Fatal(err)
			}
		}
		a.Accounts.Throttle.Drain()
	}
	flood()
	if s.events != 1024 {
		t.Errorf("%d events of 3000 refusals", s.events)
	}
	now = now.Add(14 * time.Minute)
	flood()
	if s.events != 1024 {
		t.Errorf("%d events before a quarter of an hour was over", s.events)
	}
	now = now.Add(2 * time.Minute)
	flood()
	if s.events != 2048 {
		t.Errorf("%d events, want as many again", s.events)
	}
}

// fullBudgets is a store in which every budget is used up.
type fullBudgets struct {
	userstore.Attempts
	now    func() time.Time
	events int
}

func (*fullBudgets) ReserveAttempt(context.Context, userstore.Reserve) error {
	return userstore.ErrConflict
}

func (c *fullBudgets) Tallies(context.Context, userstore.Reserve) (userstore.Tallies, error) {
	return userstore.Tallies{Network: userstore.Tally{Wrong: 1, Oldest: c.now(), Newest: c.now()}}, nil
}

func (c *fullBudgets) FailAttempt(_ context.Context, _ userstore.Attempt, events ...audit.Event) error {
	c.events += len(events)
	return nil
}

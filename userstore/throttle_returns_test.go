package userstore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// stuckAttempts is a store in which calls about some attempts hang until their context ends, as
// they do while another transaction holds the rows or the store is stalled.
type stuckAttempts struct {
	Attempts
	mu       sync.Mutex
	stuck    bool
	down     bool // fails at once
	returned map[Attempt]int
	failed   int
}

func (s *stuckAttempts) hang(ctx context.Context) error {
	s.mu.Lock()
	stuck, down := s.stuck, s.down
	s.mu.Unlock()
	switch {
	case down:
		return ErrUnavailable
	case stuck:
		<-ctx.Done()
		return errors.Join(ErrUnavailable, ctx.Err())
	}
	return nil
}

func (s *stuckAttempts) set(stuck, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck, s.down = stuck, down
}

func (s *stuckAttempts) ReserveAttempt(context.Context, Reserve) error { return nil }

func (s *stuckAttempts) ReturnAttempt(ctx context.Context, a Attempt) error {
	err := s.hang(ctx)
	if err == nil {
		s.mu.Lock()
		s.returned[a]++
		s.mu.Unlock()
	}
	return err
}

func (s *stuckAttempts) FailAttempt(ctx context.Context, a Attempt, _ ...audit.Event) error {
	return s.hang(ctx)
}

func (s *stuckAttempts) times(a Attempt) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.returned[a]
}

// left returns the numbers of owed attempts and of workers.
func left(throttle *Throttle) (owed, workers int) {
	throttle.returns.mu.Lock()
	defer throttle.returns.mu.Unlock()
	return len(throttle.returns.owed), throttle.returns.workers
}

func newStuck() (*stuckAttempts, *Throttle) {
	s := &stuckAttempts{returned: map[Attempt]int{}}
	return s, &Throttle{Store: s, Secret: func() ([]byte, error) { return make([]byte, 32), nil }}
}

func admitted(t *testing.T, throttle *Throttle, ctx context.Context, name string) *reservation {
	t.Helper()
	h, err := throttle.admit(ctx, time.Now, subject(User{}, false, name), audit.Target{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// F-14: attempts that cannot be returned, because another transaction holds their rows, take no
// turn for counting, and delay other answers by no more than a moment.
func TestF14AttemptsThatCannotBeGivenBackAreInNobodysWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, throttle := newStuck()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var helds []*reservation
		for _, name := range []string{"alice", "alice", "alice", "alice", "alice"} {
			helds = append(helds, admitted(t, throttle, ctx, name))
		}
		store.set(true, false)
		var all sync.WaitGroup
		began := time.Now()
		for _, h := range helds {
			all.Go(func() {
				h.giveBack(ctx)
				if took := time.Since(began); took > returnGrace {
					t.Errorf("an answer waited %s", took)
				}
			})
		}
		synctest.Wait() // all hang
		for range 20 {
			admitted(t, throttle, ctx, "bob")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("others waited %s for a turn", took)
		}
		all.Wait()
		store.set(false, false)
		time.Sleep(returnLimit + 2*longestReturnPause)
		for _, h := range helds {
			if n := store.times(h.attempt); n != 1 {
				t.Errorf("given back %d times", n)
			}
		}
	})
}

// F-06: no work beside a request outlasts the request's deadline, and a wrong password is recorded
// even when the client hangs up.
func TestF06WhatIsDoneBesideARequestHasItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, throttle := newStuck()
		a := &Accounts{Store: recordsNothing{stuck: store}, Throttle: throttle, Now: time.Now}
		for name, act := range map[string]func(context.Context, *reservation) error{
			"given back": func(ctx context.Context, h *reservation) error { h.giveBack(ctx); return nil },
			"wrong":      func(ctx context.Context, h *reservation) error { return h.fail(ctx, audit.Event{}) },
			"refused": func(ctx context.Context, h *reservation) error {
				return a.recordRefusal(ctx, audit.Event{}, ErrInvalidCredentials)
			},
			"both": func(ctx context.Context, h *reservation) error {
				return a.Refuse(ctx, Verified{reservation: h}, "x", ErrInvalidCredentials)
			},
		} {
			for _, left := range []time.Duration{0, 10 * time.Millisecond, time.Second} {
				store.set(false, false)
				ctx, cancel := context.WithTimeout(t.Context(), left)
				h := admitted(t, throttle, t.Context(), name)
				store.set(true, false)
				began := time.Now()
				err := act(ctx, h)
				if took := time.Since(began); took > left {
					t.Errorf("%s: %s, though %s were left", name, took, left)
				}
				if name != "given back" && !errors.Is(err, ErrUnavailable) {
					t.Errorf("%s: %v", name, err)
				}
				cancel()
			}
		}
		store.set(false, false)
		time.Sleep(time.Minute)

		gone, leave := context.WithTimeout(t.Context(), time.Second)
		h := admitted(t, throttle, gone, "alice")
		leave()
		if err := h.fail(gone, audit.Event{}); err != nil {
			t.Errorf("after the client hung up: %v", err)
		}
	})
}

type recordsNothing struct {
	Store
	stuck *stuckAttempts
}

func (s recordsNothing) Record(ctx context.Context, _ ...audit.Event) error { return s.stuck.hang(ctx) }

// Attempts that are owed through an outage are returned soon after it, each once, also while new
// requests come. Drain does not wait for a stalled store.
func TestWhatIsOwedIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, throttle := newStuck()
		var helds []*reservation
		for range 300 {
			helds = append(helds, admitted(t, throttle, t.Context(), "alice"))
		}
		store.set(false, true)
		for _, h := range helds {
			h.giveBack(t.Context())
		}
		began := time.Now()
		throttle.Drain()
		if took := time.Since(began); took > drainLimit {
			t.Errorf("Drain took %s", took)
		}
		time.Sleep(time.Minute)
		if owed, _ := left(throttle); owed != len(helds) {
			t.Errorf("%d owed", owed)
		}
		store.set(false, false)
		time.Sleep(longestReturnPause)
		synctest.Wait()
		for _, h := range helds {
			if n := store.times(h.attempt); n != 1 {
				t.Fatalf("given back %d times", n)
			}
		}
		if owed, workers := left(throttle); owed+workers != 0 {
			t.Errorf("%d workers, %d owed at the end", workers, owed)
		}

		// A stalled store.
		h := admitted(t, throttle, t.Context(), "bob")
		store.set(true, false)
		h.giveBack(t.Context())
		began = time.Now()
		throttle.Drain()
		if took := time.Since(began); took > drainLimit {
			t.Errorf("Drain took %s", took)
		}
		store.set(false, false)
		time.Sleep(time.Minute)

		// A store that stays unreachable is given up in the end, and no goroutine is left.
		store.set(false, true)
		h = admitted(t, throttle, t.Context(), "carol")
		h.giveBack(t.Context())
		time.Sleep(returnFor + time.Minute)
		if owed, workers := left(throttle); owed+workers != 0 {
			t.Errorf("%d workers, %d owed for ever", workers, owed)
		}
	})
}

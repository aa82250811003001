package userstore

import (
	"context"
	"slices"
	"sync"
	"time"
)

// returns gives attempts back that were right, or came to nothing for a reason of ours, out of
// the way of answers: a store that stands still, or somebody who holds an attempt's rows, delays
// neither the request that the attempt belongs to by more than a moment, nor those of others, nor
// does it take a turn of those that count. What fails is tried again until it works: it
// stands in the way of right passwords, and it may be done any number of times.
type returns struct {
	mu      sync.Mutex
	owed    []*owedAttempt // those that did not fail yet come first
	workers int
	wakeUp  chan struct{} // holds one: whoever pauses tries at once
}

// owedAttempt is to be given back.
type owedAttempt struct {
	Attempt
	since  time.Time
	busy   bool          // a worker is at it
	failed bool          // it was tried before
	tried  chan struct{} // closed when it was tried once
}

const (
	// returnsAtOnce is how many are given back at a time.
	returnsAtOnce = 2
	// returnLimit is how long the store may take for one.
	returnLimit = 3 * time.Second
	// returnGrace is how long an answer waits for its own: in a healthy store milliseconds are enough,
	// and whoever comes next finds the budget as it should be.
	returnGrace = 250 * time.Millisecond
	// returnFor is how long one is tried again. After that it counts in no network's budget.
	returnFor = 15 * time.Minute
	// mostOwed is how many attempts are remembered through an outage of the store; it is
	// as many as could have been under way, many times over.
	maxOwed = 4096
	// pauses between two tries of what failed.
	firstReturnPause, longestReturnPause = 50 * time.Millisecond, time.Second
)

// owe has a given back.
func (t *Throttle) giveBackSoon(a Attempt) *owedAttempt {
	r := &t.returns
	o := &owedAttempt{Attempt: a, since: time.Now(), tried: make(chan struct{})}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wakeUp == nil {
		r.wakeUp = make(chan struct{}, 1)
	}
	if len(r.owed) >= maxOwed {
		if i := slices.IndexFunc(r.owed, func(o *owedAttempt) bool { return !o.busy }); i >= 0 {
			r.drop(i)
		}
	}
	i := slices.IndexFunc(r.owed, func(o *owedAttempt) bool { return o.failed })
	if i < 0 {
		i = len(r.owed)
	}
	r.owed = slices.Insert(r.owed, i, o)
	if r.workers < returnsAtOnce {
		r.workers++
		go t.giveBackOwed()
	} else {
		r.wakeWorker()
	}
	return o
}

// hurry wakes a worker that pauses. r.mu is held.
func (r *returns) wakeWorker() {
	select {
	case r.wakeUp <- struct{}{}:
	default:
	}
}

// drop forgets the i-th. r.mu is held.
func (r *returns) drop(i int) {
	if !r.owed[i].failed {
		close(r.owed[i].tried)
	}
	r.owed = slices.Delete(r.owed, i, i+1)
}

// payBack gives back what is owed, one after the other, and ends when nothing is.
func (t *Throttle) giveBackOwed() {
	r := &t.returns
	pause, ready := firstReturnPause, false // ready: for what failed before
	for {
		o := r.next(ready)
		if o == nil {
			return
		}
		if o.Attempt == (Attempt{}) { // only what failed is left: wait a little
			timer := time.NewTimer(pause)
			select {
			case <-r.wakeUp:
			case <-timer.C:
			}
			timer.Stop()
			pause, ready = min(2*pause, longestReturnPause), true
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), returnLimit)
		err := t.Store.ReturnAttempt(ctx, o.Attempt)
		cancel()
		ready = err == nil // then the store is back
		if err == nil {
			pause = firstReturnPause
			t.wake(o.Attempt)
		}
		r.mu.Lock()
		o.busy = false
		i := slices.Index(r.owed, o)
		switch {
		case err == nil || time.Since(o.since) > returnFor:
			r.drop(i)
		default:
			if !o.failed {
				close(o.tried)
			}
			o.failed = true
			r.owed = append(slices.Delete(r.owed, i, i+1), o)
		}
		r.mu.Unlock()
	}
}

// next is what a worker gives back now. A zero attempt: all that is left has failed before, and the
// worker, which is not ready for that, should pause; nil: nothing is left, and it has ended.
func (r *returns) next(ready bool) *owedAttempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.IndexFunc(r.owed, func(o *owedAttempt) bool { return !o.busy })
	switch {
	case i < 0:
		r.workers--
		return nil
	case r.owed[i].failed && !ready:
		return &owedAttempt{}
	}
	r.owed[i].busy = true
	return r.owed[i]
}

// owes tells whether something is to be given back that stands in the way of a.
func (r *returns) owes(a Attempt) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.owed, func(o *owedAttempt) bool { return o.meets(a) })
}

// settled waits a moment for what is owed and stands in the way of a.
func (r *returns) waitForOwed(ctx context.Context, a Attempt) {
	for end := time.Now().Add(returnGrace); r.owes(a) && time.Now().Before(end) && ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		r.mu.Lock()
		r.wakeWorker()
		r.mu.Unlock()
	}
}

// drained waits until everything that is owed was tried, but not for longer than limit.
func (r *returns) waitUntilTried(limit time.Duration) {
	untried := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.ContainsFunc(r.owed, func(o *owedAttempt) bool { return !o.failed })
	}
	for end := time.Now().Add(limit); untried() && time.Now().Before(end); {
		time.Sleep(2 * time.Millisecond)
	}
}

// tryFor waits until o was tried, or for a moment, and in no case beyond the deadline of ctx.
func (o *owedAttempt) waitUntilTried(ctx context.Context) {
	grace := returnGrace
	if end, ok := ctx.Deadline(); ok {
		grace = min(grace, time.Until(end))
	}
	if grace <= 0 {
		return
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-o.tried:
	case <-timer.C:
	}
}

// Uncancelled is ctx for what has to be done also when the client hangs up, as recording its
// wrong password: it has the deadline of ctx, so that no request outlasts its own, but is not cancelled.
func Uncancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	kept := context.WithoutCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(kept, end)
	}
	return kept, func() {}
}

package userstore

import (
	"context"
	"slices"
	"sync"
	"time"
)

// returns gives back attempts that were right, or that failed for a reason on our side. It works
// beside the requests: a stalled store, or another transaction that holds an attempt's rows, delays
// the attempt's own request only by a moment and other requests not at all, and takes none of the
// turns for counting. A return that fails is tried again until it succeeds, because it stands in
// the way of right passwords, and returning is idempotent.
type returns struct {
	mu      sync.Mutex
	owed    []*owedAttempt // attempts that have not failed yet come first
	workers int
	wakeUp  chan struct{} // holds one: a worker that pauses continues at once
}

// owedAttempt is an attempt to be returned.
type owedAttempt struct {
	Attempt
	busy   bool             // a worker is returning it
	failed bool             // a try has failed
	tried  chan struct{}    // closed after the first try
	end    <-chan time.Time // receives once returnFor is over
}

const (
	// returnsAtOnce is the number of workers.
	returnsAtOnce = 2
	// returnLimit is how long the store may take for one attempt.
	returnLimit = 3 * time.Second
	// returnGrace is how long an answer waits for the return of its own attempt. A healthy store
	// takes milliseconds, and the next request then finds the budget as it should be.
	returnGrace = 250 * time.Millisecond
	// returnFor is how long an attempt is tried again. After that time it counts in no network's
	// budget.
	returnFor = 15 * time.Minute
	// maxOwed bounds the attempts that are remembered through an outage of the store. It is many
	// times the number that can be pending.
	maxOwed = 4096
	// Pauses between two tries of a failed return.
	firstReturnPause, longestReturnPause = 50 * time.Millisecond, time.Second
)

// giveBackSoon queues a to be returned.
func (t *Throttle) giveBackSoon(a Attempt) *owedAttempt {
	r := &t.returns
	o := &owedAttempt{Attempt: a, tried: make(chan struct{}), end: time.After(returnFor)}
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

// wakeWorker wakes a worker that pauses. r.mu is held.
func (r *returns) wakeWorker() {
	select {
	case r.wakeUp <- struct{}{}:
	default:
	}
}

// drop removes the i-th attempt. r.mu is held.
func (r *returns) drop(i int) {
	if !r.owed[i].failed {
		close(r.owed[i].tried)
	}
	r.owed = slices.Delete(r.owed, i, i+1)
}

// giveBackOwed returns the queued attempts one after the other, and ends when there are none.
func (t *Throttle) giveBackOwed() {
	r := &t.returns
	pause, ready := firstReturnPause, false // ready: to try failed returns again
	for {
		o := r.next(ready)
		if o == nil {
			return
		}
		if o.Attempt == (Attempt{}) { // only failed returns are left: wait a little
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
		ready = err == nil // the store works again
		if err == nil {
			pause = firstReturnPause
			t.wake(o.Attempt)
		}
		r.mu.Lock()
		o.busy = false
		i := slices.Index(r.owed, o)
		switch {
		case err == nil || o.over():
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

// next returns the attempt that a worker returns now. A zero attempt says that all others have
// failed before and the worker, which is not ready for them, should pause. nil says that none is
// left and the worker has ended.
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

// owes reports whether an attempt that shares a budget with a is still to be returned.
func (r *returns) owes(a Attempt) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.owed, func(o *owedAttempt) bool { return o.meets(a) })
}

// waitForOwed waits a moment for the return of the attempts that share a budget with a.
func (r *returns) waitForOwed(ctx context.Context, a Attempt) {
	ctx, cancel := context.WithTimeout(ctx, returnGrace)
	defer cancel()
	for r.owes(a) && ctx.Err() == nil {
		r.mu.Lock()
		r.wakeWorker()
		r.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
}

// waitUntilTried waits until every attempt to be returned was tried, but not longer than limit.
func (r *returns) waitUntilTried(limit time.Duration) {
	untried := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return slices.ContainsFunc(r.owed, func(o *owedAttempt) bool { return !o.failed })
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for untried() && ctx.Err() == nil {
		time.Sleep(2 * time.Millisecond)
	}
}

// over reports whether the time in which o is tried again has ended. The caller then drops o.
func (o *owedAttempt) over() bool {
	select {
	case <-o.end:
		return true
	default:
		return false
	}
}

// waitUntilTried waits until o was tried, but only for a moment and never beyond the deadline of
// ctx.
func (o *owedAttempt) waitUntilTried(ctx context.Context) {
	ctx, cancel := Uncancelled(ctx)
	defer cancel()
	grace, cancel := context.WithTimeout(ctx, returnGrace)
	defer cancel()
	select {
	case <-o.tried:
	case <-grace.Done():
	}
}

// Uncancelled returns ctx for work that must be done even when the client hangs up, such as
// recording its wrong password. It keeps the deadline of ctx, so that no request outlasts its own,
// but is not cancelled.
func Uncancelled(ctx context.Context) (context.Context, context.CancelFunc) {
	kept := context.WithoutCancel(ctx)
	if end, ok := ctx.Deadline(); ok {
		return context.WithDeadline(kept, end)
	}
	return kept, func() {}
}

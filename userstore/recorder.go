package userstore

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// recorder tells the audit log of refusals that cost nothing to bring about, so that a flood of
// them is no flood of writes: of each budget once in a while, and of so many budgets at
// most. Nobody waits for it, whether it writes or not: a refusal takes as long for a name that
// somebody has as for one that nobody has. The zero value is ready.
type recorder struct {
	mu       sync.Mutex
	recorded map[BudgetKey]time.Time
	queue    []queued
	writing  chan struct{} // closed when what is queued is written; nil: nobody writes
}

type queued struct {
	key   BudgetKey
	event audit.Event
}

const (
	// toldEvery is how long a budget is not told of again.
	recordInterval = 15 * time.Minute
	// mostTold bounds memory and writes: so many events in toldEvery, by one replica.
	maxRecorded = 1024
	// recordWithin is how long the store may take for one.
	recordTimeout = 5 * time.Second
)

// tell has e recorded by and by, if its budget is due. store and log are always the same.
func (r *recorder) record(ctx context.Context, store Attempts, log *slog.Logger, key BudgetKey, e audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.recorded[key]; ok && e.At.Sub(at) < recordInterval {
		return
	}
	if len(r.recorded) >= maxRecorded {
		for k, at := range r.recorded {
			if e.At.Sub(at) >= recordInterval {
				delete(r.recorded, k)
			}
		}
		if len(r.recorded) >= maxRecorded {
			return
		}
	}
	if r.recorded == nil {
		r.recorded = map[BudgetKey]time.Time{}
	}
	r.recorded[key] = e.At
	r.queue = append(r.queue, queued{key, e})
	if r.writing == nil {
		r.writing = make(chan struct{})
		go r.writeQueue(context.WithoutCancel(ctx), store, log)
	}
}

// write records what is queued, one after the other, and ends.
func (r *recorder) writeQueue(ctx context.Context, store Attempts, log *slog.Logger) {
	for {
		r.mu.Lock()
		if len(r.queue) == 0 {
			close(r.writing)
			r.writing = nil
			r.mu.Unlock()
			return
		}
		q := r.queue[0]
		r.queue = r.queue[1:]
		r.mu.Unlock()

		one, cancel := context.WithTimeout(ctx, recordTimeout)
		err := store.FailAttempt(one, Attempt{}, q.event)
		cancel()
		if err == nil {
			q.event.Log(ctx, log)
			continue
		}
		r.mu.Lock()
		delete(r.recorded, q.key) // the next refusal tries again
		r.mu.Unlock()
		if log != nil {
			log.WarnContext(ctx, "a refused attempt could not be recorded; the next one is tried", "error", err)
		}
	}
}

// wait is over when what was queued before is written, or could not be, or after limit.
func (r *recorder) waitUntilWritten(limit time.Duration) {
	r.mu.Lock()
	writing := r.writing
	r.mu.Unlock()
	if writing != nil {
		select {
		case <-writing:
		case <-time.After(limit):
		}
	}
}

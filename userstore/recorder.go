package userstore

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// recorder writes audit entries of refusals that cost a stranger nothing to cause. A flood of
// refusals must not become a flood of writes, so it samples: one entry per budget and interval, and
// a bounded number in all. No request waits for it, whether it writes or not: a refusal takes
// equally long for known and unknown names. The zero value is ready.
type recorder struct {
	mu       sync.Mutex
	recorded map[BudgetKey]time.Time
	queue    []queued
	writing  chan struct{} // closed when the queue is written; nil: no goroutine writes
}

type queued struct {
	key   BudgetKey
	event audit.Event
}

const (
	// recordInterval is the least time between two entries for one budget.
	recordInterval = 15 * time.Minute
	// maxRecorded bounds memory and writes: the entries of one replica within recordInterval.
	maxRecorded = 1024
	// recordTimeout is how long the store may take for one entry.
	recordTimeout = 5 * time.Second
)

// record queues e, if its budget is due. store and log are the same in every call.
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

// writeQueue writes the queued entries one after the other, and ends.
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

// waitUntilWritten waits until the entries queued so far were written or failed, at most for limit.
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

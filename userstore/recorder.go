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
	mu      sync.Mutex
	told    map[BudgetKey]time.Time
	queue   []queued
	writing chan struct{} // closed when what is queued is written; nil: nobody writes
}

type queued struct {
	key   BudgetKey
	event audit.Event
}

const (
	// toldEvery is how long a budget is not told of again.
	toldEvery = 15 * time.Minute
	// mostTold bounds memory and writes: so many events in toldEvery, by one replica.
	mostTold = 1024
	// recordWithin is how long the store may take for one.
	recordWithin = 5 * time.Second
)

// tell has e recorded by and by, if its budget is due. store and log are always the same.
func (r *recorder) tell(ctx context.Context, store Attempts, log *slog.Logger, key BudgetKey, e audit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, ok := r.told[key]; ok && e.At.Sub(at) < toldEvery {
		return
	}
	if len(r.told) >= mostTold {
		for k, at := range r.told {
			if e.At.Sub(at) >= toldEvery {
				delete(r.told, k)
			}
		}
		if len(r.told) >= mostTold {
			return
		}
	}
	if r.told == nil {
		r.told = map[BudgetKey]time.Time{}
	}
	r.told[key] = e.At
	r.queue = append(r.queue, queued{key, e})
	if r.writing == nil {
		r.writing = make(chan struct{})
		go r.write(context.WithoutCancel(ctx), store, log)
	}
}

// write records what is queued, one after the other, and ends.
func (r *recorder) write(ctx context.Context, store Attempts, log *slog.Logger) {
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

		one, cancel := context.WithTimeout(ctx, recordWithin)
		err := store.FailAttempt(one, Attempt{}, q.event)
		cancel()
		if err == nil {
			q.event.Log(ctx, log)
			continue
		}
		r.mu.Lock()
		delete(r.told, q.key) // the next refusal tries again
		r.mu.Unlock()
		if log != nil {
			log.WarnContext(ctx, "a refused attempt could not be recorded; the next one is tried", "error", err)
		}
	}
}

// wait is over when what was queued before is written, or could not be, or after limit.
func (r *recorder) wait(limit time.Duration) {
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

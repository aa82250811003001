package userstore

import (
	"context"
	"sync"
)

// turns let a few attempts at a time be counted in the store. However many people log in at once,
// no more than these stand before a refresh where the store takes one write after the other, or
// has few connections. Counting takes milliseconds and hashing tens of them: who waits here would
// only wait for a hash instead.
type turns struct {
	mu      sync.Mutex
	tokens  chan struct{} // made by the first who comes
	waiting int
}

// turnsAtOnce is what Throttle.AtOnce is at least.
const turnsAtOnce = 2

// take waits for a turn until ctx is over, if not too many wait already. Call leave when it was taken.
func (t *turns) take(ctx context.Context, atOnce int) (taken bool) {
	t.mu.Lock()
	if t.tokens == nil {
		t.tokens = make(chan struct{}, max(turnsAtOnce, atOnce))
	}
	tokens := t.tokens
	select {
	case tokens <- struct{}{}:
		t.mu.Unlock()
		return true
	default:
	}
	if t.waiting >= maxWaiting {
		t.mu.Unlock()
		return false
	}
	t.waiting++
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		t.waiting--
		t.mu.Unlock()
	}()
	select {
	case tokens <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (t *turns) leave() { <-t.tokens }

package userstore

import (
	"context"
	"sync"
)

// turns bounds how many attempts are counted in the store at a time. However many people log in at
// once, only these few can delay a refresh where the store takes one write after the other or has
// few connections. Counting takes milliseconds and hashing tens of them, so a login that waits here
// would otherwise wait for a hash.
type turns struct {
	mu      sync.Mutex
	tokens  chan struct{} // made by the first call of take
	waiting int
}

// turnsAtOnce is the least value of Throttle.AtOnce.
const turnsAtOnce = 2

// take waits for a turn until ctx is done, unless too many callers wait already. After true, the
// caller must call leave.
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

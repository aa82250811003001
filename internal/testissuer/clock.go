package testissuer

import (
	"sync"
	"time"
)

// Clock is the time of a test issuer.
type Clock struct {
	mu       sync.Mutex
	now      time.Time        // of a clock that stands still
	tick     func() time.Time // of a clock that runs; nil: it stands still
	distance time.Duration    // from tick
}

// Standing returns a clock that stands still until it is moved.
func Standing(at time.Time) *Clock { return &Clock{now: at} }

// Running returns a clock that runs as tick does, ahead of it by as much as it was moved.
func Running(tick func() time.Time) *Clock { return &Clock{tick: tick} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tick != nil {
		return c.tick().Add(c.distance)
	}
	return c.now
}

// move moves the clock by d, back if d is negative.
func (c *Clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.distance = c.now.Add(d), c.distance+d
}

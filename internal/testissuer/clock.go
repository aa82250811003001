package testissuer

import (
	"sync"
	"time"
)

// Clock is the time of a test issuer.
type Clock struct {
	tick func() time.Time

	mu       sync.Mutex
	distance time.Duration // from tick
}

// Standing returns a clock that stands still until it is moved.
func Standing(at time.Time) *Clock { return Running(func() time.Time { return at }) }

// Running returns a clock that runs as tick does, ahead of it by as much as it was moved.
func Running(tick func() time.Time) *Clock { return &Clock{tick: tick} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tick().Add(c.distance)
}

// move moves the clock by d, back if d is negative.
func (c *Clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.distance += d
}

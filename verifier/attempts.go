package verifier

import "time"

// attempts say when something may be fetched: one fetch at a time, and not before the cooldown is over. The
// mutex of whoever has them guards them.
type attempts struct {
	flight      chan struct{} // closed when the running fetch ends; nil: no fetch is running
	lastAttempt time.Time
	nextAttempt time.Time
	failing     bool // the last fetch failed
}

// begin reports whether the caller has to start a fetch. It returns a channel that closes when the fetch ends
// that is running then; nil: none is. The next one begins after the cooldown, to which random, in [0, 1), adds
// up to a quarter.
func (a *attempts) begin(now time.Time, cooldown time.Duration, random func() float64) (wait <-chan struct{}, start bool) {
	if a.flight != nil {
		return a.flight, false
	}
	if !reached(now, a.nextAttempt) && !now.Before(a.lastAttempt) {
		return nil, false
	}
	a.lastAttempt = now
	a.nextAttempt = now.Add(cooldown + time.Duration(random()/4*float64(cooldown)))
	a.flight = make(chan struct{})
	return a.flight, true
}

// end wakes those who wait for the fetch.
func (a *attempts) end() {
	close(a.flight)
	a.flight = nil
}

// reached reports whether at has passed, by the wall clock or by the monotonic clock of time.Now.
// The monotonic clock stands still while a machine is suspended and the wall clock can be set back,
// and neither must make what was fetched look younger than it is.
func reached(now, at time.Time) bool {
	return !now.Before(at) || !now.Round(0).Before(at)
}

// lasts reports whether what was fetched at from may be used, until end. After the clock was set back, from
// lies in the future and the true age is unknown.
func lasts(now, from, end time.Time) bool {
	return !reached(now, end) && !now.Round(0).Before(from.Add(-time.Minute))
}

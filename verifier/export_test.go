package verifier

import "time"

// AwaitFetch waits until no fetch of the keys is under way.
func AwaitFetch(v *Verifier) {
	v.keys.mu.Lock()
	flight := v.keys.flight
	v.keys.mu.Unlock()
	if flight != nil {
		<-flight
	}
}

// SetGrace replaces grace. The issuers of tests answer at once, but a machine may be slow.
func SetGrace(v *Verifier, d time.Duration) { v.keys.grace = d }

// Grace is grace.
const Grace = grace

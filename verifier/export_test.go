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

// AwaitStatus waits until no fetch of a status list is under way.
func AwaitStatus(v *Verifier) {
	v.status.mu.Lock()
	var flights []chan struct{}
	for _, e := range v.status.lists {
		if e.flight != nil {
			flights = append(flights, e.flight)
		}
	}
	v.status.mu.Unlock()
	for _, flight := range flights {
		<-flight
	}
}

// StatusLists returns how many status lists a verifier holds, and their size in bytes.
func StatusLists(v *Verifier) (lists, bytes int) {
	v.status.mu.Lock()
	defer v.status.mu.Unlock()
	return len(v.status.lists), v.status.bytes
}

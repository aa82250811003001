package verifier

import "time"

// AwaitFetch waits until no fetch of the keys is under way.
func AwaitFetch(v *Verifier) {
	for _, issuer := range v.issuers {
		issuer.keys.mu.Lock()
		flight := issuer.keys.flight
		issuer.keys.mu.Unlock()
		if flight != nil {
			<-flight
		}
	}
}

// SetGrace replaces grace. The issuers of tests answer at once, but a machine may be slow.
func SetGrace(v *Verifier, d time.Duration) {
	for _, issuer := range v.issuers {
		issuer.keys.grace = d
	}
}

// Grace is grace.
const Grace = grace

// CacheLen returns how many tokens are remembered.
func CacheLen(v *Verifier) int { return v.cache.Len() }

// AwaitStatus waits until no fetch of a status list is under way.
func AwaitStatus(v *Verifier) {
	v.issuers[0].status.mu.Lock()
	var flights []chan struct{}
	for _, e := range v.issuers[0].status.lists {
		if e.flight != nil {
			flights = append(flights, e.flight)
		}
	}
	v.issuers[0].status.mu.Unlock()
	for _, flight := range flights {
		<-flight
	}
}

// StatusLists returns how many status lists a verifier holds, and their size in bytes.
func StatusLists(v *Verifier) (lists, bytes int) {
	v.issuers[0].status.mu.Lock()
	defer v.issuers[0].status.mu.Unlock()
	return len(v.issuers[0].status.lists), v.issuers[0].status.bytes
}

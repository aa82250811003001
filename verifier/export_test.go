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
func CacheLen(v *Verifier) int { return len(v.cache.young) + len(v.cache.old) }

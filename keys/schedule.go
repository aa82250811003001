package keys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy is the arithmetic of the timeline:
//
//	created        activates              retires      wiped            removed        forgotten
//	|--propagation-->|------rotation------->|--stale+skew-->|               |               |
//	|                |                      |--longest lifetime + skew + stale-->|          |
//	|                |                      |               |--refresh.absolute------------>|
type Policy struct {
	Algorithms      []string      // keys.algorithms; the first is the fallback
	Rotation        time.Duration // how long a key signs
	Propagation     time.Duration // how long a key is published before it signs
	JWKSMaxAge      time.Duration
	ClockSkew       time.Duration
	LongestLifetime time.Duration // of anything that a signing key signs, except refresh tokens
	RefreshAbsolute time.Duration // for this long, public halves are kept to verify refresh tokens
}

// StaleLimit is how old a replica's view of the key set may be before it stops signing: a replica
// may learn of a rotation so much later than the others.
func (p Policy) StaleLimit() time.Duration { return max(p.Propagation/10, 5*time.Second) }

// JWKSLimit is how old a replica's view may be before the replica stops publishing it. A key that
// was created right after the view was read signs Propagation later; a document that is sent now is
// used for JWKSMaxAge, and clocks differ by ClockSkew.
func (p Policy) JWKSLimit() time.Duration { return p.Propagation - p.JWKSMaxAge - p.ClockSkew }

// ClockLimit is how far this replica's clock may be from the database's: two replicas then differ
// by ClockSkew at most.
func (p Policy) ClockLimit() time.Duration { return p.ClockSkew / 2 }

// verifyWindow is how long a retired key stays published. A replica that has not learned that the
// key retired may go on signing for the stale limit, by a clock that is behind, and what it signs
// lives for the longest lifetime.
func (p Policy) verifyWindow() time.Duration {
	return p.LongestLifetime + p.ClockSkew + p.StaleLimit()
}

// wipeAt returns when no replica can be signing with a retired key any more.
func (p Policy) wipeAt(k *Key) time.Time {
	return k.RetireAt.Add(p.ClockSkew + p.StaleLimit())
}

// forgetAt returns when the last refresh token that the key signed has expired, counted from the
// last instant in which a replica may have signed one, and the key is not published any more.
func (p Policy) forgetAt(k *Key) time.Time {
	return later(p.wipeAt(k).Add(p.RefreshAbsolute), k.RemoveAt)
}

// successorAt returns when the successor of a key that has been active since activated takes over,
// if the successor is made now.
func (p Policy) successorAt(now, activated time.Time) time.Time {
	return later(now.Add(p.Propagation), activated.Add(p.Rotation))
}

// Validate refuses a policy under which a verifier could meet a kid that it could not have. The
// error's text holds the computed timeline and all faults at once.
func (p Policy) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if len(p.Algorithms) == 0 {
		fault("keys.algorithms is empty; name at least one of %s", strings.Join(algorithms, ", "))
	}
	for i, alg := range p.Algorithms {
		if !slices.Contains(algorithms, alg) {
			fault("keys.algorithms: %q is not one of %s", alg, strings.Join(algorithms, ", "))
		} else if slices.Contains(p.Algorithms[:i], alg) {
			fault("keys.algorithms names %s twice; name it once", alg)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
		least time.Duration
	}{
		{"keys.jwks_max_age", p.JWKSMaxAge, 0},
		{"clock_skew", p.ClockSkew, time.Second},
		{"the longest token lifetime", p.LongestLifetime, time.Second},
		{"refresh.absolute", p.RefreshAbsolute, time.Second},
	} {
		if d.value < d.least {
			fault("%s is %v; it must be at least %v", d.name, d.value, d.least)
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...) // what follows would compute with nonsense
	}

	if p.JWKSLimit() < p.StaleLimit() {
		fault("keys.propagation (%v) is too short: a key created at 0s is known to every live replica at %v (the stale limit), "+
			"is in every cache at %v (+ keys.jwks_max_age %v) and may sign by every clock at %v (+ clock_skew %v); "+
			"set keys.propagation to at least %v",
			p.Propagation, p.StaleLimit(), p.StaleLimit()+p.JWKSMaxAge, p.JWKSMaxAge,
			p.StaleLimit()+p.JWKSMaxAge+p.ClockSkew, p.ClockSkew, p.leastPropagation())
	}
	if p.Rotation < p.Propagation {
		fault("keys.rotation (%v) is too short: the successor of a key that activates at 0s is created then and may sign at %v "+
			"(keys.propagation); set keys.rotation to at least that", p.Rotation, p.Propagation)
	}
	return errors.Join(faults...)
}

// leastPropagation solves propagation = jwks_max_age + clock_skew + stale limit, where the stale
// limit is itself a tenth of propagation, but at least 5 s.
func (p Policy) leastPropagation() time.Duration {
	fixed := p.JWKSMaxAge + p.ClockSkew
	if least := fixed + 5*time.Second; least <= 50*time.Second {
		return least
	}
	least := (fixed*10 + 8) / 9
	return (least + time.Second - 1).Truncate(time.Second)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

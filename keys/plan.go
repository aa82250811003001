package keys

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// request is a change of the ring beyond the scheduled one, which is the zero value. It names what
// its sender saw, so that a sender that lost the race can plan it again and finds it done.
type request struct {
	algorithms []string         // store these; nil: keep the stored ones
	parameters *Parameters      // store these; nil: keep the stored ones
	follow     bool             // plan with the stored parameters, not with the manager's own
	rotate     map[string]int64 // by algorithm: the key after this seq shall sign as soon as it may
	revoke     []string         // key ids
	late       []string         // ids of keys that the other replicas can read only now

	factorSecret bool // make the factor secret if the ring has none

	renew bool     // replace the refresh secret, and with lost the factor secret
	lost  []string // ids of the keys of a ring in which nothing that is sealed can be opened
}

// plan is the one function behind the first start, the scheduled change, rotate, revoke and a
// changed list of algorithms: it returns what to change so that the ring is as it should be at now.
// It is pure: inserted keys have their place and their instants, but neither id nor key material
// yet; Ring.with returns the result.
//
// After every request, the keys of each algorithm that sign or will sign form a chain: the first is
// active, each retires at the instant at which the next one activates, and the last is pending and
// has no end. So there is always a published successor, and never an instant without a signing key.
func plan(ring Ring, p Policy, now time.Time, req request) (Change, error) {
	pl := planner{policy: p, now: now, keys: slices.Clone(ring.Keys), serving: map[string]bool{}}
	inForce := ring.Algorithms
	if req.algorithms != nil {
		inForce = req.algorithms
	}
	for i := range pl.keys {
		if k := &pl.keys[i]; k.State(now) == Active && k.Sealed != "" {
			pl.serving[k.Algorithm] = true
		}
	}
	if takenAway := func(alg string) bool { return !slices.Contains(inForce, alg) }; slices.ContainsFunc(ring.Algorithms, takenAway) {
		if err := pl.someAlgorithmSigns(inForce); err != nil {
			return Change{}, err
		}
	}
	maps.DeleteFunc(pl.serving, func(alg string, _ bool) bool { return !slices.Contains(inForce, alg) })

	for i := range pl.keys {
		k := &pl.keys[i]
		if k.RevokedAt.IsZero() && slices.Contains(req.revoke, k.ID) {
			pl.revoke(k)
		}
		if k.Sealed != "" && slices.Contains(req.lost, k.ID) {
			pl.lose(k)
		}
	}
	for i := range pl.keys {
		if k := &pl.keys[i]; slices.Contains(req.late, k.ID) && k.State(now) == Pending {
			k.CreatedAt = now
			k.ActivateAt = later(k.ActivateAt, now.Add(p.Propagation))
		}
	}
	for alg := range algorithmsOf(pl.keys) {
		if !slices.Contains(inForce, alg) {
			pl.end(alg)
		}
	}
	for _, alg := range inForce {
		pl.chain(alg)
		if seq, ok := req.rotate[alg]; ok {
			pl.hasten(alg, seq)
			pl.chain(alg)
		}
	}
	pl.tidy()
	c := pl.change(ring, inForce)
	if req.parameters != nil && *req.parameters != ring.Parameters {
		c.Parameters = req.parameters
	}
	return c, nil
}

type planner struct {
	policy  Policy
	now     time.Time
	keys    []Key
	deleted []string
	serving map[string]bool // algorithms in force that have an active key before the change
}

// someAlgorithmSigns refuses to change to algorithms none of which signs yet, by every replica's
// clock: nothing could be signed until the first of their keys has propagated.
func (pl *planner) someAlgorithmSigns(inForce []string) error {
	if len(pl.serving) == 0 {
		return nil
	}
	for i := range pl.keys {
		k := &pl.keys[i]
		if k.Sealed != "" && k.State(pl.atOnce()) == Active && slices.Contains(inForce, k.Algorithm) && pl.serving[k.Algorithm] {
			return nil
		}
	}
	serving := slices.Sorted(maps.Keys(pl.serving))
	return fmt.Errorf("keys.algorithms: no key of %s signs yet; keep one of %s in the list as well until the new keys sign, "+
		"%v (keys.propagation) after they are added", strings.Join(inForce, ", "), strings.Join(serving, ", "), pl.policy.Propagation)
}

// live returns the keys of alg that sign or will sign, by seq. A key that retires no later than it
// activates was dropped before it signed; a key without its private half has retired, whatever a
// clock that was set back says.
func (pl *planner) live(alg string) []*Key {
	var live []*Key
	for i := range pl.keys {
		k := &pl.keys[i]
		if k.Algorithm != alg || !k.RevokedAt.IsZero() {
			continue
		}
		if k.ID != "" && (k.Sealed == "" || slices.Contains(pl.deleted, k.ID)) {
			continue
		}
		if k.RetireAt.IsZero() || !reached(k.RetireAt, pl.now) && k.RetireAt.After(k.ActivateAt) {
			live = append(live, k)
		}
	}
	slices.SortFunc(live, func(a, b *Key) int { return cmp.Compare(a.Seq, b.Seq) })
	return live
}

// chain brings the live keys of alg into the form described at plan.
func (pl *planner) chain(alg string) {
	live := pl.live(alg)
	if len(live) == 0 {
		pl.insert(alg, pl.firstAt(alg))
		live = pl.live(alg)
	}
	switch first := live[0]; {
	case pl.mustSign(alg) && pl.uncovered(first):
		first.ActivateAt = pl.atOnce()
	case !pl.mustSign(alg):
		pl.hastenKey(first) // its predecessor was revoked
	}
	for i, k := range live[:len(live)-1] {
		pl.retire(k, live[i+1].ActivateAt)
	}
	last := live[len(live)-1]
	if !reached(last.ActivateAt, pl.now) {
		last.RetireAt, last.RemoveAt = time.Time{}, time.Time{}
		return
	}
	takeover := pl.policy.successorAt(pl.now, last.ActivateAt)
	pl.retire(last, takeover)
	pl.insert(alg, takeover)
}

// mustSign reports whether alg must have an active key at this very instant: it had one until now,
// or nothing signs at all, as at the first start. An added algorithm can wait.
func (pl *planner) mustSign(alg string) bool { return pl.serving[alg] || len(pl.serving) == 0 }

// firstAt returns when a key of an algorithm that has no live key may sign.
func (pl *planner) firstAt(alg string) time.Time {
	if pl.mustSign(alg) {
		return pl.atOnce()
	}
	return pl.now.Add(pl.policy.Propagation)
}

// atOnce returns now by every replica's clock: a replica whose clock is behind would otherwise find
// no active key, because no predecessor signs until then.
func (pl *planner) atOnce() time.Time { return pl.now.Add(-pl.policy.ClockSkew) }

// uncovered reports whether some replica finds no active key before first: by this clock, or by a
// clock that is behind it when a revocation just took away the predecessor, which may have retired
// only a moment ago.
func (pl *planner) uncovered(first *Key) bool {
	if first.ActivateAt.After(pl.now) {
		return true
	}
	return first.ActivateAt.After(pl.atOnce()) && slices.ContainsFunc(pl.keys, func(k Key) bool {
		return k.Algorithm == first.Algorithm && k.RevokedAt.Equal(pl.now) && k.RetireAt.After(pl.atOnce())
	})
}

func (pl *planner) insert(alg string, activateAt time.Time) {
	var last int64
	for i := range pl.keys {
		if pl.keys[i].Algorithm == alg {
			last = max(last, pl.keys[i].Seq)
		}
	}
	pl.keys = append(pl.keys, Key{Algorithm: alg, Seq: last + 1, CreatedAt: pl.now, ActivateAt: activateAt})
}

// retire sets when k stops signing and when it leaves the key set. The time between the two is
// never shortened: another replica's configuration may allow longer-lived tokens than this one's.
func (pl *planner) retire(k *Key, at time.Time) {
	if k.RetireAt.Equal(at) {
		return
	}
	window := pl.policy.verifyWindow()
	if !k.RetireAt.IsZero() && !k.RemoveAt.IsZero() {
		window = max(window, k.RemoveAt.Sub(k.RetireAt))
	}
	k.RetireAt, k.RemoveAt = at, at.Add(window)
}

// revoke takes k out of use at once and wipes its private half.
func (pl *planner) revoke(k *Key) {
	k.RevokedAt = pl.now
	if !reached(k.RetireAt, pl.now) {
		pl.retire(k, pl.now)
	}
	k.Sealed = ""
}

// hasten lets the key after seq sign as early as verifiers can know it. An operator asks for this
// rotation; a second one finds nothing earlier.
func (pl *planner) hasten(alg string, seq int64) {
	for _, k := range pl.live(alg) {
		if k.Seq > seq {
			pl.hastenKey(k)
			return
		}
	}
}

// hastenKey lets k sign as early as verifiers can know it, if that is earlier than planned.
func (pl *planner) hastenKey(k *Key) {
	if at := later(pl.now, k.CreatedAt.Add(pl.policy.Propagation)); at.Before(k.ActivateAt) {
		k.ActivateAt = at
	}
}

// end removes an algorithm: its active key retires now, its pending one is dropped. If the pending
// key was about to sign, replicas that have not learned of the change may still use it: then it
// stays published, and retires at the instant at which it activates.
func (pl *planner) end(alg string) {
	grace := pl.policy.ClockSkew + pl.policy.StaleLimit()
	for _, k := range pl.live(alg) {
		switch {
		case reached(k.ActivateAt, pl.now):
			// Another replica may have retired it already, by a clock that is ahead of ours.
			if k.RetireAt.IsZero() || k.RetireAt.Sub(pl.now) > pl.policy.ClockSkew {
				pl.retire(k, pl.now)
			}
		case k.ActivateAt.Sub(pl.now) <= grace:
			pl.retire(k, k.ActivateAt)
		default:
			pl.deleted = append(pl.deleted, k.ID)
		}
	}
}

// tidy raises remove_at to this replica's longest lifetime while the key still signs, wipes private
// halves that no replica can be signing with any more, and deletes keys whose last refresh token
// has expired.
func (pl *planner) tidy() {
	for i := range pl.keys {
		k := &pl.keys[i]
		if k.RetireAt.IsZero() || k.ID == "" {
			continue
		}
		if !reached(k.RetireAt, pl.now) {
			k.RemoveAt = later(k.RemoveAt, k.RetireAt.Add(pl.policy.verifyWindow()))
		}
		if reached(pl.policy.wipeAt(k), pl.now) {
			k.Sealed = ""
		}
		if reached(pl.policy.forgetAt(k), pl.now) {
			pl.deleted = append(pl.deleted, k.ID)
		}
	}
}

// change returns the difference to the ring that was planned for.
func (pl *planner) change(ring Ring, inForce []string) Change {
	var c Change
	if !slices.Equal(ring.Algorithms, inForce) {
		c.Algorithms = inForce
	}
	for i, k := range pl.keys {
		switch {
		case i >= len(ring.Keys):
			c.Insert = append(c.Insert, k)
		case slices.Contains(pl.deleted, k.ID):
			c.Delete = append(c.Delete, k.ID)
		case !sameRow(&k, &ring.Keys[i]):
			c.Update = append(c.Update, k)
		}
	}
	return c
}

// sameRow compares the fields of a key that can change.
func sameRow(a, b *Key) bool {
	return a.Sealed == b.Sealed && a.CreatedAt.Equal(b.CreatedAt) && a.ActivateAt.Equal(b.ActivateAt) &&
		a.RetireAt.Equal(b.RetireAt) && a.RemoveAt.Equal(b.RemoveAt) && a.RevokedAt.Equal(b.RevokedAt)
}

func (c Change) empty() bool {
	return c.Algorithms == nil && c.Parameters == nil && c.RefreshSecret == "" && c.FactorSecret == "" &&
		len(c.Insert)+len(c.Update)+len(c.Delete) == 0
}

// with returns the ring after c, as the store would make it.
func (r Ring) with(c Change) Ring {
	if c.empty() {
		return r
	}
	r.Version++
	if c.Algorithms != nil {
		r.Algorithms = c.Algorithms
	}
	if c.RefreshSecret != "" {
		r.RefreshSecret = c.RefreshSecret
	}
	if c.FactorSecret != "" {
		r.FactorSecret = c.FactorSecret
	}
	if c.Parameters != nil {
		r.Parameters = *c.Parameters
	}
	var keys []Key
	for _, k := range r.Keys {
		if i := slices.IndexFunc(c.Update, func(u Key) bool { return u.ID == k.ID }); i >= 0 {
			k = c.Update[i]
		}
		if !slices.Contains(c.Delete, k.ID) {
			keys = append(keys, k)
		}
	}
	r.Keys = append(keys, c.Insert...)
	slices.SortFunc(r.Keys, func(a, b Key) int {
		return cmp.Or(cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(a.Seq, b.Seq))
	})
	return r
}

// contains reports whether r has everything that c writes.
func (r Ring) contains(c Change) bool {
	for _, k := range c.Insert {
		if _, ok := r.find(k.ID); !ok {
			return false
		}
	}
	for _, k := range c.Update {
		if got, ok := r.find(k.ID); !ok || !sameRow(&got, &k) {
			return false
		}
	}
	for _, kid := range c.Delete {
		if _, ok := r.find(kid); ok {
			return false
		}
	}
	if c.Parameters != nil && *c.Parameters != r.Parameters {
		return false
	}
	if c.RefreshSecret != "" && c.RefreshSecret != r.RefreshSecret ||
		c.FactorSecret != "" && c.FactorSecret != r.FactorSecret {
		return false
	}
	return c.Algorithms == nil || slices.Equal(c.Algorithms, r.Algorithms)
}

func (r Ring) find(kid string) (Key, bool) {
	i := slices.IndexFunc(r.Keys, func(k Key) bool { return k.ID == kid })
	if i < 0 {
		return Key{}, false
	}
	return r.Keys[i], true
}

// active returns the key of alg that signs at now.
func (r Ring) active(alg string, now time.Time) (Key, bool) {
	for _, k := range slices.Backward(r.Keys) {
		if k.Algorithm == alg && k.State(now) == Active {
			return k, true
		}
	}
	return Key{}, false
}

// ActiveAlgorithms returns, in their order, the algorithms in force that have a key which signs at
// now.
func (r Ring) ActiveAlgorithms(now time.Time) []string {
	var active []string
	for _, alg := range r.Algorithms {
		if _, ok := r.active(alg, now); ok {
			active = append(active, alg)
		}
	}
	return active
}

// errEmpty is the error of commands on a store that no server has used yet.
var errEmpty = errors.New("there are no signing keys yet; the first start of `signet serve` on this store makes them")

func algorithmsOf(keys []Key) map[string]bool {
	algs := map[string]bool{}
	for _, k := range keys {
		algs[k.Algorithm] = true
	}
	return algs
}

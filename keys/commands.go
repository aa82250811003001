package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The commands of `signet keys`. They read the store themselves and need no Start. None of them
// makes the first keys of an empty store, which is the server's task.

// Timeline returns the present state of the keys in the store and their next events. It needs
// Store, Policy and Now only. An empty store is no error: the message says what to do.
func (m *Manager) Timeline(ctx context.Context) (Report, error) {
	ring, err := m.load(ctx)
	if err != nil {
		return Report{}, err
	}
	r := m.report(ring, m.instant())
	if ring.Version == 0 {
		r.Message = firstUpper(errEmpty.Error()) + "."
	}
	return r, nil
}

// Export returns the JWK set of the keys that are published now, from the store. It needs Store and
// Now only; with DatabaseNow it publishes the keys that either clock would publish.
func (m *Manager) Export(ctx context.Context) (*Document, error) {
	ring, err := m.load(ctx)
	if err != nil {
		return nil, err
	}
	if ring.Version == 0 {
		return nil, errEmpty
	}
	at := m.instant()
	if m.DatabaseNow != nil { // as the servers publish while a clock is off
		offset, err := m.clockOffset(ctx, m.Policy.with(ring.Parameters))
		if err != nil {
			return nil, err
		}
		v := view{offset: offset, off: m.Policy.with(ring.Parameters).clockError(offset) != nil}
		at = v.earlier(at)
	}
	set, err := newSet(ring, at, nil, nil)
	if err != nil {
		return nil, err
	}
	return set.JWKS(at)
}

// Rotate lets the pending key of each algorithm sign as soon as verifiers can know it: at once, or
// keys.propagation after it was made. Until then another call changes nothing and says so. A dry
// run only reports what would happen.
func (m *Manager) Rotate(ctx context.Context, dryRun bool) (Report, error) {
	if err := m.checkCommand(ctx); err != nil {
		return Report{}, err
	}
	signing := map[string]int64{} // the keys to succeed, even if another command does it first
	ask := func(ring Ring) request {
		for _, alg := range ring.Algorithms {
			k, _ := ring.active(alg, m.instant())
			signing[alg] = k.Seq
		}
		return request{rotate: signing, follow: true}
	}

	var done ringChange
	var err error
	if dryRun {
		ring, loadErr := m.load(ctx)
		if loadErr != nil {
			return Report{}, loadErr
		}
		done, err = m.plan(ring, ask(ring))
	} else {
		done, err = m.change(ctx, ask)
	}
	if err != nil {
		return Report{}, err
	}
	if !dryRun {
		m.logChange(done)
	}

	r, policy := m.report(done.after, done.now), m.Policy.with(done.after.Parameters)
	var lines []string
	for _, alg := range done.after.Algorithms {
		next, ok := done.after.following(alg, signing[alg])
		if !ok {
			continue
		}
		lines = append(lines, sentence(next, policy, done.now))
		if old, ok := done.before.following(alg, signing[alg]); !ok || !old.ActivateAt.Equal(next.ActivateAt) {
			r.Changed = true
		}
	}
	switch {
	case !r.Changed:
		lines = slices.Insert(lines, 0, "Nothing changed: the next keys sign as early as they may.")
	case dryRun:
		lines = slices.Insert(lines, 0, "Nothing changed, this is a dry run. A rotation would do this.")
	}
	r.Changed = r.Changed && !dryRun
	r.Message = sentences(lines...)
	return r, nil
}

// following returns the key of alg that signs after the one with seq.
func (r Ring) following(alg string, seq int64) (Key, bool) {
	for _, k := range r.Keys {
		if k.Algorithm == alg && k.Seq > seq && k.RevokedAt.IsZero() {
			return k, true
		}
	}
	return Key{}, false
}

// Revoke takes keys out of use at once and wipes their private halves: the keys with the given ids,
// or all. Tokens that they signed are refused as soon as verifiers have read the key set again;
// refresh tokens stay valid, because their jti proves them.
func (m *Manager) Revoke(ctx context.Context, kids []string, all bool) (Report, error) {
	if (len(kids) > 0) == all {
		return Report{}, errors.New("name the keys to revoke by their kid, or ask for all of them, not both; `signet keys list` shows them")
	}
	if err := m.checkCommand(ctx); err != nil {
		return Report{}, err
	}
	ring, err := m.load(ctx)
	if err != nil {
		return Report{}, err
	}
	var unknown []string
	for n, name := range kids {
		kid, ok := ring.named(name)
		if !ok {
			unknown = append(unknown, name)
		}
		kids[n] = kid
	}
	if len(unknown) > 0 {
		return Report{}, fmt.Errorf("there is no signing key %s in the store, so nothing was revoked; `signet keys list` shows them", strings.Join(unknown, ", "))
	}

	// The keys that --all means are the present ones, not those that a racing revocation has just
	// made.
	if all {
		for _, k := range ring.Keys {
			kids = append(kids, k.ID)
		}
	}
	done, err := m.change(ctx, func(Ring) request { return request{revoke: kids, follow: true} })
	if err != nil {
		return Report{}, err
	}
	m.logChange(done)
	return m.revoked(done, kids), nil
}

// shortestPrefix is how many characters of a kid name a key, if no other key begins with them:
// `signet keys list` shows eight where a terminal is narrow.
const shortestPrefix = 8

// named returns the kid of the key that name stands for: the whole kid, or its first characters.
func (r Ring) named(name string) (kid string, ok bool) {
	if _, ok := r.find(name); ok {
		return name, true
	}
	if len(name) < shortestPrefix {
		return "", false
	}
	for _, k := range r.Keys {
		if strings.HasPrefix(k.ID, name) {
			if kid != "" {
				return "", false
			}
			kid = k.ID
		}
	}
	return kid, kid != ""
}

func (m *Manager) revoked(done ringChange, kids []string) Report {
	r, policy := m.report(done.after, done.now), m.Policy.with(done.after.Parameters)
	count, published := 0, false
	for _, kid := range kids {
		old, _ := done.before.find(kid)
		if k, ok := done.after.find(kid); ok && old.RevokedAt.IsZero() && !k.RevokedAt.IsZero() {
			count++
			published = published || old.State(done.now) != Removed
		}
	}
	if count == 0 {
		r.Message = "Nothing changed: the keys are revoked already."
		return r
	}
	r.Changed = true
	lines := []string{fmt.Sprintf("%s revoked and wiped.", plural(count, "key"))}
	if published {
		// Replicas learn of the revocation within a second; one that is cut off from the store
		// publishes its old set for the limit that propagation leaves.
		r.AcceptedUntil = done.now.Add(policy.JWKSMaxAge + policy.ClockSkew)
		lines = append(lines, fmt.Sprintf("Verifiers that cache the key set may still accept what a revoked key signed until %s (%s behind a replica that is cut off from the store).",
			stamp(r.AcceptedUntil), stamp(done.now.Add(policy.Propagation))))
	}
	lines = append(lines, m.takeovers(done, &r)...)
	r.Message = sentences(lines...)
	return r
}

// takeovers says of each algorithm which key signs now in the place of another, and notes in r until
// when verifiers may refuse what it signs.
func (m *Manager) takeovers(done ringChange, r *Report) (lines []string) {
	policy := m.Policy.with(done.after.Parameters)
	for _, alg := range done.after.Algorithms {
		was, wasSigning := done.before.active(alg, done.now)
		is, isSigning := done.after.active(alg, done.now)
		if !wasSigning || !isSigning || was.ID == is.ID {
			continue
		}
		lines = append(lines, sentence(is, policy, done.now))
		if known := is.CreatedAt.Add(policy.Propagation); known.After(done.now) {
			r.RefusedUntil = later(r.RefusedUntil, known)
		}
	}
	if !r.RefusedUntil.IsZero() {
		lines = append(lines, fmt.Sprintf("Verifiers that do not look again for an unknown kid may refuse new tokens until %s.", stamp(r.RefusedUntil)))
	}
	return lines
}

// Rewrap seals every private half, the refresh secret and the factor secret under the first KEK. It
// may run beside live replicas if each of them has both the old and the new KEK. What is sealed
// under the factor secret stays as it is.
func (m *Manager) Rewrap(ctx context.Context) (Report, error) {
	if len(m.KEKs) == 0 {
		return Report{}, errors.New("no key-encryption key is given; set keys.encryption_key to the new one and keys.encryption_key_previous to the old one")
	}
	changed, sealed := false, ""
	for range conflicts {
		ring, err := m.load(ctx)
		if err != nil {
			return Report{}, err
		}
		if ring.Version == 0 {
			return Report{}, errEmpty
		}
		c, err := m.rewrap(ring)
		if err != nil {
			return Report{}, err
		}
		if !c.empty() {
			changed, sealed = true, resealed(c)
			c.Events = rewrapped(ctx, m.instant(), ring, c)
			if err := m.apply(ctx, ring.Version, c); errors.Is(err, ErrConflict) {
				continue
			} else if err != nil {
				return Report{}, err
			}
		}
		r := m.report(ring.with(c), m.instant())
		r.Changed = changed
		r.Message = fmt.Sprintf("Nothing changed: everything is sealed under the key-encryption key %s already.", m.KEKs[0].ID)
		if r.Changed {
			r.Message = fmt.Sprintf("%s sealed under the key-encryption key %s now. "+
				"When all replicas have it as keys.encryption_key, the previous one can be taken away.", sealed, m.KEKs[0].ID)
		}
		return r, nil
	}
	return Report{}, fmt.Errorf("%w %d times in a row; try again", ErrConflict, conflicts)
}

// resealed names what a rewrap sealed, as the beginning of a sentence.
func resealed(c Change) string {
	var names []string
	if c.RefreshSecret != "" {
		names = append(names, "the refresh secret")
	}
	if c.FactorSecret != "" {
		names = append(names, "the factor secret")
	}
	if n := len(c.Update); n > 0 {
		names = append(names, plural(n, "private key"))
	}
	verb := " are"
	if len(names) == 1 && len(c.Update) < 2 {
		verb = " is"
	}
	last := len(names) - 1
	if last == 0 {
		return firstUpper(names[0]) + verb
	}
	return firstUpper(strings.Join(names[:last], ", ")+" and "+names[last]) + verb
}

// checkCommand makes the checks of a command that plans, as Start does.
func (m *Manager) checkCommand(ctx context.Context) error {
	ring, err := m.load(ctx)
	if err != nil {
		return err
	}
	policy := m.Policy.with(ring.Parameters)
	if err := policy.Validate(); err != nil {
		return err
	}
	if err := m.checkClock(ctx, policy); err != nil {
		return err
	}
	if ring.Version == 0 {
		return errEmpty
	}
	return nil
}

// report describes ring at now as the serving replicas see it, with a notice if they run with other
// parameters than this command.
func (m *Manager) report(ring Ring, now time.Time) Report {
	r := report(ring, m.Policy.with(ring.Parameters), now)
	r.Notice = ring.Parameters.difference(m.Policy.Parameters())
	return r
}

func firstUpper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// ringChange is a change of the ring that was made or planned.
type ringChange struct {
	before, after Ring
	change        Change // empty: there was nothing to do
	now           time.Time
}

// conflicts is how often a change is planned anew because another replica was faster. Each time
// that replica made progress, so only a bug leads this far.
const conflicts = 20

// change plans the request that ask returns and applies it, in one transaction that fails if the
// ring was changed since it was read; then it plans anew. ask sees the first ring only, so the
// request may turn out to be done already.
//
// Keys are generated before the transaction, and between planning and committing there is nothing
// slow: the instants that are written count from the planning.
func (m *Manager) change(ctx context.Context, ask func(Ring) request) (ringChange, error) {
	var req request
	var spare material
	var last ringChange // the last attempt, which failed as far as is known
	var doubt error
	for attempt := 0; attempt < conflicts; {
		ring, err := m.load(ctx)
		if err != nil {
			return ringChange{}, errors.Join(doubt, err)
		}
		if attempt > 0 && ring.contains(last.change) {
			last.after = ring // the change was applied, and only the answer was lost
			return m.correctLateCommit(ctx, last, req)
		}
		if ask != nil {
			req, ask = ask(ring), nil
		}
		r, err := m.plan(ring, req)
		if err != nil || r.change.empty() && !req.makesSecrets(ring) {
			return r, err
		}
		if missing := spare.missing(r.change.Insert); missing != "" {
			if err := m.checkKEK(ring, req); err != nil {
				return ringChange{}, err
			}
			if err := m.generate(&spare, missing); err != nil {
				return ringChange{}, err
			}
			// Meanwhile the ring or the time may have changed, and a clock that was set must not
			// decide which key retires.
			if err := m.checkClock(ctx, m.Policy.with(ring.Parameters)); err != nil {
				return ringChange{}, err
			}
			continue
		}
		if err := m.fill(&r.change, ring, spare, req); err != nil {
			return ringChange{}, err
		}

		r.change.Events = r.events(ctx, req)
		attempt++
		err = m.apply(ctx, ring.Version, r.change)
		switch {
		case err == nil:
			r.after = ring.with(r.change)
			return m.correctLateCommit(ctx, r, req)
		case errors.Is(err, ErrConflict):
		case doubt != nil || ctx.Err() != nil:
			return ringChange{}, err
		default:
			doubt = err // it may have been committed all the same: read the ring once
		}
		last = r
	}
	return ringChange{}, fmt.Errorf("%w %d times in a row; try again", ErrConflict, conflicts)
}

// maxCommitTime is how long committing a plan may take. It is part of the second in which replicas
// learn of a change.
const maxCommitTime = time.Second

// correctLateCommit corrects the instants of a change that was committed late, because the store
// was slow or this process was stopped: propagation counts from when other replicas could read the
// new keys.
func (m *Manager) correctLateCommit(ctx context.Context, r ringChange, req request) (ringChange, error) {
	if m.instant().Sub(r.now) <= maxCommitTime || len(r.change.Insert) == 0 || req.late != nil {
		return r, nil
	}
	late := request{late: []string{}, follow: req.follow}
	for _, k := range r.change.Insert {
		late.late = append(late.late, k.ID)
	}
	moved, err := m.change(ctx, func(Ring) request { return late })
	if err != nil {
		return ringChange{}, fmt.Errorf("the new signing keys were stored late, and their times could not be set right: %w", err)
	}
	r.after, r.now = moved.after, moved.now
	return r, nil
}

// plan returns what req would change in ring now, without doing it.
func (m *Manager) plan(ring Ring, req request) (ringChange, error) {
	now, policy := m.instant(), m.Policy
	if req.follow {
		policy = policy.with(ring.Parameters)
	}
	c, err := plan(ring, policy, now, req)
	return ringChange{before: ring, after: ring.with(c), change: c, now: now}, err
}

// checkKEK refuses to add to a ring that this replica cannot open itself, unless nobody can.
func (m *Manager) checkKEK(ring Ring, req request) error {
	if ring.Version == 0 || req.lost != nil {
		if len(m.KEKs) == 0 {
			return errors.New("no key-encryption key is given, so no signing key can be stored; " +
				"make one with `signet keys new-kek` and set keys.encryption_key or keys.encryption_key_file to it")
		}
		return nil
	}
	secret, err := unseal(ring.RefreshSecret, refreshSecretName, "refresh secret", m.KEKs)
	clear(secret)
	return err
}

func (m *Manager) generate(spare *material, alg string) error {
	generate := m.Generate
	if generate == nil {
		generate = GenerateKey
	}
	for range maxGenerated {
		private, err := generate(alg)
		if err != nil {
			return fmt.Errorf("generate a %s key: %w", alg, err)
		}
		kid, err := jose.Thumbprint(private.Public())
		if err != nil {
			return fmt.Errorf("name a new %s key: %w", alg, err)
		}
		if !Nameable(kid) {
			continue
		}
		if *spare == nil {
			*spare = material{}
		}
		(*spare)[alg] = append((*spare)[alg], private)
		return nil
	}
	return fmt.Errorf("of %d new %s keys none has a thumbprint that begins with a letter or digit; the source of keys is broken", maxGenerated, alg)
}

// maxGenerated bounds the keys that are generated to get one whose kid can be named on a command
// line. One key in 32 cannot, so only a bug leads this far.
const maxGenerated = 20

// Nameable reports whether a kid, which is never empty, begins with a letter or digit. A Manager
// makes another key otherwise: a kid that begins with a dash would look like a flag of `signet keys
// revoke`.
func Nameable(kid string) bool { return kid[0] != '-' && kid[0] != '_' }

// fill adds key material to the planned keys, and the secrets that the ring lacks.
func (m *Manager) fill(c *Change, ring Ring, spare material, req request) (err error) {
	if len(c.Insert) == 0 && !req.makesSecrets(ring) {
		return nil
	}
	// Again for planned keys: a rewrap may have come between generating them and this plan.
	if err := m.checkKEK(ring, req); err != nil {
		return err
	}
	kek := m.sealingKEK(ring)
	used := map[string]int{}
	for i := range c.Insert {
		k := &c.Insert[i]
		if err := mint(k, spare[k.Algorithm][used[k.Algorithm]], kek); err != nil {
			return err
		}
		used[k.Algorithm]++
	}
	if ring.RefreshSecret == "" || req.renew {
		if c.RefreshSecret, err = newRefreshSecret(kek); err != nil {
			return err
		}
	}
	if req.lacksFactorSecret(ring) || req.lost != nil {
		c.FactorSecret, err = newFactorSecret(kek)
	}
	return err
}

// sealingKEK returns the key-encryption key that the ring is sealed under, or the first one for a
// new ring. Only Rewrap changes to another: a replica that got the new key too early must not seal
// what the others cannot open.
func (m *Manager) sealingKEK(ring Ring) jose.KEK {
	if id, err := jose.SealedUnder(ring.RefreshSecret); err == nil {
		for _, kek := range m.KEKs {
			if kek.ID == id {
				return kek
			}
		}
	}
	return m.KEKs[0]
}

// material holds generated private keys that are in no store yet, by algorithm.
type material map[string][]crypto.Signer

// missing returns an algorithm of which insert needs more keys than there are; empty: none.
func (s material) missing(insert []Key) string {
	need := map[string]int{}
	for i := range insert {
		alg := insert[i].Algorithm
		if need[alg]++; need[alg] > len(s[alg]) {
			return alg
		}
	}
	return ""
}

func (m *Manager) version(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	version, err := m.Store.RingVersion(ctx)
	if err != nil {
		return 0, fmt.Errorf("read the version of the signing keys: %w", err)
	}
	return version, nil
}

func (m *Manager) load(ctx context.Context) (Ring, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	ring, err := m.Store.LoadRing(ctx)
	if err != nil {
		return Ring{}, fmt.Errorf("load the signing keys: %w", err)
	}
	return ring, nil
}

func (m *Manager) apply(ctx context.Context, version int64, c Change) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := m.Store.ChangeRing(ctx, version, c); err != nil {
		return fmt.Errorf("change the signing keys: %w", err)
	}
	return nil
}

// rewrap returns the change that seals everything in ring under the first KEK.
func (m *Manager) rewrap(ring Ring) (Change, error) {
	var c Change
	reseal := func(sealed, name, what string) (string, error) {
		if id, err := jose.SealedUnder(sealed); err == nil && id == m.KEKs[0].ID {
			return sealed, nil
		}
		plain, err := unseal(sealed, name, what, m.KEKs)
		if err != nil {
			return "", err
		}
		defer clear(plain)
		return jose.Seal(plain, m.KEKs[0], name)
	}

	secret, err := reseal(ring.RefreshSecret, refreshSecretName, "refresh secret")
	if err != nil {
		return Change{}, err
	}
	if secret != ring.RefreshSecret {
		c.RefreshSecret = secret
	}
	if ring.FactorSecret != "" {
		secret, err := reseal(ring.FactorSecret, factorSecretName, "factor secret")
		if err != nil {
			return Change{}, err
		}
		if secret != ring.FactorSecret {
			c.FactorSecret = secret
		}
	}
	for _, k := range slices.Clone(ring.Keys) {
		if k.Sealed == "" {
			continue
		}
		sealed, err := reseal(k.Sealed, k.ID, "signing key "+k.ID)
		if err != nil {
			return Change{}, err
		}
		if sealed != k.Sealed {
			k.Sealed = sealed
			c.Update = append(c.Update, k)
		}
	}
	return c, nil
}

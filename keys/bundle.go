package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Bundle is a signed key set for verifiers without network.
type Bundle struct {
	Text     string    `json:"bundle"` // a compact JWS, see jose.Bundle
	Issuer   string    `json:"issuer"`
	IssuedAt time.Time `json:"issued_at"`
	Expiry   time.Time `json:"expires_at"`
	KeyID    string    `json:"kid"` // of the key that signed it

	// Complete is when a key that is not in the bundle may begin to sign, if nobody rotates or
	// revokes keys before. No bundle lasts longer.
	Complete time.Time `json:"complete_until"`
}

// Bundle returns the keys that are published now, signed with the active key of alg; empty: the
// first algorithm in force. It expires after validFor, or earlier, when the bundle may cease to be
// complete.
func (m *Manager) Bundle(ctx context.Context, issuer, alg string, validFor time.Duration) (Bundle, error) {
	if validFor < time.Minute {
		return Bundle{}, fmt.Errorf("a bundle must be good for at least a minute, not %v", validFor)
	}
	if err := m.checkCommand(ctx); err != nil {
		return Bundle{}, err
	}
	ring, err := m.load(ctx)
	if err != nil {
		return Bundle{}, err
	}
	now := m.instant()
	set, err := newSet(ring, now, &opener{keks: m.KEKs, types: []string{jose.TypeBundle}}, nil)
	if err != nil {
		return Bundle{}, err
	}
	if set.broken != nil {
		return Bundle{}, set.broken
	}
	signer := set.Signer(alg, now)
	switch {
	case signer == nil:
		return Bundle{}, errors.New("no signing key is active")
	case alg != "" && signer.Algorithm() != alg:
		return Bundle{}, fmt.Errorf("no key of algorithm %q is active; use one of %v", alg, set.Active(now))
	}
	jwks, err := set.JWKS(now)
	if err != nil {
		return Bundle{}, err
	}
	b := Bundle{
		Issuer:   issuer,
		IssuedAt: now.Truncate(time.Second),
		KeyID:    signer.KeyID(),
		Complete: ring.completeUntil(m.Policy.with(ring.Parameters), now),
	}
	b.Expiry = b.IssuedAt.Add(validFor).Truncate(time.Second)
	if b.Expiry.After(b.Complete) {
		b.Expiry = b.Complete.Truncate(time.Second)
	}
	b.Text, err = jose.SignBundle(signer, issuer, b.IssuedAt, b.Expiry, jwks.Body)
	return b, err
}

// completeUntil returns when the first key that is not made yet may sign. The key after the pending
// one is made when that activates; where there is no pending key, it may be made now.
func (r Ring) completeUntil(p Policy, now time.Time) time.Time {
	var first time.Time
	for _, alg := range r.Algorithms {
		next := now.Add(p.Propagation) // of an algorithm without any key
		if active, ok := r.active(alg, now); ok {
			next = p.successorAt(now, active.ActivateAt)
		}
		if i := slices.IndexFunc(r.Keys, func(k Key) bool { return k.Algorithm == alg && k.State(now) == Pending }); i >= 0 {
			next = p.successorAt(r.Keys[i].ActivateAt, r.Keys[i].ActivateAt)
		}
		if first.IsZero() || next.Before(first) {
			first = next
		}
	}
	return first
}

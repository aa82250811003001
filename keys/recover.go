package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/signet-id/signet/internal/jose"
)

// Loss says what happened to the store.
type Loss int

const (
	// Restored: the store is a copy of an earlier time. A key that was revoked since signs in it, and
	// refresh tokens that were replaced since are current in it.
	Restored Loss = iota + 1
	// KEKLost: the key-encryption key is gone, and with it everything that is sealed.
	KEKLost
)

// Recover makes fresh signing keys, of which one of each algorithm signs at once, and a new refresh
// secret: every refresh token, handle, form and link ends. Restored also revokes the keys that are
// there. KEKLost retires them, because nobody else has them either: what they signed verifies until
// it expires. It also makes a new factor secret, and seals everything under the first KEK.
//
// KEKLost is refused while a KEK opens the store: then nothing is lost.
//
// end ends the sessions. It runs after the checks and before the keys change, so that a recovery
// that is interrupted can be begun again.
func (m *Manager) Recover(ctx context.Context, loss Loss, end func() error) (Report, error) {
	if loss != Restored && loss != KEKLost {
		return Report{}, errors.New("say what happened to the store: it was restored, or its key-encryption key is lost")
	}
	if err := m.checkCommand(ctx); err != nil {
		return Report{}, err
	}
	ring, err := m.load(ctx)
	if err != nil {
		return Report{}, err
	}
	check := m.checkKEK
	if loss == KEKLost {
		check = m.checkLost
	}
	if err := check(ring, request{}); err != nil {
		return Report{}, err
	}
	if err := end(); err != nil {
		return Report{}, err
	}
	// The keys that are there now, and not those that a racing recovery has just made.
	var present []string
	for _, k := range ring.Keys {
		present = append(present, k.ID)
	}
	req := request{follow: true, renew: true}
	if loss == Restored {
		req.revoke = present
	} else {
		req.lost = present
	}
	done, err := m.change(ctx, func(Ring) request { return req })
	if err != nil {
		return Report{}, err
	}
	m.logChange(done)
	if loss == Restored {
		return m.revoked(done, present), nil
	}
	r := m.report(done.after, done.now)
	r.Changed = true
	lost := fmt.Sprintf("%s are lost; what they signed verifies until it expires.",
		plural(len(done.change.Update), "private key"))
	r.Message = sentences(append([]string{lost}, m.takeovers(done, &r)...)...)
	return r, nil
}

// checkLost refuses a ring that one of the KEKs opens, and the lack of a KEK to seal under.
func (m *Manager) checkLost(ring Ring, _ request) error {
	if len(m.KEKs) == 0 {
		return errors.New("no key-encryption key is given to seal the new keys under; " +
			"make one with `signet keys new-kek` and set keys.encryption_key or keys.encryption_key_file to it")
	}
	secret, err := jose.Open(ring.RefreshSecret, refreshSecretName, m.KEKs...)
	clear(secret)
	switch {
	case err == nil:
		return errors.New("the key-encryption key that is given opens the store, so nothing is lost; nothing was changed")
	case !errors.Is(err, jose.ErrNoKEK):
		return fmt.Errorf("the refresh secret in the store is damaged, which no other key mends; "+
			"restore the store from a backup: %w", err)
	}
	return nil
}

// lose retires k at once: its private half cannot be opened any more.
func (pl *planner) lose(k *Key) {
	if !reached(k.RetireAt, pl.now) {
		pl.retire(k, pl.now)
	}
	k.Sealed = ""
}

// makesSecrets reports whether req makes a secret in ring, besides the keys.
func (req request) makesSecrets(ring Ring) bool { return req.renew || req.lacksFactorSecret(ring) }

package keys

import "github.com/signet-id/signet/internal/jose"

// HintKey finds a key that is or was published and has not been revoked: what an ID token is believed under when it
// only says who was logged in.
func (m *Manager) HintKey(kid string) (jose.PublicKey, bool) {
	v := m.view.Load()
	if v == nil {
		return jose.PublicKey{}, false
	}
	if e := v.set.known[kid]; e != nil && e.RevokedAt.IsZero() {
		return e.public, true
	}
	return jose.PublicKey{}, false
}

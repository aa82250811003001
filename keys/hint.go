package keys

import "github.com/signet-id/signet/internal/jose"

// HintKey returns a key that is or was published and has not been revoked. An ID token that only
// says who was logged in is accepted under such a key.
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

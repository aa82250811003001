package issuer

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"

	"github.com/signet-id/signet/userstore"
)

// sidProofBytes is how much of the HMAC a session id holds. The HMAC only tells sessions apart: a
// client cannot present a session id of its own making, because the id comes back inside an ID
// token that we signed.
const sidProofBytes = 16

// newSID returns the public id of a grant from a browser session: random, with a proof of which
// browser session it is from. A logout has to know the session long after the grant's row is gone,
// which for a client without a refresh token is minutes after the login; and clients cannot tell
// from the id which of their users' logins belong to one browser.
func (i *Issuer) newSID(browserSession string) (string, error) {
	nonce := i.NewID()
	proof, err := i.sidProof(nonce, browserSession)
	return nonce + proof, err
}

func (i *Issuer) sidProof(nonce, browserSession string) (string, error) {
	mac, err := i.FormMAC("sid", nonce, browserSession)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(mac[:sidProofBytes]), nil
}

// sidBelongsTo reports whether sid is that of a browser session, or of a grant from it. Grants that
// are older than these proofs are looked up.
func (i *Issuer) sidBelongsTo(ctx context.Context, sid string, session userstore.BrowserSession) (bool, error) {
	if sid == "" || session.ID == "" {
		return false, nil
	}
	if sid == session.ID {
		return true, nil
	}
	if n := len(sid) - base64.RawURLEncoding.EncodedLen(sidProofBytes); n > 0 {
		proof, err := i.sidProof(sid[:n], session.ID)
		if err != nil {
			return false, err
		}
		if subtle.ConstantTimeCompare([]byte(sid[n:]), []byte(proof)) == 1 {
			return true, nil
		}
	}
	view, err := i.Grants.GrantBySession(ctx, sid)
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return false, nil
	case err != nil:
		return false, failed(err)
	}
	return view.Grant.BrowserSession == session.ID, nil
}

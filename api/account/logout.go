package account

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

type logoutRequest struct {
	Everywhere bool `json:"everywhere"`
}

// Logout revokes the grant behind the access token, or all grants of its user. The body is
// optional.
func (h *Handlers) Logout(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q logoutRequest
	if r.ContentLength != 0 {
		if _, err := profile.Decode(w, r, &q); err != nil {
			return err
		}
	}
	user := session.View.User.ID
	var err error
	if q.Everywhere {
		_, err = h.Accounts.RevokeSessions(r.Context(), user, "")
	} else {
		err = h.Accounts.RevokeSession(r.Context(), user, session.View.Grant.SessionID)
	}
	if err != nil && !errors.Is(err, userstore.ErrNotFound) { // the session ended since the token was read, which is what the user wants
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

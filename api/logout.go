package api

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/userstore"
)

type logoutRequest struct {
	Everywhere bool `json:"everywhere"`
}

// logout revokes the grant behind the access token, or all grants of its user. The body is optional.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.bearer(r)
	if err != nil {
		return err
	}
	var q logoutRequest
	if r.ContentLength != 0 {
		if _, err := decode(w, r, &q); err != nil {
			return err
		}
	}
	user := session.View.User.ID
	if q.Everywhere {
		_, err = s.Accounts.RevokeSessions(r.Context(), user, "")
	} else {
		err = s.Accounts.RevokeSession(r.Context(), user, session.View.Grant.SessionID)
	}
	if err != nil && !errors.Is(err, userstore.ErrNotFound) { // over since the token was read: as was asked
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

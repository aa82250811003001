package api

import "net/http"

type logoutRequest struct {
	Everywhere bool `json:"everywhere"`
}

// logout revokes the grant behind the access token, or all grants of its user. The body is optional.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	session, err := s.bearer(r)
	if err != nil {
		return err
	}
	var q logoutRequest
	if r.ContentLength != 0 {
		if _, err := decode(w, r, &q); err != nil {
			return err
		}
	}
	if q.Everywhere {
		_, err = s.Store.RevokeUserGrants(r.Context(), session.View.User.ID, "", s.Now())
	} else {
		err = s.Store.RevokeGrant(r.Context(), session.View.Grant.ID, s.Now())
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

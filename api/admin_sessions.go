package api

import "net/http"

// adminListSessions shows where a user is signed in, newest first.
func (s *Server) adminListSessions(w http.ResponseWriter, r adminRequest) error {
	user, err := s.Store.UserByID(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.writeSessions(w, r.Request, user.ID, r.session.View.Grant)
}

// adminDeleteSessions signs a user out everywhere.
func (s *Server) adminDeleteSessions(w http.ResponseWriter, r adminRequest) error {
	if err := bare(w, r); err != nil {
		return err
	}
	if _, err := s.Accounts.RevokeSessions(r.Context(), r.PathValue("id"), ""); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) adminDeleteSession(w http.ResponseWriter, r adminRequest) error {
	if err := bare(w, r); err != nil {
		return err
	}
	if err := s.Accounts.RevokeSession(r.Context(), r.PathValue("id"), r.PathValue("sid")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

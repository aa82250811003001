package api

import "net/http"

// listSessions shows what is signed in where, newest first.
func (s *Server) listSessions(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.bearer(r)
	if err != nil {
		return err
	}
	return s.writeSessions(w, r, session.View.User.ID, session.View.Grant)
}

// deleteSession revokes one of the caller's own sessions. Somebody else's and one that
// never was are the same 404: the store looks for both user and id in one statement.
func (s *Server) deleteSession(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.writer(r)
	if err != nil {
		return err
	}
	if err := s.Accounts.RevokeSession(r.Context(), session.View.User.ID, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

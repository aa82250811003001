package api

import "net/http"

type passwordRequest struct {
	CurrentPassword string `json:"current_password"`
	NewPassword     string `json:"new_password"`
}

// changePassword keeps the session that asked for it and revokes every other.
func (s *Server) changePassword(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.writer(r)
	if err != nil {
		return err
	}
	var q passwordRequest
	if _, err := decode(w, r, &q); err != nil {
		return err
	}
	var faults []fault
	if q.CurrentPassword == "" {
		faults = append(faults, fault{"current_password", "required", "Send the account's present password."})
	}
	if q.NewPassword == "" {
		faults = append(faults, fault{"new_password", "required", "Send the password that is to replace it."})
	}
	if faults != nil {
		return invalid(faults...)
	}
	v := session.View
	if err := s.Accounts.ChangePassword(r.Context(), v.User.ID, q.CurrentPassword, q.NewPassword, v.Grant.SessionID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

package account

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/issuer"
)

type passwordRequest struct {
	CurrentPassword string `json:"current_password"`
	NewPassword     string `json:"new_password"`
}

// ChangePassword keeps the session that asked for it and revokes every other.
func (h *Handlers) ChangePassword(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q passwordRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	var faults []problem.Fault
	if q.CurrentPassword == "" {
		faults = append(faults, problem.Fault{Field: "current_password", Code: "required", Message: "Send the account's present password."})
	}
	if q.NewPassword == "" {
		faults = append(faults, problem.Fault{Field: "new_password", Code: "required", Message: "Send the password that is to replace it."})
	}
	if faults != nil {
		return problem.Invalid(faults...)
	}
	v := session.View
	if err := h.Accounts.ChangePassword(r.Context(), v.User.ID, q.CurrentPassword, q.NewPassword, v.Grant.SessionID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

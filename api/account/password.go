package account

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/issuer"
)

type passwordRequest struct {
	recentProof
	NewPassword string `json:"new_password"`
}

// ChangePassword keeps the session that asked for it and revokes every other.
func (h *Handlers) ChangePassword(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q passwordRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	proof, err := h.proofOf(session, q.recentProof)
	if err != nil {
		return err
	}
	if q.NewPassword == "" {
		return problem.Invalid(problem.Fault{Field: "new_password", Code: "required", Message: "Send the password that is to replace it."})
	}
	v := session.View
	if err := h.Accounts.ChangePassword(r.Context(), v.User.ID, proof, q.NewPassword, v.Grant.SessionID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

package account

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
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
	proof, err := h.passwordProof(session, q.recentProof)
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

// passwordProof is proofOf, but of an account with a second factor, which takes both.
func (h *Handlers) passwordProof(session issuer.Session, q recentProof) (userstore.Proof, error) {
	if !session.View.User.SecondFactor {
		return h.proofOf(session, q)
	}
	if q.CurrentPassword == "" || q.Proof == "" {
		return userstore.Proof{}, problem.New(problem.RecentProofRequired,
			"The account has a second factor: send current_password, and a proof from /v1/profile/prove as proof.")
	}
	proof, _, err := h.readProof(session, q)
	return proof, err
}

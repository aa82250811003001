package account

import (
	"net/http"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// BeginEmailChange asks for a message to the new address of the account. It demands a recent proof.
func (h *Handlers) BeginEmailChange(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q struct {
		recentProof
		askRequest
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	proof, err := h.proofOf(session, q.recentProof)
	if err != nil {
		return err
	}
	user, grant := session.View.User, session.View.Grant
	handle, err := h.Accounts.BeginEmailChange(r.Context(), user.ID, grant.SessionID, q.Email, proof, "")
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusAccepted, askAnswer{handle})
}

// ConfirmEmailChange gives the account the new address, by the link or the code of the message, and
// answers the profile.
func (h *Handlers) ConfirmEmailChange(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q mailedRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	userID, sessionID := session.View.User.ID, session.View.Grant.SessionID
	user, err := h.Accounts.ConfirmEmailChange(r.Context(), userID, sessionID, q.mailed())
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, profile.Of(user))
}

// WithdrawEmailChange ends a change that is not confirmed. The answer is the same if there is none.
func (h *Handlers) WithdrawEmailChange(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	if err := h.Accounts.WithdrawEmailChange(r.Context(), session.View.User.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

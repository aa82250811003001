package account

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// askRequest asks for a message to an address.
type askRequest struct {
	Email string `json:"email"`
}

// askAnswer has the same form for every address. The handle belongs to the code of the message, if
// one is sent.
type askAnswer struct {
	Handle string `json:"handle"`
}

// mailedRequest presents the link or the code of a message.
type mailedRequest struct {
	Token  string `json:"token"`
	Handle string `json:"handle"`
	Code   string `json:"code"`
}

func (q mailedRequest) mailed() userstore.Mailed {
	return userstore.Mailed{Token: q.Token, Handle: q.Handle, Code: q.Code}
}

// ForgotPassword asks for a message with which the owner of an address sets a new password.
func (h *Handlers) ForgotPassword(w http.ResponseWriter, r *http.Request) error {
	var q askRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	handle, err := h.Accounts.ForgotPassword(r.Context(), q.Email, "")
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusAccepted, askAnswer{handle})
}

// ResetPassword sets a new password by the link or the code of a message. It signs nobody in.
func (h *Handlers) ResetPassword(w http.ResponseWriter, r *http.Request) error {
	var q struct {
		mailedRequest
		NewPassword string `json:"new_password"`
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	if q.NewPassword == "" {
		return problem.Invalid(problem.Fault{
			Field: "new_password", Code: "required", Message: "Send the password that is to be the account's.",
		})
	}
	if err := h.Accounts.ResetPassword(r.Context(), q.mailed(), q.NewPassword); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

package admin

import (
	"net/http"

	"github.com/signet-id/signet/userstore"
)

// InviteUser sends a user without a password a message to set the first one, also again.
func (h *Handlers) InviteUser(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	if err := h.Accounts.Invite(r.Context(), r.PathValue("id")); err != nil {
		return err
	}
	return h.answerUser(w, r)
}

// VerifyEmail declares the address of a user verified.
func (h *Handlers) VerifyEmail(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	_, err := h.Accounts.EditByOperator(r.Context(), r.PathValue("id"), func(u *userstore.User) error {
		u.EmailVerified = true
		return nil
	})
	if err != nil {
		return err
	}
	return h.answerUser(w, r)
}

package admin

import (
	"errors"
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/userstore"
)

// InviteUser sends a user without a password a message to set the first one, also again.
func (h *Handlers) InviteUser(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	err := h.Accounts.Invite(r.Context(), r.PathValue("id"))
	if errors.Is(err, userstore.ErrAccountDisabled) {
		return problem.New(problem.AccountDisabled, "The user is disabled; enable the account before the invitation.")
	}
	if err != nil {
		return err
	}
	return h.answerUser(w, r)
}

// VerifyEmail declares the address of a user verified, also that of a disabled one, as PatchUser
// does.
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

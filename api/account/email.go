package account

import (
	"net/http"

	"github.com/signet-id/signet/api/bearer"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// AskVerification asks for a message with which the owner of an address proves it.
func (h *Handlers) AskVerification(w http.ResponseWriter, r *http.Request) error {
	var q askRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	handle, err := h.Accounts.AskVerification(r.Context(), q.Email, "")
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusAccepted, askAnswer{handle})
}

// VerifyEmail proves an address by the link or the code of a message, and makes the account of a
// pending sign-up. An account keeps its password and sessions if the caller also proves to be its
// owner: by the handle of the sign-up, an access token or the password.
func (h *Handlers) VerifyEmail(w http.ResponseWriter, r *http.Request) error {
	if len(r.Header["Authorization"]) == 0 {
		return h.verifyEmail(w, r, "")
	}
	proved := func(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
		return h.verifyEmail(w, r, session.View.User.ID)
	}
	return bearer.Authenticator{Issuer: h.Issuer}.User(proved)(w, r)
}

// verifyEmail is VerifyEmail for the user of an access token; empty: there is none.
func (h *Handlers) verifyEmail(w http.ResponseWriter, r *http.Request, userID string) error {
	var q struct {
		mailedRequest
		NewPassword string `json:"new_password"`
		Password    string `json:"password"`
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	mailed, owner := q.mailed(), userstore.Owner{UserID: userID, Password: q.Password, NewPassword: q.NewPassword}
	if q.Token != "" && q.Code == "" { // then the handle is the sign-up's
		mailed.Handle, owner.SignupHandle = "", q.Handle
	}
	if err := h.Issuer.VerifyEmail(r.Context(), mailed, owner); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

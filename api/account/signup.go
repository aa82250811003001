package account

import (
	"net/http"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// signupRequest is a profile and a password.
type signupRequest struct {
	Password string `json:"password"`
	profile.Fields[string]
}

// newAccount is the profile of a new account. With the handle its owner proves the address and keeps the password.
type newAccount struct {
	profile.Document
	Handle string `json:"handle,omitempty"`
}

// Signup creates an account and answers its profile, or stores a pending sign-up and answers a
// handle: see userstore.SignUp. It does not log the user in.
func (h *Handlers) Signup(w http.ResponseWriter, r *http.Request) error {
	var q signupRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	username, err := profile.UsernameOf(q.Fields)
	if err != nil {
		return err
	}
	made, err := h.Accounts.SignUp(r.Context(), userstore.NewUser{
		Email: q.Email, Username: username, Password: q.Password, Claims: profile.ClaimsOf(q.Fields),
	})
	if q.PreferredUsername != "" {
		err = profile.AsPreferredUsername(err)
	}
	if err != nil {
		return err
	}
	if made.Pending {
		return wire.WriteJSON(w, http.StatusAccepted, askAnswer{made.Handle})
	}
	w.Header().Set("Location", h.Issuer.Path()+"/v1/profile")
	return wire.WriteJSON(w, http.StatusCreated, newAccount{profile.Of(made.User), made.Handle})
}

package api

import (
	"net/http"

	"github.com/signet-id/signet/userstore"
)

// signupRequest is a profile and a password.
type signupRequest struct {
	Password string `json:"password"`
	editable[string]
}

// signup makes an account. Nobody is logged in by it: the answer is the profile.
func (s *Server) signup(w http.ResponseWriter, r *http.Request) error {
	var q signupRequest
	if _, err := decode(w, r, &q); err != nil {
		return err
	}
	username, err := usernameOf(q.editable)
	if err != nil {
		return err
	}
	user, err := s.Accounts.Register(r.Context(), userstore.NewUser{
		Email: q.Email, Username: username, Password: q.Password, Claims: claimsOf(q.editable),
	})
	if q.PreferredUsername != "" {
		err = asPreferred(err)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Location", s.issuerPath()+"/v1/profile")
	return writeJSON(w, http.StatusCreated, profileOf(user))
}

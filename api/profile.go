package api

import (
	"net/http"
	"time"

	"github.com/signet-id/signet/userstore"
)

// profileDoc is an account as its owner sees it: OIDC's standard claims by their
// names, and what we keep beside them. Instants are RFC 3339.
type profileDoc struct {
	Sub               string `json:"sub"`
	Email             string `json:"email"`
	EmailVerified     bool   `json:"email_verified"`
	PreferredUsername string `json:"preferred_username,omitempty"`
	userstore.Claims
	IsActive    bool       `json:"is_active"`
	IsStaff     bool       `json:"is_staff"`
	Roles       []string   `json:"roles"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	LastLoginAt *time.Time `json:"last_login_at,omitempty"` // absent: never
}

func profileOf(u userstore.User) profileDoc {
	p := profileDoc{
		Sub: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, PreferredUsername: u.Username, Claims: u.Claims,
		IsActive: u.IsActive, IsStaff: u.IsStaff, Roles: append([]string{}, u.Roles...),
		CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC(),
	}
	if !u.LastLoginAt.IsZero() {
		at := u.LastLoginAt.UTC()
		p.LastLoginAt = &at
	}
	return p
}

// getProfile answers with what the session check has just read.
func (s *Server) getProfile(w http.ResponseWriter, r *http.Request) error {
	session, _, err := s.bearer(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, profileOf(session.View.User))
}

type deleteRequest struct {
	CurrentPassword string `json:"current_password"`
}

// deleteProfile ends the account and everything kept in its name, for whoever knows the password.
func (s *Server) deleteProfile(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.writer(r)
	if err != nil {
		return err
	}
	var q deleteRequest
	if !bodyless(r) { // as most clients send a DELETE; what is missing is then the password, not a type
		if _, err := decode(w, r, &q); err != nil {
			return err
		}
	}
	if q.CurrentPassword == "" {
		return invalid(fault{"current_password", "required", "Send the account's password to delete it."})
	}
	if err := s.Accounts.Delete(r.Context(), session.View.User.ID, q.CurrentPassword); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Package profile is an account as JSON, the same for its owner (api/account) and for admins
// (api/admin): the document that is shown, the fields that may be edited, and the list of sessions.
package profile

import (
	"time"

	"github.com/signet-id/signet/userstore"
)

// Document is an account as its owner sees it: OIDC's standard claims by their
// names, and what we keep beside them. Instants are RFC 3339.
type Document struct {
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

// Of is the document of an account.
func Of(u userstore.User) Document {
	p := Document{
		Sub: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, PreferredUsername: u.Username, Claims: u.Claims.WithComposedName(),
		IsActive: u.IsActive, IsStaff: u.IsStaff, Roles: append([]string{}, u.Roles...),
		CreatedAt: u.CreatedAt.UTC(), UpdatedAt: u.UpdatedAt.UTC(),
	}
	if !u.LastLoginAt.IsZero() {
		at := u.LastLoginAt.UTC()
		p.LastLoginAt = &at
	}
	return p
}

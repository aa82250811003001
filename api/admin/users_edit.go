package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/userstore"
)

// adminPatchRequest is what an admin may change: what a user may, and what only an admin may.
type adminPatchRequest struct {
	IsActive      *bool    `json:"is_active"`
	IsStaff       *bool    `json:"is_staff"`
	EmailVerified *bool    `json:"email_verified"`
	Roles         []string `json:"roles"`
	profile.Fields[*string]
}

// PatchUser applies a JSON merge patch (RFC 7396), all of it or nothing.
func (h *Handlers) PatchUser(w http.ResponseWriter, r Request) error {
	var q adminPatchRequest
	body, err := decodeAdmin(w, r, &q, wire.MergePatchType, wire.JSONType)
	if err != nil {
		return err
	}
	patch, err := profile.ReadPatch(body)
	if err != nil {
		return err
	}
	var faults []problem.Fault
	for _, flag := range []struct {
		name  string
		value *bool
	}{{"is_active", q.IsActive}, {"is_staff", q.IsStaff}, {"email_verified", q.EmailVerified}} {
		if _, sent := patch[flag.name]; sent && flag.value == nil {
			faults = append(faults, nullFault(flag.name))
		}
	}
	if faults != nil {
		return problem.Invalid(faults...)
	}
	for _, member := range []string{"email", "email_verified", "roles"} {
		if _, sent := patch[member]; sent {
			if err := h.prove(r); err != nil {
				return err
			}
			break
		}
	}
	_, newRoles := patch["roles"] // null: none any more
	for _, own := range []string{"is_active", "is_staff", "email_verified", "roles"} {
		delete(patch, own)
	}

	return h.editUser(w, r, func(u *userstore.User) error {
		next, err := profile.MergePatch(profile.FieldsOf(*u), patch)
		if err != nil {
			return err
		}
		if err := profile.Apply(next, u); err != nil {
			return err
		}
		for _, flag := range []struct{ value, field *bool }{{q.IsActive, &u.IsActive}, {q.IsStaff, &u.IsStaff}, {q.EmailVerified, &u.EmailVerified}} {
			if flag.value != nil {
				*flag.field = *flag.value
			}
		}
		if newRoles {
			u.Roles = slices.Clone(q.Roles)
		}
		return nil
	})
}

func (h *Handlers) editUser(w http.ResponseWriter, r Request, edit func(*userstore.User) error) error {
	user, err := h.Accounts.EditByOperator(r.Context(), r.PathValue("id"), edit)
	if err != nil {
		return profile.AsPreferredUsername(err)
	}
	return h.writeUser(w, r, http.StatusOK, user)
}

// GrantRole gives the user a role; a role that the user has already stays.
func (h *Handlers) GrantRole(w http.ResponseWriter, r Request) error {
	return h.editRoles(w, r, func(roles []string, role string) []string { return append(roles, role) })
}

// RevokeRole takes a role away, also one that the user does not have.
func (h *Handlers) RevokeRole(w http.ResponseWriter, r Request) error {
	return h.editRoles(w, r, func(roles []string, role string) []string {
		return slices.DeleteFunc(roles, func(have string) bool { return have == role })
	})
}

func (h *Handlers) editRoles(w http.ResponseWriter, r Request, change func(roles []string, role string) []string) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	// Of all parts of paths only the names of roles have characters that some clients encode.
	role, err := url.PathUnescape(r.PathValue("role"))
	if err != nil {
		return problem.New(problem.NotFound, "")
	}
	err = h.editUser(w, r, func(u *userstore.User) error {
		u.Roles = change(u.Roles, role)
		return nil
	})
	if faults := (*userstore.ValidationError)(nil); errors.As(err, &faults) {
		for i := range faults.Fields {
			if faults.Fields[i].Field == "roles" {
				faults.Fields[i].Field = "role"
			}
		}
	}
	return err
}

package account

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// GetProfile answers with what the session check has just read.
func (h *Handlers) GetProfile(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	return wire.WriteJSON(w, http.StatusOK, profile.Of(session.View.User))
}

type deleteRequest struct {
	CurrentPassword string `json:"current_password"`
}

// DeleteProfile deletes the account with everything that belongs to it. It demands the password.
func (h *Handlers) DeleteProfile(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q deleteRequest
	if !wire.Bodyless(r) { // most clients send DELETE without a body: then the password is missing, not the type
		if _, err := profile.Decode(w, r, &q); err != nil {
			return err
		}
	}
	if q.CurrentPassword == "" {
		return problem.Invalid(problem.Fault{Field: "current_password", Code: "required", Message: "Send the account's password to delete it."})
	}
	if err := h.Accounts.Delete(r.Context(), session.View.User.ID, q.CurrentPassword); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// PutProfile replaces everything that a user may change; what is not sent is emptied.
func (h *Handlers) PutProfile(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q profile.Fields[string]
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	return h.editProfile(w, r, session.View.User.ID, func(u *userstore.User) error { return profile.Apply(q, u) })
}

// PatchProfile applies a JSON merge patch (RFC 7396): null empties a field, and what
// is not named stays.
func (h *Handlers) PatchProfile(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q profile.Fields[*string] // the strict reading: names, types and no member twice
	body, err := profile.Decode(w, r, &q, wire.MergePatchType, wire.JSONType)
	if err != nil {
		return err
	}
	patch, err := profile.ReadPatch(body)
	if err != nil {
		return err
	}
	return h.editProfile(w, r, session.View.User.ID, func(u *userstore.User) error {
		next, err := profile.MergePatch(profile.FieldsOf(*u), patch)
		if err != nil {
			return err
		}
		return profile.Apply(next, u)
	})
}

func (h *Handlers) editProfile(w http.ResponseWriter, r *http.Request, userID string, edit func(*userstore.User) error) error {
	user, err := h.Accounts.Edit(r.Context(), userID, edit)
	if err != nil {
		return profile.AsPreferredUsername(err)
	}
	return wire.WriteJSON(w, http.StatusOK, profile.Of(user))
}

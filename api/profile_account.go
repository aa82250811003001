package api

import (
	"net/http"

	"github.com/signet-id/signet/userstore"
)

// getProfile answers with what the session check has just read.
func (s *Server) getProfile(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.bearer(r)
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

// putProfile replaces everything that a user may change; what is not sent is emptied.
func (s *Server) putProfile(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.writer(r)
	if err != nil {
		return err
	}
	var q editable[string]
	if _, err := decode(w, r, &q); err != nil {
		return err
	}
	return s.editProfile(w, r, session.View.User.ID, func(u *userstore.User) error { return apply(q, u) })
}

// patchProfile applies a JSON merge patch (RFC 7396): null empties a field, and what
// is not named stays.
func (s *Server) patchProfile(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.writer(r)
	if err != nil {
		return err
	}
	var q editable[*string] // the strict reading: names, types and no member twice
	body, err := decode(w, r, &q, mergePatchType, jsonType)
	if err != nil {
		return err
	}
	patch, err := readPatch(body)
	if err != nil {
		return err
	}
	return s.editProfile(w, r, session.View.User.ID, func(u *userstore.User) error {
		next, err := mergePatch(editableOf(*u), patch)
		if err != nil {
			return err
		}
		return apply(next, u)
	})
}

func (s *Server) editProfile(w http.ResponseWriter, r *http.Request, userID string, edit func(*userstore.User) error) error {
	user, err := s.Accounts.Edit(r.Context(), userID, edit)
	if err != nil {
		return asPreferred(err)
	}
	return writeJSON(w, http.StatusOK, profileOf(user))
}

package account

import (
	"net/http"

	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// GetProfile answers with what the session check has just read.
func (h *Handlers) GetProfile(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	return wire.WriteJSON(w, http.StatusOK, profile.Of(session.View.User))
}

// DeleteProfile deletes the account with everything that belongs to it. It demands a recent proof.
func (h *Handlers) DeleteProfile(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q recentProof
	if !wire.Bodyless(r) { // most clients send DELETE without a body: then the proof is missing, not the type
		if _, err := profile.Decode(w, r, &q); err != nil {
			return err
		}
	}
	proof, err := h.proofOf(session, q)
	if err != nil {
		return err
	}
	if err := h.Accounts.Delete(r.Context(), session.View.User.ID, proof); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// PutProfile replaces everything that a user may change; what is not sent is emptied.
func (h *Handlers) PutProfile(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q struct {
		recentProof
		profile.Fields[string]
	}
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	return h.editProfile(w, r, session, q.recentProof, func(u *userstore.User) error { return profile.Apply(q.Fields, u) })
}

// PatchProfile applies a JSON merge patch (RFC 7396): null empties a field, and what
// is not named stays.
func (h *Handlers) PatchProfile(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	var q struct { // the strict reading: names, types and no member twice
		recentProof
		profile.Fields[*string]
	}
	body, err := profile.Decode(w, r, &q, wire.MergePatchType, wire.JSONType)
	if err != nil {
		return err
	}
	patch, err := profile.ReadPatch(body)
	if err != nil {
		return err
	}
	delete(patch, "current_password")
	delete(patch, "proof")
	return h.editProfile(w, r, session, q.recentProof, func(u *userstore.User) error {
		next, err := profile.MergePatch(profile.FieldsOf(*u), patch)
		if err != nil {
			return err
		}
		return profile.Apply(next, u)
	})
}

// editProfile edits the account. A new email address or username takes a recent proof; nothing else does.
func (h *Handlers) editProfile(w http.ResponseWriter, r *http.Request, session issuer.Session, q recentProof, edit func(*userstore.User) error) error {
	proof, err := h.proofOf(session, q)
	if err != nil {
		return err
	}
	user, err := h.Accounts.EditProved(r.Context(), session.View.User.ID, proof, edit)
	if err != nil {
		return profile.AsPreferredUsername(err)
	}
	return wire.WriteJSON(w, http.StatusOK, profile.Of(user))
}

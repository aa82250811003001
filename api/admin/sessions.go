package admin

import "net/http"

// ListSessions lists a user's grants and browser sessions, newest first.
func (h *Handlers) ListSessions(w http.ResponseWriter, r Request) error {
	user, err := h.Users.UserByID(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return h.Sessions.Write(w, r.Request, user.ID, r.Session.View.Grant)
}

// DeleteSessions signs a user out everywhere.
func (h *Handlers) DeleteSessions(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	if _, err := h.Accounts.RevokeSessions(r.Context(), r.PathValue("id"), ""); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handlers) DeleteSession(w http.ResponseWriter, r Request) error {
	if err := expectNoBody(w, r); err != nil {
		return err
	}
	if err := h.Accounts.RevokeSession(r.Context(), r.PathValue("id"), r.PathValue("sid")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

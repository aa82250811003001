package account

import (
	"net/http"

	"github.com/signet-id/signet/issuer"
)

// ListSessions lists the user's grants and browser sessions, newest first.
func (h *Handlers) ListSessions(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	return h.Export.Sessions.Write(w, r, session.View.User.ID, session.View.Grant)
}

// DeleteSession revokes one of the caller's own sessions. Another user's session and one that never
// existed get the same 404: the store looks for user and id in one statement.
func (h *Handlers) DeleteSession(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	if err := h.Accounts.RevokeSession(r.Context(), session.View.User.ID, r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

package account

import (
	"net/http"
	"net/url"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// ListConsents shows which clients the user allowed something.
func (h *Handlers) ListConsents(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	list, err := h.Export.Consents.List(r.Context(), session.View.User.ID)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, struct {
		Consents []profile.Consent `json:"consents"`
	}{list})
}

// DeleteConsent revokes the consent for a client, with every grant that came of it.
func (h *Handlers) DeleteConsent(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	// Paths are matched as they were sent; a client's id may hold what a path has to escape.
	id, err := url.PathUnescape(r.PathValue("client_id"))
	if err != nil {
		return problem.New(problem.NotFound, "")
	}
	if err := h.Accounts.RevokeConsent(r.Context(), session.View.User.ID, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

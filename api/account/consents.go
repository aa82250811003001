package account

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/userstore"
)

// consentDoc is what the user has allowed a client.
type consentDoc struct {
	ClientID   string        `json:"client_id"`
	ClientName string        `json:"client_name,omitempty"`
	Scope      string        `json:"scope"` // of the user, and at the default audience
	Resources  []resourceDoc `json:"resources,omitempty"`
	CreatedAt  time.Time     `json:"created_at"`
	UpdatedAt  time.Time     `json:"updated_at"`
}

// resourceDoc is what the user allowed at one resource.
type resourceDoc struct {
	Resource string `json:"resource"`
	Scope    string `json:"scope"`
}

// ListConsents shows which clients the user allowed something.
func (h *Handlers) ListConsents(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
	consents, err := h.Consents.ListConsents(r.Context(), session.View.User.ID)
	if err != nil {
		return err
	}
	out := struct {
		Consents []consentDoc `json:"consents"`
	}{Consents: make([]consentDoc, 0, len(consents))}
	for _, c := range consents {
		client, err := h.Clients.ClientByID(r.Context(), c.ClientID)
		switch {
		case errors.Is(err, userstore.ErrNotFound): // the client was deleted a moment ago, and its consents too
			continue
		case err != nil:
			return err
		}
		doc := consentDoc{ClientID: c.ClientID, ClientName: client.Name, CreatedAt: c.CreatedAt.UTC(), UpdatedAt: c.UpdatedAt.UTC()}
		for _, a := range c.Allowed {
			scope := strings.Join(a.Scopes, " ")
			if a.Resource == "" {
				doc.Scope = scope
				continue
			}
			doc.Resources = append(doc.Resources, resourceDoc{a.Resource, scope})
		}
		out.Consents = append(out.Consents, doc)
	}
	return wire.WriteJSON(w, http.StatusOK, out)
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

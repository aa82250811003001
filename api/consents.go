package api

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/signet-id/signet/userstore"
)

// consentDoc is what the user allowed a client.
type consentDoc struct {
	ClientID   string    `json:"client_id"`
	ClientName string    `json:"client_name,omitempty"`
	Scope      string    `json:"scope"` // of the user, and at the default audience
	Resources  []atDoc   `json:"resources,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// atDoc is what the user allowed at one resource.
type atDoc struct {
	Resource string `json:"resource"`
	Scope    string `json:"scope"`
}

// listConsents shows which clients the user allowed something.
func (s *Server) listConsents(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.bearer(r)
	if err != nil {
		return err
	}
	consents, err := s.Store.ListConsents(r.Context(), session.View.User.ID)
	if err != nil {
		return err
	}
	out := struct {
		Consents []consentDoc `json:"consents"`
	}{Consents: make([]consentDoc, 0, len(consents))}
	for _, c := range consents {
		client, err := s.Store.ClientByID(r.Context(), c.ClientID)
		switch {
		case errors.Is(err, userstore.ErrNotFound): // deleted a moment ago, and the consent with it
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
			doc.Resources = append(doc.Resources, atDoc{a.Resource, scope})
		}
		out.Consents = append(out.Consents, doc)
	}
	return writeJSON(w, http.StatusOK, out)
}

// deleteConsent takes back what a client was allowed, with every grant that came of it.
func (s *Server) deleteConsent(w http.ResponseWriter, r *http.Request) error {
	session, r, err := s.writer(r)
	if err != nil {
		return err
	}
	// Paths are matched as they were sent; a client's id may hold what a path has to escape.
	id, err := url.PathUnescape(r.PathValue("client_id"))
	if err != nil {
		return newProblem(notFound, "")
	}
	if err := s.Accounts.RevokeConsent(r.Context(), session.View.User.ID, id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

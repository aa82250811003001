package api

import (
	"net/http"

	"github.com/signet-id/signet/issuer"
)

type refreshRequest struct {
	RefreshToken string   `json:"refresh_token"`
	ClientID     string   `json:"client_id"`
	Scope        string   `json:"scope"`
	Resource     oneOrAll `json:"resource"`
}

// refresh answers a refresh token of a public first-party client.
func (s *Server) refresh(w http.ResponseWriter, r *http.Request) error {
	var q refreshRequest
	if _, err := decode(w, r, &q); err != nil {
		return err
	}
	if q.RefreshToken == "" {
		return invalid(fault{"refresh_token", "required", "Send the refresh token."})
	}
	tokens, err := s.Issuer.Refresh(r.Context(), issuer.RefreshRequest{
		RefreshToken: q.RefreshToken, ClientID: q.ClientID, Scope: q.Scope, Resource: q.Resource, FirstParty: true,
	})
	if err != nil {
		return err
	}
	return writeTokens(w, tokens)
}

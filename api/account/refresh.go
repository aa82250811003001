package account

import (
	"net/http"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/profile"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

type refreshRequest struct {
	RefreshToken string    `json:"refresh_token"`
	ClientID     string    `json:"client_id"`
	Scope        string    `json:"scope"`
	Resource     oneOrMany `json:"resource"`
}

// Refresh answers a refresh token of a public first-party client.
func (h *Handlers) Refresh(w http.ResponseWriter, r *http.Request) error {
	var q refreshRequest
	if _, err := profile.Decode(w, r, &q); err != nil {
		return err
	}
	if q.RefreshToken == "" {
		return problem.Invalid(problem.Fault{Field: "refresh_token", Code: "required", Message: "Send the refresh token."})
	}
	tokens, err := h.Issuer.Refresh(r.Context(), issuer.RefreshRequest{
		RefreshToken: q.RefreshToken, ClientID: q.ClientID, Scope: q.Scope, Resource: q.Resource, FirstParty: true,
	})
	if err != nil {
		return err
	}
	return wire.WriteTokens(w, tokens)
}

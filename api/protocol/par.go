package protocol

import (
	"net/http"

	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

var pushedParameters = append(issuer.AuthorizationParameters(), wire.ClientParameters...)

// Push is the pushed authorization request endpoint (RFC 9126 section 2).
func (h *Handlers) Push(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.ReadForm(w, r, pushedParameters...)
	if err != nil {
		return err
	}
	auth, err := wire.ClientAuth(r, p)
	if err != nil {
		return err
	}
	h.setNonce(w, r)
	pushed, err := h.Issuer.Push(r.Context(), auth, issuer.ReadAuthorizationRequest(p), r.Header["Dpop"])
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusCreated, pushed)
}

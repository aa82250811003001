package protocol

import (
	"net/http"

	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

var deviceParameters = append([]string{"scope", "resource"}, wire.ClientParameters...)

// Device is the device authorization endpoint (RFC 8628 section 3.1).
func (h *Handlers) Device(w http.ResponseWriter, r *http.Request) error {
	p, err := wire.ReadForm(w, r, deviceParameters...)
	if err != nil {
		return err
	}
	auth, err := wire.ClientAuth(r, p)
	if err != nil {
		return err
	}
	answer, err := h.Issuer.AuthorizeDevice(r.Context(), issuer.DeviceRequest{
		Auth: auth, Scope: p.Get("scope"), Resource: p["resource"],
	})
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, answer)
}

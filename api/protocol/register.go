package protocol

import (
	"net/http"

	"github.com/signet-id/signet/api/bearer"
	"github.com/signet-id/signet/api/wire"
)

// Register is the registration endpoint (RFC 7591 section 3). It needs a token or none, as
// oauth.registration says; the issuer decides.
func (h *Handlers) Register(w http.ResponseWriter, r *http.Request) error {
	token := ""
	if len(r.Header["Authorization"]) > 0 {
		var err error
		if token, err = bearer.Token(r); err != nil {
			return err
		}
	}
	body, err := registrationBody(w, r)
	if err != nil {
		return err
	}
	made, err := h.Issuer.Register(r.Context(), token, body)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusCreated, made)
}

// Registered is the client read request (RFC 7592 section 2.1).
func (h *Handlers) Registered(w http.ResponseWriter, r *http.Request) error {
	access, err := bearer.Token(r)
	if err != nil {
		return err
	}
	c, err := h.Issuer.Registered(r.Context(), r.PathValue("client_id"), access)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, c)
}

// ReplaceRegistration is the client update request (RFC 7592 section 2.2).
func (h *Handlers) ReplaceRegistration(w http.ResponseWriter, r *http.Request) error {
	access, err := bearer.Token(r)
	if err != nil {
		return err
	}
	body, err := registrationBody(w, r)
	if err != nil {
		return err
	}
	c, err := h.Issuer.ReplaceRegistration(r.Context(), r.PathValue("client_id"), access, body)
	if err != nil {
		return err
	}
	return wire.WriteJSON(w, http.StatusOK, c)
}

// WithdrawRegistration is the client delete request (RFC 7592 section 2.3).
func (h *Handlers) WithdrawRegistration(w http.ResponseWriter, r *http.Request) error {
	access, err := bearer.Token(r)
	if err != nil {
		return err
	}
	if err := h.Issuer.WithdrawRegistration(r.Context(), r.PathValue("client_id"), access); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func registrationBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if err := wire.CheckContentType(w, r, []string{wire.JSONType}); err != nil {
		return nil, err
	}
	return wire.ReadBody(r)
}

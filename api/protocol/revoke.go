package protocol

import "net/http"

// Revoke ends the grant of a token (RFC 7009).
func (h *Handlers) Revoke(w http.ResponseWriter, r *http.Request) error {
	q, err := tokenQuery(w, r)
	if err != nil {
		return err
	}
	if err := h.Issuer.RevokeToken(r.Context(), q); err != nil {
		return err
	}
	w.Header()["Content-Length"] = []string{"0"}
	w.WriteHeader(http.StatusOK)
	return nil
}

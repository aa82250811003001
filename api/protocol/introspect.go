package protocol

import (
	"net/http"

	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

var queryParameters = append([]string{"token", "token_type_hint"}, wire.ClientParameters...)

// tokenQuery reads a request for introspection or revocation.
func tokenQuery(w http.ResponseWriter, r *http.Request) (issuer.TokenQuery, error) {
	p, err := wire.ReadForm(w, r, queryParameters...)
	if err != nil {
		return issuer.TokenQuery{}, err
	}
	auth, err := wire.ClientAuth(r, p)
	return issuer.TokenQuery{Auth: auth, Token: p.Get("token"), Hint: p.Get("token_type_hint")}, err
}

// Introspect answers the state of a token, as JSON (RFC 7662) or signed (RFC 9701).
func (h *Handlers) Introspect(w http.ResponseWriter, r *http.Request) error {
	q, err := tokenQuery(w, r)
	if err != nil {
		return err
	}
	q.Form = introspectionForm(r.Header["Accept"])
	answer, err := h.Issuer.Introspect(r.Context(), q)
	if err != nil {
		return err
	}
	return writeAnswer(w, answer, introspectionHeader)
}

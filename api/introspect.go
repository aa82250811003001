package api

import (
	"net/http"

	"github.com/signet-id/signet/issuer"
)

var queryParameters = append([]string{"token", "token_type_hint"}, clientParameters...)

// tokenQuery reads what introspection and revocation are asked.
func tokenQuery(w http.ResponseWriter, r *http.Request) (issuer.TokenQuery, error) {
	p, err := readForm(w, r, queryParameters...)
	if err != nil {
		return issuer.TokenQuery{}, err
	}
	auth, err := clientAuth(r, p)
	return issuer.TokenQuery{Auth: auth, Token: p.get("token"), Hint: p.get("token_type_hint")}, err
}

// introspect says what a token is worth (RFC 7662).
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) error {
	q, err := tokenQuery(w, r)
	if err != nil {
		return err
	}
	answer, err := s.Issuer.Introspect(r.Context(), q)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}

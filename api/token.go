package api

import (
	"net/http"

	"github.com/signet-id/signet/issuer"
)

var tokenParameters = append([]string{"grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "resource"}, clientParameters...)

// token is the token endpoint (RFC 6749 section 3.2).
func (s *Server) token(w http.ResponseWriter, r *http.Request) error {
	p, err := readForm(w, r, tokenParameters...)
	if err != nil {
		return err
	}
	auth, err := clientAuth(r, p)
	if err != nil {
		return err
	}
	tokens, err := s.Issuer.Token(r.Context(), issuer.TokenRequest{
		GrantType: p.get("grant_type"), Auth: auth,
		Code: p.get("code"), RedirectURI: p.get("redirect_uri"), CodeVerifier: p.get("code_verifier"),
		RefreshToken: p.get("refresh_token"), Scope: p.get("scope"), Resource: p["resource"],
	})
	if err != nil {
		return err
	}
	return writeTokens(w, tokens)
}

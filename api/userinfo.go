package api

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// userinfo answers the claims about a user (OIDC Core section 5.3).
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) error {
	raw, err := userinfoToken(r)
	if err != nil {
		return err
	}
	claims, err := s.Issuer.Userinfo(r.Context(), raw)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, claims)
}

// userinfoToken takes the token from the Authorization header or, of a POST, from the form in the body (RFC 6750 sections
// 2.1 and 2.2): one of them. One in the address counts for nothing.
func userinfoToken(r *http.Request) (string, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || media != formType {
		return bearerToken(r)
	}
	body, err := readBody(r)
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(body))
	sent := form["access_token"]
	headers := r.Header["Authorization"]
	switch {
	case err != nil:
		return "", newProblem(invalidRequest, "The body is not a form: write it as "+formType+".")
	case len(headers) > 1 || len(sent) > 1 || len(headers)+len(sent) > 1:
		return "", newProblem(invalidRequest, "Send the access token once: in the Authorization header or in the body.")
	case len(sent) == 1 && strings.TrimSpace(sent[0]) != "":
		return sent[0], nil
	case len(headers) == 0:
		return "", newProblem(missingToken, "")
	}
	return schemeBearer(headers[0])
}

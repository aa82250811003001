package protocol

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/bearer"
	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
)

// Userinfo answers the claims about a user (OIDC Core section 5.3).
func (h *Handlers) Userinfo(w http.ResponseWriter, r *http.Request) error {
	raw, err := userinfoToken(r)
	if err != nil {
		return err
	}
	answer, err := h.Issuer.Userinfo(r.Context(), raw)
	if err != nil {
		return err
	}
	return writeAnswer(w, answer, jwtHeader)
}

// userinfoToken takes the token from the Authorization header or, of a POST, from the form in the
// body (RFC 6750 sections 2.1 and 2.2): one of them. A token in the address is ignored.
func userinfoToken(r *http.Request) (string, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || media != wire.FormType {
		return bearer.Token(r)
	}
	body, err := wire.ReadBody(r)
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(body))
	sent := form["access_token"]
	headers := r.Header["Authorization"]
	switch {
	case err != nil:
		return "", problem.New(problem.InvalidRequest, "The body is not a form: write it as "+wire.FormType+".")
	case len(headers) > 1 || len(sent) > 1 || len(headers)+len(sent) > 1:
		return "", problem.New(problem.InvalidRequest, "Send the access token once: in the Authorization header or in the body.")
	case len(sent) == 1 && strings.TrimSpace(sent[0]) != "":
		return sent[0], nil
	case len(headers) == 0:
		return "", problem.New(problem.MissingToken, "")
	}
	return bearer.FromHeader(headers[0])
}

package protocol

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/bearer"
	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/issuer"
)

// Userinfo answers the claims about a user (OIDC Core section 5.3).
func (h *Handlers) Userinfo(w http.ResponseWriter, r *http.Request) error {
	presented, err := userinfoToken(r)
	if err != nil {
		return err
	}
	if presented.DPoP {
		bearer.SetNonce(w, h.Issuer)
	}
	answer, err := h.Issuer.Userinfo(r.Context(), presented)
	if err != nil {
		return err
	}
	return writeAnswer(w, answer, jwtHeader)
}

// userinfoToken takes the token from the Authorization header or, of a POST, from the form in the
// body (RFC 6750 sections 2.1 and 2.2): one of them. A token in the address is ignored. A token in the
// body is a bearer token.
func userinfoToken(r *http.Request) (issuer.Presented, error) {
	none := issuer.Presented{}
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if r.Method != http.MethodPost || media != wire.FormType {
		return bearer.Presented(r)
	}
	body, err := wire.ReadBody(r)
	if err != nil {
		return none, err
	}
	form, err := url.ParseQuery(string(body))
	sent := form["access_token"]
	headers := r.Header["Authorization"]
	switch {
	case err != nil:
		return none, problem.New(problem.InvalidRequest, "The body is not a form: write it as "+wire.FormType+".")
	case len(headers) > 1 || len(sent) > 1 || len(headers)+len(sent) > 1:
		return none, problem.New(problem.InvalidRequest, "Send the access token once: in the Authorization header or in the body.")
	case len(sent) == 1 && strings.TrimSpace(sent[0]) != "":
		return issuer.Presented{Token: sent[0]}, nil
	case len(headers) == 0:
		return none, bearer.Missing()
	}
	return bearer.FromHeader(r, headers[0])
}

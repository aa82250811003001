package api

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/issuer"
)

// oauthForm is the parameters of a request that an endpoint knows. One that was sent without a value was not sent (RFC 6749
// section 3.1).
type oauthForm map[string][]string

func (p oauthForm) get(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][0]
}

// readForm reads the body of a protocol endpoint (RFC 6749 section 3.2): a form, and no parameters in the address,
// where they would be logged. Of the parameters that the endpoint knows each may be sent once, but for resource (RFC 8707
// section 2); others are ignored.
func readForm(w http.ResponseWriter, r *http.Request, known ...string) (oauthForm, error) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, newProblem(invalidRequest, "Send the parameters in the body, not in the address.")
	}
	if err := checkContentType(w, r, []string{formType}); err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, newProblem(invalidRequest, "The body is not a form: write it as "+formType+".")
	}
	nameClient(r, form)
	p := oauthForm{}
	for name, values := range form {
		if !slices.Contains(known, name) {
			continue
		}
		if len(values) > 1 && name != "resource" {
			return nil, newProblem(invalidRequest, "Send each parameter once: "+name+" was sent more often.")
		}
		for _, v := range values {
			if !utf8.ValidString(v) {
				return nil, newProblem(invalidRequest, "The parameter "+name+" is not UTF-8.")
			}
			if v != "" {
				p[name] = append(p[name], v)
			}
		}
	}
	return p, nil
}

// nameClient notes which client a request says that it is of, for the log line of its refusal.
func nameClient(r *http.Request, form url.Values) {
	if headers := r.Header["Authorization"]; len(headers) == 1 {
		id, _, _ := parseBasic(headers[0])
		refusal.Client(r.Context(), id)
	}
	refusal.Client(r.Context(), form.Get("client_id"))
}

// clientParameters are those by which a client authenticates.
var clientParameters = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

// clientAuth is what header and body say of the client (RFC 6749 section 2.3, RFC 7521 section 4.2).
func clientAuth(r *http.Request, p oauthForm) (issuer.ClientAuth, error) {
	a := issuer.ClientAuth{
		ClientID: p.get("client_id"), ClientSecret: p.get("client_secret"),
		Assertion: p.get("client_assertion"), AssertionType: p.get("client_assertion_type"),
	}
	headers := r.Header["Authorization"]
	switch {
	case len(headers) > 1:
		return a, newProblem(invalidRequest, "Send exactly one Authorization header.")
	case len(headers) == 0:
		return a, nil
	}
	id, secret, ok := parseBasic(headers[0])
	if !ok {
		return a, &issuer.Error{Code: issuer.InvalidClient, Description: "Authenticate the client by the scheme Basic, its id and secret form-encoded, or in the body."}
	}
	a.Basic, a.BasicID, a.BasicSecret = true, id, secret
	return a, nil
}

// parseBasic reads RFC 7617 credentials whose two halves are form-encoded, as RFC 6749 section 2.3.1 has it. A secret that
// was not encoded and holds a % or + is another secret, never two.
func parseBasic(header string) (id, secret string, ok bool) {
	scheme, text, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimLeft(text, " "))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(raw), ":")
	if !ok {
		return "", "", false
	}
	if id, err = url.QueryUnescape(id); err != nil || id == "" || !utf8.ValidString(id) {
		return "", "", false
	}
	if secret, err = url.QueryUnescape(secret); err != nil {
		return "", "", false
	}
	return id, secret, true
}

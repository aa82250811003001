package wire

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/issuer"
)

// Form holds the parameters of a request that an endpoint knows. A parameter without a value counts
// as not sent (RFC 6749 section 3.1).
type Form map[string][]string

func (p Form) Get(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][0]
}

// ReadForm reads the body of a protocol endpoint (RFC 6749 section 3.2): a form, and no parameters
// in the address, where they would be logged. Of the parameters that the endpoint knows each may be
// sent once, but for resource (RFC 8707 section 2); others are ignored.
func ReadForm(w http.ResponseWriter, r *http.Request, known ...string) (Form, error) {
	nameBasicClient(r)
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, problem.New(problem.InvalidRequest, "Send the parameters in the body, not in the address.")
	}
	if err := CheckContentType(w, r, []string{FormType}); err != nil {
		return nil, err
	}
	body, err := ReadBody(r)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, problem.New(problem.InvalidRequest, "The body is not a form: write it as "+FormType+".")
	}
	refusal.Client(r.Context(), form.Get("client_id"))
	p := Form{}
	for name, values := range form {
		if !slices.Contains(known, name) {
			continue
		}
		if len(values) > 1 && name != "resource" {
			return nil, problem.New(problem.InvalidRequest, "Send each parameter once: "+name+" was sent more often.")
		}
		for _, v := range values {
			if !utf8.ValidString(v) {
				return nil, problem.New(problem.InvalidRequest, "The parameter "+name+" is not UTF-8.")
			}
			if v != "" {
				p[name] = append(p[name], v)
			}
		}
	}
	return p, nil
}

// nameBasicClient notes the client that the header names, for the log line of a refusal. The body
// may be what is refused.
func nameBasicClient(r *http.Request) {
	if headers := r.Header["Authorization"]; len(headers) == 1 {
		id, _, _ := parseBasic(headers[0])
		refusal.Client(r.Context(), id)
	}
}

// ClientParameters are the form parameters by which a client authenticates.
var ClientParameters = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

// ClientAuth is what header and body say of the client (RFC 6749 section 2.3, RFC 7521 section
// 4.2).
func ClientAuth(r *http.Request, p Form) (issuer.ClientAuth, error) {
	a := issuer.ClientAuth{
		ClientID: p.Get("client_id"), ClientSecret: p.Get("client_secret"),
		Assertion: p.Get("client_assertion"), AssertionType: p.Get("client_assertion_type"),
	}
	headers := r.Header["Authorization"]
	switch {
	case len(headers) > 1:
		return a, problem.New(problem.InvalidRequest, "Send exactly one Authorization header.")
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

// parseBasic reads RFC 7617 credentials whose two halves are form-encoded, as RFC 6749 section
// 2.3.1 has it. A secret that was not encoded and holds a % or + is another secret, never two.
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

// ReadFields reads a form (application/x-www-form-urlencoded). The fields named in once may not be
// repeated.
func ReadFields(w http.ResponseWriter, r *http.Request, once ...string) (url.Values, error) {
	if err := CheckContentType(w, r, []string{FormType}); err != nil {
		return nil, err
	}
	body, err := ReadBody(r)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, problem.New(problem.InvalidRequest, "The form cannot be read.")
	}
	for _, name := range once {
		if len(values[name]) > 1 {
			return nil, problem.New(problem.InvalidRequest, "A field of the form was sent more than once.")
		}
	}
	return values, nil
}

const FormType = "application/x-www-form-urlencoded"

// ReadParameters reads the parameters of an endpoint that takes GET and POST: the query and, for
// POST, a form.
func ReadParameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.New(problem.InvalidRequest, "The address cannot be read.")
	}
	if r.Method == http.MethodPost {
		form, err := ReadFields(w, r)
		if err != nil {
			return nil, err
		}
		for name, list := range form {
			values[name] = append(values[name], list...)
		}
	}
	return values, nil
}

// Repeated lists the names that were sent more than once.
func Repeated(values url.Values, names ...string) (out []string) {
	for _, name := range names {
		if len(values[name]) > 1 {
			out = append(out, name)
		}
	}
	return out
}

// NonEmpty leaves the empty values out.
func NonEmpty(values []string) (out []string) {
	for _, v := range values {
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}

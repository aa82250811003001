package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/signet-id/signet/internal/strictjson"
)

const (
	jsonType       = "application/json"
	mergePatchType = "application/merge-patch+json" // RFC 7396
)

// decode reads the body as one strict JSON object into v, whose fields are all that
// may be sent, and answers the body itself for those who need it again. What is part of an account but not the
// user's to change is refused by name.
func decode(w http.ResponseWriter, r *http.Request, v any, types ...string) ([]byte, error) {
	if len(types) == 0 {
		types = []string{jsonType}
	}
	if err := checkContentType(w, r, types); err != nil {
		return nil, err
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	err = strictjson.Unmarshal(body, v, strictjson.RefuseUnknown)
	if strict := (*strictjson.Error)(nil); errors.As(err, &strict) {
		return nil, explain(strict)
	}
	return body, err
}

// bodyless tells that a request says nothing at all. An empty body of a stated type
// is a malformed one of that type.
func bodyless(r *http.Request) bool {
	return r.ContentLength == 0 && len(r.Header["Content-Type"]) == 0
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); err != nil && !errors.As(err, &tooLarge) {
		return nil, newProblem(invalidRequest, "The body ended early; send it whole.")
	}
	return body, err
}

// checkContentType accepts the given types, in UTF-8 (RFC 8259 section 8.1), not compressed. Other parameters say nothing
// to us and are ignored (RFC 6838 section 4.3 and RFC 2045 section 5.1 leave them to who knows them).
func checkContentType(w http.ResponseWriter, r *http.Request, types []string) error {
	sent := r.Header["Content-Type"]
	if len(sent) == 1 && len(r.Header["Content-Encoding"]) == 0 {
		media, params, err := mime.ParseMediaType(sent[0])
		if err == nil {
			charset, has := params["charset"]
			plain := !has || strings.EqualFold(charset, "utf-8")
			for _, t := range types {
				if plain && media == t {
					return nil
				}
			}
		}
	}
	// RFC 9110 section 15.5.16: Accept in a 415 lists what would do.
	w.Header().Set("Accept", strings.Join(types, ", "))
	return newProblem(unsupportedMedia, "Send the body as "+strings.Join(types, " or ")+" in UTF-8, not compressed.")
}

// reserved names what is part of an account but not its owner's to set. A user who
// sends one is refused by name, so that nobody believes it was taken.
var reserved = map[string]string{
	"is_active":             "Only an administrator changes this.",
	"is_staff":              "Only an administrator changes this.",
	"roles":                 "Only an administrator changes this.",
	"role":                  "Only an administrator changes this.",
	"email_verified":        "This follows from a verification, not from a request.",
	"phone_number_verified": "This follows from a verification, not from a request.",
	"id":                    "The server chooses this.",
	"sub":                   "The server chooses this.",
	"created_at":            "The server keeps this.",
	"updated_at":            "The server keeps this.",
	"last_login_at":         "The server keeps this.",
	"password_hash":         "Passwords are sent as such and hashed here.",
	"password":              "Change it at /v1/profile/password.",
}

func explain(e *strictjson.Error) *problem {
	p := newProblem(validationError, "")
	for _, s := range e.Problems {
		f := fault(s)
		if message, ok := reserved[strings.ToLower(f.Field)]; ok && f.Code == strictjson.UnknownField {
			f.Code, f.Message = "not_allowed", message
		}
		p.Errors = append(p.Errors, f)
	}
	p.cause = e
	return p
}

// writeJSON answers with v. Markup in stored text stays escaped (<), so that no
// sniffing client can take it for a page.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	writeBody(w, status, plainJSON, body)
	return nil
}

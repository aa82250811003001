package wire

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/issuer"
)

// Media types of bodies.
const (
	JSONType       = "application/json"
	MergePatchType = "application/merge-patch+json" // RFC 7396
)

// JSONHeader is the value of Content-Type, to be shared between answers.
var JSONHeader = []string{JSONType}

// Decode reads the body as one strict JSON object into v and returns the body itself. The object may
// have no other members than v has fields.
func Decode(w http.ResponseWriter, r *http.Request, v any, types ...string) ([]byte, error) {
	return decode(w, r, types, func(body []byte) error {
		return strictjson.Unmarshal(body, v, strictjson.RefuseUnknown)
	})
}

// DecodePatch is Decode for an object whose members may be null: that leaves the field of v as it is.
func DecodePatch(w http.ResponseWriter, r *http.Request, v any, types ...string) ([]byte, error) {
	return decode(w, r, types, func(body []byte) error {
		return strictjson.UnmarshalPatch(body, v, strictjson.RefuseUnknown)
	})
}

func decode(w http.ResponseWriter, r *http.Request, types []string, into func(body []byte) error) ([]byte, error) {
	if len(types) == 0 {
		types = []string{JSONType}
	}
	if err := CheckContentType(w, r, types); err != nil {
		return nil, err
	}
	body, err := ReadBody(r)
	if err != nil {
		return nil, err
	}
	err = into(body)
	if strict := (*strictjson.Error)(nil); errors.As(err, &strict) {
		p := problem.New(problem.ValidationError, "")
		for _, fault := range strict.Problems {
			p.Errors = append(p.Errors, problem.Fault(fault))
		}
		p.Cause = strict
		return nil, p
	}
	return body, err
}

// Bodyless reports whether a request has neither a body nor a Content-Type. An empty body with a
// Content-Type is a malformed body of that type.
func Bodyless(r *http.Request) bool {
	return r.ContentLength == 0 && len(r.Header["Content-Type"]) == 0
}

// ReadBody reads the whole body; a body that is too long is an *http.MaxBytesError.
func ReadBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if tooLarge := (*http.MaxBytesError)(nil); err != nil && !errors.As(err, &tooLarge) {
		return nil, problem.New(problem.InvalidRequest, "The body ended early; send it whole.")
	}
	return body, err
}

// CheckContentType accepts the given types, in UTF-8 (RFC 8259 section 8.1), not compressed. Other parameters say nothing
// to us and are ignored (RFC 6838 section 4.3 and RFC 2045 section 5.1 leave them to who knows them).
func CheckContentType(w http.ResponseWriter, r *http.Request, types []string) error {
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
	// RFC 9110 section 15.5.16: Accept in a 415 lists the accepted types.
	w.Header().Set("Accept", strings.Join(types, ", "))
	return problem.New(problem.UnsupportedMedia, "Send the body as "+strings.Join(types, " or ")+" in UTF-8, not compressed.")
}

// WriteJSON answers with v. Markup in stored text stays escaped (<), so that no
// sniffing client can take it for a page.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	WriteBody(w, status, JSONHeader, body)
	return nil
}

// shortBody is how many bytes net/http keeps back until it knows whether the handler writes more.
// Of a body of this length it says the length itself, also when HEAD asks, and at less cost than a
// header.
const shortBody = 2048

// WriteBody sends a complete answer, with its length.
func WriteBody(w http.ResponseWriter, status int, contentType []string, body []byte) {
	h := w.Header()
	h["Content-Type"] = contentType
	if len(body) > shortBody {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have left
}

// WriteTokens adds the header that RFC 6749 section 5.1 asks for besides Cache-Control.
func WriteTokens(w http.ResponseWriter, tokens issuer.TokenResponse) error {
	w.Header().Set("Pragma", "no-cache")
	return WriteJSON(w, http.StatusOK, tokens)
}

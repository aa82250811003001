package verifier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Middleware passes requests with a valid access token on to next, where TokenFrom returns the
// token. It answers all other requests itself, as RFC 6750 section 3 says, with a challenge and a
// problem document (RFC 9457) that holds the error's code:
//
//	400 invalid_request     the request has more than one token
//	401 missing_token       the request has no token
//	401 token_invalid       the token is not valid for this resource server
//	401 token_expired       the client must get a new token
//	503 keys_unavailable    with Retry-After: the issuer's keys are not available
//
// With Config.Resource it also answers requests for the resource's metadata, which need no token.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return v.RequireScope()(next)
}

// RequireScope is Middleware that also requires every one of scopes. It answers 403
// insufficient_scope and names them if the token lacks one. Inside Middleware it does not verify
// the token a second time.
func (v *Verifier) RequireScope(scopes ...string) func(http.Handler) http.Handler {
	return v.require(requirement{scopes: slices.Clone(scopes)})
}

type contextKey struct{}

// verified is a token and the verifier that accepted it. A token that another verifier accepted,
// perhaps for another audience, does not count here.
type verified struct {
	token *Token
	by    *Verifier
	need  requirement // what token was found to satisfy so far
}

// TokenFrom returns the token that Middleware or RequireScope accepted; false outside of them.
func TokenFrom(ctx context.Context) (*Token, bool) {
	known, ok := ctx.Value(contextKey{}).(verified)
	return known.token, ok
}

// verifiedFrom returns what v accepted; without a token if that is nothing.
func (v *Verifier) verifiedFrom(ctx context.Context) verified {
	if known, ok := ctx.Value(contextKey{}).(verified); ok && known.by == v {
		return known
	}
	return verified{}
}

// Authenticate finds the request's bearer token (RFC 6750 section 2.1) and verifies it, for
// handlers that write their own answers; WriteError writes the answer that Middleware would give.
//
// A token in the query or in a form is not accepted: the first leaks into logs, the second needs
// the body. A form that carries a token beside the header is refused, because a request must not
// have two tokens.
func (v *Verifier) Authenticate(r *http.Request) (*Token, error) {
	fields := r.Header["Authorization"]
	if len(fields) > 1 {
		return nil, &Error{Code: CodeInvalidRequest, Reason: "the request has more than one Authorization header"}
	}
	if len(fields) == 0 {
		return nil, &Error{Code: CodeMissingToken, Reason: "the request has no Authorization header"}
	}
	scheme, raw, _ := strings.Cut(fields[0], " ")
	raw = strings.TrimLeft(raw, " ") // one space or several (RFC 6750 section 2.1)
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return nil, &Error{Code: CodeMissingToken, Reason: "the Authorization header holds no bearer token"}
	}
	token, err := v.Verify(r.Context(), raw)
	if err != nil {
		return nil, err
	}
	if formHasToken(r) {
		return nil, &Error{Code: CodeInvalidRequest, Reason: "the request has a token in its header and another in its form"}
	}
	return token, nil
}

// maxFormPeek is how much of a form is searched. A second token after that goes unnoticed, but is
// not used either.
const maxFormPeek = 64 << 10

// formHasToken reports whether a form body has an access_token, and puts the body back for the
// handler. It runs for authenticated requests only, so strangers cannot make the server read
// bodies.
func formHasToken(r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return false
	}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/x-www-form-urlencoded" {
		return false
	}
	body := r.Body
	start, err := io.ReadAll(io.LimitReader(body, maxFormPeek))
	rest := io.Reader(body)
	if err != nil {
		rest = failingReader{err} // the handler gets the error at the place where it happened
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), rest), body}
	for pair := range strings.SplitSeq(string(start), "&") {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && name == "access_token" {
			return true
		}
	}
	return false
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// answer is what a caller learns about a code. The texts are fixed, so that no part of the request
// is reflected.
type answer struct {
	status int
	oauth  string // error code of RFC 6750 section 3.1; empty: none, or no challenge
	detail string
}

var answers = map[string]answer{
	CodeMissingToken:      {http.StatusUnauthorized, "", "Send an access token in the header Authorization: Bearer."},
	CodeInvalidRequest:    {http.StatusBadRequest, "invalid_request", "Send exactly one access token, in the Authorization header."},
	CodeTokenInvalid:      {http.StatusUnauthorized, "invalid_token", "The access token is not valid here."},
	CodeTokenExpired:      {http.StatusUnauthorized, "invalid_token", "The access token has expired; get a new one."},
	CodeInsufficientScope: {http.StatusForbidden, "insufficient_scope", "The access token was not granted the scope that is needed here."},
	CodeInsufficientUserAuthentication: {http.StatusUnauthorized, "insufficient_user_authentication",
		"The login behind the access token is not strong or not recent enough here; the user must log in again."},
	CodeKeysUnavailable: {http.StatusServiceUnavailable, "", "The access token cannot be checked at the moment; try again later."},
}

// noUserAnswer is the answer to a client that acts for itself where a login is required.
var noUserAnswer = answer{http.StatusForbidden, "insufficient_scope", "There is no user behind this access token; send the token of a user who logged in."}

// WriteError answers a request with an error of Verify or Authenticate. Any other error is answered
// like an invalid token.
func (v *Verifier) WriteError(w http.ResponseWriter, err error) { v.writeError(w, err, nil) }

// writeError is WriteError where the request needs scopes. A challenge names them to a client
// without a valid token only beside the metadata, in which they are no secret.
func (v *Verifier) writeError(w http.ResponseWriter, err error, scopes []string) {
	var e *Error
	if !errors.As(err, &e) || e == nil || answers[e.Code] == (answer{}) {
		e = &Error{Code: CodeTokenInvalid, Reason: "unknown error", cause: err}
	}
	// At level debug: callers cause refusals, and an outage has already been logged once.
	v.log.Debug("request refused", "code", e.Code, "reason", e.Reason)

	a := answers[e.Code]
	if e.noUser {
		a = noUserAnswer
	}
	h := w.Header()
	if a.status != http.StatusServiceUnavailable {
		challenge := `Bearer realm="` + quotable(v.audience[0]) + `"`
		if a.oauth != "" {
			challenge = `Bearer error="` + a.oauth + `", error_description="` + a.detail + `"`
		}
		named := e.Scopes
		if len(named) == 0 && a.status == http.StatusUnauthorized && v.metadata != nil {
			named = scopes
		}
		if len(named) > 0 {
			challenge += `, scope="` + quotable(strings.Join(named, " ")) + `"`
		}
		if len(e.ACRValues) > 0 {
			challenge += `, acr_values="` + quotable(strings.Join(e.ACRValues, " ")) + `"`
		}
		if e.MaxAge > 0 { // in quotes, as RFC 9470 has it
			challenge += `, max_age="` + strconv.FormatInt(int64(e.MaxAge/time.Second), 10) + `"`
		}
		if v.metadata != nil { // RFC 9728 section 5.1
			challenge += `, resource_metadata="` + v.metadata.url + `"`
		}
		h.Set("WWW-Authenticate", challenge)
	} else {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Content-Length")
	w.WriteHeader(a.status)
	_ = json.NewEncoder(w).Encode(struct { // the caller may be gone
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}{"about:blank", http.StatusText(a.status), a.status, a.detail, e.Code})
}

// quotable drops the characters that RFC 6750 section 3 does not allow inside quotes.
func quotable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
}

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

	"github.com/signet-id/signet/internal/dpop"
)

// Middleware passes requests with a valid access token on to next, where TokenFrom returns the
// token. It answers all other requests itself, as RFC 6750 section 3 says, with a challenge and a
// problem document (RFC 9457) that holds the error's code:
//
//	400 invalid_request     the request has more than one token
//	401 missing_token       the request has no token
//	401 token_invalid       the token is not valid for this resource server
//	401 token_expired       the client must get a new token
//	401 token_revoked       the token was revoked before its end
//	401 invalid_dpop_proof  the token is bound to a key, and the proof is missing or wrong
//	401 use_dpop_nonce      the proof needs the nonce in the header DPoP-Nonce
//	503 overloaded          with Retry-After: no more proofs can be remembered
//	503 keys_unavailable    with Retry-After: the issuer's keys are not available
//	503 status_unavailable  with Retry-After: the token's status list is not available
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

// NewContext returns a context in which TokenFrom finds token, which v verified: for interceptors of
// other transports than HTTP.
func (v *Verifier) NewContext(ctx context.Context, token *Token) context.Context {
	return context.WithValue(ctx, contextKey{}, verified{token: token, by: v})
}

// TokenFrom returns the token that Middleware or RequireScope accepted; false outside of them.
func TokenFrom(ctx context.Context) (*Token, bool) {
	known, _ := ctx.Value(contextKey{}).(verified)
	return known.token, known.token != nil
}

// verifiedFrom returns what v accepted; without a token if that is nothing.
func (v *Verifier) verifiedFrom(ctx context.Context) verified {
	if known, ok := ctx.Value(contextKey{}).(verified); ok && known.by == v {
		return known
	}
	return verified{}
}

// Authenticate finds the request's token, by the scheme Bearer (RFC 6750 section 2.1) or DPoP (RFC 9449
// section 7.1, see Config.DPoP), and verifies it, for handlers that write their own answers; WriteError
// writes the answer that Middleware would give.
//
// A token in the query or in a form is not accepted: the first leaks into logs, the second needs
// the body. A form that carries a token beside the header is refused, because a request must not
// have two tokens.
func (v *Verifier) Authenticate(r *http.Request) (*Token, error) {
	p := Presented{Authorization: r.Header["Authorization"], DPoP: r.Header["Dpop"], Method: r.Method}
	if len(p.DPoP) > 0 { // nothing else names the path
		p.Path = requestPath(r)
	}
	token, err := v.AuthenticatePresented(r.Context(), p)
	if err != nil {
		return nil, err
	}
	if formHasToken(r) {
		return nil, &Error{
			Code: CodeInvalidRequest, Reason: "the request has a token in its header and another in its form",
		}
	}
	return token, nil
}

// Presented is what a request says about its token, for transports that have no http.Request.
type Presented struct {
	Authorization []string // the values of the header Authorization
	DPoP          []string // the values of the header DPoP
	Method        string   // of the HTTP request; POST with gRPC
	Path          string   // as the client wrote it, escaped; with gRPC the full name of the method
}

// AuthenticatePresented is Authenticate for other transports, such as that of package grpcauth. The
// next nonce of a client that sent a proof is NextNonce's.
func (v *Verifier) AuthenticatePresented(ctx context.Context, p Presented) (*Token, error) {
	switch len(p.Authorization) {
	case 0:
		return nil, &Error{Code: CodeMissingToken, Reason: "the request has no Authorization header"}
	case 1:
	default:
		return nil, &Error{Code: CodeInvalidRequest, Reason: "the request has more than one Authorization header"}
	}
	scheme, raw, _ := strings.Cut(p.Authorization[0], " ")
	raw = strings.TrimLeft(raw, " ") // one space or several (RFC 6750 section 2.1)
	byDPoP := v.dpop != nil && strings.EqualFold(scheme, "DPoP")
	switch {
	case !byDPoP && !strings.EqualFold(scheme, "Bearer") || raw == "":
		return nil, &Error{Code: CodeMissingToken, Reason: "the Authorization header holds no bearer token"}
	case byDPoP:
		return v.VerifyDPoP(ctx, raw, DPoPRequest{Proofs: p.DPoP, Method: p.Method, URL: v.dpop.url + p.Path})
	case v.dpop != nil && v.dpop.required:
		return nil, challengedByDPoP(invalid("", "bearer tokens are refused here (DPoP.Required)"))
	}
	return v.Verify(ctx, raw)
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
	CodeTokenRevoked:      {http.StatusUnauthorized, "invalid_token", "The access token was revoked; get a new one."},
	CodeInsufficientScope: {http.StatusForbidden, "insufficient_scope", "The access token was not granted the scope that is needed here."},
	CodeInsufficientRole:  {http.StatusForbidden, "insufficient_scope", "The user does not have the role that is needed here."},
	CodeInsufficientUserAuthentication: {http.StatusUnauthorized, "insufficient_user_authentication",
		"The login behind the access token is not strong or not recent enough here; the user must log in again."},
	CodeInvalidDPoPProof:  {http.StatusUnauthorized, "invalid_dpop_proof", "The DPoP proof is not valid for this request."},
	CodeUseDPoPNonce:      {http.StatusUnauthorized, "use_dpop_nonce", "Make a new DPoP proof with the nonce in the header DPoP-Nonce."},
	CodeOverloaded:        {http.StatusServiceUnavailable, "", "The DPoP proof cannot be remembered at the moment; try again later."},
	CodeStatusUnavailable: {http.StatusServiceUnavailable, "", "The access token cannot be checked at the moment; try again later."},
	CodeKeysUnavailable:   {http.StatusServiceUnavailable, "", "The access token cannot be checked at the moment; try again later."},
}

// noUserAnswer is the answer to a client that acts for itself where a login is required.
var noUserAnswer = answer{http.StatusForbidden, "insufficient_scope",
	"There is no user behind this access token; send the token of a user who logged in."}

// answered returns err as an *Error that has an answer, and the answer. Any other error is answered
// like an invalid token.
func answered(err error) (*Error, answer) {
	var e *Error
	if !errors.As(err, &e) || e == nil || answers[e.Code] == (answer{}) {
		e = &Error{Code: CodeTokenInvalid, Reason: "unknown error", cause: err}
	}
	if e.noUser {
		return e, noUserAnswer
	}
	return e, answers[e.Code]
}

// Status returns the HTTP status and the sentence with which WriteError answers an error of Verify,
// Authenticate or Check. The sentence is for the caller and repeats nothing of the request.
func Status(err error) (status int, detail string) {
	_, a := answered(err)
	return a.status, a.detail
}

// WriteError answers a request with an error of Verify, Authenticate or Check. Any other error is
// answered like an invalid token.
func (v *Verifier) WriteError(w http.ResponseWriter, err error) { v.writeError(w, err, nil) }

// writeError is WriteError where the request needs scopes.
func (v *Verifier) writeError(w http.ResponseWriter, err error, scopes []string) {
	e, a := answered(err)
	// At level debug: callers cause refusals, and an outage has already been logged once.
	v.log.Debug("request refused", "code", e.Code, "reason", e.Reason)

	h := w.Header()
	if challenges := v.challenges(err, scopes); len(challenges) > 0 {
		h["Www-Authenticate"] = challenges
		if e.Nonce != "" {
			h.Set(dpop.NonceName, e.Nonce)
		}
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

// Challenges returns the values of WWW-Authenticate with which WriteError answers err, for transports
// other than HTTP; none where nothing was decided (503), which is no fault of the caller. The scopes of
// need are named as Require does for a caller without a valid token.
func (v *Verifier) Challenges(err error, need Requirement) []string {
	return v.challenges(err, need.Scopes)
}

// challenges names the needed scopes to a client without a valid token only beside the metadata, in
// which they are no secret.
func (v *Verifier) challenges(err error, scopes []string) []string {
	e, a := answered(err)
	if a.status == http.StatusServiceUnavailable {
		return nil
	}
	scheme := "Bearer "
	if e.byDPoP {
		scheme = dpopChallenge + ", "
	}
	challenge := scheme + `realm="` + quotable(v.realm) + `"`
	if a.oauth != "" {
		challenge = scheme + `error="` + a.oauth + `", error_description="` + a.detail + `"`
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
	if v.dpop != nil && !e.byDPoP && (a.oauth == "" || a.oauth == "invalid_token") {
		return []string{challenge, dpopChallenge}
	}
	return []string{challenge}
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

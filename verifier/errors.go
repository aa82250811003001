package verifier

import "time"

// The codes of an Error: stable, for programs. They are the codes of Signet's
// own account API.
const (
	CodeMissingToken      = "missing_token"      // 401: the request has no bearer token
	CodeInvalidRequest    = "invalid_request"    // 400: the token is presented in more than one way
	CodeTokenInvalid      = "token_invalid"      // 401: not an access token for this resource server
	CodeTokenExpired      = "token_expired"      // 401: it was one
	CodeInsufficientScope = "insufficient_scope" // 403: it is one, but was not granted what is needed
	CodeKeysUnavailable   = "keys_unavailable"   // 503: nothing was decided: no keys to go by
)

// Targets for errors.Is.
var (
	ErrMissingToken      error = &Error{Code: CodeMissingToken}
	ErrInvalidRequest    error = &Error{Code: CodeInvalidRequest}
	ErrInvalid           error = &Error{Code: CodeTokenInvalid}
	ErrExpired           error = &Error{Code: CodeTokenExpired}
	ErrInsufficientScope error = &Error{Code: CodeInsufficientScope}
	ErrKeysUnavailable   error = &Error{Code: CodeKeysUnavailable}
)

// Error is every error of Verify and Authenticate. Reason is for the resource
// server's own log: it says which rule refused the token and never repeats the
// token; callers are told no more than Code says.
type Error struct {
	Code       string
	Reason     string
	Scopes     []string      // with insufficient_scope: what is needed
	RetryAfter time.Duration // with keys_unavailable: when the next attempt is due
	cause      error
}

func (e *Error) Error() string {
	if e == nil { // a nil *Error in an error is a caller's slip, not worth a panic
		return CodeTokenInvalid
	}
	if e.Reason == "" {
		return e.Code
	}
	return e.Code + ": " + e.Reason
}

func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// Is matches the targets above by their code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e != nil && t != nil && t.Code == e.Code && t.Reason == ""
}

func invalid(reason string) *Error { return &Error{Code: CodeTokenInvalid, Reason: reason} }

package verifier

import "time"

// The codes of an Error. They are stable, so programs may compare them. Signet's own account API
// has the same codes, but for insufficient_user_authentication.
const (
	CodeMissingToken      = "missing_token"      // 401: the request has no bearer token
	CodeInvalidRequest    = "invalid_request"    // 400: the token is presented in more than one way
	CodeTokenInvalid      = "token_invalid"      // 401: not an access token for this resource server
	CodeTokenExpired      = "token_expired"      // 401: the token was valid, and has expired
	CodeInsufficientScope = "insufficient_scope" // 403: the token is valid, but lacks a needed scope
	CodeKeysUnavailable   = "keys_unavailable"   // 503: not decided, because there are no keys to check with

	// 401: the token is valid, but its user must log in again, with more factors or more recently.
	CodeInsufficientUserAuthentication = "insufficient_user_authentication"
)

// Targets for errors.Is.
var (
	ErrMissingToken      error = &Error{Code: CodeMissingToken}
	ErrInvalidRequest    error = &Error{Code: CodeInvalidRequest}
	ErrInvalid           error = &Error{Code: CodeTokenInvalid}
	ErrExpired           error = &Error{Code: CodeTokenExpired}
	ErrInsufficientScope error = &Error{Code: CodeInsufficientScope}
	ErrKeysUnavailable   error = &Error{Code: CodeKeysUnavailable}

	ErrInsufficientUserAuthentication error = &Error{Code: CodeInsufficientUserAuthentication}
)

// Error is the type of every error of Verify and Authenticate. Reason is for the resource server's
// own log: it names the rule that refused the token and never repeats the token. Callers get no
// more than Code says.
type Error struct {
	Code       string
	Reason     string
	Scopes     []string      // with insufficient_scope and insufficient_user_authentication: the needed scopes
	ACRValues  []string      // with insufficient_user_authentication: the acr values, one of which is needed
	MaxAge     time.Duration // with insufficient_user_authentication: how old the login may be; zero: any age
	RetryAfter time.Duration // with keys_unavailable: when the next attempt is due
	noUser     bool          // with insufficient_scope: a user is needed, and no scope helps
	cause      error
}

func (e *Error) Error() string {
	if e == nil { // a nil *Error in an error is a caller's mistake, and not worth a panic
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

// Is reports whether target is the Err variable above with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e != nil && t != nil && t.Code == e.Code && t.Reason == ""
}

func invalid(reason string) *Error { return &Error{Code: CodeTokenInvalid, Reason: reason} }

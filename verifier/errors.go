package verifier

import (
	"errors"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// The codes of an Error. They are stable, so programs may compare them. Signet's own account API
// has the same codes, but for insufficient_user_authentication and insufficient_role.
const (
	CodeMissingToken      = "missing_token"      // 401: the request has no bearer token
	CodeInvalidRequest    = "invalid_request"    // 400: the token is presented in more than one way
	CodeTokenInvalid      = "token_invalid"      // 401: not an access token for this resource server
	CodeTokenExpired      = "token_expired"      // 401: the token was valid, and has expired
	CodeTokenRevoked      = "token_revoked"      // 401: the token was valid, and is revoked
	CodeInsufficientScope = "insufficient_scope" // 403: the token is valid, but lacks a needed scope
	CodeInsufficientRole  = "insufficient_role"  // 403: the token is valid, but its user lacks a needed role
	CodeInvalidDPoPProof  = "invalid_dpop_proof" // 401: the token is bound to a key, and the proof is missing or wrong
	CodeUseDPoPNonce      = "use_dpop_nonce"     // 401: the proof needs the nonce in the header DPoP-Nonce
	CodeOverloaded        = "overloaded"         // 503: not decided, because no more proofs can be remembered
	CodeKeysUnavailable   = "keys_unavailable"   // 503: not decided, because there are no keys to check with
	CodeStatusUnavailable = "status_unavailable" // 503: not decided, because the token's status list cannot be had

	// 401: the token is valid, but its user must log in again, with more factors or more recently.
	CodeInsufficientUserAuthentication = "insufficient_user_authentication"
)

// Targets for errors.Is, one for each code. ErrInvalid stands for all tokens that are not accepted,
// the expired and the revoked ones as well.
var (
	ErrMissingToken      error = &Error{Code: CodeMissingToken}
	ErrInvalidRequest    error = &Error{Code: CodeInvalidRequest}
	ErrInvalid           error = &Error{Code: CodeTokenInvalid}
	ErrExpired           error = &Error{Code: CodeTokenExpired}
	ErrRevoked           error = &Error{Code: CodeTokenRevoked}
	ErrInsufficientScope error = &Error{Code: CodeInsufficientScope}
	ErrInsufficientRole  error = &Error{Code: CodeInsufficientRole}
	ErrInvalidDPoPProof  error = &Error{Code: CodeInvalidDPoPProof}
	ErrUseDPoPNonce      error = &Error{Code: CodeUseDPoPNonce}
	ErrOverloaded        error = &Error{Code: CodeOverloaded}
	ErrKeysUnavailable   error = &Error{Code: CodeKeysUnavailable}
	ErrStatusUnavailable error = &Error{Code: CodeStatusUnavailable}

	ErrInsufficientUserAuthentication error = &Error{Code: CodeInsufficientUserAuthentication}
)

// Targets for errors.Is that say which rule refused a token. Each error that is one of them is
// ErrInvalid as well, and so is its code: callers of a resource server do not learn the difference.
//
// ErrWrongAudience, ErrNotYetValid and ErrExpired are said of genuine tokens only: the signature is
// checked before.
var (
	ErrMalformed      = because(faultMalformed)      // no JWS, or not with the claims of RFC 9068
	ErrWrongType      = because(faultWrongType)      // such as an ID token
	ErrWrongAlgorithm = because(faultWrongAlgorithm) // `alg` is not one of Algorithms, or not the key's
	ErrWrongIssuer    = because(faultWrongIssuer)    // `iss` is no issuer of the Config
	ErrUnknownKey     = because(faultUnknownKey)     // `kid` is not published, or not any more
	ErrSignature      = because(faultSignature)      // another key signed the token, or it was changed
	ErrWrongAudience  = because(faultWrongAudience)  // genuine, but for others
	ErrNotYetValid    = because(faultNotYetValid)    // genuine, but `nbf` or `iat` is in the future
)

func because(f fault) error { return &Error{Code: CodeTokenInvalid, fault: f} }

// fault is the rule that refused a token.
type fault string

const (
	faultMalformed      fault = "malformed"
	faultWrongType      fault = "type"
	faultWrongAlgorithm fault = "algorithm"
	faultWrongIssuer    fault = "issuer"
	faultUnknownKey     fault = "key"
	faultSignature      fault = "signature"
	faultWrongAudience  fault = "audience"
	faultNotYetValid    fault = "not yet"
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
	RetryAfter time.Duration // with keys_unavailable, status_unavailable and overloaded: when the next attempt is due
	Nonce      string        // for the header DPoP-Nonce of the answer; empty: none
	byDPoP     bool          // the challenge has to be that of the scheme DPoP
	fault      fault         // with token_invalid; empty: some other rule
	noUser     bool          // with insufficient_scope: a user is needed, and no scope helps
	cause      error
}

func (e *Error) Error() string {
	if e == nil { // a nil *Error in an error is a caller's mistake, and not worth a panic
		return CodeTokenInvalid
	}
	switch {
	case e.Reason != "":
		return e.Code + ": " + e.Reason
	case e.fault != "" && e.Code == CodeTokenInvalid: // a target
		return e.Code + ": " + string(e.fault)
	}
	return e.Code
}

func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// Is reports whether target is one of the Err variables above that stand for e.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	if !ok || e == nil || t == nil || t.Reason != "" {
		return false
	}
	if t.Code == CodeTokenInvalid && t.fault == "" {
		return e.Code == CodeTokenInvalid || e.Code == CodeTokenExpired || e.Code == CodeTokenRevoked
	}
	return t.Code == e.Code && (t.fault == "" || t.fault == e.fault)
}

func invalid(f fault, reason string) *Error {
	return &Error{Code: CodeTokenInvalid, fault: f, Reason: reason}
}

// refused returns the error of a genuine token that Check refuses.
func refused(refusal error) *Error {
	switch {
	case errors.Is(refusal, jose.ErrExpired):
		return &Error{Code: CodeTokenExpired, Reason: refusal.Error()}
	case errors.Is(refusal, jose.ErrOtherAudience):
		return invalid(faultWrongAudience, refusal.Error())
	case errors.Is(refusal, jose.ErrNotYetValid):
		return invalid(faultNotYetValid, refusal.Error())
	}
	return invalid("", refusal.Error())
}

package issuer

import (
	"context"
	"errors"

	"github.com/signet-id/signet/userstore"
)

// Code is a stable error code for programs: the codes of RFC 6749 section 5.2 and RFC 6750 section
// 3.1, and a few of our own for the account API.
type Code string

const (
	InvalidRequest       Code = "invalid_request"
	InvalidClient        Code = "invalid_client"
	InvalidGrant         Code = "invalid_grant"
	UnauthorizedClient   Code = "unauthorized_client"
	UnsupportedGrantType Code = "unsupported_grant_type"
	UnsupportedTokenType Code = "unsupported_token_type" // RFC 7009 section 2.2.1
	InvalidScope         Code = "invalid_scope"
	InvalidTarget        Code = "invalid_target"
	AccessDenied         Code = "access_denied"
	InvalidToken         Code = "invalid_token"
	InsufficientScope    Code = "insufficient_scope"
	ServerError          Code = "server_error"
	Unavailable          Code = "temporarily_unavailable" // store or keys: 503, nothing was decided

	InvalidCredentials Code = "invalid_credentials"
	AccountDisabled    Code = "account_disabled"
	EmailNotVerified   Code = "email_not_verified"
	Overloaded         Code = "overloaded"
	RateLimited        Code = "rate_limited"  // the cause is a *userstore.RateLimitedError
	Expired            Code = "token_expired" // access or refresh token past its time

	SecondFactorRequired Code = "second_factor_required"       // Step says how the login goes on
	SecondFactorSetup    Code = "second_factor_setup_required" // Step opens the setup
	FactorRefused        Code = "invalid_code"                 // a code or a passkey
	CodesBlocked         Code = "codes_blocked"
	LoginOver            Code = "login_expired"
	NoPasskeys           Code = "no_passkeys"
	MailCodeRequired     Code = "mail_code_required" // of a setup: the mailbox has to be proved as well

	NotManageable Code = "client_not_manageable" // of a registration; its word for the client is access_denied
)

// Error is the error that a caller gets. Cause is for the log only.
type Error struct {
	Code        Code
	Description string // one sentence that says what to do; only %x20-21 / %x23-5B / %x5D-7E
	Cause       error
	Fault       string     // of a client's metadata document: what is wrong with it; empty: nothing
	Step        *LoginStep // of SecondFactorRequired and SecondFactorSetup
	Resource    bool       // the request presents an access token: the answer is that of a resource (RFC 9449 section 7.1)
	// RecoveryCodes were made by a setup whose login then failed: the client shows them this once.
	RecoveryCodes []string
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Description }
func (e *Error) Unwrap() error { return e.Cause }

// Reason returns the reason for the log: the cause, or else the description.
func (e *Error) Reason() string {
	if e.Cause != nil {
		return e.Cause.Error()
	}
	return e.Description
}

// refuse makes an Error. Descriptions are fixed texts and never repeat the caller's input.
func refuse(code Code, description string) *Error {
	return &Error{Code: code, Description: description}
}

// because returns the refusal with a private cause for the log.
func (e *Error) because(cause error) *Error {
	return &Error{Code: e.Code, Description: e.Description, Fault: e.Fault, Cause: cause}
}

var (
	errUnavailable = refuse(Unavailable, "Nothing was decided: try the same request again in a moment.")
	errServer      = refuse(ServerError, "Something is wrong here, and it has been logged: try again later.")
)

// failed translates the errors of store and accounts, once for all callers. A failure of the
// infrastructure is Unavailable, because any other code would let a client throw its tokens away. A
// sentinel that the caller did not expect, or an undeclared error, is a bug of ours: ServerError.
func failed(err error) *Error {
	var e *Error
	var invalid *userstore.ValidationError
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, userstore.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errUnavailable.because(err)
	case errors.Is(err, userstore.ErrInvalidCredentials):
		return refuse(InvalidCredentials, "The name or the password is wrong.")
	case errors.Is(err, userstore.ErrAccountDisabled):
		return refuse(AccountDisabled, "This account is disabled: ask whoever runs this service.")
	case errors.Is(err, userstore.ErrEmailNotVerified):
		return refuse(EmailNotVerified, "The account's email address is not proved: ask for a message at "+
			"/v1/email/verification, and prove it with the password.").because(err)
	case errors.Is(err, userstore.ErrSecondFactor):
		return errSecondFactor.because(err)
	case errors.Is(err, userstore.ErrSetupRequired):
		return errSetup.because(err)
	case errors.Is(err, userstore.ErrFactorRefused):
		return errFactorRefused.because(err)
	case errors.Is(err, userstore.ErrCodesBlocked):
		return errCodesBlocked.because(err)
	case errors.Is(err, userstore.ErrStepOver):
		return errStepOver.because(err)
	case errors.Is(err, userstore.ErrNoPasskeys):
		return errNoPasskeys.because(err)
	case errors.Is(err, userstore.ErrOverloaded):
		return refuse(Overloaded, "Too many sign-ins at once: try again in a moment.").because(err)
	case errors.Is(err, userstore.ErrRateLimited):
		return refuse(RateLimited, "Too many attempts: wait before you try again.").because(err)
	case errors.As(err, &invalid):
		return refuse(InvalidRequest, "The request cannot be read as it is: send either email or username, and the password.").because(err)
	}
	return errServer.because(err)
}

// unready is failed for the key set, all of whose errors mean that this replica may not sign.
func unready(err error) *Error { return errUnavailable.because(err) }

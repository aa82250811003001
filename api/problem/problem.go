// Package problem holds the error codes of the HTTP API, the table from code to answer, and the one
// function from an error to its code. api/errors.go and api/pages write problems.
package problem

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// Code names a problem for programs. It never changes once published.
type Code string

// The codes.
const (
	ValidationError     Code = "validation_error"
	InvalidRequest      Code = "invalid_request"
	InvalidClient       Code = "invalid_client"
	UnauthorizedClient  Code = "unauthorized_client"
	InvalidScope        Code = "invalid_scope"
	InvalidTarget       Code = "invalid_target"
	InvalidCredentials  Code = "invalid_credentials"
	MissingToken        Code = "missing_token"
	TokenExpired        Code = "token_expired"
	TokenInvalid        Code = "token_invalid"
	AccountDisabled     Code = "account_disabled"
	EmailNotVerified    Code = "email_not_verified"
	WrongPassword       Code = "wrong_password"
	RecentProofRequired Code = "recent_proof_required"
	MailCodeRequired    Code = "mail_code_required"
	SecondFactor        Code = "second_factor_required"
	SecondFactorSetup   Code = "second_factor_setup_required"
	InvalidCode         Code = "invalid_code" // of a second factor, or a passkey
	LoginOver           Code = "login_expired"
	CodesBlocked        Code = "codes_blocked"
	FactorsOff          Code = "factors_off"
	LastFactor          Code = "last_factor"
	NoPasskeys          Code = "no_passkeys"
	PasskeyExists       Code = "passkey_exists"
	TooManyPasskeys     Code = "too_many_passkeys"
	OneTimeInvalid      Code = "one_time_token_invalid"
	NewPasswordNeeded   Code = "new_password_required"
	HasPassword         Code = "has_password"
	InsufficientScope   Code = "insufficient_scope"
	SignupClosed        Code = "signup_closed"
	LoginClosed         Code = "login_closed"
	NotFound            Code = "not_found"
	MethodNotAllowed    Code = "method_not_allowed"
	InvalidRedirectURI  Code = "invalid_redirect_uri"
	RequestMissing      Code = "request_missing"
	RequestInvalid      Code = "request_invalid"
	RequestExpired      Code = "request_expired"
	RequestFinished     Code = "request_finished"
	UserCodeUnknown     Code = "user_code_unknown"
	OtherBrowser        Code = "other_browser"
	CookiesOff          Code = "cookies_off"
	CSRF                Code = "csrf"
	InvalidDPoPProof    Code = "invalid_dpop_proof"
	UseDPoPNonce        Code = "use_dpop_nonce"
	UserAlreadyExists   Code = "user_already_exists"
	Conflict            Code = "conflict"
	LastAdmin           Code = "last_admin"
	ClientExists        Code = "client_already_exists"
	BuiltInClient       Code = "built_in_client"
	FirstPartyClient    Code = "first_party_client"
	ClientNotManageable Code = "client_not_manageable"
	BodyTooLarge        Code = "body_too_large"
	UnsupportedMedia    Code = "unsupported_media_type"
	ServerError         Code = "server_error"
	Unavailable         Code = "temporarily_unavailable"
	Overloaded          Code = "overloaded"
	RateLimited         Code = "rate_limited"
)

// Kind is what all problems of one code have in common.
type Kind struct {
	Status     int
	Title      string
	Detail     string      // one sentence that says what to do, when the place has none of its own
	Bearer     string      // RFC 6750 error of the challenge; "-": a challenge without one
	RetryAfter string      // seconds
	OAuth      issuer.Code // on the protocol endpoints; empty: invalid_request
}

// kinds is the one table from code to answer.
var kinds = map[Code]Kind{
	ValidationError: {Status: 400, Title: "The request is not valid", Detail: "Correct the fields named in errors."},
	InvalidRequest: {
		Status: 400, Title: "The request is malformed",
		Detail: "Correct the request and send it again.",
		Bearer: "invalid_request",
	},

	InvalidClient: {
		Status: 400, Title: "Unknown client",
		Detail: "Use a public first-party client, or leave client_id out.",
	},
	UnauthorizedClient: {
		Status: 400, Title: "The client may not do this",
		Detail: "Use a public first-party client, or leave client_id out.",
	},
	InvalidScope: {
		Status: 400, Title: "The scope cannot be granted",
		Detail: "Ask for scopes that the client and the user may have.",
	},
	InvalidTarget: {
		Status: 400, Title: "The resource cannot be asked for",
		Detail: "Name resources that are registered for the client.",
	},

	InvalidCredentials: {
		Status: 401, Title: "Wrong credentials",
		Detail: "No account matches this name and password.",
		Bearer: "-",
	},
	MissingToken: {
		Status: 401, Title: "An access token is needed",
		Detail: "Send an access token in the header Authorization: Bearer.",
		Bearer: "-", OAuth: issuer.InvalidToken,
	},
	TokenExpired: {
		Status: 401, Title: "The token has expired",
		Detail: "Refresh, or log in again.",
		Bearer: "invalid_token", OAuth: issuer.InvalidToken,
	},
	TokenInvalid: {
		Status: 401, Title: "The token is not valid",
		Detail: "Log in again.",
		Bearer: "invalid_token", OAuth: issuer.InvalidToken,
	},

	// RFC 9470: the token is good, and proves too little. A refresh does not help.
	RecentProofRequired: {
		Status: 401, Title: "A recent proof is needed",
		Detail: "Send the account's password as current_password, or a proof from /v1/profile/prove as proof.",
		Bearer: "insufficient_user_authentication",
	},
	InvalidDPoPProof: {
		Status: 401, Title: "The DPoP proof is not valid",
		Detail: "Send a DPoP proof that is made for this request alone, and compare the clocks.",
		Bearer: "invalid_dpop_proof",
	},
	UseDPoPNonce: {
		Status: 401, Title: "The DPoP proof needs a nonce",
		Detail: "Make a new DPoP proof with the nonce in the header DPoP-Nonce of this answer.",
		Bearer: "use_dpop_nonce",
	},
	MailCodeRequired: {
		Status: 401, Title: "A code from the mailbox is needed",
		Detail: "Ask for a code at /v1/profile/factors/code, and send it with the password to /v1/profile/prove.",
		Bearer: "insufficient_user_authentication",
	},

	// The second step of a login. No access token was sent, and none helps.
	SecondFactor: {
		Status: 401, Title: "A second factor is needed",
		Detail: "Take the second step with login and one of methods.",
		Bearer: "-",
	},
	SecondFactorSetup: {
		Status: 401, Title: "A second factor has to be set up",
		Detail: "Set one up with login at /v1/login/setup: the tokens come with it.",
		Bearer: "-",
	},
	InvalidCode: {
		Status: 401, Title: "The code or passkey is not right",
		Detail: "Try again: a code counts once and for a short time, and an answer of a passkey once.",
		Bearer: "-",
	},
	LoginOver: {
		Status: 401, Title: "The sign-in has ended",
		Detail: "Begin again with the password: a sign-in waits five minutes for its second step.",
		Bearer: "-",
	},

	CodesBlocked: {
		Status: 403, Title: "Too many wrong codes",
		Detail: "Codes of the authenticator app do not count any more: use a passkey or a recovery code.",
	},
	FactorsOff: {
		Status: 403, Title: "Second factors are off",
		Detail: "Ask an administrator: no account of this service can get a second factor.",
	},
	AccountDisabled: {
		Status: 403, Title: "The account is disabled",
		Detail: "Ask an administrator to enable the account.",
	},
	EmailNotVerified: {
		Status: 403, Title: "The email address is not verified",
		Detail: "Ask for a message at /v1/email/verification, and prove the address at /v1/email/verify " +
			"with the password.",
	},
	WrongPassword: {
		Status: 403, Title: "The current password is wrong",
		Detail: "Send the account's present password as current_password.",
	},
	InsufficientScope: {
		Status: 403, Title: "The token's scope does not reach this far",
		Detail: "Log in again and ask for the scope that is needed.",
		Bearer: "insufficient_scope", OAuth: issuer.InsufficientScope,
	},
	ClientNotManageable: {
		Status: 403, Title: "The client is managed by operators",
		Detail: "Ask whoever runs this service: the client is disabled, or only operators change it.",
		OAuth:  issuer.AccessDenied,
	},
	SignupClosed: {Status: 403, Title: "Sign-up is closed", Detail: "Ask an administrator for an account."},
	LoginClosed: {
		Status: 403, Title: "Login by JSON is off",
		Detail: "This server takes no passwords here: accounts.json_login is switched off.",
	},

	InvalidRedirectURI: {
		Status: 400, Title: "The redirect URI is not registered",
		Detail: "Send a redirect_uri that is registered for the client, byte for byte.",
	},
	RequestMissing:  {Status: 400, Title: "There is no request", Detail: "Start from the app."},
	RequestInvalid:  {Status: 400, Title: "The request is not one of ours", Detail: "Start again from the app."},
	RequestExpired:  {Status: 400, Title: "The request has expired", Detail: "Start again from the app."},
	UserCodeUnknown: {Status: 400, Title: "No device waits with this code", Detail: "Let the device show a new one."},
	RequestFinished: {Status: 400, Title: "The request was finished before", Detail: "Start again from the app."},
	OtherBrowser: {
		Status: 400, Title: "Begun in another browser",
		Detail: "Start again from the app, in this browser.",
	},
	CookiesOff: {
		Status: 403, Title: "The browser sends no cookies",
		Detail: "Allow cookies for this site, then start again from the app.",
	},
	CSRF: {
		Status: 403, Title: "The form was not sent from here",
		Detail: "Load the page again, with cookies allowed, and send its form once more.",
	},

	OneTimeInvalid: {
		Status: 400, Title: "The link or code is not valid",
		Detail: "Ask for a new message; links and codes work once, for a limited time, and only the newest.",
	},
	NewPasswordNeeded: {
		Status: 409, Title: "A new password is needed",
		Detail: "Send new_password too, or what shows that the account is yours: the handle of the sign-up, an " +
			"access token or the password.",
	},
	HasPassword: {
		Status: 409, Title: "The account has a password",
		Detail: "Only an account without a password is invited to set one; its owner asks at /forgot for another.",
	},
	LastFactor: {
		Status: 409, Title: "This is the last second factor",
		Detail: "Set up another second factor first: this account has to have one.",
	},
	NoPasskeys: {
		Status: 409, Title: "There is no passkey to use",
		Detail: "Use another method: this account, or this service, has no passkeys.",
	},
	PasskeyExists: {
		Status: 409, Title: "The passkey is registered already",
		Detail: "Use another authenticator, or remove the passkey first.",
	},
	TooManyPasskeys: {
		Status: 409, Title: "The account has too many passkeys",
		Detail: "Remove one of them first.",
	},

	NotFound: {Status: 404, Title: "Not found", Detail: "There is nothing here."},
	MethodNotAllowed: {
		Status: 405, Title: "Method not allowed",
		Detail: "Use one of the methods in the header Allow.",
	},
	UserAlreadyExists: {
		Status: 409, Title: "The account exists already",
		Detail: "Log in, or choose other values for the fields named in errors.",
	},
	Conflict: {
		Status: 409, Title: "Changed by somebody else",
		Detail: "Read the present state and try again.",
	},
	ClientExists: {
		Status: 409, Title: "The client exists already",
		Detail: "Choose another client_id, or leave it out to have one made.",
	},
	BuiltInClient: {
		Status: 409, Title: "This client is built in",
		Detail: "Logins that name no client use it; disable it if it shall not be used.",
	},
	FirstPartyClient: {
		Status: 409, Title: "This client is first-party",
		Detail: "Only the command line changes a first-party client.",
	},
	LastAdmin:    {Status: 409, Title: "This is the last admin", Detail: "Make another admin first."},
	BodyTooLarge: {Status: 413, Title: "The body is too large", Detail: "Send at most 64 KiB."},
	UnsupportedMedia: {
		Status: 415, Title: "Unsupported media type",
		Detail: "Send JSON with Content-Type: application/json.",
	},

	RateLimited: {
		Status: 429, Title: "Too many attempts",
		Detail: "Wait as many seconds as the header Retry-After says; nothing was checked.",
		OAuth:  issuer.Unavailable,
	},

	ServerError: {
		Status: 500, Title: "Something went wrong on our side",
		Detail: "Try again; when it persists, give the operator the request id.",
		OAuth:  issuer.ServerError,
	},
	Unavailable: {
		Status: 503, Title: "Temporarily unavailable",
		Detail:     "Try again in a moment; a change that was under way may have been made.",
		RetryAfter: "2", OAuth: issuer.Unavailable,
	},
	Overloaded: {
		Status: 503, Title: "Too busy",
		Detail:     "Try again in a moment; nothing was changed.",
		RetryAfter: "1", OAuth: issuer.Unavailable,
	},
}

// Problem is an error that knows its answer. Only Code, Detail, Errors, Step and RecoveryCodes are shown
// to the client.
type Problem struct {
	Code   Code
	Detail string
	Errors []Fault
	Step   *issuer.LoginStep // how a login goes on; nil: it does not
	// RecoveryCodes were made by a setup whose login then failed: no other answer shows them.
	RecoveryCodes []string

	Fault string      // of a client's metadata document; empty: none
	Said  issuer.Code // the issuer's code; empty: the error did not come from the issuer
	Scope string      // the missing scope, for the challenge
	Retry string      // seconds until a retry; empty: the code's own
	Cause error       // for the log only
	Stack string      // of a panic, for the log only
	// Handle is of a pending request that has expired: the page leads back to its app.
	Handle string
	// Resource says that the request presents an access token, or should: the answer is that of a
	// resource, and names the schemes by which a token can come.
	Resource bool
	Abort    bool // cut the connection: an answer is already half sent
}

// Kind is what is the same for every problem of the code.
func (p *Problem) Kind() Kind { return p.Code.Kind() }

// RetryAfter is the value of the header Retry-After; empty: there is none.
func (p *Problem) RetryAfter() string {
	if p.Retry != "" {
		return p.Retry
	}
	return p.Kind().RetryAfter
}

// Fault is one thing wrong with one field; an empty field means the document itself.
type Fault struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Kind is the line of the table about the code.
func (c Code) Kind() Kind { return kinds[c] }

// Codes lists every code, sorted.
func Codes() []Code { return slices.Sorted(maps.Keys(kinds)) }

func (p *Problem) Error() string { return string(p.Code) + ": " + p.Detail }

// New makes a problem. An empty detail stands for the detail of the code.
func New(c Code, detail string) *Problem {
	if detail == "" {
		detail = kinds[c].Detail
	}
	return &Problem{Code: c, Detail: detail}
}

// Invalid is a validation_error with the given faults.
func Invalid(faults ...Fault) *Problem {
	p := New(ValidationError, "")
	p.Errors = faults
	return p
}

// issuerCodes translates the issuer's codes where the account API has its own word.
var issuerCodes = map[issuer.Code]Code{
	issuer.InvalidRequest:       InvalidRequest,
	issuer.UnsupportedGrantType: InvalidRequest, // only ever said in OAuth's words
	issuer.UnsupportedTokenType: InvalidRequest, // likewise
	issuer.InvalidClient:        InvalidClient,
	issuer.UnauthorizedClient:   UnauthorizedClient,
	issuer.InvalidScope:         InvalidScope,
	issuer.InvalidTarget:        InvalidTarget,
	issuer.InvalidGrant:         TokenInvalid,
	issuer.InvalidToken:         TokenInvalid,
	issuer.Expired:              TokenExpired,
	issuer.InsufficientScope:    InsufficientScope,
	issuer.InvalidCredentials:   InvalidCredentials,
	issuer.AccountDisabled:      AccountDisabled,
	issuer.EmailNotVerified:     EmailNotVerified,
	issuer.Overloaded:           Overloaded,
	issuer.RateLimited:          RateLimited,
	issuer.Unavailable:          Unavailable,
	issuer.InvalidRedirectURI:   InvalidRedirectURI,
	issuer.RequestFinished:      RequestFinished,
	issuer.InvalidRequestURI:    RequestExpired, // which most often it is, and what to do is the same

	issuer.InvalidDPoPProof: InvalidDPoPProof,
	issuer.UseDPoPNonce:     UseDPoPNonce,

	// Of a pushed request, and only ever said in OAuth's words.
	issuer.UnsupportedResponseType: InvalidRequest,
	issuer.UnmetAuthentication:     InvalidRequest,
	issuer.RequestNotSupported:     InvalidRequest,
	issuer.InvalidRequestObject:    InvalidRequest,

	// Of the device authorization grant, and only ever said in OAuth's words; the last one on pages.
	issuer.AuthorizationPending: InvalidRequest,
	issuer.SlowDown:             InvalidRequest,
	issuer.AccessDenied:         InvalidRequest,
	issuer.ExpiredToken:         InvalidRequest,
	issuer.UserCodeUnknown:      UserCodeUnknown,

	// Of a registration, and only ever said in OAuth's words.
	issuer.TokenMissing:                MissingToken,
	issuer.NotManageable:               ClientNotManageable,
	issuer.InvalidClientMetadata:       InvalidRequest,
	issuer.InvalidSoftwareStatement:    InvalidRequest,
	issuer.UnapprovedSoftwareStatement: InvalidRequest,

	issuer.SecondFactorRequired: SecondFactor,
	issuer.SecondFactorSetup:    SecondFactorSetup,
	issuer.FactorRefused:        InvalidCode,
	issuer.CodesBlocked:         CodesBlocked,
	issuer.LoginOver:            LoginOver,
	issuer.NoPasskeys:           NoPasskeys,
	issuer.MailCodeRequired:     MailCodeRequired,
}

// sentinels translates errors without fields.
var sentinels = []struct {
	is   error
	code Code
}{
	{userstore.ErrUnavailable, Unavailable}, // first: it may wrap anything
	{keys.ErrNotReady, Unavailable},
	{userstore.ErrOverloaded, Overloaded},
	{userstore.ErrInvalidCredentials, WrongPassword}, // at /v1/login the issuer answers, with its own code
	{userstore.ErrProofRequired, RecentProofRequired},
	{userstore.ErrAccountDisabled, AccountDisabled},
	{userstore.ErrEmailNotVerified, EmailNotVerified},
	{userstore.ErrAddressNotProved, EmailNotVerified},
	{userstore.ErrSignupClosed, SignupClosed},
	{userstore.ErrFactorRefused, InvalidCode},
	{userstore.ErrStepOver, LoginOver},
	{userstore.ErrCodesBlocked, CodesBlocked},
	{userstore.ErrFactorsOff, FactorsOff},
	{userstore.ErrLastFactor, LastFactor},
	{userstore.ErrNoPasskeys, NoPasskeys},
	{userstore.ErrTokenInvalid, OneTimeInvalid},
	{userstore.ErrNewPassword, NewPasswordNeeded},
	{userstore.ErrHasPassword, HasPassword},
	{userstore.ErrInvalid, InvalidRequest},
	{userstore.ErrNotFound, NotFound},
	{userstore.ErrConflict, Conflict},
	{userstore.ErrLastAdmin, LastAdmin},
	{registration.ErrBuiltIn, BuiltInClient},
	{context.DeadlineExceeded, Unavailable},
	{context.Canceled, Unavailable}, // the client left and does not read this
}

// From is the one function from an error to a problem. An error that it does not know becomes
// server_error, and its text is only logged.
func From(err error) *Problem {
	var (
		p          *Problem
		issued     *issuer.Error
		validation *userstore.ValidationError
		exists     *userstore.ExistsError
		limited    *userstore.RateLimitedError
		strict     *strictjson.Error
		tooLarge   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &validation): // also below an issuer.Error
		p = New(ValidationError, "")
		for _, f := range validation.Fields {
			p.Errors = append(p.Errors, Fault(f))
		}
	case errors.As(err, &limited): // also below an issuer.Error: known or unknown, login or profile, one answer
		p = New(RateLimited, "")
		p.Retry = strconv.FormatInt(int64(max(limited.RetryAfter+time.Second-1, time.Second)/time.Second), 10)
	case errors.As(err, &issued):
		p = New(ServerError, "")
		if c, ok := issuerCodes[issued.Code]; ok {
			p = New(c, issued.Description)
		}
		p.Fault, p.Resource = issued.Fault, issued.Resource
		p.Said, p.Step, p.RecoveryCodes = issued.Code, issued.Step, issued.RecoveryCodes
	case errors.As(err, &exists) && exists.Field == "credential":
		p = New(PasskeyExists, "")
	case errors.As(err, &exists) && exists.Field == "passkeys":
		p = New(TooManyPasskeys, "")
	case errors.As(err, &exists) && exists.Field == "client_id":
		p = New(ClientExists, "")
		p.Errors = []Fault{{
			Field: exists.Field, Code: "taken", Message: "A client with this client_id exists already.",
		}}
	case errors.As(err, &exists):
		p = New(UserAlreadyExists, "")
		p.Errors = []Fault{{
			Field: exists.Field, Code: "taken", Message: "An account with this " + exists.Field + " exists already.",
		}}
	case errors.As(err, &strict):
		p = New(ValidationError, "")
		for _, f := range strict.Problems {
			p.Errors = append(p.Errors, Fault(f))
		}
	case errors.As(err, &tooLarge):
		p = New(BodyTooLarge, "")
	default:
		p = New(ServerError, "")
		for _, s := range sentinels {
			if errors.Is(err, s.is) {
				p = New(s.code, "")
				break
			}
		}
	}
	p.Cause = err
	if issued != nil && issued.Cause != nil {
		p.Cause = issued.Cause // the rest was said to the client
	}
	return p
}

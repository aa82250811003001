package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/issuer"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// code names a problem for programs. It never changes once published.
type code string

const (
	validationError    code = "validation_error"
	invalidRequest     code = "invalid_request"
	invalidClient      code = "invalid_client"
	unauthorizedClient code = "unauthorized_client"
	invalidScope       code = "invalid_scope"
	invalidTarget      code = "invalid_target"
	invalidCredentials code = "invalid_credentials"
	missingToken       code = "missing_token"
	tokenExpired       code = "token_expired"
	tokenInvalid       code = "token_invalid"
	accountDisabled    code = "account_disabled"
	wrongPassword      code = "wrong_password"
	insufficientScope  code = "insufficient_scope"
	signupClosed       code = "signup_closed"
	loginClosed        code = "login_closed"
	notFound           code = "not_found"
	methodNotAllowed   code = "method_not_allowed"
	invalidRedirectURI code = "invalid_redirect_uri"
	requestExpired     code = "request_expired"
	requestFinished    code = "request_finished"
	otherBrowser       code = "other_browser"
	csrf               code = "csrf"
	userAlreadyExists  code = "user_already_exists"
	conflict           code = "conflict"
	lastAdmin          code = "last_admin"
	clientExists       code = "client_already_exists"
	builtInClient      code = "built_in_client"
	firstPartyClient   code = "first_party_client"
	bodyTooLarge       code = "body_too_large"
	unsupportedMedia   code = "unsupported_media_type"
	serverError        code = "server_error"
	unavailable        code = "temporarily_unavailable"
	overloaded         code = "overloaded"
	rateLimited        code = "rate_limited"
)

// kind is what is the same for every problem of a code.
type kind struct {
	status     int
	title      string
	detail     string      // one sentence that says what to do, when the place has none of its own
	bearer     string      // RFC 6750 error of the challenge; "-": a challenge without one
	retryAfter string      // seconds
	oauth      issuer.Code // on the protocol endpoints; empty: invalid_request
}

// problems is the one table from code to answer.
var problems = map[code]kind{
	validationError: {status: 400, title: "The request is not valid", detail: "Correct the fields named in errors."},
	invalidRequest:  {status: 400, title: "The request is malformed", detail: "Correct the request and send it again.", bearer: "invalid_request"},

	invalidClient:      {status: 400, title: "Unknown client", detail: "Use a public first-party client, or leave client_id out."},
	unauthorizedClient: {status: 400, title: "The client may not do this", detail: "Use a public first-party client, or leave client_id out."},
	invalidScope:       {status: 400, title: "The scope cannot be granted", detail: "Ask for scopes that the client and the user may have."},
	invalidTarget:      {status: 400, title: "The resource cannot be asked for", detail: "Name resources that are registered for the client."},

	invalidCredentials: {status: 401, title: "Wrong credentials", detail: "No account matches this name and password.", bearer: "-"},
	missingToken:       {status: 401, title: "An access token is needed", detail: "Send an access token in the header Authorization: Bearer.", bearer: "-", oauth: issuer.InvalidToken},
	tokenExpired:       {status: 401, title: "The token has expired", detail: "Refresh, or log in again.", bearer: "invalid_token", oauth: issuer.InvalidToken},
	tokenInvalid:       {status: 401, title: "The token is not valid", detail: "Log in again.", bearer: "invalid_token", oauth: issuer.InvalidToken},

	accountDisabled:   {status: 403, title: "The account is disabled", detail: "Ask an administrator to enable the account."},
	wrongPassword:     {status: 403, title: "The current password is wrong", detail: "Send the account's present password as current_password."},
	insufficientScope: {status: 403, title: "The token's scope does not reach this far", detail: "Log in again and ask for the scope that is needed.", bearer: "insufficient_scope", oauth: issuer.InsufficientScope},
	signupClosed:      {status: 403, title: "Sign-up is closed", detail: "Ask an administrator for an account."},
	loginClosed:       {status: 403, title: "Login by JSON is off", detail: "This server takes no passwords here: accounts.json_login is switched off."},

	invalidRedirectURI: {status: 400, title: "The redirect URI is not registered", detail: "Send a redirect_uri that is registered for the client, byte for byte."},
	requestExpired:     {status: 400, title: "The request has expired", detail: "Start again from the app."},
	requestFinished:    {status: 400, title: "The request was finished before", detail: "Start again from the app."},
	otherBrowser:       {status: 400, title: "Begun in another browser", detail: "Start again from the app, in this browser."},
	csrf:               {status: 403, title: "The form was not sent from here", detail: "Load the page again, with cookies allowed, and send its form once more."},

	notFound:          {status: 404, title: "Not found", detail: "There is nothing here."},
	methodNotAllowed:  {status: 405, title: "Method not allowed", detail: "Use one of the methods in the header Allow."},
	userAlreadyExists: {status: 409, title: "The account exists already", detail: "Log in, or choose other values for the fields named in errors."},
	conflict:          {status: 409, title: "Changed by somebody else", detail: "Read the present state and try again."},
	clientExists:      {status: 409, title: "The client exists already", detail: "Choose another client_id, or leave it out to have one made."},
	builtInClient:     {status: 409, title: "This client is built in", detail: "Logins that name no client use it; disable it if it shall not be used."},
	firstPartyClient:  {status: 409, title: "This client is first-party", detail: "Only the command line changes a first-party client."},
	lastAdmin:         {status: 409, title: "This is the last admin", detail: "Make another admin first."},
	bodyTooLarge:      {status: 413, title: "The body is too large", detail: "Send at most 64 KiB."},
	unsupportedMedia:  {status: 415, title: "Unsupported media type", detail: "Send JSON with Content-Type: application/json."},

	rateLimited: {status: 429, title: "Too many attempts", detail: "Wait as many seconds as the header Retry-After says; nothing was checked.", oauth: issuer.Unavailable},

	serverError: {status: 500, title: "Something went wrong on our side", detail: "Try again; when it persists, give the operator the request id.", oauth: issuer.ServerError},
	unavailable: {status: 503, title: "Temporarily unavailable", detail: "Try again in a moment; a change that was under way may have been made.", retryAfter: "2", oauth: issuer.Unavailable},
	overloaded:  {status: 503, title: "Too busy", detail: "Try again in a moment; nothing was changed.", retryAfter: "1", oauth: issuer.Unavailable},
}

// problem is the RFC 9457 document and, unexported, what only the pipeline needs.
type problem struct {
	Type   string  `json:"type"` // points into openapi.json, where the code is explained
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Code   code    `json:"code"`
	Errors []fault `json:"errors,omitempty"`

	said  issuer.Code // by the issuer; empty: it is ours
	scope string      // that was missing, for the challenge
	retry string      // seconds, when not those of the code
	cause error       // for the log only
	stack string
	abort bool // cut the connection: an answer is already half sent
}

// fault is one thing wrong with one field; an empty field means the document itself.
type fault struct {
	Field   string `json:"field"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (p *problem) Error() string { return string(p.Code) + ": " + p.Detail }

// newProblem makes one; an empty detail is the code's own.
func newProblem(c code, detail string) *problem {
	if detail == "" {
		detail = problems[c].detail
	}
	return &problem{Code: c, Detail: detail}
}

func invalid(faults ...fault) *problem {
	p := newProblem(validationError, "")
	p.Errors = faults
	return p
}

// issuerCodes translates the issuer's codes where the account API has its own word.
var issuerCodes = map[issuer.Code]code{
	issuer.InvalidRequest:       invalidRequest,
	issuer.UnsupportedGrantType: invalidRequest, // only ever said in OAuth's words
	issuer.UnsupportedTokenType: invalidRequest, // likewise
	issuer.InvalidClient:        invalidClient,
	issuer.UnauthorizedClient:   unauthorizedClient,
	issuer.InvalidScope:         invalidScope,
	issuer.InvalidTarget:        invalidTarget,
	issuer.InvalidGrant:         tokenInvalid,
	issuer.InvalidToken:         tokenInvalid,
	issuer.Expired:              tokenExpired,
	issuer.InsufficientScope:    insufficientScope,
	issuer.InvalidCredentials:   invalidCredentials,
	issuer.AccountDisabled:      accountDisabled,
	issuer.Overloaded:           overloaded,
	issuer.RateLimited:          rateLimited,
	issuer.Unavailable:          unavailable,
	issuer.InvalidRedirectURI:   invalidRedirectURI,
	issuer.RequestFinished:      requestFinished,
}

// sentinels translates errors that carry nothing but their identity.
var sentinels = []struct {
	is   error
	code code
}{
	{userstore.ErrUnavailable, unavailable}, // first: it may wrap anything
	{keys.ErrNotReady, unavailable},
	{userstore.ErrOverloaded, overloaded},
	{userstore.ErrInvalidCredentials, wrongPassword}, // /v1/login hears it from the issuer, under its own code
	{userstore.ErrAccountDisabled, accountDisabled},
	{userstore.ErrSignupClosed, signupClosed},
	{userstore.ErrInvalid, invalidRequest},
	{userstore.ErrNotFound, notFound},
	{userstore.ErrConflict, conflict},
	{userstore.ErrLastAdmin, lastAdmin},
	{userstore.ErrBuiltIn, builtInClient},
	{context.DeadlineExceeded, unavailable},
	{context.Canceled, unavailable}, // the client left; nobody reads this
}

// asProblem is the one way from an error to an answer. What it does not know is
// server_error, and its text goes to the log only.
func asProblem(err error) *problem {
	var (
		p          *problem
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
		p = newProblem(validationError, "")
		for _, f := range validation.Fields {
			p.Errors = append(p.Errors, fault(f))
		}
	case errors.As(err, &limited): // also below an issuer.Error: known or unknown, login or profile, one answer
		p = newProblem(rateLimited, "")
		p.retry = strconv.FormatInt(int64(max(limited.RetryAfter+time.Second-1, time.Second)/time.Second), 10)
	case errors.As(err, &issued):
		p = newProblem(serverError, "")
		if c, ok := issuerCodes[issued.Code]; ok {
			p = newProblem(c, issued.Description)
		}
		p.said = issued.Code
	case errors.As(err, &exists) && exists.Field == "client_id":
		p = newProblem(clientExists, "")
		p.Errors = []fault{{Field: exists.Field, Code: "taken", Message: "A client with this client_id exists already."}}
	case errors.As(err, &exists):
		p = newProblem(userAlreadyExists, "")
		p.Errors = []fault{{Field: exists.Field, Code: "taken", Message: "An account with this " + exists.Field + " exists already."}}
	case errors.As(err, &strict):
		p = newProblem(validationError, "")
		for _, f := range strict.Problems {
			p.Errors = append(p.Errors, fault(f))
		}
	case errors.As(err, &tooLarge):
		p = newProblem(bodyTooLarge, "")
	default:
		p = newProblem(serverError, "")
		for _, s := range sentinels {
			if errors.Is(err, s.is) {
				p = newProblem(s.code, "")
				break
			}
		}
	}
	p.cause = err
	if issued != nil && issued.Cause != nil {
		p.cause = issued.Cause // the rest was said to the client
	}
	return p
}

var (
	problemJSON = []string{"application/problem+json"}
	plainJSON   = []string{"application/json"}
)

// writeProblem answers with p, in the dialect of the route.
func (s *Server) writeProblem(w http.ResponseWriter, r *http.Request, d dialect, p *problem) {
	k := problems[p.Code]
	h := w.Header()
	h["Cache-Control"] = noStore
	delete(h, "Etag")
	if retry := p.retry + k.retryAfter; retry != "" {
		h["Retry-After"] = []string{retry}
	}
	if !d.forPeople() && s.visited404(r, p) {
		h["Vary"] = append(slices.Clone(h["Vary"]), varyFound)
		h["X-Frame-Options"] = noFraming
		s.writeErrorPage(w, r, k, p)
		return
	}
	if d.forPeople() {
		s.writeErrorPage(w, r, k, p)
		return
	}
	if d != account {
		s.writeOAuthError(w, k, p)
		return
	}
	if k.bearer != "" {
		h["Www-Authenticate"] = []string{s.challenge(k, p)}
	}
	p.Type = s.base() + "/openapi.json#/components/examples/" + string(p.Code)
	p.Title, p.Status = k.title, k.status
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers only
	}
	writeBody(w, k.status, problemJSON, body)
}

// challenge is WWW-Authenticate by RFC 6750 section 3. The error stands first and no
// error is said when no token was sent. RFC 9110 asks for a challenge with each 401.
func (s *Server) challenge(k kind, p *problem) string {
	realm := `realm="` + s.Issuer.URL + `"`
	if k.bearer == "-" {
		return "Bearer " + realm
	}
	text := `Bearer error="` + k.bearer + `", error_description="` + quotable(p.Detail) + `"`
	if p.scope != "" {
		text += `, scope="` + p.scope + `"`
	}
	return text + ", " + realm
}

// oauthStatus is the status of what the protocol has a word and a status for: RFC 6749 section 5.2, RFC 6750 section 3.1,
// RFC 7009 section 2.2.1, RFC 8707 section 2.
var oauthStatus = map[issuer.Code]int{
	issuer.InvalidRequest:       400,
	issuer.InvalidGrant:         400,
	issuer.UnauthorizedClient:   400,
	issuer.UnsupportedGrantType: 400,
	issuer.UnsupportedTokenType: 400,
	issuer.InvalidScope:         400,
	issuer.InvalidTarget:        400,
	issuer.InvalidClient:        401,
	issuer.InvalidToken:         401,
	issuer.InsufficientScope:    403,
}

// writeOAuthError answers as RFC 6749 section 5.2 does. A 401 says how to do better (RFC 9110 section 15.5.2): a client
// by Basic, whichever way it tried, and the bearer of a token by Bearer.
func (s *Server) writeOAuthError(w http.ResponseWriter, k kind, p *problem) {
	e := struct {
		Error       issuer.Code `json:"error"`
		Description string      `json:"error_description"`
		Reasons     []fault     `json:"reasons,omitempty"`
	}{k.oauth, quotable(p.Detail), p.Errors}
	status := k.status
	if n, ok := oauthStatus[p.said]; ok {
		e.Error, status = p.said, n
	}
	if e.Error == "" {
		e.Error = issuer.InvalidRequest
	}
	switch {
	case e.Error == issuer.InvalidClient:
		w.Header()["Www-Authenticate"] = []string{`Basic realm="` + s.Issuer.URL + `"`}
	case (status == http.StatusUnauthorized || status == http.StatusForbidden) && k.bearer != "":
		w.Header()["Www-Authenticate"] = []string{s.challenge(k, p)}
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	writeBody(w, status, plainJSON, body)
}

// quotable keeps the characters that RFC 6749 allows in error_description:
// %x20-21 / %x23-5B / %x5D-7E, which are also safe between quotes in a header.
func quotable(text string) string {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			c = '\''
		}
		out = append(out, c)
	}
	return string(out)
}

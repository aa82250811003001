package issuer

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// AuthorizationRequest is a request at the authorization endpoint as it was sent (OIDC Core section
// 3.1.2.1). A parameter without a value counts as left out (RFC 6749 section 3.1).
type AuthorizationRequest struct {
	ClientID, RedirectURI      string
	ResponseType, ResponseMode string
	Scope, State, Nonce        string
	Resource                   []string

	CodeChallenge, CodeChallengeMethod string
	JKT                                string // dpop_jkt (RFC 9449 section 10)

	Prompt, MaxAge, LoginHint, IDTokenHint string
	ACRValues, UILocales, Display, Claims  string

	Request    string // a request object
	RequestURI string // of a pushed request, or where a request object is

	// Repeated are the names of parameters that were sent more than once, though only resource may
	// be.
	Repeated []string

	refused *Error // why the request object is refused; nil: it is not
	pushed  bool   // the client pushed it
}

// Pending is a valid authorization request, bound to a registered redirect URI. It travels through
// the pages in a sealed handle, so that no replica has to store it.
type Pending struct {
	ID string    `json:"id"` // 128 random bits: one request gets one code
	At time.Time `json:"at"`

	ClientID      string     `json:"client_id"`
	RedirectURI   string     `json:"redirect_uri"`
	ResponseType  string     `json:"response_type,omitempty"` // as userstore.ResponseTypes; empty: code
	ResponseMode  string     `json:"response_mode"`           // query, fragment or form_post
	State         opaqueText `json:"state,omitempty"`
	Nonce         opaqueText `json:"nonce,omitempty"`
	Scopes        []string   `json:"scopes"`
	Resources     []string   `json:"resources,omitempty"`
	CodeChallenge string     `json:"code_challenge,omitempty"`
	JKT           string     `json:"dpop_jkt,omitempty"`
	Claims        string     `json:"claims,omitempty"` // canonical JSON

	Prompt      []string `json:"prompt,omitempty"`
	MaxAge      *int64   `json:"max_age,omitempty"` // seconds
	LoginHint   string   `json:"login_hint,omitempty"`
	HintSubject string   `json:"hint_subject,omitempty"` // the sub that id_token_hint names
	ACRValues   []string `json:"acr_values,omitempty"`
	UILocales   []string `json:"ui_locales,omitempty"`

	// Proved is the id of the browser session whose user has logged in for this request. It
	// satisfies prompt=login and max_age, whatever the clocks of the replicas say.
	Proved string `json:"proved,omitempty"`

	Pushed string `json:"pushed,omitempty"` // the id of the pushed request, which is used for one code

	// Device is the id of the device authorization that this request answers: the device polls for
	// the answer, and no browser is redirected. UserCode is what the user typed.
	Device   string `json:"device,omitempty"`
	UserCode string `json:"user_code,omitempty"`
}

// opaqueText is text that only the app understands. JSON holds it in base64url, because escapes
// would make some characters six times as long.
type opaqueText string

// MarshalText writes t in base64url.
func (t opaqueText) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, []byte(t)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (t *opaqueText) UnmarshalText(text []byte) error {
	decoded, err := base64.RawURLEncoding.AppendDecode(nil, text)
	*t = opaqueText(decoded)
	return err
}

// Codes of the authorization endpoint, beside those of error.go (OIDC Core section 3.1.2.6;
// unmet_authentication_requirements has a specification of its own, and the last two are only for
// pages).
const (
	UnsupportedResponseType Code = "unsupported_response_type"
	LoginRequired           Code = "login_required"
	ConsentRequired         Code = "consent_required"
	RequestNotSupported     Code = "request_not_supported"
	InvalidRequestObject    Code = "invalid_request_object"
	InvalidRequestURI       Code = "invalid_request_uri"
	RequestURINotSupported  Code = "request_uri_not_supported"
	UnmetAuthentication     Code = "unmet_authentication_requirements"
	RequestFinished         Code = "request_finished"     // for a page: the one code of the request was used
	InvalidRedirectURI      Code = "invalid_redirect_uri" // for a page: nothing may be sent there
)

// Response modes of our answers (OAuth 2.0 Multiple Response Type Encoding Practices, Form Post
// Response Mode). Unless a response type that is on needs the fragment, it carries only refusals of
// response types whose default it is.
const (
	ModeQuery    = "query"
	ModeFragment = "fragment"
	ModeFormPost = "form_post"
)

// Values of prompt (OIDC Core section 3.1.2.1).
const (
	promptNone          = "none"
	promptLogin         = "login"
	promptConsent       = "consent"
	promptSelectAccount = "select_account"
)

// Bounds of what is carried along with a request. A longer hint is ignored.
const (
	maxState  = 8 << 10
	maxNonce  = 1 << 10
	maxClaims = 4 << 10
	maxHint   = 512
)

var (
	errNoClientID    = refuse(InvalidRequest, "The app did not say who it is: client_id has to be sent, once.")
	errUnknownClient = refuse(InvalidClient, "No app is registered under this client_id.")
	errNoRedirectURI = refuse(InvalidRedirectURI, "The app did not say where to go back to: redirect_uri has to be sent, once.")
	errRedirectURI   = refuse(InvalidRedirectURI, "The redirect_uri is not one that is registered for this app, byte for byte.")
	errRepeated      = refuse(InvalidRequest, "A parameter was sent more than once: send each once (resource aside).")
	errText          = refuse(InvalidRequest, "A parameter is too long, or is not UTF-8 text.")
	errResponseMode  = refuse(InvalidRequest, "The response_mode has to be one of those that discovery lists, and one that reaches the redirect_uri.")
	errNoCodeGrant   = refuse(UnauthorizedClient, "This client is not registered for the grant type authorization_code.")
	errNoScope       = refuse(InvalidScope, "The scope is missing: name at least openid.")
	errPrompt        = refuse(InvalidRequest, "The prompt has to be none, or any of login, consent and select_account.")
	errMaxAge        = refuse(InvalidRequest, "The max_age has to be a number of seconds.")
	errIDTokenHint   = refuse(InvalidRequest, "The id_token_hint is no ID token that this issuer made for this client: leave it out.")
	errTwoSubjects   = refuse(InvalidRequest, "The id_token_hint and the claims parameter name different users.")
	errUnmetACR      = refuse(UnmetAuthentication, "The acr that the claims parameter insists on cannot be reached here, or not with this account.")
)

// Authorize reads an authorization request. The error is an *Error for a page, if nothing may be
// sent to the redirect URI; any other refusal is returned as refused, which is sent to the redirect
// URI.
//
// So client and redirect URI are checked first: every other refusal goes to an address that the
// client's operator registered. The parameters of a request object count from the start.
func (i *Issuer) Authorize(ctx context.Context, r AuthorizationRequest) (p Pending, refused *AuthorizationResponse, err error) {
	client, err := i.requestingClient(ctx, r)
	if err != nil {
		return Pending{}, nil, err
	}
	if r.isPushed() {
		p, err = i.pushedRequest(ctx, client, r)
		return p, nil, err
	}
	p, why, err := i.read(ctx, client, r)
	if err != nil || why == nil {
		return p, nil, err
	}
	response := i.refusal(p, why)
	response.monitor = "" // the session of the browser has not been read
	return Pending{}, &response, nil
}

// read reads a request of client. refused is the reason of a refusal that may be sent to the
// redirect URI: then p says how.
func (i *Issuer) read(ctx context.Context, client userstore.Client, r AuthorizationRequest) (p Pending, refused *Error, err error) {
	r, err = i.withRequestObject(ctx, client, r)
	if err == nil {
		err = checkRedirectURI(ctx, client, r)
	}
	if err != nil {
		return Pending{}, nil, err
	}
	p = Pending{ID: i.NewID(), At: i.now(), ClientID: client.ID, RedirectURI: r.RedirectURI, ResponseMode: r.defaultMode()}
	err = i.readRequest(&p, r.withDefaults(client), client)
	var e *Error
	switch {
	case err == nil:
		return p, nil, nil
	case errors.As(err, &e) && e.Code != Unavailable && e.Code != ServerError:
		return p, e, nil
	}
	return Pending{}, nil, failed(err)
}

// requestingClient finds the client of a request.
func (i *Issuer) requestingClient(ctx context.Context, r AuthorizationRequest) (userstore.Client, error) {
	refusal.Client(ctx, r.ClientID)
	refusal.RedirectURI(ctx, r.RedirectURI)
	if r.ClientID == "" || slices.Contains(r.Repeated, "client_id") {
		return userstore.Client{}, errNoClientID
	}
	return i.enabledClient(ctx, r.ClientID)
}

// checkRedirectURI checks that the redirect URI of a request is registered for the client.
func checkRedirectURI(ctx context.Context, client userstore.Client, r AuthorizationRequest) error {
	refusal.RedirectURI(ctx, r.RedirectURI)
	err := errRedirectURI
	switch {
	case r.RedirectURI == "" || slices.Contains(r.Repeated, "redirect_uri"):
		err = errNoRedirectURI
	case redirects(client, r.RedirectURI):
		return nil
	}
	if r.refused != nil { // the object may have held another one
		return err.because(r.refused)
	}
	return err
}

// enabledClient reads a client for a page.
func (i *Issuer) enabledClient(ctx context.Context, id string) (userstore.Client, error) {
	client, err := i.Clients.ClientByID(ctx, id)
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return client, errUnknownClient
	case err != nil:
		return client, failed(err)
	case !client.DisabledAt.IsZero():
		return client, errClientDisabled
	case client.DocumentLost(i.now()):
		return client, faultLost
	}
	return client, nil
}

// defaultMode returns the response mode of a request that names none (OAuth 2.0 Multiple Response
// Type Encoding Practices section 2.1): a client that asks for a token from this endpoint looks for
// the answer, a refusal too, in the fragment. A response type is a set of words in any order. A
// repeated response_type is ignored.
func (r AuthorizationRequest) defaultMode() string {
	types := words(r.ResponseType)
	if !slices.Contains(r.Repeated, "response_type") &&
		(slices.Contains(types, "token") || slices.Contains(types, "id_token")) {
		return ModeFragment
	}
	return ModeQuery
}

// readRequest fills p from r. It first finds out how an answer gets to the client.
func (i *Issuer) readRequest(p *Pending, r AuthorizationRequest, client userstore.Client) (err error) {
	// If state is repeated or not text, we cannot know which value the client will look for.
	if !slices.Contains(r.Repeated, "state") && utf8.ValidString(r.State) && len(r.State) <= maxState {
		p.State = opaqueText(r.State)
	}
	switch r.ResponseMode {
	case "", p.ResponseMode:
	case ModeQuery:
		p.ResponseMode = ModeQuery
	case ModeFragment:
		if !slices.Contains(i.responseModes(), ModeFragment) {
			return errResponseMode
		}
		p.ResponseMode = ModeFragment
	case ModeFormPost:
		if !strings.HasPrefix(p.RedirectURI, "https://") && !strings.HasPrefix(p.RedirectURI, "http://") {
			return errResponseMode // no form can be posted to an app's own scheme
		}
		p.ResponseMode = ModeFormPost
	default:
		return errResponseMode
	}
	switch {
	case len(r.Repeated) > 0:
		return errRepeated
	case string(p.State) != r.State, !storable(r.Nonce, maxNonce):
		return errText
	case !r.pushed && (i.RequirePushed || client.RequirePushed):
		return errNotPushed
	case r.refused != nil:
		return r.refused
	}
	if err := i.readResponseType(p, r, client); err != nil {
		return err
	}
	p.Nonce = opaqueText(r.Nonce)
	if p.CodeChallenge, err = i.codeChallenge(*p, r, client); err != nil {
		return err
	}
	if err := readJKT(p, r.JKT); err != nil {
		return err
	}
	if err := i.readScopeBy(knownScope, p, r.Scope, r.Resource, client); err != nil {
		return err
	}
	if err := readPrompt(p, r); err != nil {
		return err
	}
	return i.readIdentity(p, r)
}

// readScopeBy reads the requested scopes and resources. by says what becomes of a scope that is not
// allowed: knownScope or exactScope.
func (i *Issuer) readScopeBy(
	by func(asked, allowed []string) ([]string, error), p *Pending, scope string, resources []string,
	client userstore.Client,
) error {
	scopes, err := parseScope(scope)
	if err != nil {
		return err
	}
	targets, err := i.resources(resources, client)
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		targets = i.implied(scopes, client)
	}
	for _, t := range targets {
		p.Resources = append(p.Resources, t.URI)
	}
	allowed := i.grantable(client, i.targetsOrDefaults(targets))
	// OIDC Core section 11: a client without refresh tokens cannot have offline access.
	if !client.Allows(userstore.GrantRefreshToken) {
		allowed = slices.DeleteFunc(allowed, func(s string) bool { return s == userstore.ScopeOffline })
	}
	t := p.responseType()
	allowed = slices.DeleteFunc(allowed, func(s string) bool { return !i.mayCarry(t, s) })
	switch {
	case len(scopes) > 0:
		p.Scopes, err = by(scopes, allowed)
	case len(targets) == 0:
		err = errNoScope
	default:
		// RFC 6749 section 3.3: the default scopes of a request for resources are the resources'
		// own. A resource that has none may be requested without a scope.
		p.Scopes = i.defaultScopes(client, targets)
		if len(p.Scopes) == 0 && !slices.ContainsFunc(targets, func(r Resource) bool { return len(r.Scopes) == 0 }) {
			err = scopeNotAllowed(allowed)
		}
	}
	if err == nil && t.idToken && !slices.Contains(p.Scopes, userstore.ScopeOpenID) {
		err = errScopeOpenID
	}
	return err
}

// readPrompt reads prompt and max_age.
func readPrompt(p *Pending, r AuthorizationRequest) error {
	p.Prompt = words(r.Prompt)
	for _, word := range p.Prompt {
		switch word {
		case promptLogin, promptConsent, promptSelectAccount:
		case promptNone:
			if len(p.Prompt) > 1 {
				return errPrompt
			}
		default:
			return errPrompt
		}
	}
	if r.MaxAge != "" {
		// Digits only: ParseUint accepts no sign. 63 bits, so that the value fits an int64.
		seconds, err := strconv.ParseUint(r.MaxAge, 10, 63)
		if err != nil {
			return errMaxAge
		}
		age := int64(seconds)
		p.MaxAge = &age
	}
	return nil
}

// readIdentity reads which user is expected, at which acr, and in which language.
func (i *Issuer) readIdentity(p *Pending, r AuthorizationRequest) error {
	if storable(r.LoginHint, maxHint) {
		p.LoginHint = r.LoginHint
	}
	if storable(r.ACRValues, maxHint) {
		p.ACRValues = words(r.ACRValues)
	}
	if storable(r.UILocales, maxHint) {
		p.UILocales = words(r.UILocales)
	}
	claims, err := parseClaims(r.Claims)
	switch {
	case err != nil:
		return err
	case !claims.reachable():
		return errUnmetACR
	}
	if t := p.responseType(); !t.code && !t.token {
		claims.withoutUserinfo()
	}
	p.Claims = claims.canonical()
	if r.IDTokenHint != "" {
		hint, err := i.readIDTokenHint(r.IDTokenHint)
		switch {
		case err != nil:
			return err
		case hint.Audience != p.ClientID:
			return errIDTokenHint
		case !claims.admitsSubject(hint.Subject):
			return errTwoSubjects
		}
		p.HintSubject = hint.Subject
	}
	return nil
}

// words splits text at spaces and drops repetitions.
func words(text string) []string {
	var out []string
	for word := range strings.SplitSeq(text, " ") {
		if word != "" && !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}

// storable reports whether every store can hold text, and text has at most most bytes.
func storable(text string, most int) bool {
	return len(text) <= most && utf8.ValidString(text) && !strings.ContainsRune(text, 0)
}

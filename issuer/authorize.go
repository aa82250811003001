package issuer

import (
	"context"
	"time"

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

	Prompt, MaxAge, LoginHint, IDTokenHint string
	ACRValues, UILocales, Display, Claims  string

	Request, RequestURI string // refused, by name
}

// Pending is an authorization request that may be asked of a user: valid, and bound to a registered
// redirect URI. It travels through the pages in a sealed handle, so that no replica has to remember it.
type Pending struct {
	ID string    `json:"id"` // 128 random bits: one request gets one code
	At time.Time `json:"at"`

	ClientID      string   `json:"client_id"`
	RedirectURI   string   `json:"redirect_uri"`
	ResponseMode  string   `json:"response_mode"` // query or form_post
	State         string   `json:"state,omitempty"`
	Nonce         string   `json:"nonce,omitempty"`
	Scopes        []string `json:"scopes"`
	Resources     []string `json:"resources,omitempty"`
	CodeChallenge string   `json:"code_challenge,omitempty"`
	Claims        string   `json:"claims,omitempty"` // canonical JSON

	Prompt      []string `json:"prompt,omitempty"`
	MaxAge      *int64   `json:"max_age,omitempty"` // seconds
	LoginHint   string   `json:"login_hint,omitempty"`
	HintSubject string   `json:"hint_subject,omitempty"` // whom id_token_hint names
	ACRValues   []string `json:"acr_values,omitempty"`
	UILocales   []string `json:"ui_locales,omitempty"`
}

// AuthorizationResponse is what the browser carries to the client's redirect URI: a success or an error.
type AuthorizationResponse struct {
	RedirectURI string
	Mode        string      // query or form_post
	Parameters  [][2]string // in order; iss is always among them (RFC 9207)
}

// Step is what has to happen next to a pending request.
type Step int

const (
	Respond    Step = iota // send Response
	LogIn                  // show the login page
	AskConsent             // show the consent page
)

// Decision is what Decide came to.
type Decision struct {
	Step           Step
	Response       AuthorizationResponse // of Respond
	Client         userstore.Client
	Scopes         []string // that would be granted, for the consent page
	Reauthenticate bool     // of LogIn: there is a session, but it has to be proved again
}

// Browser is who sits in front of it: a live browser session and its user.
type Browser struct {
	Session userstore.BrowserSession
	User    userstore.User
}

// Authorize reads an authorization request. The error is an *Error for a page, when nothing may be
// sent to the redirect URI; otherwise a refusal comes as refused, which goes there.
func (i *Issuer) Authorize(ctx context.Context, r AuthorizationRequest) (p Pending, refused *AuthorizationResponse, err error) {
	panic("contract")
}

// Decide says what a pending request needs of the browser b (nil: nobody is logged in); if
// nothing, it issues the code.
func (i *Issuer) Decide(ctx context.Context, p Pending, b *Browser) (Decision, error) {
	panic("contract")
}

// Allow issues the code after the user said yes, and remembers that.
func (i *Issuer) Allow(ctx context.Context, p Pending, b Browser) (AuthorizationResponse, error) {
	panic("contract")
}

// Deny is the answer when the user said no.
func (i *Issuer) Deny(p Pending) AuthorizationResponse { panic("contract") }

// PageLogin is a login at the hosted page.
type PageLogin struct {
	Name     string // email address or username
	Password string
	Device   string // the value of the browser's device cookie; empty: none
	Replaces userstore.SessionHash
}

// StartBrowserSession proves a password and starts a browser session. secret is the cookie's value. The errors are
// Login's.
func (i *Issuer) StartBrowserSession(ctx context.Context, l PageLogin) (b Browser, secret string, err error) {
	panic("contract")
}

// BrowserOf is who the cookie's value stands for; nil when it stands for nobody any more.
func (i *Issuer) BrowserOf(ctx context.Context, secret string) (*Browser, error) { panic("contract") }

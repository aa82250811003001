package web

import (
	"time"
)

// Page is a finished page.
type Page struct {
	Body []byte
	CSP  string // its Content-Security-Policy
	// Language is its Content-Language.
	Language string
}

// Options are what an operator may choose.
type Options struct {
	Service string // what people call the service; shown on every page
	Base    string // path of the issuer, without a slash at the end: what links and forms begin with
	Theme   []byte // a stylesheet after ours; may be empty
	Logo    []byte // an image: PNG, JPEG, WebP or SVG; may be empty
	// Languages that the pages speak, by tag; the first one to people who want none of them. Empty: all there are.
	Languages []string
}

// Common is what every page has.
type Common struct {
	Locale  Locale
	Request string // sealed handle of the pending request; empty: none
	CSRF    string // token of the forms
	// Onward: a form of this page may end at an app after our redirect. Browsers hold form-action against each
	// further redirect, also the app's own, so that the policy of such a page has none: docs/decisions/form-action.md.
	Onward bool
}

// maxInAddress bounds what of a request our own addresses carry, in bytes. Common proxies keep the headers of an answer
// in 4 KiB, and a page's other headers need a good part of it. An app may send several times as much.
const maxInAddress = 1600

// FitsAddress tells whether text, a handle or a query, is short enough for an address of ours.
func FitsAddress(text string) bool { return len(text) <= maxInAddress }

// Client is an app as people see it. What it says of itself is not verified.
type Client struct {
	Name       string
	Host       string // of the redirect URI, or its private-use scheme
	IDHost     string // of the client_id, if that is an address; empty: it is none
	SelfMade   bool   // it came by itself: no operator and no admin registered it
	FirstParty bool
	Logo       string // a path of our own origin; anything else is not shown
	PolicyURI  string
	TOSURI     string
	ClientURI  string
	StartURI   string // where it begins a sign-in that it did not begin itself
}

// Problem is something wrong, by the stable code that the API has for it; Field is empty for the whole form.
type Problem struct {
	Field string
	Code  string
	// Seconds to wait, for rate_limited.
	Seconds int
}

// Stay is the choice to stay signed in when the browser is closed.
type Stay struct {
	Chosen  bool          // before, where the form is shown again
	Idle    time.Duration // a session ends when it was not used for so long
	Longest time.Duration // and so long after its login in any case
}

// Continue is the choice to go on as the user who is logged in; nil: there is none.
type Continue struct {
	User string
	CSRF string // token of its own form
}

// LoginPage asks for a password.
type LoginPage struct {
	Common
	Client         *Client // that sent the user here; nil: none
	Name           string  // email address or username, filled in
	Problems       []Problem
	Signup         bool // there is a sign-up page to link to
	Forgot         bool // there is a page for forgotten passwords to link to
	Continue       *Continue
	Reauthenticate bool   // the user is logged in and has to prove it again
	Stay           *Stay  // nil: there is no choice
	Next           string // page of the account that the login leads to, by its path; empty: none
	Passkey        bool   // a passkey alone can log in
}

// SignupPage asks for what an account needs.
type SignupPage struct {
	Common
	Client    *Client
	Values    map[string]string // email, username, given_name, family_name: as typed
	Problems  []Problem
	MinLength int
	Continue  *Continue
}

// ConsentPage asks whether a client may have something.
type ConsentPage struct {
	Common
	Client    Client
	User      string   // who is asked: email address as typed
	Scopes    []string // exactly what would be granted
	Claims    []string // those of Scopes that stand for claims of the operator's own about the user
	Resources []string
	Problems  []Problem
	Device    *DeviceRequest // that asks; nil: the app is in this browser
}

// LogoutPage asks whether to sign out.
type LogoutPage struct {
	Common
	User string
}

// SignedOutPage says that it is done.
type SignedOutPage struct {
	Common
	Client  *Client // to go back to, when known
	NotBack string  // why the app that asked for it does not get the user back: not_registered, not_proved; empty: nothing to say

	Frames []string // addresses of apps that hidden frames load
	To     string   // where the page leads by itself once they have loaded; empty: nowhere
}

// SignedInPage is where a login without a client ends.
type SignedInPage struct {
	Common
	User string
}

// ErrorPage says what went wrong and what to do: fixed texts by code, nothing of the request.
type ErrorPage struct {
	Common
	Code      string
	RequestID string
	Back      *Client // an app that can be told that its request has ended; Request and CSRF are of the form that leads there
	SignIn    bool    // a link leads to the login page
	TryAgain  string  // one of our pages, such as login, to try again at; empty: none
	AskAgain  string  // the page that asks for another message: forgot, verify; empty: none
	Fault     string  // of the app, a word for its makers; empty: none
	Start     *Client // an app in which the sign-in can be started again, at its StartURI
}

// FormPostPage carries an authorization response to the client as a POST (OAuth 2.0 Form Post Response Mode).
type FormPostPage struct {
	Common
	Action     string
	Parameters [][2]string
	Inward     bool // it leads to a page of ours, and not back to the app
}

package verifier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/dpop"
)

// Requirement is what a request needs of a valid token; the zero value needs nothing more. It is
// for transports that Require does not serve, as the interceptors of package grpcauth, and for
// requirements that come from a table.
type Requirement struct {
	Scopes    []string      // every one of them, as RequireScope
	Roles     []string      // one of them, as RequireRole; empty: none is needed
	ACRValues []string      // one of them, as RequireACR; empty: any login, or none
	MaxAge    time.Duration // of the login, as RequireRecentLogin; zero: any
}

// Validate returns what is wrong with r.
func (r Requirement) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	for _, scope := range r.Scopes {
		if !nameable(scope) {
			fault("%q is not a scope that a challenge can name", scope)
		}
	}
	for _, value := range r.ACRValues {
		if !nameable(value) {
			fault("%q is not an acr value that a challenge can name", value)
		}
	}
	if slices.Contains(r.Roles, "") {
		fault("an empty role is nobody's")
	}
	if r.MaxAge != 0 && r.MaxAge < time.Second {
		fault("an age of at least a second is needed, not %v", r.MaxAge)
	}
	return errors.Join(faults...)
}

func nameable(text string) bool {
	return text != "" && text == quotable(text) && !strings.Contains(text, " ")
}

func (r Requirement) requirement() requirement {
	need := requirement{scopes: slices.Clone(r.Scopes), maxAge: r.MaxAge}
	if len(r.Roles) > 0 {
		need.roles = [][]string{slices.Clone(r.Roles)}
	}
	if len(r.ACRValues) > 0 {
		need.acrs = [][]string{slices.Clone(r.ACRValues)}
	}
	return need
}

// Require is Middleware that also requires all of r. It panics if r is not valid: a route whose
// requirement is mistaken must not be served.
func (v *Verifier) Require(r Requirement) func(http.Handler) http.Handler {
	if err := r.Validate(); err != nil {
		panic(fmt.Sprintf("verifier: Require: %v", err))
	}
	return v.require(r.requirement())
}

// Check returns why a token that v verified does not satisfy r: an *Error that WriteError and
// Challenges know. A token that is not v's to judge, such as nil, satisfies nothing.
func (v *Verifier) Check(token *Token, r Requirement) error {
	if token == nil || v.issuer(token.Issuer) == nil {
		return &Error{Code: CodeMissingToken, Reason: "there is no token that this verifier accepted"}
	}
	need := r.requirement()
	return asPresented(token, v.check(token, need, need))
}

// RequireRole is Middleware that also requires that the user has one of roles; nested, one of each
// list. A request without is answered with 403 insufficient_role: no other token and no new login of
// this user would help.
//
// Roles are as they were when the token was issued; Signet issues tokens for minutes. RequireRole
// panics if roles is empty or holds an empty one: a route whose requirement was forgotten must not
// be served.
func (v *Verifier) RequireRole(roles ...string) func(http.Handler) http.Handler {
	if len(roles) == 0 || slices.Contains(roles, "") {
		panic("verifier: RequireRole needs the roles that are accepted")
	}
	return v.require(Requirement{Roles: roles}.requirement())
}

// RequireACR is Middleware that also requires that the user logged in at one of the authentication
// contexts (acr) in values, which stand in order of preference:
//
//	mux.Handle("POST /transfers", v.RequireACR("2")(transfer))
//
// Signet's values are "1", one factor, and "2", two factors or a passkey. They are ordered: a login
// at "2" also satisfies "1". All other values are names without an order (RFC 9470 section 2), and
// only the same value satisfies them.
//
// A request with another token is answered with 401 insufficient_user_authentication and with the
// challenge of RFC 9470, which names values. It tells the client to send the user to the issuer's
// authorization endpoint again. A token of a client that acts for itself (client_credentials) gets
// 403 insufficient_scope instead, whatever it claims: there is no user to send anywhere, so with
// the challenge such a client would ask for tokens forever.
//
// RequireACR panics if values is empty or holds what a challenge cannot name: a route whose
// requirement was forgotten must not be served.
func (v *Verifier) RequireACR(values ...string) func(http.Handler) http.Handler {
	if len(values) == 0 {
		panic("verifier: RequireACR needs the acr values that are accepted")
	}
	for _, value := range values {
		if !nameable(value) {
			panic(fmt.Sprintf("verifier: RequireACR: %q is not an acr value that a challenge can name", value))
		}
	}
	return v.require(requirement{acrs: [][]string{slices.Clone(values)}})
}

// RequireRecentLogin is Middleware that also requires that the user logged in (auth_time) at most
// maxAge ago, give or take Config.ClockSkew. Without that leeway a user whose login is young enough
// for the issuer's clock, but not for this one, would be sent to and fro without being asked
// anything. Refreshing a token does not make its login younger.
//
// A token whose login is older, is in the future or has no time is answered with 401
// insufficient_user_authentication and the challenge of RFC 9470, which names maxAge in whole
// seconds. A client that acts for itself gets 403, as from RequireACR.
//
// RequireRecentLogin panics if maxAge is less than a second: a route whose requirement was forgotten
// must not be served.
func (v *Verifier) RequireRecentLogin(maxAge time.Duration) func(http.Handler) http.Handler {
	if maxAge < time.Second {
		panic(fmt.Sprintf("verifier: RequireRecentLogin needs an age of at least a second, not %v", maxAge))
	}
	return v.require(requirement{maxAge: maxAge})
}

// requirement is what a handler needs of a valid token.
type requirement struct {
	scopes []string      // all of them
	roles  [][]string    // of each list one
	acrs   [][]string    // of each list one; no list: any login, or none
	maxAge time.Duration // of the login; zero: any
}

// and returns a requirement that is satisfied where r and other are.
func (r requirement) and(other requirement) requirement {
	both := requirement{scopes: slices.Clone(r.scopes), roles: slices.Concat(r.roles, other.roles),
		acrs: slices.Concat(r.acrs, other.acrs), maxAge: r.maxAge}
	for _, scope := range other.scopes {
		if !slices.Contains(both.scopes, scope) {
			both.scopes = append(both.scopes, scope)
		}
	}
	if r.maxAge == 0 || other.maxAge != 0 && other.maxAge < r.maxAge {
		both.maxAge = other.maxAge
	}
	return both
}

// acrValues returns the values of r that satisfy it, in order of preference. Where the lists
// contradict each other, no token satisfies r, and the innermost list is returned.
func (r requirement) acrValues() []string {
	var values []string
	for _, list := range r.acrs {
		for _, value := range list {
			if !slices.Contains(values, value) && r.satisfiedBy(value) {
				values = append(values, value)
			}
		}
	}
	if values == nil && len(r.acrs) > 0 {
		return r.acrs[len(r.acrs)-1]
	}
	return values
}

// satisfiedBy reports whether a login at acr is strong enough.
func (r requirement) satisfiedBy(acr string) bool {
	for _, list := range r.acrs {
		if !slices.Contains(list, acr) && !(acr == "2" && slices.Contains(list, "1")) {
			return false
		}
	}
	return true
}

// guard is a handler that asks for a token before its next handler.
type guard struct {
	v    *Verifier
	need requirement
	next http.Handler
}

// require returns a middleware that requires need. A guard directly around another one becomes one
// guard with both requirements, so that one challenge names everything that the client has to ask
// for, and the user logs in once.
func (v *Verifier) require(need requirement) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if inner, ok := next.(*guard); ok && inner.v == v {
			return &guard{v, need.and(inner.need), inner.next}
		}
		return &guard{v, need, next}
	}
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.v.metadata.answer(w, r) {
		return
	}
	known := g.v.verifiedFrom(r.Context())
	if known.token == nil {
		token, err := g.v.Authenticate(r)
		if err != nil {
			g.v.writeError(w, err, g.need.scopes)
			return
		}
		if nonce := g.v.NextNonce(token); nonce != "" {
			w.Header().Set(dpop.NonceName, nonce)
		}
		known = verified{token: token, by: g.v}
	}
	known.need = known.need.and(g.need)
	if err := g.v.check(known.token, g.need, known.need); err != nil {
		g.v.WriteError(w, asPresented(known.token, err))
		return
	}
	g.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, known)))
}

// check returns why token does not satisfy need. all is need and what the guards further out
// required: a challenge names all of it, so that the next token does not lack what this one has.
func (v *Verifier) check(token *Token, need, all requirement) error {
	now := v.now()
	age := now.Sub(token.AuthenticatedAt)
	lacking := slices.IndexFunc(need.scopes, func(scope string) bool { return !token.HasScope(scope) })

	for _, roles := range need.roles {
		if !slices.ContainsFunc(roles, token.HasRole) {
			return &Error{Code: CodeInsufficientRole, Reason: fmt.Sprintf("the user has none of the roles %q", roles)}
		}
	}
	var reason string
	switch {
	case len(need.acrs) == 0 && need.maxAge == 0:
	case token.Subject == token.ClientID: // RFC 9068 section 2.2
		return &Error{Code: CodeInsufficientScope, Reason: "there is no user behind the token", noUser: true}
	case len(need.acrs) > 0 && token.AuthenticationContext == "":
		reason = "the token has no acr"
	case !need.satisfiedBy(token.AuthenticationContext):
		reason = "the acr " + strconv.Quote(token.AuthenticationContext) + " is not enough"
	case need.maxAge == 0:
	case token.AuthenticatedAt.IsZero():
		reason = "the token has no auth_time"
	case token.AuthenticatedAt.After(now.Add(v.skew)):
		reason = "the login is in the future: compare the clocks"
	case age-v.skew > need.maxAge:
		reason = "the login is " + age.Round(time.Second).String() + " old"
	}
	switch {
	case reason != "":
		err := &Error{Code: CodeInsufficientUserAuthentication, Reason: reason,
			ACRValues: all.acrValues(), MaxAge: all.maxAge}
		if lacking >= 0 {
			err.Scopes = all.scopes // RFC 9470 section 3
		}
		return err
	case lacking >= 0:
		return &Error{Code: CodeInsufficientScope, Reason: "the token was not granted " + strconv.Quote(need.scopes[lacking]),
			Scopes: all.scopes}
	}
	return nil
}

// Package bearer proves access tokens for the endpoints that need a user.
package bearer

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/signet-id/signet/api/problem"
	"github.com/signet-id/signet/api/wire"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/dpop"
	"github.com/signet-id/signet/issuer"
)

// Handler is called with the session of the access token that the request carries. The type is the
// guard: only an Authenticator makes a wire.Handler of it, and it proves the token and notes its
// user as the actor of the audit log, so that no handler can forget either.
type Handler func(w http.ResponseWriter, r *http.Request, session issuer.Session) error

// Authenticator finds out who is calling, by the access token in the Authorization header.
type Authenticator struct {
	Issuer *issuer.Issuer
}

// User lets a handler be called with any access token for the account API.
func (a Authenticator) User(handle Handler) wire.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		presented, err := Presented(r)
		if err != nil {
			return err
		}
		if presented.DPoP {
			SetNonce(w, a.Issuer)
		}
		session, err := a.Issuer.Session(r.Context(), presented)
		if err != nil {
			return err
		}
		g := session.View.Grant
		ctx := audit.As(r.Context(), audit.Actor{Type: audit.ByUser, ID: g.UserID}, g.ClientID, g.SessionID)
		return handle(w, r.WithContext(ctx), session)
	}
}

// Profile is User for what changes the profile, which needs the scope profile.
func (a Authenticator) Profile(handle Handler) wire.Handler {
	return a.User(func(w http.ResponseWriter, r *http.Request, session issuer.Session) error {
		if !session.HasScope("profile") {
			p := problem.New(problem.InsufficientScope, "Changing the profile needs an access token with the scope profile.")
			p.Scope = "profile"
			return p
		}
		return handle(w, r, session)
	})
}

// Presented takes the token from the Authorization header, by the scheme Bearer or DPoP (RFC 9449
// section 7.1), with the proofs beside it. OAuth 2.1 allows one way of sending the token per request, so
// a request with two tokens is refused. A token in the query is ignored: it would end up in logs and
// histories.
func Presented(r *http.Request) (issuer.Presented, error) {
	header, err := onlyHeader(r)
	if err != nil {
		return issuer.Presented{}, err
	}
	return FromHeader(r, header)
}

// FromHeader is the token in the value of the Authorization header of r.
func FromHeader(r *http.Request, header string) (issuer.Presented, error) {
	scheme, token := parse(header)
	p := issuer.Presented{
		Token: token, DPoP: strings.EqualFold(scheme, "DPoP"), Proofs: r.Header["Dpop"],
		Method: r.Method, Path: r.URL.EscapedPath(),
	}
	if token == "" || !p.DPoP && !strings.EqualFold(scheme, "Bearer") {
		return issuer.Presented{}, Missing()
	}
	return p, nil
}

// Missing is the refusal of a request that presents no access token.
func Missing() error {
	p := problem.New(problem.MissingToken, "")
	p.Resource = true
	return p
}

// SetNonce gives the client the nonce for its next proof, if it needs one (RFC 9449 section 8.2).
func SetNonce(w http.ResponseWriter, i *issuer.Issuer) {
	// What fails here fails again where the nonce of the proof is checked.
	if nonce, err := i.DPoPNonce(); err == nil && nonce != "" {
		w.Header().Set(dpop.NonceName, nonce)
	}
}

// Token is the token in the Authorization header by the scheme Bearer, for tokens that are never bound to
// a key.
func Token(r *http.Request) (string, error) {
	header, err := onlyHeader(r)
	if err != nil {
		return "", err
	}
	scheme, token := parse(header)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", problem.New(problem.MissingToken, "")
	}
	return token, nil
}

// onlyHeader returns the one Authorization header of a request that has no token elsewhere; empty: there is
// none.
func onlyHeader(r *http.Request) (string, error) {
	headers := r.Header["Authorization"]
	if len(headers) > 1 {
		return "", problem.New(problem.InvalidRequest, "Send exactly one Authorization header.")
	}
	inBody, err := tokenInForm(r)
	switch {
	case err != nil:
		return "", err
	case inBody && len(headers) == 1:
		return "", problem.New(problem.InvalidRequest, "Send the access token once, in the Authorization header.")
	case len(headers) == 0:
		return "", nil
	}
	return headers[0], nil
}

// parse reads the value of an Authorization header: the token stands after one space or several (RFC
// 6750 section 2.1). verifier.Authenticate has the same rule; the two share no package.
func parse(header string) (scheme, token string) {
	scheme, token, _ = strings.Cut(header, " ")
	return scheme, strings.TrimLeft(token, " ")
}

// tokenInForm reports whether the body is a form with an access_token (RFC 6750 section 2.2). It
// consumes the body; endpoints that take forms do not call it.
func tokenInForm(r *http.Request) (bool, error) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != wire.FormType {
		return false, nil
	}
	body, err := wire.ReadBody(r)
	if err != nil {
		return false, err
	}
	form, _ := url.ParseQuery(string(body)) // a malformed form carries no token
	return form.Has("access_token"), nil
}

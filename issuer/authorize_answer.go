package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// What an authorization response holds is a function of the response type, a set of words. Every
// response but that of code alone holds tokens, which need a live grant as all tokens do. So the grant
// begins with the response, in the transaction that saves the code; if the response holds no code, the
// row of the code still says that the request was answered. The code is redeemed for that grant.
//
// Grant, code and jti are derived from the request, and the tokens count from the beginning of the
// grant: however often one request is allowed, the answer has the same code and the same access token
//

// responseType says what a response holds.
type responseType struct {
	code, idToken, token bool
}

// responseTypeOf returns the response type in the spelling of userstore.ResponseTypes; empty: code.
func responseTypeOf(name string) responseType {
	types := strings.Split(name, " ")
	return responseType{
		code: name == "" || slices.Contains(types, "code"), idToken: slices.Contains(types, "id_token"),
		token: slices.Contains(types, "token"),
	}
}

func (p Pending) responseType() responseType { return responseTypeOf(p.ResponseType) }

// responseTypeName returns the response type of p in the spelling of userstore.ResponseTypes.
func (p Pending) responseTypeName() string {
	if p.ResponseType == "" {
		return userstore.ResponseTypeCode
	}
	return p.ResponseType
}

// tokens reports whether the response holds tokens.
func (t responseType) tokens() bool { return t.idToken || t.token }

// mayCarry reports whether a request of this response type may ask for a scope. The access token of
// the authorization endpoint is seen by the browser, its history and its extensions, so it never has
// the scope admin: docs/decisions/front-channel-tokens.md. Without a code there is no refresh token
// and so no offline access (OIDC Core section 11), and without any access token there is nothing for
// the scopes of resources to be in.
func (i *Issuer) mayCarry(t responseType, scope string) bool {
	switch {
	case scope == userstore.ScopeAdmin:
		return t.code && !t.token
	case scope == userstore.ScopeOffline:
		return t.code
	}
	return t.code || t.token || i.aboutUser(scope)
}

// responseTypes returns the response types that this issuer answers.
func (i *Issuer) responseTypes() []string {
	if len(i.ResponseTypes) == 0 {
		return []string{userstore.ResponseTypeCode}
	}
	return i.ResponseTypes
}

// responseModes returns the response modes that this issuer answers in: the fragment only if a
// response type needs it.
func (i *Issuer) responseModes() []string {
	if slices.ContainsFunc(i.responseTypes(), func(t string) bool { return responseTypeOf(t).tokens() }) {
		return []string{ModeQuery, ModeFragment, ModeFormPost}
	}
	return []string{ModeQuery, ModeFormPost}
}

// grantTypes returns the grant types that this issuer supports.
func (i *Issuer) grantTypes() []string {
	out := []string{userstore.GrantAuthorizationCode, userstore.GrantRefreshToken, userstore.GrantClientCredentials,
		userstore.GrantDeviceCode}
	if slices.Contains(i.responseModes(), ModeFragment) {
		out = append(out, userstore.GrantImplicit)
	}
	return out
}

var (
	errNoResponseType = refuse(InvalidRequest, "The response_type is missing: send code.")
	errDeadType       = refuse(UnsupportedResponseType,
		"This response_type has been done away with by OAuth 2.1 and RFC 9700: send code.")
	errQueryMode = refuse(InvalidRequest,
		"Tokens never go into a query: the response_mode of this response_type has to be fragment or form_post.")
	errNoNonce = refuse(InvalidRequest,
		"The nonce is missing, without which no ID token comes from the authorization endpoint.")
	errScopeOpenID = refuse(InvalidScope, "An ID token needs the scope openid.")
	errNoResponse  = refuse(UnauthorizedClient,
		"This client is not registered for this response_type and the grant types that belong to it.")
	errGrantIsNoLonger = errFinished.because(errors.New("the grant that began with the answer has ended"))
)

// unsupportedType returns the refusal of a response type that is unknown or off.
func (i *Issuer) unsupportedType(sent string) *Error {
	switch types := i.responseTypes(); {
	case sent == "token" || sent == "none":
		return errDeadType
	case len(types) == 1:
		return refuse(UnsupportedResponseType, "The only response_type here is "+types[0]+".")
	default:
		return refuse(UnsupportedResponseType, "The response_type is none of those here: "+strings.Join(types, ", ")+".")
	}
}

// readResponseType reads what the client wants to be answered.
func (i *Issuer) readResponseType(p *Pending, r AuthorizationRequest, client userstore.Client) error {
	known, ok := userstore.ResponseType(r.ResponseType)
	switch {
	case r.ResponseType == "":
		return errNoResponseType
	case !ok || !slices.Contains(i.responseTypes(), known):
		return i.unsupportedType(r.ResponseType)
	}
	if known != userstore.ResponseTypeCode {
		p.ResponseType = known
	}
	t := p.responseType()
	if t.tokens() && p.ResponseMode == ModeQuery {
		p.ResponseMode = ModeFragment
		return errQueryMode
	}
	if err := i.checkResponseType(*p, client); err != nil {
		return err
	}
	if t.idToken && r.Nonce == "" {
		return errNoNonce
	}
	return nil
}

// checkResponseType checks that client may be answered p.
func (i *Issuer) checkResponseType(p Pending, client userstore.Client) error {
	switch name := p.responseTypeName(); {
	case p.Device != "":
		if !client.Allows(userstore.GrantDeviceCode) {
			return errNoDeviceGrant
		}
		return nil
	case !slices.Contains(i.responseTypes(), name):
		return i.unsupportedType(name)
	case client.DPoPBoundAccessTokens && responseTypeOf(name).token:
		return errBoundClient // no proof comes to the authorization endpoint
	case client.Answers(name):
		return nil
	case name == userstore.ResponseTypeCode:
		return errNoCodeGrant
	}
	return errNoResponse
}

// beginning is the grant that begins with a response, and what signs its tokens.
type beginning struct {
	grant   *userstore.BegunGrant // nil: the response holds no tokens
	jti     string                // of the access token
	signers signers
	leave   func()
}

// begin prepares the grant that begins with the response to p. It enters Admission and takes the
// signers before anything is written: what is written is also signed. The caller must call leave.
func (i *Issuer) begin(
	ctx context.Context, p Pending, client userstore.Client, code userstore.Code,
) (b beginning, err error) {
	t := p.responseType()
	if !t.tokens() {
		return beginning{leave: func() {}}, nil
	}
	if b.leave, err = i.Admission.enter(ctx); err != nil {
		return b, err
	}
	defer func() {
		if err != nil {
			b.leave()
		}
	}()
	now := i.now()
	if b.signers, err = i.signers(); err != nil {
		return b, err
	}
	mac, err := i.FormMAC("begun grant", p.ID, code.UserID, code.BrowserSession)
	if err != nil {
		return b, err
	}
	g, err := i.grantOfCode(code, userstore.Grant{}, now)
	if err != nil {
		return b, err
	}
	if g.StatusIndex, err = i.newPlace(ctx); err != nil {
		return b, err
	}
	copy(g.ID[:], mac)
	b.jti = base64.RawURLEncoding.EncodeToString(mac[len(g.ID):])
	g.Generation, g.ExpiresAt = 0, now.Add(i.IDLifetime)
	if t.token {
		_, lifetime := i.access(i.targetsOrDefaults(i.named(code.Resources)))
		g.ExpiresAt = now.Add(lifetime)
	}
	if t.code {
		g.ExpiresAt = later(g.ExpiresAt, now.Add(codeLifetime))
	}
	b.grant = &userstore.BegunGrant{
		Grant: g, IdleSince: now.Add(-i.RefreshIdle), NoAppSession: !client.HasLogoutURI(),
	}
	return b, nil
}

// events returns the audit entry of the grant.
func (b beginning) events(ctx context.Context) []audit.Event {
	if b.grant == nil {
		return nil
	}
	g := b.grant.Grant
	ctx = audit.As(ctx, audit.Actor{Type: audit.ByUser, ID: g.UserID}, g.ClientID, g.SessionID)
	return []audit.Event{audit.New(ctx, g.CreatedAt, audit.GrantStarted, audit.User(g.UserID))}
}

// answer returns the parameters of a successful response. Everything is stored: the grant is read
// again, so that an answer that is given once more is of the grant that began then, and nothing is
// given of a grant that ended meanwhile.
func (i *Issuer) answer(ctx context.Context, p Pending, code string, b beginning) (parameters [][2]string, err error) {
	t := p.responseType()
	if !t.code {
		code = "" // which only names the row
	} else {
		parameters = append(parameters, [2]string{"code", code})
	}
	if b.grant == nil {
		return parameters, nil
	}
	a, err := i.begunAuthorization(ctx, p, b)
	if err != nil {
		return nil, err
	}
	from, access := a.Grant.CreatedAt, ""
	if t.token {
		scope := strings.Join(a.Scopes, " ")
		var expires int64
		if access, expires, err = i.mintAccess(ctx, from, &b.signers, &a, scope); err != nil {
			return nil, err
		}
		parameters = append(parameters, [2]string{"access_token", access}, [2]string{"token_type", "Bearer"},
			[2]string{"expires_in", strconv.FormatInt(expires-i.now().Unix(), 10)}, [2]string{"scope", scope})
	}
	if t.idToken {
		id, err := i.mintID(from, &b.signers, &a, access, code)
		if err != nil {
			return nil, err
		}
		parameters = append(parameters, [2]string{"id_token", id})
	}
	return parameters, nil
}

// begunAuthorization returns what the tokens of a response hold.
func (i *Issuer) begunAuthorization(ctx context.Context, p Pending, b beginning) (Authorization, error) {
	view, err := i.Grants.GrantByID(ctx, b.grant.Grant.ID)
	switch g := view.Grant; {
	case errors.Is(err, userstore.ErrNotFound):
		return Authorization{}, errGrantIsNoLonger
	case err != nil:
		return Authorization{}, err
	case !g.RevokedAt.IsZero(), !i.now().Before(i.end(g)), !view.User.IsActive, !view.Client.DisabledAt.IsZero():
		return Authorization{}, errGrantIsNoLonger
	}
	t := p.responseType()
	a := Authorization{
		Grant: view.Grant, Client: view.Client, User: view.User, Roles: view.User.Roles, Nonce: string(p.Nonce),
		AccessJTI: b.jti, NoAccess: !t.code && !t.token,
	}
	if a.Targets, err = i.remainingTargets(a.Grant.Resources, a.Client); err != nil {
		return a, err
	}
	a.Scopes = slices.DeleteFunc(i.effective(&a.Grant, &a.Client, a.Roles, a.Targets),
		func(s string) bool { return !i.mayCarry(t, s) })
	return a, nil
}

// answerKey is the text that a code is: 256 bits that an attacker cannot guess, derived from the
// request, the user, the browser session and the secret of forms, and so the same ones on every
// replica. A response without a code has a row of its own: no code is ever made of it.
func (i *Issuer) answerKey(p Pending, b Browser) (code string, hash userstore.CodeHash, err error) {
	purpose := "code"
	if !p.responseType().code {
		purpose = "answered without a code"
	}
	sum, err := i.FormMAC(purpose, p.ID, b.User.ID, b.Session.ID)
	code = base64.RawURLEncoding.EncodeToString(sum)
	return code, sha256.Sum256([]byte(code)), err
}

// named returns the registered resources among uris.
func (i *Issuer) named(uris []string) (out []Resource) {
	for _, r := range i.Resources {
		if slices.Contains(uris, r.URI) {
			out = append(out, r)
		}
	}
	return out
}

// codeOf returns the row of the code of p.
func (i *Issuer) codeOf(p Pending, d Decision, b Browser, hash userstore.CodeHash, now time.Time) userstore.Code {
	return userstore.Code{
		Hash: hash, ClientID: p.ClientID, UserID: b.User.ID, BrowserSession: b.Session.ID,
		RedirectURI: p.RedirectURI, CodeChallenge: p.CodeChallenge, JKT: p.JKT, ByConsent: !d.Client.FirstParty,
		Scopes: p.Scopes, Resources: p.Resources, Nonce: string(p.Nonce),
		Claims:   i.allowedClaims(claimsRequestOf(p.Claims), d.Client).canonical(),
		AuthTime: b.Session.AuthTime, AMR: b.Session.AMR, ACR: b.Session.ACR,
		CreatedAt: now, ExpiresAt: now.Add(codeLifetime), UserAgent: b.Session.UserAgent, Address: b.Session.Address,
	}
}

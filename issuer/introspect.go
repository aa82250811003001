package issuer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/signet-id/signet/userstore"
)

// TokenQuery is an introspection or revocation request (RFC 7662 section 2.1, RFC 7009 section
// 2.1).
type TokenQuery struct {
	Auth  ClientAuth
	Token string
	Hint  string // token_type_hint; ignored, because a token itself says what it is

	Form AnswerForm // of an introspection answer
}

// AnswerForm is the form in which a caller wants an introspection answer.
type AnswerForm int

// The forms.
const (
	AsRegistered AnswerForm = iota // signed if the caller is registered for an algorithm, else JSON
	AsJSON
	AsJWT // RFC 9701 section 4
)

var errNoToken = refuse(InvalidRequest, "Send the token.")

// Introspect answers RFC 7662. The answer is {"active": false} unless the token is live and the
// caller may ask about it: a client may ask about its own tokens, and about access tokens for a
// resource of which it is an introspection client. Unlike a resource server that verifies offline,
// Introspect knows at once that a grant was revoked, a user or client disabled, or a role removed.
// Every error is an *Error.
func (i *Issuer) Introspect(ctx context.Context, q TokenQuery) (Answer, error) {
	client, err := i.AuthenticateClient(ctx, q.Auth)
	switch {
	case err != nil:
		return Answer{}, err
	case client.Public(): // a thief could name the client and ask about stolen tokens
		return Answer{}, errClient.because(errors.New("a public client may not introspect"))
	case q.Token == "":
		return Answer{}, errNoToken
	}
	a := Answer{}
	if a.Claims, err = i.introspect(ctx, client, q); err != nil {
		return Answer{}, err
	}
	if q.Form == AsJWT || q.Form == AsRegistered && client.IntrospectionAlg != "" {
		a.Signed, err = i.signIntrospection(ctx, client, a.Claims)
	}
	if err != nil {
		return Answer{}, failed(err)
	}
	return a, nil
}

// signIntrospection signs an answer for caller (RFC 9701 section 5). What is said of the token
// stands apart, and there is neither sub nor exp beside it, so that the answer never counts as an
// access token.
func (i *Issuer) signIntrospection(ctx context.Context, caller userstore.Client, answer map[string]any) (string, error) {
	return i.signAnswer(ctx, caller.IntrospectionAlg, TypeIntrospection, map[string]any{
		"iss": i.URL, "aud": caller.ID, "iat": i.now().Unix(), "token_introspection": answer,
	})
}

// introspect returns what client is told about a token.
func (i *Issuer) introspect(ctx context.Context, client userstore.Client, q TokenQuery) (map[string]any, error) {
	answer, err := i.introspectAccess(ctx, client, q.Token)
	if refused(err, InvalidToken) {
		answer, err = i.introspectRefresh(ctx, client, q.Token)
	}
	switch {
	case err == nil && answer != nil:
		answer["active"] = true
		return answer, nil
	case err == nil, refused(err, InvalidToken, Expired, InvalidGrant):
		return map[string]any{"active": false}, nil
	}
	return nil, failed(err)
}

// refused reports whether err is a refusal with one of these codes.
func refused(err error, codes ...Code) bool {
	var e *Error
	return errors.As(err, &e) && slices.Contains(codes, e.Code)
}

// introspectAccess returns the claims of an access token that are still true; nil: the caller may
// not ask about the token.
func (i *Issuer) introspectAccess(ctx context.Context, caller userstore.Client, raw string) (map[string]any, error) {
	live, err := i.live(ctx, raw, anyAudience)
	switch {
	case err != nil:
		return nil, err
	case !i.now().Before(live.claims.Expiry):
		return nil, errAccessExpired // active means now (RFC 7662 section 2.2): our clock decides, so there is no leeway
	}
	if live.claims.ClientID != caller.ID && !i.introspects(caller, live.claims.Audience) {
		return nil, nil
	}
	if live.claims.SessionID == "" {
		if err := i.liveClient(ctx, live.claims); err != nil {
			return nil, err
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(live.payload))
	decoder.UseNumber()
	var answer map[string]any
	if err := decoder.Decode(&answer); err != nil {
		return nil, errServer.because(err)
	}
	answer["token_type"] = tokenType(live.claims.KeyThumbprint)
	if live.claims.SessionID != "" {
		delete(answer, "roles")
		if roles := live.view.User.Roles; len(roles) > 0 {
			answer["roles"] = roles
		}
		if scope := strings.Join(i.scopesOf(live), " "); scope != "" {
			answer["scope"] = scope
		} else {
			delete(answer, "scope")
		}
	}
	return answer, nil
}

// introspects reports whether caller may ask about every token for one of these resources.
func (i *Issuer) introspects(caller userstore.Client, audience []string) bool {
	return slices.ContainsFunc(i.Resources, func(r Resource) bool {
		_, within := userstore.Registered(audience, r.URI)
		return within && slices.Contains(r.IntrospectionClients, caller.ID)
	})
}

// introspectRefresh returns the grant of a refresh token to the client that owns the token and no
// other: a resource server has no business with one (RFC 7662 section 4). The token is active as
// long as Refresh would answer it.
func (i *Issuer) introspectRefresh(ctx context.Context, caller userstore.Client, raw string) (map[string]any, error) {
	now := i.now()
	p, err := i.verifyRefresh(ctx, raw, now)
	if err != nil {
		return nil, err
	}
	if p.clientID != caller.ID {
		return nil, nil
	}
	f := refresh{Issuer: i, request: RefreshRequest{RefreshToken: raw, ClientID: caller.ID}, presented: p, now: now, anyKey: true}
	view, err := f.checkedGrant(ctx)
	if err != nil {
		return nil, err
	}
	switch i.Standing(p.generation, view.Grant) {
	case Replayed, Ahead:
		return nil, nil
	}
	if !caller.Allows(userstore.GrantRefreshToken) {
		return nil, nil
	}
	g := view.Grant
	return map[string]any{
		"iss": i.URL, "sub": subjectOf(&g), "client_id": g.ClientID, "sid": g.SessionID,
		"scope": strings.Join(i.effective(&g, &view.Client, view.User.Roles, nil), " "),
		"iat":   g.CreatedAt.Unix(), "exp": i.end(g).Unix(),
	}, nil
}

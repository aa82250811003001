package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

// Session is who presented an access token at our own account API, as the store
// knows them now.
type Session struct {
	View   userstore.GrantView
	Scopes []string // of the token, less what the user may no longer hold
}

// HasScope tells whether the token was granted scope.
func (s Session) HasScope(scope string) bool { return slices.Contains(s.Scopes, scope) }

var (
	errAccessToken   = refuse(InvalidToken, "The access token is not valid here: sign in, or refresh it.")
	errAccessExpired = refuse(Expired, "The access token has expired: refresh it.")
	errNoUser        = refuse(InsufficientScope, "There is no user behind this access token: sign in as one.")
)

// Bearer accepts an access token for the account API: ours, under a published
// key, live, its audience holding the issuer URL, of a first-party client; its grant
// live and its user and client enabled. Unlike a resource server it asks the
// store, once: a logout or a disabled account counts from the next request on.
// Every error is an *Error.
func (i *Issuer) Bearer(ctx context.Context, raw string) (Session, error) {
	now := i.now()
	// A replica that may not sign has an old view or a wrong clock: what it would say
	// of exp is not to be believed.
	if _, err := i.Keys.Signer(i.AccessAlg); err != nil {
		return Session{}, unready(fmt.Errorf("judge an access token: %w", err))
	}
	c, err := i.accessToken(raw)
	if err != nil {
		return Session{}, err
	}
	switch {
	case c.Issuer != i.URL:
		return Session{}, errAccessToken.because(errors.New("iss is not ours"))
	case !slices.Contains(c.Audience, i.URL):
		return Session{}, errAccessToken.because(errors.New("aud does not hold the issuer"))
	case c.Expires <= 0: // absent, as good as
		return Session{}, errAccessToken.because(errors.New("no exp"))
	case now.Add(-i.ClockSkew).Unix() >= c.Expires:
		return Session{}, errAccessExpired
	case c.SessionID == "":
		return Session{}, errNoUser
	}

	view, err := i.Grants.GrantBySession(ctx, c.SessionID)
	if errors.Is(err, userstore.ErrNotFound) {
		return Session{}, errAccessToken.because(errors.New("the grant is gone"))
	}
	if err != nil {
		return Session{}, failed(err)
	}
	switch g := view.Grant; {
	case g.UserID != c.Subject || g.ClientID != c.ClientID:
		return Session{}, errAccessToken.because(errors.New("the grant is of another user or client"))
	case !g.RevokedAt.IsZero():
		return Session{}, errAccessToken.because(errors.New("the grant is revoked"))
	case !now.Before(i.end(g)):
		return Session{}, errAccessExpired.because(errors.New("the grant has ended"))
	case !view.User.IsActive:
		return Session{}, errAccessToken.because(errors.New("the user is disabled"))
	case !view.Client.DisabledAt.IsZero():
		return Session{}, errAccessToken.because(errors.New("the client is disabled"))
	case !view.Client.FirstParty:
		return Session{}, errAccessToken.because(errors.New("the client is not first-party"))
	}
	scopes := slices.DeleteFunc(strings.Fields(c.Scope), func(s string) bool {
		return s == ScopeAdmin && !mayAdmin(view.Client, view.User.Roles)
	})
	return Session{View: view, Scopes: scopes}, nil
}

// accessToken proves that raw is an access token signed by us, and reads it. Only
// a published key counts: an access token under any other is forged, revoked, or
// long past its exp.
func (i *Issuer) accessToken(raw string) (accessClaims, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return accessClaims{}, errAccessToken.because(err)
	}
	key, ok := i.Keys.PublishedKey(token.Header.KeyID)
	if !ok {
		return accessClaims{}, errAccessToken.because(errors.New("not signed with a published key"))
	}
	if err := token.Verify(key); err != nil {
		return accessClaims{}, errAccessToken.because(err)
	}
	if !token.Header.IsType(TypeAccessToken) {
		return accessClaims{}, errAccessToken.because(fmt.Errorf("typ is not %s", TypeAccessToken))
	}
	var c struct {
		accessClaims
		Confirmation json.RawMessage `json:"cnf"`
	}
	if err := strictjson.Unmarshal(token.Payload, &c, strictjson.IgnoreUnknown); err != nil {
		return accessClaims{}, errAccessToken.because(err)
	}
	// A token bound to a key is worth nothing to whoever merely bears it (RFC 7800).
	if len(c.Confirmation) > 0 {
		return accessClaims{}, errAccessToken.because(errors.New("the token is bound to a key"))
	}
	return c.accessClaims, nil
}

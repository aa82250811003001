package issuer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/internal/tokencache"
	"github.com/signet-id/signet/userstore"
)

// Session is the grant, user and client of an access token for our account API, as the store knows
// them now.
type Session struct {
	View   userstore.GrantView
	Scopes []string // of the token, without those that the user or the client may no longer hold
}

// HasScope reports whether the token was granted scope.
func (s Session) HasScope(scope string) bool { return slices.Contains(s.Scopes, scope) }

var (
	errAccessToken   = refuse(InvalidToken, "The access token is not valid here: sign in, or refresh it.")
	errAccessExpired = refuse(Expired, "The access token has expired: refresh it.")
	errNoUser        = refuse(InsufficientScope, "There is no user behind this access token: sign in as one.")
)

// Bearer is Session of a bearer token.
func (i *Issuer) Bearer(ctx context.Context, raw string) (Session, error) {
	return i.Session(ctx, Presented{Token: raw})
}

// Session accepts an access token for the account API: ours, under a published key, live, its
// audience holding the issuer URL, of a first-party client, presented with a proof of its key if it is
// bound to one; its grant live and its user and client enabled. Unlike a resource server it asks the
// store, once: a logout or a disabled account takes effect from the next request on. Every error is an
// *Error.
func (i *Issuer) Session(ctx context.Context, p Presented) (Session, error) {
	live, err := i.present(ctx, p, i.URL)
	switch {
	case err != nil:
		return Session{}, err
	case live.claims.SessionID == "":
		return Session{}, errNoUser
	case !live.view.Client.FirstParty:
		return Session{}, errAccessToken.because(errors.New("the client is not first-party"))
	}
	return Session{View: live.view, Scopes: i.scopesOf(live)}, nil
}

// anyAudience accepts an access token for any audience.
const anyAudience = ""

// liveToken is an access token that is valid now. The lists of its claims and its payload are those
// of other requests, too: nobody changes them.
type liveToken struct {
	claims  jose.AccessClaims
	payload []byte              // all claims, as JSON
	view    userstore.GrantView // zero without a user
}

// scopesOf returns the token's scopes, without those that the user or the client may no longer hold.
func (i *Issuer) scopesOf(l liveToken) []string {
	targets := i.audienceTargets(l.claims.Audience)
	return slices.DeleteFunc(slices.Clone(l.claims.Scopes), func(s string) bool {
		return !i.mayHold(&l.view.Client, targets, s) || s == userstore.ScopeAdmin && !i.holdsAdmin(&l.view.Grant, &l.view.Client, l.view.User.Roles)
	})
}

// live checks an access token that a request is about, whoever may use it (see present): ours, under a
// published key, and with claims that a resource server of this audience would accept (anyAudience: any
// resource server); its grant live, and its user and client enabled. A token without a user has no
// grant: liveClient checks it further. The error is InvalidToken or Expired, or says that nothing could
// be decided.
func (i *Issuer) live(ctx context.Context, raw, audience string) (liveToken, error) {
	now := i.now()
	// A replica that may not sign has an old view or a wrong clock: its answer about exp cannot be
	// trusted.
	if _, err := i.Keys.Signer(i.AccessAlg); err != nil {
		return liveToken{}, unready(fmt.Errorf("judge an access token: %w", err))
	}
	signed, err := i.accessToken(raw)
	if err != nil {
		refusal.Client(ctx, claimedClient(raw))
		return liveToken{}, err
	}
	l := liveToken{claims: signed.claims, payload: signed.payload}
	refusal.Client(ctx, l.claims.ClientID)
	expected := jose.Expected{Issuer: i.URL, Audience: []string{audience}, AnyAudience: audience == anyAudience, AnyKey: true,
		Now: now, Skew: i.ClockSkew}
	switch err := l.claims.Check(expected); {
	case errors.Is(err, jose.ErrExpired):
		return liveToken{}, errAccessExpired
	case err != nil:
		return liveToken{}, errAccessToken.because(err)
	case l.claims.SessionID == "":
		return l, nil
	}
	l.view, err = i.liveGrant(ctx, l.claims, now)
	return l, err
}

// claimedClient returns the client that a refused token names: for the log only, because nothing of
// the token is verified. An ID token, which apps present by mistake, names the client in its aud.
func claimedClient(compact string) string {
	var claims struct {
		ClientID string `json:"client_id"`
		Audience any    `json:"aud"`
	}
	if !unverified(compact, &claims) {
		return ""
	}
	audience, _ := claims.Audience.(string)
	return cmp.Or(claims.ClientID, audience)
}

// liveClient checks a token that a client got on its own behalf.
func (i *Issuer) liveClient(ctx context.Context, c jose.AccessClaims) error {
	client, cutoff, err := i.StatusStore.ClientAndCutoff(ctx, c.ClientID)
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return errAccessToken.because(errors.New("the client is gone"))
	case err != nil:
		return failed(err)
	case c.Subject != c.ClientID || !client.DisabledAt.IsZero():
		return errAccessToken.because(errors.New("the client is disabled, or not the subject"))
	case c.IssuedAt.Before(client.CreatedAt.Add(-i.ClockSkew)):
		// No row says which of two clients of one id the token was for, if the client was deleted
		// and made anew, but the time does.
		return errAccessToken.because(errors.New("the token is older than the client"))
	case c.Status != nil && c.Status.URI != "" && i.Status != nil && !i.Status.isPlace(*c.Status, client.StatusIndex):
		return errAccessToken.because(errors.New("the client was disabled since"))
	case c.IssuedAt.Before(cutoff):
		return errAccessToken.because(errors.New("the token is from before everything was revoked"))
	}
	return nil
}

// liveGrant checks the grant of a token with a user.
func (i *Issuer) liveGrant(ctx context.Context, c jose.AccessClaims, now time.Time) (userstore.GrantView, error) {
	view, err := i.Grants.GrantBySession(ctx, c.SessionID)
	if errors.Is(err, userstore.ErrNotFound) {
		return view, errAccessToken.because(errors.New("the grant is gone"))
	}
	if err != nil {
		return view, failed(err)
	}
	switch g := view.Grant; {
	case subjectOf(&g) != c.Subject || g.ClientID != c.ClientID:
		return view, errAccessToken.because(errors.New("the grant is of another user or client"))
	case !g.RevokedAt.IsZero():
		return view, errAccessToken.because(errors.New("the grant is revoked"))
	case !now.Before(i.end(g)):
		return view, errAccessExpired.because(errors.New("the grant has ended"))
	case !view.User.IsActive:
		return view, errAccessToken.because(errors.New("the user is disabled"))
	case !view.Client.DisabledAt.IsZero():
		return view, errAccessToken.because(errors.New("the client is disabled"))
	case i.Accounts.MustHaveSecondFactor(view.User):
		return view, errAccessToken.because(errors.New("the user has no second factor, which the policy wants"))
	}
	return view, nil
}

// TokenCache remembers access tokens of ours whose signature was right: userinfo, introspection and
// the account API are asked about the same token again and again, and a signature costs more than
// everything else that they do. Whether the key is still published, the time, the audience and the
// store's view of the grant are looked at for each request.
type TokenCache = tokencache.Cache[signedToken]

// NewTokenCache returns a TokenCache of at most size tokens, some 2 KB each.
func NewTokenCache(size int) *TokenCache { return tokencache.New[signedToken](size) }

// signedToken is what an access token says, and the key that signed it.
type signedToken struct {
	key     jose.PublicKey
	claims  jose.AccessClaims
	payload []byte
}

// accessToken verifies that raw is an access token signed by us, and reads it. Only a published key
// counts: an access token under any other key is forged, revoked, or long past its exp.
func (i *Issuer) accessToken(raw string) (*signedToken, error) {
	name, known := i.Tokens.Find(raw)
	if known == nil {
		return i.newAccessToken(name, raw)
	}
	if key, ok := i.Keys.PublishedKey(known.key.ID); !ok || !key.Equal(known.key) {
		return nil, errAccessToken.because(errNotPublished)
	}
	return known, nil
}

var errNotPublished = errors.New("not signed with a published key")

func (i *Issuer) newAccessToken(name tokencache.Name, raw string) (*signedToken, error) {
	token, err := jose.Parse(raw)
	if err != nil {
		return nil, errAccessToken.because(err)
	}
	key, ok := i.Keys.PublishedKey(token.Header.KeyID)
	if !ok {
		return nil, errAccessToken.because(errNotPublished)
	}
	if err := token.Verify(key); err != nil {
		return nil, errAccessToken.because(err)
	}
	if !token.Header.IsType(TypeAccessToken) {
		return nil, errAccessToken.because(fmt.Errorf("typ is not %s", TypeAccessToken))
	}
	claims, err := jose.ReadAccessClaims(token.Payload)
	if err != nil {
		return nil, errAccessToken.because(err)
	}
	t := &signedToken{key: key, claims: claims, payload: token.Payload}
	i.Tokens.Remember(name, t)
	return t, nil
}

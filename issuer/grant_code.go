package issuer

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

var (
	errNoCode   = refuse(InvalidRequest, "Send the code.")
	errCode     = refuse(InvalidGrant, "The code is not valid here, or no longer, or was sent without what belongs to it: start again at the authorization endpoint.")
	errVerifier = refuse(InvalidGrant, "The code_verifier does not belong to the code.")

	errExpiredCode = errors.New("the code has expired")
	errUsedCode    = errors.New("the code was used before: its grant is revoked")
)

// redeemCode turns an authorization code into a grant (RFC 6749 section 4.1.3, RFC 7636 section
// 4.6).
//
// A read checks everything that the request has to prove. Only then does one transaction mark the
// code as used and insert the grant. So wrong requests, however many, leave the code to its owner,
// and a thief who knows the code alone cannot end a grant with it. A used code that arrives again
// with everything that belongs to it was either stolen together with the verifier, or sent twice by
// a client that cannot know which answer counts. In both cases the grant is revoked (RFC 6749
// section 4.1.2).
func (i *Issuer) redeemCode(ctx context.Context, client userstore.Client, r TokenRequest) (Authorization, error) {
	if r.Code == "" {
		return Authorization{}, errNoCode
	}
	a, err := i.redeemHash(ctx, client, r, sha256.Sum256([]byte(r.Code)))
	i.Counts.code(err)
	return a, err
}

// redeemHash redeems the code that is stored under hash.
func (i *Issuer) redeemHash(
	ctx context.Context, client userstore.Client, r TokenRequest, hash userstore.CodeHash,
) (Authorization, error) {
	for range 3 {
		a, err := i.redeem(ctx, client, r, hash)
		if !errors.Is(err, userstore.ErrConflict) {
			return a, err
		}
	}
	return Authorization{}, errUnavailable.because(errors.New("redeem: the code kept changing"))
}

// redeem makes one attempt of redeemHash; ErrConflict asks for another.
func (i *Issuer) redeem(ctx context.Context, client userstore.Client, r TokenRequest, hash userstore.CodeHash) (Authorization, error) {
	view, err := i.Codes.CodeByHash(ctx, hash)
	if errors.Is(err, userstore.ErrNotFound) {
		return Authorization{}, errCode.because(errors.New("there is no such code"))
	}
	if err != nil {
		return Authorization{}, err
	}
	code := view.Code
	switch {
	case code.ClientID != client.ID:
		return Authorization{}, errCode.because(errors.New("the code of another client"))
	case code.RedirectURI != r.RedirectURI:
		refusal.RedirectURI(ctx, r.RedirectURI)
		return Authorization{}, errCode.because(errors.New("the redirect_uri is not the one that the code went to"))
	}
	if err := verifyChallenge(code.CodeChallenge, r.CodeVerifier); err != nil {
		return Authorization{}, err
	}
	switch {
	case code.JKT != "" && code.JKT != r.proof.thumbprint():
		return Authorization{}, errCodeKey
	case !code.UsedAt.IsZero():
		return Authorization{}, i.codeReplayed(ctx, code, r.now)
	case !r.now.Before(code.ExpiresAt):
		return Authorization{}, errCode.because(errExpiredCode)
	case !view.User.IsActive:
		return Authorization{}, errCode.because(errors.New("the user is disabled"))
	case !view.Client.DisabledAt.IsZero():
		return Authorization{}, errClient.because(errors.New("the client is disabled"))
	case i.Accounts.MustHaveSecondFactor(view.User):
		return Authorization{}, errCode.because(errors.New("the user has no second factor, which the policy wants"))
	}

	a := Authorization{Client: view.Client, User: view.User, Roles: view.User.Roles, Nonce: code.Nonce}
	granted := userstore.GrantView{Grant: userstore.Grant{Resources: code.Resources}, Client: view.Client}
	if len(r.Resource) > 0 {
		a.Targets, err = i.grantedTargets(r.Resource, granted)
	} else {
		a.Targets, err = i.remainingTargets(code.Resources, view.Client)
	}
	if err != nil {
		return Authorization{}, err
	}
	a.Scopes = i.effective(&userstore.Grant{Scopes: code.Scopes, ACR: code.ACR}, &view.Client, view.User.Roles, a.Targets)
	begun, err := i.begunGrant(ctx, code, r.now)
	if err != nil {
		return Authorization{}, err
	}
	if a.Grant, err = i.grantOfCode(code, begun, r.now); err != nil {
		return Authorization{}, err
	}
	if client.Public() {
		a.Grant.JKT = r.proof.thumbprint()
	}
	if client.Allows(userstore.GrantRefreshToken) {
		if a.RefreshJTI, err = i.Keys.RefreshJTI(a.Grant.ID, a.Grant.Generation); err != nil {
			return Authorization{}, unready(err)
		}
	} else {
		i.withoutRefresh(&a, r.now)
		a.Grant.ExpiresAt = later(a.Grant.ExpiresAt, begun.ExpiresAt) // of the tokens that are out already
	}
	if !code.Answered() {
		if a.Grant.StatusIndex, err = i.newPlace(ctx); err != nil {
			return Authorization{}, err
		}
	}
	if err := i.useProof(ctx, r.proof); err != nil {
		return Authorization{}, err
	}
	var events []audit.Event
	if !code.Answered() { // otherwise it was recorded when the grant began
		ctx = audit.As(ctx, audit.Actor{Type: audit.ByClient, ID: client.ID}, client.ID, a.Grant.SessionID)
		events = append(events, audit.New(ctx, r.now, audit.GrantStarted, audit.User(code.UserID)))
	}
	redeemed := userstore.Redeem{
		Hash: hash, Grant: a.Grant, Begun: code.Answered(), Now: r.now, IdleSince: r.now.Add(-i.RefreshIdle),
		NoAppSession: !view.Client.HasLogoutURI(),
	}
	if err := audit.Stored(ctx, i.Log, i.Codes.RedeemCode(ctx, redeemed, events...), events...); err != nil {
		return Authorization{}, err
	}
	return a, nil
}

// withoutRefresh turns the grant of a into one without a refresh token: the grant ends with its
// access token.
func (i *Issuer) withoutRefresh(a *Authorization, now time.Time) {
	_, lifetime := i.access(i.targetsOrDefaults(a.Targets))
	a.Grant.Generation = 0
	a.Grant.ExpiresAt = earlier(a.Grant.ExpiresAt, now.Add(lifetime))
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// begunGrant returns the grant that began with an unused code; zero: none did.
func (i *Issuer) begunGrant(ctx context.Context, code userstore.Code, now time.Time) (userstore.Grant, error) {
	if !code.Answered() {
		return userstore.Grant{}, nil
	}
	view, err := i.Grants.GrantByID(ctx, code.GrantID)
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return userstore.Grant{}, errCode.because(errors.New("the grant that began with the code is gone"))
	case err != nil:
		return userstore.Grant{}, err
	case !view.Grant.RevokedAt.IsZero() || !now.Before(i.end(view.Grant)):
		return userstore.Grant{}, errCode.because(errors.New("the grant that began with the code has ended"))
	}
	return view.Grant, nil
}

// grantOfCode returns the grant that the user allowed when the code was made: a new one, or begun as
// it goes on.
func (i *Issuer) grantOfCode(code userstore.Code, begun userstore.Grant, now time.Time) (userstore.Grant, error) {
	if begun.SessionID != "" {
		begun.Generation, begun.RotatedAt, begun.ExpiresAt = 1, now, now.Add(i.RefreshAbsolute)
		return begun, nil
	}
	sid, err := i.newSID(code.BrowserSession)
	return userstore.Grant{
		ID:             i.NewGrant(),
		SessionID:      sid,
		UserID:         code.UserID,
		Subject:        code.Subject,
		ClientID:       code.ClientID,
		Scopes:         code.Scopes,
		Resources:      code.Resources,
		AuthTime:       code.AuthTime,
		AMR:            code.AMR,
		ACR:            code.ACR,
		Generation:     1,
		RotatedAt:      now,
		CreatedAt:      now,
		ExpiresAt:      now.Add(i.RefreshAbsolute),
		BrowserSession: code.BrowserSession,
		Claims:         code.Claims,
		UserAgent:      code.UserAgent,
		Address:        code.Address,
	}, err
}

// codeReplayed revokes the grant of a code that was used before. The request is refused only after
// the revocation is stored.
func (i *Issuer) codeReplayed(ctx context.Context, code userstore.Code, now time.Time) error {
	e := audit.New(ctx, now, audit.CodeReplayed, audit.User(code.UserID)).Failed("used_before")
	e.ClientID = code.ClientID
	if err := audit.Stored(ctx, i.Log, i.Grants.RevokeGrant(ctx, code.GrantID, now, e), e); err != nil {
		return err
	}
	return errCode.because(errUsedCode)
}

// Bounds of a code_verifier (RFC 7636 section 4.1).
const (
	minVerifier = 43
	maxVerifier = 128
)

// verifyChallenge checks that the client that redeems a code is the one that requested it. A
// verifier for a code without a challenge is refused, too (RFC 9700 section 4.8.2): an attacker may
// have removed the challenge from the request on its way.
func verifyChallenge(challenge, verifier string) error {
	if challenge == "" {
		if verifier != "" {
			return errVerifier.because(errors.New("the authorization request had no code_challenge"))
		}
		return nil
	}
	if len(verifier) < minVerifier || len(verifier) > maxVerifier || strings.Trim(verifier, base64URL+".~") != "" {
		return errVerifier.because(errors.New("it is missing, or not 43 to 128 unreserved characters"))
	}
	sum := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) != 1 {
		return errVerifier
	}
	return nil
}

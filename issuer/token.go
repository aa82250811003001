package issuer

import (
	"context"
	"errors"
	"time"

	"github.com/signet-id/signet/userstore"
)

// TokenRequest is a request at the token endpoint, parsed once for all grants.
type TokenRequest struct {
	GrantType string
	Auth      ClientAuth

	Code         string
	RedirectURI  string
	CodeVerifier string

	RefreshToken string

	DeviceCode string

	Scope    string
	Resource []string

	Proofs []string // the values of the header DPoP (RFC 9449)

	now   time.Time // the instant at which the request is checked
	proof *keyProof // that was checked
}

// grantFunc verifies the grant that an authenticated client presents and returns what it
// authorizes. A grantFunc writes no HTTP response, authenticates no client and mints no token.
type grantFunc func(*Issuer, context.Context, userstore.Client, TokenRequest) (Authorization, error)

// grants lists every supported grant, by grant_type.
var grants = map[string]grantFunc{
	userstore.GrantAuthorizationCode: (*Issuer).redeemCode,
	userstore.GrantRefreshToken:      (*Issuer).refreshGrant,
	userstore.GrantClientCredentials: (*Issuer).clientCredentials,
	userstore.GrantDeviceCode:        (*Issuer).redeemDevice,
}

var (
	errNoGrantType = refuse(InvalidRequest, "Send grant_type: authorization_code, refresh_token, client_credentials or that of device codes.")
	errGrantType   = refuse(UnsupportedGrantType, "This grant_type is not supported: use authorization_code, refresh_token, client_credentials or "+
		userstore.GrantDeviceCode+".")
	errNotAllowed = refuse(UnauthorizedClient, "This client is not registered for this grant_type.")
)

// Token is the token endpoint: it authenticates the client, finds the grant, checks that the client
// may use that grant type, and mints the tokens. Every error is an *Error with a code of RFC 6749
// section 5.2, or Unavailable, Overloaded, RateLimited, ServerError.
func (i *Issuer) Token(ctx context.Context, r TokenRequest) (TokenResponse, error) {
	response, err := i.token(ctx, r)
	i.Counts.request(r.GrantType, err)
	if err == nil {
		return response, nil
	}
	e := failed(err)
	if e.Code == Expired { // a code of the account API only
		e = &Error{Code: InvalidGrant, Description: e.Description, Cause: e.Cause}
	}
	return TokenResponse{}, e
}

func (i *Issuer) token(ctx context.Context, r TokenRequest) (TokenResponse, error) {
	if r.GrantType == "" {
		return TokenResponse{}, errNoGrantType
	}
	grant, ok := grants[r.GrantType]
	if !ok {
		return TokenResponse{}, errGrantType
	}
	client, err := i.AuthenticateClient(ctx, r.Auth)
	if err != nil {
		return TokenResponse{}, err
	}
	if !client.Allows(r.GrantType) {
		return TokenResponse{}, errNotAllowed
	}
	// Enter before the grant is written: every request that is admitted is also signed, so nothing
	// is written for a request that cannot be signed in time.
	leave, err := i.Admission.enter(ctx)
	if err != nil {
		return TokenResponse{}, err
	}
	defer leave()
	r.now = i.now()
	signers, err := i.signers()
	if err != nil {
		return TokenResponse{}, err
	}
	if r.proof, err = i.proofFor("/oauth2/token", r.Proofs); err != nil {
		return TokenResponse{}, err
	}
	if r.proof == nil && client.DPoPBoundAccessTokens {
		return TokenResponse{}, errNoProof
	}
	a, err := grant(i, ctx, client, r)
	if err == nil {
		err = i.useProof(ctx, r.proof) // unless the grant did so, because it writes
	}
	if err != nil {
		return TokenResponse{}, err
	}
	a.JKT = r.proof.thumbprint()
	if err := i.completeUser(ctx, &a); err != nil {
		return TokenResponse{}, err
	}
	return i.mint(ctx, r.now, signers, a)
}

// completeUser reads the user if the tokens carry claims that the grant's row does not hold. The
// grant has moved by then; a client that is told to try again gets the same tokens.
func (i *Issuer) completeUser(ctx context.Context, a *Authorization) error {
	if a.User.Email != "" || a.Grant.UserID == "" || !i.needsUser(a) {
		return nil
	}
	u, err := i.Accounts.Store.UserByID(ctx, a.Grant.UserID)
	if errors.Is(err, userstore.ErrNotFound) {
		return refuse(InvalidGrant, "The account is gone.").because(err)
	}
	a.User = u
	return err
}

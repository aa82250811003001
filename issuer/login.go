package issuer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// grantTypeRefresh is the grant type that a client must be registered for to get refresh tokens.
const grantTypeRefresh = "refresh_token"

// LoginRequest is the first-party login of /v1/login, parsed. Its context holds the origin
// (audit.Origin).
type LoginRequest struct {
	Email, Username string // exactly one
	Password        string
	ClientID        string // empty: userstore.FirstPartyClientID
	Scope           string // space separated; empty: "profile email"
	Resource        []string
}

var (
	errNoClient       = refuse(InvalidClient, "There is no such client: leave client_id out, or name one that is registered.")
	errClientDisabled = refuse(InvalidClient, "This client is disabled: ask whoever runs this service.")
	errNotFirstParty  = refuse(UnauthorizedClient, "This client may not take passwords: only public first-party clients may.")
)

// Login verifies a password and starts a grant: one read, one reservation, one batch. The client
// and its request are checked before any hashing, and alike whether or not the user exists; checks
// of the user follow the right password. Every error is an *Error; that of a malformed request
// wraps a *userstore.ValidationError.
func (i *Issuer) Login(ctx context.Context, r LoginRequest) (TokenResponse, error) {
	if r.ClientID == "" {
		r.ClientID = userstore.FirstPartyClientID
	}
	refusal.Client(ctx, r.ClientID)
	scopes, err := loginScopes(r.Scope)
	if err != nil {
		return TokenResponse{}, err
	}

	return tryLogin(func() (TokenResponse, error) { return i.login(ctx, r, scopes) })
}

// tryLogin makes a login, and tries once more if user, client or password changed since they were read:
// then the store has refused the login. The second try checks everything again, so that the answer is
// true now: a disabled account, a wrong password — or a login after all, if the change was another
// login's upgraded hash. Every error is an *Error.
func tryLogin[T any](once func() (T, error)) (T, error) {
	var none T
	for range 2 {
		started, err := once()
		switch {
		case err == nil:
			return started, nil
		case !errors.Is(err, userstore.ErrConflict):
			return none, failed(err)
		}
	}
	return none, errUnavailable.because(errors.New("login: the account kept changing"))
}

// loginScopes reads the scopes of a login.
func loginScopes(scope string) ([]string, error) {
	if strings.Trim(scope, " ") == "" {
		scope = defaultScope
	}
	return parseScope(scope)
}

// login makes one attempt; ErrConflict asks for another.
func (i *Issuer) login(ctx context.Context, r LoginRequest, scopes []string) (TokenResponse, error) {
	var targets []Resource
	verified, err := i.Accounts.Authenticate(ctx, r.Email, r.Username, r.Password, r.ClientID, func(c userstore.Client) (err error) {
		targets, err = i.checkLogin(c, scopes, r.Resource)
		return err
	})
	if err != nil {
		return TokenResponse{}, i.loginError(err, scopes, r.Resource)
	}
	defer i.Accounts.Release(ctx, verified)
	return i.startGrant(ctx, verified, scopes, targets)
}

// checkLogin checks what a login asks for, before the user is known.
func (i *Issuer) checkLogin(c userstore.Client, scopes, resource []string) (targets []Resource, err error) {
	switch {
	case !c.DisabledAt.IsZero():
		return nil, errClientDisabled
	case !c.Public() || !c.FirstParty:
		return nil, errNotFirstParty
	case c.DPoPBoundAccessTokens:
		return nil, errBoundClient
	}
	if targets, err = i.resources(resource, c); err != nil {
		return nil, err
	}
	return targets, checkScope(scopes, i.grantable(c, i.targetsOrDefaults(targets)))
}

// loginError turns an error of the first step into the answer. A login that needs a second step gets
// a handle for it.
func (i *Issuer) loginError(err error, scopes, resource []string) error {
	if errors.Is(err, userstore.ErrNotFound) {
		return errNoClient
	}
	if e, ok := errors.AsType[*userstore.SecondFactorError](err); ok {
		return i.askSecond(e, scopes, resource)
	}
	if e, ok := errors.AsType[*userstore.SetupRequiredError](err); ok {
		return i.askSetup(e, scopes, resource)
	}
	return err
}

// startGrant starts the grant of a user whose proofs are complete, and signs its tokens.
func (i *Issuer) startGrant(
	ctx context.Context, verified userstore.Verified, scopes []string, targets []Resource,
) (TokenResponse, error) {
	user, client := verified.User, verified.Client
	strength := userstore.StrengthOf(verified.Proved)
	if slices.Contains(scopes, userstore.ScopeAdmin) {
		switch {
		case !mayAdmin(&client, user.Roles):
			return TokenResponse{}, i.Accounts.Refuse(ctx, verified, "not_admin", errNotAdmin)
		case i.adminNeedsTwo() && strength.ACR != userstore.TwoFactors:
			return TokenResponse{}, i.Accounts.Refuse(ctx, verified, "second_factor_needed", errAdminNeedsTwo)
		}
	}

	from := audit.OriginOf(ctx) // for the user's list of sessions
	now := i.now()              // after the hashing: tokens count from here
	signers, err := i.signers()
	if err != nil {
		return TokenResponse{}, err
	}
	a := Authorization{
		Grant: userstore.Grant{
			ID:         i.NewGrant(),
			SessionID:  i.NewID(),
			UserID:     user.ID,
			ClientID:   client.ID,
			Scopes:     scopes,
			AuthTime:   strength.AuthTime.UTC().Truncate(time.Microsecond),
			AMR:        strength.AMR,
			ACR:        strength.ACR,
			Generation: 1,
			RotatedAt:  now,
			CreatedAt:  now,
			ExpiresAt:  now.Add(i.RefreshAbsolute),
			UserAgent:  from.UserAgent,
			Address:    from.Address,
		},
		Client:  client,
		User:    user,
		Roles:   user.Roles,
		Scopes:  scopes,
		Targets: targets,
	}
	for _, t := range targets {
		a.Grant.Resources = append(a.Grant.Resources, t.URI)
	}
	if client.Allows(grantTypeRefresh) {
		if a.RefreshJTI, err = i.Keys.RefreshJTI(a.Grant.ID, a.Grant.Generation); err != nil {
			return TokenResponse{}, unready(err)
		}
	} else {
		i.withoutRefresh(&a, now)
	}
	if a.Grant.StatusIndex, err = i.newPlace(ctx); err != nil {
		return TokenResponse{}, err
	}
	if err := i.Accounts.StartGrant(ctx, verified, a.Grant, now.Add(-i.RefreshIdle)); err != nil {
		return TokenResponse{}, err
	}
	return i.mint(ctx, now, signers, a)
}

package issuer

import (
	"context"
	"errors"
	"strings"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/refusal"
	"github.com/signet-id/signet/userstore"
)

// grantTypeRefresh is the grant type that a client must be registered for to get refresh tokens.
const grantTypeRefresh = "refresh_token"

// Authentication context of a password: RFC 8176's name of the method, and the level of ISO/IEC
// 29115 that one factor alone reaches (OIDC Core section 2).
const (
	amrPassword = "pwd"
	acrPassword = "1"
)

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
	if strings.Trim(r.Scope, " ") == "" {
		r.Scope = defaultScope
	}
	scopes, err := parseScope(r.Scope)
	if err != nil {
		return TokenResponse{}, err
	}

	// A batch is refused if user, client or password changed since the read. Then everything is
	// checked once more, so that the answer is true now: a disabled account, a wrong password — or
	// a login after all, if the change was another login's upgraded hash.
	for range 2 {
		response, err := i.login(ctx, r, scopes)
		if !errors.Is(err, userstore.ErrConflict) {
			if err != nil {
				return TokenResponse{}, failed(err)
			}
			return response, nil
		}
	}
	return TokenResponse{}, errUnavailable.because(errors.New("login: the account kept changing"))
}

// login makes one attempt; ErrConflict asks for another.
func (i *Issuer) login(ctx context.Context, r LoginRequest, scopes []string) (TokenResponse, error) {
	var targets []Resource
	verified, err := i.Accounts.Authenticate(ctx, r.Email, r.Username, r.Password, r.ClientID, func(c userstore.Client) (err error) {
		switch {
		case !c.DisabledAt.IsZero():
			return errClientDisabled
		case !c.Public() || !c.FirstParty:
			return errNotFirstParty
		}
		if targets, err = i.resources(r.Resource, c); err != nil {
			return err
		}
		return checkScope(scopes, i.grantable(c, i.targetsOrDefaults(targets)))
	})
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return TokenResponse{}, errNoClient
	case err != nil:
		return TokenResponse{}, err
	}
	defer i.Accounts.Release(ctx, verified)
	user, client := verified.User, verified.Client
	for _, s := range scopes {
		if s == ScopeAdmin && !mayAdmin(client, user.Roles) {
			return TokenResponse{}, i.Accounts.Refuse(ctx, verified, "not_admin", errNotAdmin)
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
			AuthTime:   now,
			AMR:        []string{amrPassword},
			ACR:        acrPassword,
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
	if err := i.Accounts.StartGrant(ctx, verified, a.Grant, now.Add(-i.RefreshIdle)); err != nil {
		return TokenResponse{}, err
	}
	return i.mint(now, signers, a)
}

package issuer

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

var errNoRow = refuse(UnsupportedTokenType, "A token that a client got in its own name cannot be revoked: it ends by itself, or disable the client.")

// RevokeToken ends the grant of a refresh or access token of the calling client (RFC 7009), and
// with it all tokens of the grant. A token that is not a live one of the client's is no error, and
// nothing happens. A client_credentials token is refused, not silently accepted: nothing is stored
// of it that could be revoked. Every error is an *Error; a revocation that was not stored is never
// reported as done.
func (i *Issuer) RevokeToken(ctx context.Context, q TokenQuery) error {
	client, err := i.AuthenticateClient(ctx, q.Auth)
	if err != nil {
		return err
	}
	if q.Token == "" {
		return errNoToken
	}
	grant, err := i.grantToRevoke(ctx, client, q.Token)
	switch {
	case refused(err, InvalidToken, Expired, InvalidGrant):
		return nil
	case err != nil:
		return failed(err)
	case grant.ID == (userstore.GrantID{}) || !grant.RevokedAt.IsZero():
		return nil
	}
	now := i.now()
	ctx = audit.As(ctx, audit.Actor{Type: audit.ByClient, ID: client.ID}, client.ID, grant.SessionID)
	e := audit.New(ctx, now, audit.SessionRevoked, audit.User(grant.UserID))
	if err := audit.Stored(ctx, i.Log, i.Grants.RevokeByClient(ctx, grant.ID, now, e), e); err != nil {
		return failed(err)
	}
	return nil
}

// grantToRevoke returns the grant of a live token of client; zero: there is none.
func (i *Issuer) grantToRevoke(ctx context.Context, client userstore.Client, raw string) (none userstore.Grant, err error) {
	live, err := i.live(ctx, raw, anyAudience)
	switch {
	case err == nil && live.claims.ClientID != client.ID:
		return none, nil
	case err == nil && live.claims.SessionID == "":
		return none, errNoRow
	case err == nil:
		return live.view.Grant, nil
	case !refused(err, InvalidToken):
		return none, err
	}
	p, err := i.verifyRefresh(ctx, raw, i.now())
	if err != nil || p.clientID != client.ID {
		return none, err
	}
	view, err := i.Grants.GrantByID(ctx, p.grant)
	switch {
	case errors.Is(err, userstore.ErrNotFound):
		return none, nil
	case err != nil:
		return none, err
	case view.Grant.ClientID != client.ID:
		return none, nil
	}
	return view.Grant, nil
}

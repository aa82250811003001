package userstore

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/audit"
)

// SetActive enables or disables an account. Disabling ends all of its sessions at once. If the
// account is in that state already, nothing changes. Only operators and admins may do this; the
// caller checks that. ErrNotFound, ErrLastAdmin.
//
// Unlike an edit, it validates nothing else: an account whose name today's rules would refuse can
// still be disabled.
func (a *Accounts) SetActive(ctx context.Context, userID string, active bool) error {
	u, err := a.Store.UserByID(ctx, userID)
	if err != nil || u.IsActive == active {
		return err
	}
	now := a.now()
	e := audit.New(ctx, now, audit.UserUpdated, audit.User(u.ID))
	next := u
	next.IsActive = active
	e.Changes = changes(u, next)
	return a.recordLastAdmin(ctx, u.ID, audit.Stored(ctx, a.Log, a.Store.SetActive(ctx, u.ID, active, now, e), e))
}

// DeleteByOperator deletes an account and everything kept in its name, except the audit log. It
// needs no password. ErrNotFound, ErrLastAdmin.
func (a *Accounts) DeleteByOperator(ctx context.Context, userID string) error {
	return a.delete(ctx, userID)
}

func (a *Accounts) delete(ctx context.Context, userID string) error {
	e := audit.New(ctx, a.now(), audit.UserDeleted, audit.User(userID))
	return a.recordLastAdmin(ctx, userID, audit.Stored(ctx, a.Log, a.Store.DeleteUser(ctx, userID, e), e))
}

// RevokeSession ends one session of a user, a grant or a browser session. ErrNotFound: the user has
// no such session, or it has ended.
func (a *Accounts) RevokeSession(ctx context.Context, userID, sessionID string) error {
	now := a.now()
	e := audit.New(ctx, now, audit.SessionRevoked, audit.User(userID))
	e.SessionID = sessionID // the revoked session, not the one that asked for it
	err := a.Store.RevokeSession(ctx, userID, sessionID, now, e)
	if errors.Is(err, ErrNotFound) {
		err = a.Store.RevokeBrowserSession(ctx, userID, sessionID, now, e)
	}
	return audit.Stored(ctx, a.Log, err, e)
}

// RevokeConsent revokes a user's consent to a client, and every grant that came from it.
// ErrNotFound: there is no consent.
func (a *Accounts) RevokeConsent(ctx context.Context, userID, clientID string) error {
	now := a.now()
	e := audit.New(ctx, now, audit.ConsentRevoked, audit.Target{Type: audit.OnClient, ID: clientID})
	return audit.Stored(ctx, a.Log, a.Store.RevokeConsent(ctx, userID, clientID, now, e), e)
}

// RevokeSessions ends all sessions of a user but keep (a session id; empty: none), and returns
// their number. ErrNotFound: no such user.
func (a *Accounts) RevokeSessions(ctx context.Context, userID, keep string) (int, error) {
	if _, err := a.Store.UserByID(ctx, userID); err != nil {
		return 0, err
	}
	now := a.now()
	e := audit.New(ctx, now, audit.SessionsRevoked, audit.User(userID))
	n, err := a.Store.RevokeUserGrants(ctx, userID, keep, now, e)
	if err := audit.Stored(ctx, a.Log, err, e); err != nil {
		return 0, err
	}
	return n, nil
}

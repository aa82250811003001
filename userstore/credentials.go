package userstore

import (
	"context"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// ChangePassword proves current, stores next and revokes every other grant of
// the user than session keep, all in the store's one act. ErrInvalidCredentials, ErrAccountDisabled,
// ErrOverloaded, ErrRateLimited, ErrNotFound, ErrConflict, ValidationError on current_password and new_password.
func (a *Accounts) ChangePassword(ctx context.Context, userID, current, next, keep string) error {
	var hash string
	return retry(ctx, attempts, "change password", func() error {
		u, err := a.Store.UserByID(ctx, userID)
		if err != nil {
			return err
		}
		var fs faults
		fs.add("current_password", presented(current))
		fs.add("new_password", chosen(next, a.minPassword(), u, a.Service))
		if err := fs.err(); err != nil {
			return err
		}
		if err := a.match(ctx, u, current); err != nil {
			return err
		}
		if hash == "" {
			fs.add("new_password", a.breached(ctx, next))
			if err := fs.err(); err != nil {
				return err
			}
			if hash, err = a.Hasher.Hash(ctx, next); err != nil {
				return err
			}
		}
		// On condition of the hash that was proved. A login that upgraded it meanwhile is no
		// reason to fail; a change of password is, and the next round finds out which.
		now := a.now()
		e := audit.New(ctx, now, audit.PasswordChanged, audit.User(u.ID))
		e.Messages = a.notice(outbox.PasswordChanged, u, now)
		return audit.Stored(ctx, a.Log, a.Store.SetPassword(ctx, PasswordChange{UserID: u.ID, OldHash: u.PasswordHash, NewHash: hash, KeepSession: keep, At: now}, e), e)
	})
}

// SetPassword is ChangePassword for an operator: nothing proved, every grant revoked.
// ErrNotFound, ErrOverloaded, ValidationError on password.
func (a *Accounts) SetPassword(ctx context.Context, userID, next string) error {
	u, err := a.Store.UserByID(ctx, userID)
	if err != nil {
		return err
	}
	var fs faults
	fs.add("password", chosen(next, a.minPassword(), u, a.Service))
	if err := fs.err(); err != nil {
		return err
	}
	fs.add("password", a.breached(ctx, next))
	if err := fs.err(); err != nil {
		return err
	}
	hash, err := a.Hasher.Hash(ctx, next)
	if err != nil {
		return err
	}
	now := a.now()
	e := audit.New(ctx, now, audit.PasswordSet, audit.User(u.ID))
	e.Messages = a.notice(outbox.PasswordSet, u, now)
	return audit.Stored(ctx, a.Log, a.Store.SetPassword(ctx, PasswordChange{UserID: u.ID, NewHash: hash, At: now}, e), e)
}

// Delete proves current and deletes the account with everything kept in its name.
// ErrInvalidCredentials, ErrAccountDisabled, ErrOverloaded, ErrRateLimited, ErrNotFound, ValidationError on current_password.
func (a *Accounts) Delete(ctx context.Context, userID, current string) error {
	u, err := a.prove(ctx, userID, current)
	if err != nil {
		return err
	}
	return a.delete(ctx, u.ID)
}

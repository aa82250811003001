package userstore

import (
	"context"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// ChangePassword checks the proof, stores next and revokes every grant of the user but that of session
// keep, in one transaction of the store. ErrInvalidCredentials, ErrProofRequired, ErrAccountDisabled,
// ErrOverloaded, ErrRateLimited, ErrNotFound, ErrConflict, ValidationError on current_password and
// new_password.
func (a *Accounts) ChangePassword(ctx context.Context, userID string, p Proof, next, keep string) error {
	var hash string
	return Retry(ctx, ActTries, "change password", func() error {
		u, err := a.Store.UserByID(ctx, userID)
		if err != nil {
			return err
		}
		var fs Faults
		if err := p.check(&fs); err != nil {
			return err
		}
		if u.SecondFactor && p.Password == "" { // a new password takes both
			return ErrProofRequired
		}
		fs.Add("new_password", checkNew(next, a.minPassword(), u, a.Service))
		if err := fs.Err(); err != nil {
			return err
		}
		if err := a.proves(ctx, u, p); err != nil {
			return err
		}
		if hash == "" {
			fs.Add("new_password", a.checkBreach(ctx, next))
			if err := fs.Err(); err != nil {
				return err
			}
			if hash, err = a.Hasher.Hash(ctx, next); err != nil {
				return err
			}
		}
		// The store compares the hash that was proved. A login that upgraded it meanwhile is no
		// reason to fail, but a change of password is; the next round finds out which it was.
		now := a.now()
		e := audit.New(ctx, now, audit.PasswordChanged, audit.User(u.ID))
		if e.Messages, err = a.ownNotice(ctx, outbox.PasswordChanged, u, now); err != nil {
			return err
		}
		change := PasswordChange{
			UserID: u.ID, OldHash: u.PasswordHash, NewHash: hash, At: now,
			KeepSession: keep, BySession: audit.OriginOf(ctx).SessionID,
		}
		return audit.Stored(ctx, a.Log, a.Store.SetPassword(ctx, change, e), e)
	})
}

// SetPassword is ChangePassword for an operator: it proves nothing and revokes every grant.
// ErrNotFound, ErrOverloaded, ValidationError on password.
func (a *Accounts) SetPassword(ctx context.Context, userID, next string) error {
	u, err := a.Store.UserByID(ctx, userID)
	if err != nil {
		return err
	}
	var fs Faults
	fs.Add("password", checkNew(next, a.minPassword(), u, a.Service))
	if err := fs.Err(); err != nil {
		return err
	}
	fs.Add("password", a.checkBreach(ctx, next))
	if err := fs.Err(); err != nil {
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

// Delete checks the proof and deletes the account with everything kept in its name.
// ErrInvalidCredentials, ErrProofRequired, ErrAccountDisabled, ErrOverloaded, ErrRateLimited,
// ErrNotFound, ValidationError on current_password.
func (a *Accounts) Delete(ctx context.Context, userID string, p Proof) error {
	u, err := a.Prove(ctx, userID, p)
	if err != nil {
		return err
	}
	return a.delete(ctx, u.ID)
}

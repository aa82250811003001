package userstore

import (
	"context"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// ErrHasPassword means that an invitation is refused: it is for accounts without a password.
var ErrHasPassword = errors.New("the account has a password")

// ErrNoMail means that this server sends no messages.
var ErrNoMail = errors.New("there is no mail")

// Invite sends a message with which the owner of an account without a password sets the first one.
// A newer invitation ends the older one. Errors: ErrNotFound, ErrNoMail, ErrHasPassword,
// ErrAccountDisabled.
func (a *Accounts) Invite(ctx context.Context, userID string) error {
	u, err := a.Store.UserByID(ctx, userID)
	switch {
	case err != nil:
		return err
	case a.NoMail:
		return ErrNoMail
	case u.PasswordHash != "":
		return ErrHasPassword
	case !u.IsActive:
		return ErrAccountDisabled
	}
	e := a.invitation(ctx, u)
	return audit.Stored(ctx, a.Log, a.Store.Record(ctx, e), e)
}

// invitation returns the audit entry that carries the message.
func (a *Accounts) invitation(ctx context.Context, u User) audit.Event {
	now := a.now()
	e := audit.New(ctx, now, audit.UserInvited, audit.User(u.ID))
	e.Messages = []outbox.Message{{
		ID: CommandLineID(a.NewID), Kind: outbox.Invite, UserID: u.ID, To: u.Email, Locale: u.Claims.Locale,
		At: now, EndsAt: now.Add(inviteLasts),
	}}
	return e
}

// AcceptInvitation sets the first password of an account by the link of an invitation. The link
// also proves the address. Errors as of ResetPassword.
func (a *Accounts) AcceptInvitation(ctx context.Context, m Mailed, next string) error {
	p, err := a.present(ctx, outbox.Invite, m, next)
	if err != nil {
		return err
	}
	return a.redeem(ctx, p, next, m.Second, audit.PasswordReset)
}

// InvitedUntil returns the ends of the open invitations of users, by user id. Only accounts without
// a password can have one. An invitation is open from when it is stored, also before it is sent.
func (a *Accounts) InvitedUntil(ctx context.Context, users ...User) (map[string]time.Time, error) {
	var ids []string
	for _, u := range users {
		if u.PasswordHash == "" {
			ids = append(ids, u.ID)
		}
	}
	if ids == nil {
		return nil, nil
	}
	return a.Store.InvitedUntil(ctx, ids, a.now())
}

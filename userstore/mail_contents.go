package userstore

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/outbox"
)

// Contents makes the parts of a message that are not stored, just before the message is sent. For a
// message that a person asked for, it looks up the account and issues the token. Error:
// ErrNothingToSend.
func (a *Accounts) Contents(ctx context.Context, m outbox.Message) (outbox.Contents, error) {
	page, ok := pageOf[m.Kind]
	if !ok {
		return a.noticeContents(ctx, m)
	}
	secret, err := a.oneTime()
	if err != nil {
		return outbox.Contents{}, err
	}
	if m.Kind == outbox.ChangeEmail || m.Kind == outbox.UndoEmail || m.Kind == outbox.FactorAdded {
		return a.changeContents(ctx, secret, m)
	}
	key, ok := EmailKey(m.To)
	if !ok {
		return outbox.Contents{}, ErrNothingToSend
	}
	u, err := a.Store.UserByLogin(ctx, Login{EmailKey: key})
	if m.Kind == outbox.VerifyEmail {
		if c, ok, err := a.signupContents(ctx, secret, m, key, u, err); ok || err != nil {
			return c, err
		}
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return outbox.Contents{}, ErrNothingToSend
	case err != nil:
		return outbox.Contents{}, err
	case !u.IsActive, m.Kind == outbox.VerifyEmail && u.EmailVerified, m.UserID != "" && m.UserID != u.ID,
		m.Kind == outbox.Invite && u.PasswordHash != "", m.Kind == outbox.FactorCode && !a.NeedsMailbox(u):
		return outbox.Contents{}, ErrNothingToSend
	}
	err = a.Store.IssueToken(ctx, OneTimeToken{
		ID: m.ID, Kind: m.Kind, UserID: u.ID, AddressKey: key, At: m.At, EndsAt: m.EndsAt,
	})
	if errors.Is(err, ErrConflict) {
		return outbox.Contents{}, ErrNothingToSend
	}
	c := outbox.Contents{To: u.Email, Locale: u.Claims.Locale}
	if page != "" {
		c.Link = page + secret.link(m.Kind, m.ID)
	}
	if m.Kind != outbox.Invite { // an operator's invitation returns no handle
		c.Code = secret.code(m.Kind, m.ID)
	}
	// The recipient is the address of the account: an address that a stranger typed may have the
	// same key and be another mailbox.
	return c, err
}

package userstore

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// A user changes the address of the account in two steps: BeginEmailChange sends a message to the
// new address, ConfirmEmailChange takes what it brought. The address before then gets a message
// with which its owner undoes the change, for as long as it is reserved: whoever took over a
// session and knows the password cannot take the account from its owner.
//
// An operator or admin changes an address by EditByOperator, at once: the address before gets a
// notice and is not reserved. An undoing of an earlier change is of use all the same.

// BeginEmailChange asks for a message with which the owner of email makes it the address of the
// account. The answer is a handle for the message's code, of use in the session sessionID only, and
// is the same whether or not email belongs to an account or is reserved for one. browser: see
// ForgotPassword. ValidationError on email and current_password, errors of Prove, ErrNoMail.
func (a *Accounts) BeginEmailChange(
	ctx context.Context, userID, sessionID, email string, p Proof, browser string,
) (handle string, err error) {
	if a.NoMail {
		return "", ErrNoMail
	}
	var fs Faults
	display, key, f := canonicalEmail(email)
	fs.Add("email", f)
	missing := p.check(&fs)
	if err := fs.Err(); err != nil {
		return "", err
	}
	if missing != nil {
		return "", missing
	}
	u, err := a.Store.UserByID(ctx, userID)
	if err != nil {
		return "", err
	}
	if err := a.proves(ctx, u, p); err != nil {
		return "", err
	}
	const kind = outbox.ChangeEmail
	w := wantedMail{
		kind: kind, from: bySession, address: key, browser: browser, parts: []string{userID, sessionID}, session: sessionID,
	}
	handle, err = a.askForMail(ctx, w, func(r MailRequest) error {
		m := outbox.Message{
			ID: r.ID, Kind: kind, UserID: u.ID, To: display, Locale: u.Claims.Locale, At: r.At, EndsAt: r.EndsAt,
		}
		t := OneTimeToken{
			ID: r.ID, Kind: kind, UserID: u.ID, Address: display, AddressKey: key, At: r.At, EndsAt: r.EndsAt,
		}
		e := audit.New(ctx, r.At, audit.EmailChangeRequested, audit.User(u.ID))
		e.Changes = []audit.Change{{Field: "email", Before: u.Email, After: display}}
		return audit.Stored(ctx, a.Log, a.Store.BeginAddressChange(ctx, r, mailLimits, m, t, u.PasswordHash, e), e)
	})
	if errors.Is(err, ErrConflict) { // disabled, or another password meanwhile
		err = ErrProofRequired
	}
	return handle, err
}

// ConfirmEmailChange gives the account the new address, by the link of the message or by its code
// in the session that began the change. The user must be the one that began it: the owner of an
// address who follows the link of a stranger's change gives that stranger's account nothing. A way
// back to an address that is reserved for the account gives nobody a link to undo it.
// ErrTokenInvalid, ValidationError.
func (a *Accounts) ConfirmEmailChange(ctx context.Context, userID, sessionID string, m Mailed) (_ User, err error) {
	m.session = sessionID
	p, err := a.present(ctx, outbox.ChangeEmail, m, "")
	if err != nil {
		return User{}, err
	}
	defer func() { a.returnTryAfter(ctx, p, err) }()
	if p.user.ID != userID {
		return User{}, ErrTokenInvalid
	}
	now := a.now()
	back, err := a.Store.AddressReserved(ctx, userID, p.token.AddressKey, now)
	if err != nil {
		return User{}, err
	}
	c := AddressChange{ID: p.token.ID, From: p.user.Email, FromKey: p.user.EmailKey, At: now,
		UndoEndsAt: now.Add(undoLasts)}
	after := p.user.clone()
	after.Email, after.EmailKey, after.EmailVerified = p.token.Address, p.token.AddressKey, true
	after.UpdatedAt, after.Version = now, after.Version+1
	e := audit.New(ctx, now, audit.EmailChanged, audit.User(userID))
	e.Changes = changes(p.user, after)
	if back {
		// Somebody who had the account for a moment could have moved it away and back, to be able to
		// undo that in a week, when the owner's own link has ended.
		e.Messages = a.notice(outbox.EmailChanged, p.user, now)
	} else {
		c.UndoID = CommandLineID(a.NewID)
		e.Messages = []outbox.Message{{
			ID: c.UndoID, Kind: outbox.UndoEmail, UserID: userID, To: c.From, Locale: p.user.Claims.Locale,
			At: now, EndsAt: c.UndoEndsAt,
		}}
	}
	if err := invalid(audit.Stored(ctx, a.Log, a.Store.ConfirmAddressChange(ctx, c, e), e)); err != nil {
		return User{}, err
	}
	return after, nil
}

// WithdrawEmailChange ends a change that was begun and not confirmed, if there is one.
func (a *Accounts) WithdrawEmailChange(ctx context.Context, userID string) error {
	now := a.now()
	e := audit.New(ctx, now, audit.EmailChangeWithdrawn, audit.User(userID))
	err := audit.Stored(ctx, a.Log, a.Store.WithdrawAddressChange(ctx, userID, now, e), e)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// UndoEmailChange gives the account the address back that it had before a change, by the link that
// went to that address, and sets a new password. Whatever the account was signed in with ends, and
// so do changes that came after this one: the owner of the oldest address wins. It takes no login,
// for its caller may have lost the account; but where the account had a second factor before the
// change it asks for one of those, brings them back, and removes what came since. Errors as of
// ResetPassword.
func (a *Accounts) UndoEmailChange(ctx context.Context, m Mailed, next string) error {
	p, err := a.present(ctx, outbox.UndoEmail, m, next)
	if err != nil {
		return err
	}
	v, err := a.provesSecond(ctx, p, m.Second)
	if err != nil {
		return err
	}
	defer func() { a.Release(ctx, v) }()
	restored := p.user.clone()
	restored.Email, restored.EmailKey, restored.EmailVerified = p.token.Address, p.token.AddressKey, true
	r := Redemption{ID: p.token.ID, Kind: p.token.Kind, UserID: p.user.ID, Second: v.Second}
	if r.NewHash, err = a.hashFor(ctx, restored, next); err != nil {
		return err
	}
	r.At = a.now()
	e := audit.New(asOwner(ctx, p.user.ID), r.At, audit.EmailChangeUndone, audit.User(p.user.ID))
	e.Changes = changes(p.user, restored)
	e.Messages = a.notice(outbox.PasswordChanged, restored, r.At)
	if p.user.EmailKey != restored.EmailKey {
		e.Messages = append(e.Messages, a.notice(outbox.EmailChanged, p.user, r.At)...)
	}
	events := append([]audit.Event{e}, v.events...)
	factors, err := a.undone(ctx, restored, p.token, r.At)
	if err != nil {
		return err
	}
	events = append(events, factors...)
	revoked, err := a.consentsRevoked(ctx, p.user.ID, p.token.At, r.At)
	if err != nil {
		return err
	}
	events = append(events, revoked...)
	err = a.afterSecond(ctx, v, a.Store.UndoAddressChange(ctx, r, events...))
	return audit.Stored(ctx, a.Log, invalid(err), events...)
}

// changeContents makes what a message about a change says beside its text. The link to the new
// address is not sent if another account has that address, or may have it again: it would be of no
// use, and its owner has not asked for anything.
func (a *Accounts) changeContents(
	ctx context.Context, secret oneTimeSecret, m outbox.Message,
) (outbox.Contents, error) {
	t, u, err := a.Store.OneTimeToken(ctx, m.ID, a.now())
	switch {
	case errors.Is(err, ErrNotFound):
		return outbox.Contents{}, ErrNothingToSend
	case err != nil:
		return outbox.Contents{}, err
	case t.Kind != m.Kind || t.UserID != m.UserID, m.Kind == outbox.ChangeEmail && t.Address == u.Email:
		return outbox.Contents{}, ErrNothingToSend
	case !t.Live && (m.Kind == outbox.ChangeEmail || u.IsActive): // an undoing waits while the account is disabled
		return outbox.Contents{}, ErrNothingToSend
	}
	c := outbox.Contents{To: t.Address, Locale: u.Claims.Locale, Link: pageOf[m.Kind] + secret.link(m.Kind, m.ID)}
	if m.Kind == outbox.ChangeEmail {
		c.Code = secret.code(m.Kind, m.ID)
	}
	return c, nil
}

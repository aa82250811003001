package userstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/device"
	"github.com/signet-id/signet/internal/outbox"
)

// notice returns the message that tells a user, at the address in u, what happened to the account.
// Users cannot turn it off. It is stored with the event of the operation. With NoMail there is
// none.
func (a *Accounts) notice(kind outbox.Kind, u User, now time.Time) []outbox.Message {
	if a.NoMail {
		return nil
	}
	return []outbox.Message{{
		ID: CommandLineID(a.NewID), Kind: kind, UserID: u.ID, To: u.Email, Locale: u.Claims.Locale,
		At: now, EndsAt: now.Add(outbox.OfUse),
	}}
}

// ownNotice is notice for what the user did. An address that is not proved may be another person's,
// to whom the user could send a message with each change of the password: such an address gets no
// more messages of a kind than by requests.
func (a *Accounts) ownNotice(ctx context.Context, kind outbox.Kind, u User, now time.Time) ([]outbox.Message, error) {
	messages := a.notice(kind, u, now)
	if len(messages) == 0 || u.EmailVerified {
		return messages, nil
	}
	secret, err := a.oneTime()
	if err != nil {
		return nil, err
	}
	r := MailRequest{
		ID: messages[0].ID, Kind: kind, Budget: secret.noticeBudget(kind, u.EmailKey), At: now, EndsAt: now,
	}
	room, err := a.Store.TakeMailRoom(ctx, r, noticeLimits)
	if err != nil {
		return nil, fmt.Errorf("count the notice %s: %w", kind, err)
	}
	if !room {
		return nil, nil
	}
	return messages, nil
}

// signupIsFresh is how long after the sign-up a login that the sign-up form makes is a part of it.
const signupIsFresh = 10 * time.Minute

// newDevice returns the notice of a login at the pages in a browser that the throttle does not
// remember for this user. There is none for the login that is a part of the sign-up. If two such
// logins are made at once, as by a form that was sent twice, the second either reads the user from
// before the first login, or finds the browser remembered.
func (a *Accounts) newDevice(ctx context.Context, v Verified, now time.Time) ([]outbox.Message, error) {
	signup := v.Signup && v.User.LastLoginAt.IsZero() && now.Sub(v.User.CreatedAt) < signupIsFresh
	if !a.NotifyNewDevice || v.reservation == nil || v.reservation.knownDevice || signup {
		return nil, nil
	}
	messages, err := a.ownNotice(ctx, outbox.NewDevice, v.User, now)
	for i := range messages {
		messages[i].Device = device.Of(audit.OriginOf(ctx).UserAgent)
	}
	return messages, err
}

// factorNotice returns the message about a second factor that is added at now. Its link removes the
// factor: see RemoveAddedFactor. Where there is mail, only accounts with a proved address get one.
func (a *Accounts) factorNotice(u User, now time.Time) []outbox.Message {
	messages := a.notice(outbox.FactorAdded, u, now)
	for i := range messages {
		messages[i].EndsAt = now.Add(undoFactorLasts)
	}
	return messages
}

// noticeContents returns what a notice says beside its text.
func (a *Accounts) noticeContents(ctx context.Context, m outbox.Message) (outbox.Contents, error) {
	c := outbox.Contents{To: m.To, Locale: m.Locale}
	if m.Kind != outbox.RecoveryCodeUsed {
		return c, nil
	}
	have, err := a.Store.SecondFactors(ctx, m.UserID)
	if errors.Is(err, ErrNotFound) { // the account is deleted
		return c, ErrNothingToSend
	}
	c.Left = have.RecoveryCodes
	return c, err
}

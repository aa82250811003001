package userstore

import (
	"context"
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
		ID: commandLineID(a.NewID), Kind: kind, UserID: u.ID, To: u.Email, Locale: u.Claims.Locale,
		At: now, EndsAt: now.Add(outbox.OfUse),
	}}
}

// signupIsFresh is how long after the sign-up a login that the sign-up form makes is a part of it.
const signupIsFresh = 10 * time.Minute

// newDevice returns the notice of a login at the pages in a browser that the throttle does not
// remember for this user. There is none for the login that is a part of the sign-up. If two such
// logins are made at once, as by a form that was sent twice, the second either reads the user from
// before the first login, or finds the browser remembered.
func (a *Accounts) newDevice(ctx context.Context, v Verified, now time.Time) []outbox.Message {
	signup := v.Signup && v.User.LastLoginAt.IsZero() && now.Sub(v.User.CreatedAt) < signupIsFresh
	if !a.NotifyNewDevice || v.reservation == nil || v.reservation.knownDevice || signup {
		return nil
	}
	messages := a.notice(outbox.NewDevice, v.User, now)
	for i := range messages {
		messages[i].Device = device.Of(audit.OriginOf(ctx).UserAgent)
	}
	return messages
}

package userstore

import (
	"time"

	"github.com/signet-id/signet/internal/outbox"
)

// notice is the message that tells a user what happened to the account, at the address that u has: no user can turn
// it off. It is sent with the event of the act. Nothing where nothing sends messages.
func (a *Accounts) notice(kind outbox.Kind, u User, now time.Time) []outbox.Message {
	if a.NoMail {
		return nil
	}
	return []outbox.Message{{
		ID: nameable(a.NewID), Kind: kind, UserID: u.ID, To: u.Email, Locale: u.Claims.Locale,
		At: now, EndsAt: now.Add(outbox.OfUse),
	}}
}

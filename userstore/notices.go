package userstore

import (
	"time"

	"github.com/signet-id/signet/internal/outbox"
)

// notice returns the message that tells a user, at the address in u, what happened to the account.
// Users cannot turn it off. It is stored with the event of the operation. With NoMail there is none.
func (a *Accounts) notice(kind outbox.Kind, u User, now time.Time) []outbox.Message {
	if a.NoMail {
		return nil
	}
	return []outbox.Message{{
		ID: commandLineID(a.NewID), Kind: kind, UserID: u.ID, To: u.Email, Locale: u.Claims.Locale,
		At: now, EndsAt: now.Add(outbox.OfUse),
	}}
}

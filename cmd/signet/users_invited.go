package main

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/userstore"
)

// invitations are the ends of open invitations, by user id.
type invitations map[string]time.Time

func invitationsOf(ctx context.Context, a *userstore.Accounts, users ...userstore.User) (invitations, error) {
	return a.InvitedUntil(ctx, users...)
}

// document is an account for programs, with the end of its invitation.
func (i invitations) document(u userstore.User) userDocument {
	d := document(u)
	d.InvitedUntil = rfc3339(i[u.ID])
	return d
}

// state is the state of an account in a list.
func (i invitations) state(u userstore.User) string {
	if _, open := i[u.ID]; open {
		return "invited"
	}
	return state(u)
}

// password tells how an account can log in with a password.
func (i invitations) password(u userstore.User) string {
	until, open := i[u.ID]
	switch {
	case u.PasswordHash != "":
		return "set"
	case open:
		return "none; invited to set one until " + readable.Instant(until)
	}
	return "none; cannot log in with one"
}

package userstore

import (
	"context"
	"time"
)

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

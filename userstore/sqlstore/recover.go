package sqlstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// endsWithAccess are the tables whose rows of a user EndAccess deletes, with a further condition.
var endsWithAccess = []struct{ table, also string }{
	{"trusted_browsers", ""}, {"recovery_codes", ""}, {"one_time_tokens", ""},
	{"authenticator_apps", " AND NOT confirmed"},
	{"retired_apps", ""}, {"retired_passkeys", ""}, {"retired_codes", ""},
}

// forgotten are the tables that ForgetWaiting empties.
var forgotten = []string{"codes", "device_authorizations", "pushed_requests", "pending_signups", "outbox", "registration_tokens"}

// EndAccess locks the user's row first, as RevokeUserGrants does.
func (db *DB) EndAccess(ctx context.Context, userID string, now time.Time) error {
	s := []stmt{bind(`UPDATE users SET last_session_id = '', token_epoch = token_epoch + 1, factor_epoch = factor_epoch + 1
		WHERE id = $1`, userID)}
	s = append(s, endLiveGrants(micros(now), `user_id = $`, userID)...)
	s = append(s, endSessions(userID, "", ""))
	for _, t := range endsWithAccess {
		s = append(s, bind(`DELETE FROM `+t.table+` WHERE user_id = $1`+t.also, userID))
	}
	n, err := db.as("EndAccess").batch(ctx, true, s...)
	if err == nil && n[0] == 0 {
		err = userstore.ErrNotFound
	}
	return ifUnstorable(err, userstore.ErrNotFound)
}

func (db *DB) ForgetWaiting(ctx context.Context, events ...audit.Event) error {
	var s []stmt
	for _, table := range forgotten {
		s = append(s, bind(`DELETE FROM `+table))
	}
	_, err := db.as("ForgetWaiting").batch(ctx, true, append(s, storeEvents(eventRows(events))...)...)
	return err
}

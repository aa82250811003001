package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"

	"github.com/signet-id/signet/internal/server"
)

// If the database's clock jumps ahead between two polls of the keys, no live session may be
// removed: it would not come back when the clock is right again.
func TestClockJumpRemovesNothingThatLives(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		now := time.Now().UTC().Truncate(time.Microsecond)
		user := userstore.User{ID: server.NewID(), Email: "a@x.test", EmailKey: "a@x.test", PasswordHash: "$", IsActive: true,
			CreatedAt: now, UpdatedAt: now, Version: 1}
		if err := db.CreateUser(t.Context(), user); err != nil {
			t.Fatal(err)
		}
		for _, lives := range []time.Duration{-time.Hour, time.Hour, 24 * time.Hour} {
			err := db.StartGrant(t.Context(), userstore.StartGrant{PasswordHash: "$", Grant: userstore.Grant{
				ID: server.NewGrantID(), SessionID: server.NewID(), UserID: user.ID, ClientID: userstore.FirstPartyClientID,
				Generation: 1,
				AuthTime:   now, RotatedAt: now, CreatedAt: now, ExpiresAt: now.Add(lives),
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		month := func(ctx context.Context) (time.Time, error) {
			at, err := db.Now(ctx)
			return at.Add(31 * 24 * time.Hour), err
		}
		removed, err := sweepOnce(t.Context(), db.RemoveExpired, earlierOf(month, time.Now), 200)
		if err != nil || removed != 1 {
			t.Errorf("with the database's clock ahead %d grants were removed, %v", removed, err)
		}
		removed, err = sweepOnce(t.Context(), db.RemoveExpired,
			earlierOf(db.Now, func() time.Time { return time.Now().Add(31 * 24 * time.Hour) }), 200)
		if err != nil || removed != 0 {
			t.Errorf("with this clock ahead %d grants were removed, %v", removed, err)
		}
	})
	down := errors.New("down")
	if _, err := earlierOf(func(context.Context) (time.Time, error) { return time.Time{}, down },
		time.Now)(t.Context()); !errors.Is(err, down) {
		t.Errorf("a database that cannot be asked: %v", err)
	}
}

package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A sweep that is ended anywhere leaves what it did not reach to the next one, takes nothing that
// lives, and forgets no refresh token that could be used again: a copied one is found out until its
// session is over.
func TestF38ASweepThatIsEndedAnywhere(t *testing.T) {
	sqltest.EachURL(t, func(t *testing.T, url string) {
		db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		s := apitest.New(t, apitest.Options{DB: db})
		u := s.SignUp("alice")
		copied := s.Login(u)
		kept := s.Login(u)
		latest := copied
		s.Refresh(copied.Refresh).Want(200, "").JSON(&latest)
		s.Refresh(latest.Refresh).Want(200, "").JSON(&latest)

		s.Advance(12 * 24 * time.Hour) // idle for less than the limit
		now := s.Clock.Now()
		live := sqltest.Count(t, url)
		made := sqltest.Expired(t, url, now, 4000)
		for ends := 1; ; ends += 3 {
			ctx, end := context.WithCancel(t.Context())
			asked := 0
			clock := func(context.Context) (time.Time, error) {
				if asked++; asked == ends {
					end() // the batch that follows is interrupted
				}
				return now, nil
			}
			sweepAll(ctx, db, besideWriters, clock, 24*time.Hour, slog.New(slog.DiscardHandler))
			ended := ctx.Err() != nil
			end()
			if !ended {
				break
			}
		}
		left := sqltest.Count(t, url)
		for table := range made {
			want := 0
			switch table {
			case "audit_events", "throttle_networks":
				continue
			case "grants", "clients":
				want = live[table]
			}
			if left[table] != want {
				t.Errorf("%d rows of %s are left, want %d", left[table], table, want)
			}
		}
		s.Refresh(copied.Refresh).Want(401, "token_invalid")
		if !strings.Contains(s.Log.String(), "refresh_replay") {
			t.Error("the replay of a copied token was not seen")
		}
		s.Refresh(latest.Refresh).Want(401, "token_invalid")
		s.Refresh(kept.Refresh).Want(200, "")
	})
}

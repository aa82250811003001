//go:build unix

package sqlstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// A commit that waits for a synchronous standby is not shown to anybody before the standby has it,
// also when the call that made it has given up. A leader that its standby left shortly before would
// otherwise answer the repeated request by what the next leader does not have.
func TestF03ACommitThatNoStandbyHas(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t, pgtest.Options{}).URL(t)
	db := open(t, url, sqlstore.Options{MaxConns: 3})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, g := create(t, db)
	admin := session(t, url)
	psql(t, admin, `SET synchronous_commit = local`, `ALTER SYSTEM SET synchronous_standby_names = 'standby'`, `SELECT pg_reload_conf()`)
	waits := func() bool {
		var n int
		if err := admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
	// The server takes the setting up after it has answered the reload.
	others := open(t, url, sqlstore.Options{MaxConns: 1})
	done := make(chan error, 1)
	for waited := false; !waited; {
		go func() { done <- others.CreateUser(t.Context(), newUser()) }()
		for begun := true; begun && !waited; waited = waits() {
			select {
			case <-done:
				begun = false
			case <-time.After(time.Millisecond):
			}
		}
	}
	for _, try := range []string{"the first request", "the request repeated"} {
		_, err := db.AdvanceGrant(t.Context(), advance(g, 1))
		unavailable(t, try, err)
	}
	if !waits() {
		t.Error("no commit waits for the standby any more")
	}
	psql(t, admin, `ALTER SYSTEM RESET synchronous_standby_names`, `SELECT pg_reload_conf()`)
	ready(t, db)
	if _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); !errors.Is(err, userstore.ErrConflict) {
		t.Errorf("the request repeated when the standbys have the commit: %v, want ErrConflict", err)
	}
	if got, err := db.ListGrants(t.Context(), g.UserID, now, time.Time{}); err != nil || len(got) != 1 || got[0].Generation != 2 {
		t.Errorf("the grants afterwards: %+v, %v", got, err)
	}
}

//go:build unix

package sqlstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

func TestF05F14LocksAndAFullPool(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{MaxConns: 3})
	alice, aliceGrant := create(t, db)
	bob, _ := create(t, db)
	locker := session(t, url)
	psql(t, locker, `BEGIN`, `SELECT 1 FROM users WHERE id = '`+alice.ID+`' FOR UPDATE`,
		`SELECT 1 FROM grants WHERE user_id = '`+alice.ID+`' FOR UPDATE`)

	_, err := db.AdvanceGrant(t.Context(), advance(aliceGrant, 1))
	unavailable(t, "F-14 the one whose rows are locked", err)
	says(t, err, "lock timeout") // that comes long before the other limits
	// The next calls wait for the lock as long as a statement may, and hold their connections longer
	// than another call waits for one.
	if err := sqlstore.EachConn(t.Context(), db, `SET lock_timeout = 0`); err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() { unavailable(t, "F-14 disable", db.SetActive(t.Context(), alice.ID, false, now)) })
	}
	for db.Stats().InUse < 3 { // then all three connections wait for a lock
		time.Sleep(time.Millisecond)
	}
	within(t, "F-05 a call without a free connection", 10*time.Second, func() {
		_, err := db.UserByID(t.Context(), bob.ID)
		unavailable(t, "F-05", err)
		says(t, err, "no free connection")
	})
	waiting.Wait()
	if _, err := db.UserByID(t.Context(), alice.ID); err != nil {
		t.Errorf("F-14 a read of the locked row: %v", err)
	}
	if err := db.SetActive(t.Context(), bob.ID, false, now); err != nil {
		t.Errorf("F-14 another user: %v", err)
	}
	psql(t, locker, `ROLLBACK`)
	if _, err := db.AdvanceGrant(t.Context(), advance(aliceGrant, 1)); err != nil {
		t.Errorf("F-14 afterwards: %v", err)
	}
}

// A replica whose requests use all connections is busy, not unready, and still learns of revoked
// keys.
func TestF05AFullPoolStaysReady(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	for name, test := range map[string]struct {
		url      string
		options  sqlstore.Options
		requests int
		spare    bool
	}{
		"the options count requests' connections": {url, sqlstore.Options{MaxConns: 2}, 2, true},
		"the address counts all connections":      {url + "&pool_max_conns=3", sqlstore.Options{}, 2, true},
		"an address that allows only one":         {url + "&pool_max_conns=1", sqlstore.Options{}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, test.url, test.options)
			u, _ := create(t, db)
			locker := session(t, url)
			psql(t, locker, `BEGIN`, `SELECT 1 FROM users WHERE id = '`+u.ID+`' FOR UPDATE`)
			var waiting sync.WaitGroup
			defer waiting.Wait()
			for range test.requests {
				waiting.Go(func() { unavailable(t, "disable", db.SetActive(t.Context(), u.ID, false, now)) })
			}
			for db.Stats().InUse < test.requests {
				time.Sleep(5 * time.Millisecond)
			}
			if !test.spare {
				unavailable(t, "Ping", db.Ping(t.Context()))
				return
			}
			if most := db.Stats().Max; most != test.requests+1 {
				t.Errorf("at most %d connections, for %d of requests", most, test.requests)
			}
			for name, vital := range map[string]func() error{
				"Ping":        func() error { return db.Ping(t.Context()) },
				"Now":         func() error { _, err := db.Now(t.Context()); return err },
				"RingVersion": func() error { _, err := db.RingVersion(t.Context()); return err },
				"LoadRing":    func() error { _, err := db.LoadRing(t.Context()); return err },
			} {
				within(t, name, 10*time.Second, func() {
					if err := vital(); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			if waits := db.Stats().Waits; waits != 0 {
				t.Errorf("%d calls had to wait, want none so far", waits)
			}
			_, err := db.UserByID(t.Context(), u.ID)
			unavailable(t, "a request", err)
			if s := db.Stats(); s.Waits != 1 || s.Waited < 900*time.Millisecond {
				t.Errorf("%d calls waited %s, want one that waited a second", s.Waits, s.Waited)
			}
			waiting.Wait()
			if err := db.Ping(t.Context()); err != nil {
				t.Errorf("Ping afterwards: %v", err)
			}
		})
	}
}

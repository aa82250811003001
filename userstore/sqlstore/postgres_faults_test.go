//go:build unix

package sqlstore_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

func TestF01AStoppedServer(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	db := open(t, server.URL(t), sqlstore.Options{})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, g := create(t, db)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func() error{
		"read":    func() error { _, err := db.UserByID(t.Context(), u.ID); return err },
		"refresh": func() error { _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); return err },
		"signup":  func() error { return db.CreateUser(t.Context(), newUser()) },
		"login": func() error {
			return db.StartGrant(t.Context(), userstore.StartGrant{Grant: newGrant(u), PasswordHash: "hash"})
		},
		"list":   func() error { _, err := db.ListUsers(t.Context(), userstore.UserQuery{Limit: 10}); return err },
		"ring":   func() error { _, err := db.LoadRing(t.Context()); return err },
		"rotate": func() error { return db.ChangeRing(t.Context(), 0, keys.Change{RefreshSecret: "x"}) },
		"ping":   func() error { return db.Ping(t.Context()) },
		"clock":  func() error { _, err := db.Now(t.Context()); return err },
		"schema": func() error { return db.CheckSchema(t.Context()) },
	}
	for name, call := range calls {
		within(t, name, 9*time.Second, func() { unavailable(t, name, call()) })
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	within(t, "the first success", time.Minute, func() {
		for db.Ping(t.Context()) != nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
	for _, name := range []string{"read", "refresh", "signup", "login", "rotate"} {
		if err := calls[name](); err != nil {
			t.Errorf("%s after the restart: %v", name, err)
		}
	}
}

func TestF02KilledBackends(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{MaxConns: 4})
	u, g := create(t, db)
	admin := session(t, url)
	ctx := t.Context()
	// The killer strikes at any moment of every second round, however long a round takes.
	strike := make(chan struct{}, 1)
	var killer sync.WaitGroup
	killer.Go(func() {
		for range strike {
			_, _ = admin.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'signet' ORDER BY random() LIMIT 1`)
		}
	})
	generation, refused, refreshed := int64(1), 0, 0
	for round := range 120 {
		if round%2 == 0 {
			strike <- struct{}{}
		}
		if _, err := db.UserByID(ctx, u.ID); err != nil {
			unavailable(t, "read", err)
		}
		v, err := db.AdvanceGrant(ctx, advance(g, generation))
		switch {
		case err == nil:
			generation = v.Grant.Generation
			refreshed++
		case errors.Is(err, userstore.ErrUnavailable):
			refused++
		case errors.Is(err, userstore.ErrConflict): // the answer was lost, and the retry found the first try's change
		default:
			t.Fatal(err)
		}
		if err != nil {
			for { // as a caller does next
				v, err := db.GrantByID(ctx, g.ID)
				if err == nil {
					if v.Grant.Generation != generation && v.Grant.Generation != generation+1 {
						t.Fatalf("generation %d after %d", v.Grant.Generation, generation)
					}
					generation = v.Grant.Generation
					break
				}
				unavailable(t, "read", err)
			}
		}
	}
	close(strike)
	killer.Wait()
	if refreshed < 40 {
		t.Errorf("only %d of 120 refreshes succeeded, %d were refused", refreshed, refused)
	}
}

func TestF04ANodeThatBecomesReadOnly(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db := open(t, url, sqlstore.Options{MaxConns: 2})
	u, g := create(t, db)
	admin := session(t, url)
	psql(t, admin,
		`DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' SET default_transaction_read_only = on'; END $$`)
	// The open connections do not notice; set them read-only, as a demoted node would.
	if err := sqlstore.EachConn(t.Context(), db, `SET default_transaction_read_only = on`); err != nil {
		t.Fatal(err)
	}
	err := db.Ping(t.Context())
	unavailable(t, "ping", err)
	if _, err := db.UserByID(t.Context(), u.ID); err != nil {
		t.Errorf("a read: %v", err)
	}
	_, err = db.AdvanceGrant(t.Context(), advance(g, 1))
	unavailable(t, "a write", err)
	unavailable(t, "a write over a new connection", db.CreateUser(t.Context(), newUser()))
	psql(t, admin, `SET default_transaction_read_only = off`,
		`DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || ' RESET default_transaction_read_only'; END $$`)
	ready(t, db)
	if _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); err != nil {
		t.Errorf("a write afterwards: %v", err)
	}
}

func TestF06AServerThatHangs(t *testing.T) {
	t.Parallel()
	p := newProxy(t, sqltest.PostgresURL(t))
	db := open(t, p.url, sqlstore.Options{MaxConns: 2})
	u, g := create(t, db)
	p.hang.Store(true)
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			within(t, "F-06 a write", 9*time.Second, func() {
				_, err := db.AdvanceGrant(t.Context(), advance(g, 1))
				unavailable(t, "F-06 a write", err)
			})
		})
		calls.Go(func() {
			within(t, "F-06 a read", 9*time.Second, func() {
				_, err := db.UserByID(t.Context(), u.ID)
				unavailable(t, "F-06 a read", err)
			})
		})
	}
	calls.Wait()
	p.hang.Store(false)
	within(t, "F-06 recovery", time.Minute, func() {
		for db.Ping(t.Context()) != nil {
			time.Sleep(10 * time.Millisecond)
		}
	})
}

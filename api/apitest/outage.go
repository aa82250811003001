package apitest

import (
	"database/sql"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// Open opens a store of its own, for tests that break it.
func Open(t *testing.T, url string) *sqlstore.DB {
	db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}

// KilledPostgres is a store on a server of its own, and functions that stop and resume that.
func KilledPostgres(t *testing.T) (db *sqlstore.DB, stop, resume func()) {
	server := pgtest.Start(t, pgtest.Options{})
	check := func(do func() error) func() {
		return func() {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return Open(t, server.URL(t)), check(server.Stop), check(server.Resume)
}

// LockedSQLite is a store, and functions that lock its file and let go of it.
func LockedSQLite(t *testing.T) (db *sqlstore.DB, lock, unlock func()) {
	path := sqltest.SQLitePath(t)
	db = Open(t, path)
	other, err := sql.Open("sqlite", path) // sqlstore registers the driver
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	other.SetMaxOpenConns(1)
	say := func(statement string) func() {
		return func() {
			if _, err := other.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
	}
	return db, say("BEGIN EXCLUSIVE"), say("ROLLBACK")
}

// Impatient are the options of two replicas on a store that will be taken away. Replica 1 meets the
// outage: it gives a request one second. Replica 0 prepares the test and looks afterwards, and has
// the time that a slow machine needs.
func Impatient(db *sqlstore.DB) Options {
	made := 0
	return Options{DB: db, Replicas: 2, Configure: func(r *Replica) {
		if made == 1 {
			r.API.Timeout = time.Second
		}
		made++
	}}
}

// AwaitReady waits until every replica is ready again after an outage.
func (s *Server) AwaitReady() {
	s.T.Helper()
	for n := range s.Replicas {
		ready := Request{Path: "/readyz", Replica: n}
		for began := time.Now(); s.Do(ready).Status != 200; time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > time.Minute {
				s.T.Fatalf("replica %d is not ready again after a minute", n)
			}
		}
	}
}

//go:build unix

package sqlstore_test

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// unstated are the migrations from before a migration had to state its lock budget. All of them are
// one transaction of catalog changes and of changes to tables with few rows, and get the budget of
// the migrator.
const unstated = 16

// F-14, F-34: what a migration locks, and for how long, stands in it, and it can be tried again.
func TestF34MigrationsStateWhatTheyLock(t *testing.T) {
	t.Parallel()
	created := regexp.MustCompile(`CREATE TABLE (?:%I\.)?([a-z_]+)`)
	index := regexp.MustCompile(`CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(IF NOT EXISTS )?([a-z_]+)\s+ON ([a-z_]+)`)
	names, err := fs.Glob(sqlstore.MigrationFiles, "migrations/postgres/*.sql")
	if err != nil || len(names) < unstated {
		t.Fatalf("%d migrations, %v", len(names), err)
	}
	for n, name := range names {
		text := content(t, name)
		severally := strings.Contains(text, "+goose NO TRANSACTION")
		if n < unstated {
			if severally {
				t.Errorf("%s has no transaction", name)
			}
			continue
		}
		head, _, _ := strings.Cut(text, "-- +goose")
		if !strings.Contains(head, "Lock budget:") {
			t.Errorf("%s: say at its head, after \"Lock budget:\", which tables it locks and for how long", name)
		}
		if severally && (!strings.Contains(head, "Resumable:") || !strings.Contains(text, "lock_timeout")) {
			t.Errorf("%s has no transaction: say at its head, after \"Resumable:\", why it can be begun again, and set lock_timeout", name)
		}
		var own []string
		for _, m := range created.FindAllStringSubmatch(text, -1) {
			own = append(own, m[1])
		}
		for _, m := range index.FindAllStringSubmatch(text, -1) {
			switch {
			case slices.Contains(own, m[4]):
			case m[1] == "" || m[2] == "" || !severally:
				t.Errorf("%s: the index %s of the table %s, which may be large, has to be built by CREATE INDEX CONCURRENTLY IF NOT EXISTS, "+
					"without a transaction", name, m[3], m[4])
			}
		}
	}
}

// waiting collects what a migrator logs.
type waiting struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *waiting) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *waiting) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// F-14, F-34: a migration behind a long transaction gives way to the writers, again and again, and is
// applied when the transaction ends. In between nothing of it is there.
func TestF34AMigrationGivesWay(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	var said waiting
	db := open(t, url, sqlstore.Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
	if err := sqlstore.MigrateTo(t.Context(), db, 12); err != nil { // the next ones change clients and grants
		t.Fatal(err)
	}
	long := session(t, url)
	psql(t, long, `SET application_name = 'a report'`, `BEGIN`, `SELECT count(*) FROM clients`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	migrated := make(chan error, 1)
	go func() { migrated <- db.Migrate(ctx) }()

	writer := session(t, url)
	psql(t, writer, `SET lock_timeout = '2s'`) // as a server has it
	for strings.Count(said.String(), "gave way") < 3 {
		psql(t, writer, `UPDATE clients SET name = 'Signet ' || version`)
		select {
		case err := <-migrated:
			t.Fatalf("it did not wait: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if !strings.Contains(said.String(), "a report of ") {
		t.Errorf("the log does not say what is in the way:\n%s", &said)
	}
	if v := one[int64](t, writer, `SELECT max(version_id) FROM goose_db_version`); v != 12 {
		t.Errorf("version %d is there meanwhile", v)
	}
	psql(t, long, `COMMIT`)
	if err := <-migrated; err != nil {
		t.Fatal(err)
	}
	if err := db.CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
}

// endWaiting ends the connection that waits for a lock, as soon as there is one.
func endWaiting(t *testing.T, admin *pgx.Conn, which string) {
	t.Helper()
	for one[int64](t, admin, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock' AND `+which) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
}

// A migrator that is ended while it waits leaves nothing behind, and the next one goes on.
func TestF34AMigratorThatWaitsIsEnded(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db := open(t, url, sqlstore.Options{})
	if err := sqlstore.MigrateTo(t.Context(), db, 12); err != nil {
		t.Fatal(err)
	}
	long := session(t, url)
	psql(t, long, `BEGIN`, `SELECT count(*) FROM clients`)
	admin := session(t, url)
	for range 3 {
		migrated := make(chan error, 1)
		go func() { migrated <- db.Migrate(t.Context()) }()
		endWaiting(t, admin, `application_name = 'signet'`)
		if err := <-migrated; err == nil {
			t.Fatal("a migrator without a connection succeeded")
		}
	}
	psql(t, long, `COMMIT`)
	if err := db.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
}

// withMigrations are the embedded migrations and more.
func withMigrations(t *testing.T, more map[string]string) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(sqlstore.MigrationFiles, "migrations/postgres/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		files[strings.TrimPrefix(name, "migrations/postgres/")] = &fstest.MapFile{Data: []byte(content(t, name))}
	}
	for name, text := range more {
		files[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

const concurrently = `-- Lock budget: none: the index is built while others write.
-- Resumable: what is left of an index is dropped first.

-- +goose NO TRANSACTION
-- +goose Up
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS users_claims_test ON users (claims);
CREATE TABLE IF NOT EXISTS after_index (n BIGINT);
`

// F-34: an index that is built while others write, and whose building fails or is ended, is built anew.
func TestF34AnIndexIsBuiltAnew(t *testing.T) {
	t.Parallel()
	valid := func(t *testing.T, url string) int64 {
		return one[int64](t, session(t, url), `SELECT count(*) FROM pg_index
			WHERE indexrelid = to_regclass('users_claims_test') AND indisvalid`)
	}
	files := withMigrations(t, map[string]string{"9001_index.sql": concurrently})
	t.Run("after a failure", func(t *testing.T) {
		url := sqltest.PostgresURL(t)
		db := open(t, url, sqlstore.Options{})
		create(t, db)
		create(t, db) // with the same claims
		if err := sqlstore.MigrateBy(t.Context(), db, files); err == nil {
			t.Fatal("a unique index over equal claims")
		}
		admin := session(t, url)
		if n := one[int64](t, admin, `SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('users_claims_test')`); n != 1 {
			t.Fatalf("%d indexes are left: there is nothing to test", n)
		}
		psql(t, admin, `UPDATE users SET claims = '{"n":"' || id || '"}'`)
		if err := sqlstore.MigrateBy(t.Context(), db, files); err != nil || valid(t, url) != 1 {
			t.Errorf("%v, %d", err, valid(t, url))
		}
	})
	t.Run("ended while it is built", func(t *testing.T) {
		url := sqltest.PostgresURL(t)
		db := open(t, url, sqlstore.Options{})
		create(t, db)
		// The building waits for the end of every transaction that wrote to the table, longer than
		// for a lock: it gives way as any statement does, and is tried again.
		long, admin := session(t, url), session(t, url)
		psql(t, long, `BEGIN`, `UPDATE users SET version = version + 1`)
		migrated := make(chan error, 1)
		go func() { migrated <- sqlstore.MigrateBy(t.Context(), db, files) }()
		endWaiting(t, admin, `query LIKE 'CREATE UNIQUE INDEX CONCURRENTLY%'`)
		if err := <-migrated; err == nil {
			t.Fatal("a migrator without a connection succeeded")
		}
		psql(t, long, `COMMIT`)
		if err := sqlstore.MigrateBy(t.Context(), db, files); err != nil || valid(t, url) != 1 {
			t.Errorf("%v, %d", err, valid(t, url))
		}
		if err := sqlstore.MigrateBy(t.Context(), db, files); err != nil {
			t.Errorf("applied, it is not touched: %v", err)
		}
	})
	t.Run("behind a long transaction", func(t *testing.T) {
		url := sqltest.PostgresURL(t)
		var said waiting
		db := open(t, url, sqlstore.Options{Log: slog.New(slog.NewTextHandler(&said, nil))})
		create(t, db)
		long, writer := session(t, url), session(t, url)
		psql(t, long, `BEGIN`, `UPDATE users SET version = version + 1`)
		migrated := make(chan error, 1)
		go func() { migrated <- sqlstore.MigrateBy(t.Context(), db, files) }()
		for strings.Count(said.String(), "gave way") < 2 {
			psql(t, writer, `UPDATE clients SET name = 'Signet ' || version`)
			select {
			case err := <-migrated:
				t.Fatalf("it did not wait: %v", err)
			case <-time.After(10 * time.Millisecond):
			}
		}
		psql(t, long, `COMMIT`)
		if err := <-migrated; err != nil || valid(t, url) != 1 {
			t.Errorf("%v, %d", err, valid(t, url))
		}
	})
}

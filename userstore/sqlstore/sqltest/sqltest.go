// Package sqltest gives tests a migrated store on every engine.
package sqltest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// Engines open a fresh, migrated store each, by the name of the engine, for benchmarks that choose
// when.
var Engines = map[string]func(testing.TB) *sqlstore.DB{"sqlite": SQLite, "postgres": Postgres}

// Each runs fn as the subtests "sqlite" and "postgres", each with a fresh,
// migrated store. It never skips: without Postgres programs the test fails.
func Each(t *testing.T, fn func(t *testing.T, db *sqlstore.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// EachURL runs fn on both engines with the address of a fresh, migrated database that is not open
// yet.
func EachURL(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLitePath(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, PostgresURL(t)) })
}

// SQLite opens a fresh, migrated store in a file of its own.
func SQLite(tb testing.TB) *sqlstore.DB {
	tb.Helper()
	return open(tb, SQLitePath(tb))
}

// Postgres opens a fresh, migrated store in a database of its own.
func Postgres(tb testing.TB) *sqlstore.DB {
	tb.Helper()
	return open(tb, PostgresURL(tb))
}

// SQLitePath and PostgresURL return the address of a fresh, migrated database that is not open yet,
// for tests that open it more than once, as several replicas do.
func SQLitePath(tb testing.TB) string {
	tb.Helper()
	file, err := template()
	if err != nil {
		tb.Fatalf("sqltest: %v", err)
	}
	path := filepath.Join(tb.TempDir(), "signet.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		tb.Fatalf("sqltest: %v", err)
	}
	return path
}

func PostgresURL(tb testing.TB) string {
	tb.Helper()
	return pgtest.Clone(tb, "sqlstore", migrated)
}

func open(tb testing.TB, url string) *sqlstore.DB {
	tb.Helper()
	db, err := sqlstore.Open(context.Background(), url, sqlstore.Options{MustExist: true})
	if err != nil {
		tb.Fatalf("sqltest: %v", err)
	}
	tb.Cleanup(db.Close)
	return db
}

// migrated creates the schema at url.
func migrated(url string) error {
	db, err := sqlstore.Open(context.Background(), url, sqlstore.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Migrate(context.Background())
}

// template returns a migrated SQLite file, made once per process: a copy of it is many times faster
// than migrating.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "signet-sqltest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "template.db")
	if err := migrated(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

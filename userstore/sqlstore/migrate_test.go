//go:build unix

package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// goesOn is the one migration of several transactions: TestTheMigrationToMonthsGoesOn interrupts it.
const goesOn = "0017_audit_months.sql"

func TestBothEnginesHaveTheSameMigrations(t *testing.T) {
	names := map[string][]string{}
	for _, engine := range []string{"postgres", "sqlite"} {
		entries, err := os.ReadDir(filepath.Join("migrations", engine))
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range entries {
			names[engine] = append(names[engine], e.Name())
			text, err := fs.ReadFile(os.DirFS("migrations"), engine+"/"+e.Name())
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "+goose Down") {
				t.Errorf("%s/%s goes back: migrations are forward only", engine, e.Name())
			}
			if strings.Contains(string(text), "NO TRANSACTION") && !strings.Contains(string(text), "-- Resumable: ") {
				t.Errorf("%s/%s could be left half done", engine, e.Name())
			}
			if n := i + 1; !strings.HasPrefix(e.Name(), fmt.Sprintf("%04d_", n)) {
				t.Errorf("%s/%s is not number %d", engine, e.Name(), n)
			}
		}
	}
	if !slices.Equal(names["postgres"], names["sqlite"]) {
		t.Errorf("%v", names)
	}
}

// Both engines have the same tables with the same columns, and no column that may be NULL.
func TestBothEnginesHaveTheSameColumns(t *testing.T) {
	t.Parallel()
	columns := func(rows interface {
		Next() bool
		Scan(...any) error
		Err() error
	}) (all []string) {
		for rows.Next() {
			var table, column string
			var nullable bool
			if err := rows.Scan(&table, &column, &nullable); err != nil {
				t.Fatal(err)
			}
			if nullable {
				t.Errorf("%s.%s may be NULL", table, column)
			}
			all = append(all, table+"."+column)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all)
		return all
	}
	lite, err := raw(t, sqltest.SQLitePath(t)).
		Query(`SELECT t.name, c.name, NOT c."notnull" FROM sqlite_schema t, pragma_table_info(t.name) c
		WHERE t.type = 'table' AND t.name NOT LIKE 'goose%' AND t.name NOT LIKE 'sqlite%'
			AND (t.name NOT LIKE 'search%' OR t.name = 'search_roles')`) // the others are SQLite's own
	if err != nil {
		t.Fatal(err)
	}
	defer lite.Close()
	pg, err := session(t, sqltest.PostgresURL(t)).Query(t.Context(),
		`SELECT c.table_name::text, c.column_name::text, c.is_nullable = 'YES' FROM information_schema.columns c
		JOIN information_schema.tables t ON t.table_name = c.table_name AND t.table_schema = c.table_schema
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name NOT LIKE 'goose%'
		AND NOT (SELECT relispartition FROM pg_class WHERE oid = c.table_name::regclass)`)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.Close()
	a, b := columns(lite), columns(pg)
	if !slices.Equal(a, b) || len(a) < 50 {
		t.Errorf("sqlite:\n%s\npostgres:\n%s", strings.Join(a, " "), strings.Join(b, " "))
	}
}

// eachEmpty runs fn with the address of an empty database of each engine.
func eachEmpty(t *testing.T, fn func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { fn(t, filepath.Join(t.TempDir(), "signet.db")) })
	t.Run("postgres", func(t *testing.T) { fn(t, pgtest.URL(t)) })
}

func TestSchemaVersions(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, url string) {
		db := open(t, url, sqlstore.Options{})
		var schema *sqlstore.SchemaError
		if err := db.CheckSchema(t.Context()); !errors.As(err, &schema) || schema.Have != 0 {
			t.Errorf("an empty database: %v", err)
		}
		says(t, db.CheckSchema(t.Context()), "signet migrate up")
		status, err := db.Migrations(t.Context())
		if err != nil || len(status) == 0 || !status[0].AppliedAt.IsZero() {
			t.Errorf("status of an empty database: %v, %v", status, err)
		}
		before := time.Now().Add(-2 * time.Second)
		for range 2 { // the second time is no error
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		status, err = db.Migrations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range status {
			if m.AppliedAt.Before(before) || m.AppliedAt.After(time.Now().Add(2*time.Second)) || m.Name == "" {
				t.Errorf("%+v", m)
			}
		}
		last := len(status)

		// A newer release migrated: by a step that this binary survives, and by one that it does
		// not.
		change := func(s string) {
			t.Helper()
			if err := sqlstore.Exec(t.Context(), db, s); err != nil {
				t.Fatal(err)
			}
		}
		change(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9001, ` + yes(db) + `)`)
		if err := db.CheckSchema(t.Context()); err != nil {
			t.Errorf("O-15 newer by an additive step: %v", err)
		}
		if err := db.Migrate(t.Context()); err != nil {
			t.Errorf("O-15 migrating does nothing then: %v", err)
		}
		change(`UPDATE signet_schema SET oldest_writer = 9001`)
		says(t, db.CheckSchema(t.Context()), "9001", "newer release")
		says(t, db.Migrate(t.Context()), "9001", "newer release")
		status, err = db.Migrations(t.Context())
		if err != nil || len(status) != last+1 || !strings.Contains(status[last].Name, "newer") {
			t.Errorf("%v, %v", status, err)
		}
		change(`DELETE FROM goose_db_version WHERE version_id = 9001 OR version_id = 1`)
		says(t, db.CheckSchema(t.Context()), "signet migrate up")
	})
}

func yes(db *sqlstore.DB) string {
	if db.Engine() == "postgres" {
		return "TRUE"
	}
	return "1"
}

// F-34: several replicas start on an empty database at once.
func TestF34ConcurrentMigrations(t *testing.T) {
	t.Parallel()
	eachEmpty(t, func(t *testing.T, url string) {
		var all sync.WaitGroup
		dbs := make([]*sqlstore.DB, 4)
		for i := range dbs {
			dbs[i] = open(t, url, sqlstore.Options{})
		}
		for _, db := range dbs {
			all.Go(func() {
				if err := db.Migrate(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		create(t, dbs[0])
		status, err := dbs[1].Migrations(t.Context())
		if err != nil || len(status) == 0 {
			t.Fatalf("%v, %v", status, err)
		}
	})
}

// F-34: migrators whose connection is cut at any moment leave nothing half done.
func TestF34InterruptedMigrations(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	admin := session(t, url)
	db := open(t, url, sqlstore.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	var killer sync.WaitGroup
	killer.Go(func() {
		for ctx.Err() == nil {
			_, _ = admin.Exec(context.Background(),
				`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'signet'`)
			time.Sleep(2 * time.Millisecond)
		}
	})
	failed := 0
	for began, n := time.Now(), 0; n < 10 || failed == 0 && time.Since(began) < time.Minute; n++ {
		if err := db.Migrate(t.Context()); err != nil {
			failed++
		}
	}
	cancel()
	killer.Wait()
	if failed == 0 {
		t.Error("no migration was interrupted")
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatalf("after %d interrupted ones: %v", failed, err)
	}
	create(t, db)
}

// A migrator waits for the one that holds the lock, until its context ends.
func TestAMigratorWaitsForAnother(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	admin := session(t, url)
	psql(t, admin, `SELECT pg_advisory_lock(`+sqlstore.MigrationLock+`)`)
	db := open(t, url, sqlstore.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := db.Migrate(ctx); err == nil {
		t.Fatal("it did not wait")
	}
	if err := db.CheckSchema(t.Context()); err == nil {
		t.Error("it migrated all the same")
	}
	var other sync.WaitGroup
	other.Go(func() {
		time.Sleep(100 * time.Millisecond)
		psql(t, admin, `SELECT pg_advisory_unlock_all()`)
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	other.Wait()
}

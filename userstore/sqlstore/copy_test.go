//go:build unix

package sqlstore_test

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A table that is new has to be copied, too. What has no copy: times of probes,
// and what triggers make from the users.
func TestACopyKnowsEveryTable(t *testing.T) {
	t.Parallel()
	create := regexp.MustCompile(`(?m)^CREATE TABLE ([a-z_]+)`)
	tables := map[string]bool{}
	for _, engine := range []string{"sqlite", "postgres"} {
		names, err := filepath.Glob("migrations/" + engine + "/*.sql")
		if err != nil || len(names) == 0 {
			t.Fatalf("%d migrations, %v", len(names), err)
		}
		for _, name := range names {
			for _, m := range create.FindAllStringSubmatch(content(t, name), -1) {
				if !strings.Contains(m[0], "PARTITION") {
					tables[m[1]] = true
				}
			}
		}
	}
	delete(tables, "write_probe")
	maps.DeleteFunc(tables, func(name string, _ bool) bool { return strings.HasPrefix(name, "search_") })
	want := slices.Sorted(maps.Keys(tables))
	if got := slices.Sorted(slices.Values(sqlstore.CopiedTables)); !slices.Equal(got, want) {
		t.Errorf("a copy has\n%q, want\n%q", got, want)
	}
	if last := sqlstore.CopiedTables[len(sqlstore.CopiedTables)-1]; last != "key_ring" {
		t.Errorf("%s is the last: a server could start on a part of a copy", last)
	}
}

// A copy counts on the order of keys, which is that of bytes, and there is no sequence that it would
// have to set.
func TestACopyCanCountOnTheSchema(t *testing.T) {
	t.Parallel()
	admin := session(t, sqltest.PostgresURL(t))
	if n := one[int64](t, admin, `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind = 'S' AND c.relname NOT LIKE 'goose%'`); n != 0 {
		t.Errorf("%d sequences: a copy has to set them", n)
	}
	if n := one[int64](t, admin, `SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
		JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
		JOIN pg_collation l ON l.oid = a.attcollation
		WHERE n.nspname = current_schema() AND i.indisprimary AND l.collname <> 'C'`); n != 0 {
		t.Errorf("%d columns of primary keys are not ordered by bytes", n)
	}
	if n := one[int64](t, admin, `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE 'goose%'
		AND NOT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)`); n != 1 {
		t.Errorf("%d tables have no primary key, want signet_schema alone", n)
	}
}

// Every value of every table arrives as it is, whatever it is.
func TestACopyHoldsEveryValue(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), pgtest.URL(t)
	fillTables(t, path, 90)
	var last, total int64
	from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
	result, err := from.CopyTo(t.Context(), to,
		sqlstore.CopyOptions{Batch: 40, Report: func(done, of int64) {
			if done < last || done > of || total != 0 && of != total {
				t.Errorf("%d of %d after %d of %d", done, of, last, total)
			}
			last, total = done, of
		}})
	if err != nil {
		t.Fatal(err)
	}
	sameCells(t, path, url)
	if result.Resumed || result.Already || len(result.Tables) != len(sqlstore.CopiedTables) || last != total || total != 3*result.Rows {
		t.Errorf("%+v; %d of %d", result, last, total)
	}
	for _, table := range result.Tables {
		if len(table.Digest) != 64 || table.Rows == 0 {
			t.Errorf("%+v", table)
		}
	}
	// A server takes it, and a second copy has nothing to do.
	if err := to.CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
	again, err := from.CopyTo(t.Context(), to, sqlstore.CopyOptions{})
	if err != nil || !again.Already || !slices.Equal(again.Tables, result.Tables) {
		t.Errorf("%+v, %v", again, err)
	}
	// Once it serves, it is no copy any more.
	psql(t, session(t, url), `UPDATE users SET last_login_at = last_login_at + 1 WHERE last_login_at = 0`)
	_, err = from.CopyTo(t.Context(), to, sqlstore.CopyOptions{})
	if !errors.Is(err, sqlstore.ErrNotEmpty) {
		t.Errorf("over a database in use: %v", err)
	}
	says(t, err, "it has rows in the table users", "Give an empty database")
}

// The target of a copy may have the schema already, and of an empty source everything is copied.
func TestACopyOfAFreshDatabase(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), sqltest.PostgresURL(t)
	result, err := open(t, path, sqlstore.Options{}).CopyTo(t.Context(), open(t, url, sqlstore.Options{}), sqlstore.CopyOptions{})
	if err != nil || result.Rows != 4 {
		t.Errorf("%+v, %v", result, err)
	}
}

func content(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(sqlstore.MigrationFiles, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

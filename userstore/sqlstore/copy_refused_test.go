//go:build unix

package sqlstore_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// What a copy does not write into, and leaves as it is.
func TestACopyRefusesEverythingElse(t *testing.T) {
	t.Parallel()
	copyInto := func(t *testing.T, path, url string) error {
		t.Helper()
		from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
		defer from.Close()
		defer to.Close()
		_, err := from.CopyTo(t.Context(), to, sqlstore.CopyOptions{})
		return err
	}
	t.Run("a database with a user", func(t *testing.T) {
		url := sqltest.PostgresURL(t)
		create(t, open(t, url, sqlstore.Options{}))
		err := copyInto(t, sqltest.SQLitePath(t), url)
		says(t, err, "not empty", "users", "nothing was changed there")
		if n := one[int64](t, session(t, url), `SELECT count(*) FROM users`); n != 1 {
			t.Errorf("%d users", n)
		}
	})
	t.Run("a database on which a server has started", func(t *testing.T) {
		url := sqltest.PostgresURL(t)
		psql(t, session(t, url), `UPDATE key_ring SET version = 1`)
		says(t, copyInto(t, sqltest.SQLitePath(t), url), "not empty", "key_ring")
	})
	t.Run("another program's database", func(t *testing.T) {
		url := pgtest.URL(t)
		admin := session(t, url)
		psql(t, admin, `CREATE TABLE invoices (id INT)`)
		says(t, copyInto(t, sqltest.SQLitePath(t), url), "a table invoices, which is not Signet's")
		if n := one[int64](t, admin, `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`); n != 1 {
			t.Errorf("%d tables: it was changed", n)
		}
	})
	t.Run("an older schema in use", func(t *testing.T) {
		url := pgtest.URL(t)
		db := open(t, url, sqlstore.Options{})
		if err := sqlstore.MigrateTo(t.Context(), db, 10); err != nil {
			t.Fatal(err)
		}
		psql(t, session(t, url), `UPDATE key_ring SET version = 1`)
		says(t, copyInto(t, sqltest.SQLitePath(t), url), "not empty", "key_ring")
		if v := one[int64](t, session(t, url), `SELECT max(version_id) FROM goose_db_version`); v != 10 {
			t.Errorf("it was migrated to %d", v)
		}
	})
	t.Run("a newer schema", func(t *testing.T) {
		url := sqltest.PostgresURL(t)
		psql(t, session(t, url), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9001, TRUE)`)
		says(t, copyInto(t, sqltest.SQLitePath(t), url), "the target", "9001", "newer release")
	})
	t.Run("a source of an older schema", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "old.db")
		db := open(t, path, sqlstore.Options{})
		if err := sqlstore.MigrateTo(t.Context(), db, 10); err != nil {
			t.Fatal(err)
		}
		db.Close()
		says(t, copyInto(t, path, pgtest.URL(t)), "the source", "version 10", "signet migrate up")
	})
	t.Run("a source of a newer schema", func(t *testing.T) {
		path := sqltest.SQLitePath(t)
		if _, err := raw(t, path).Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9001, 1)`); err != nil {
			t.Fatal(err)
		}
		says(t, copyInto(t, path, pgtest.URL(t)), "the source", "9001", "newer release")
	})
	t.Run("a source with a server", func(t *testing.T) {
		path, url := sqltest.SQLitePath(t), pgtest.URL(t)
		server := open(t, path, sqlstore.Options{})
		if err := server.Lock(); err != nil {
			t.Fatal(err)
		}
		if err := copyInto(t, path, url); !errors.Is(err, sqlstore.ErrLocked) {
			t.Errorf("%v", err)
		}
		server.Close()
		if err := copyInto(t, path, url); err != nil {
			t.Errorf("after the server: %v", err)
		}
	})
	t.Run("a source that another process writes to", func(t *testing.T) {
		path := sqltest.SQLitePath(t)
		from := open(t, path, sqlstore.Options{})
		tx, err := raw(t, path+"?_txlock=immediate").Begin()
		if err != nil {
			t.Fatal(err)
		}
		defer tx.Rollback()
		_, err = from.CopyTo(t.Context(), open(t, pgtest.URL(t), sqlstore.Options{}), sqlstore.CopyOptions{})
		says(t, err, "is locked by another program")
	})
	t.Run("the other direction", func(t *testing.T) {
		from, to := open(t, sqltest.PostgresURL(t), sqlstore.Options{}), open(t, sqltest.SQLitePath(t), sqlstore.Options{})
		if _, err := from.CopyTo(t.Context(), to, sqlstore.CopyOptions{}); !errors.Is(err, sqlstore.ErrNotSQLite) {
			t.Errorf("%v", err)
		}
		if _, err := to.CopyTo(t.Context(), to, sqlstore.CopyOptions{}); err == nil {
			t.Error("into SQLite")
		}
	})
	for name, value := range map[string]string{"a NUL in a text": "'a' || char(0) || 'b'", "a text that is not UTF-8": "CAST(X'61FF' AS TEXT)"} {
		t.Run(name, func(t *testing.T) {
			path, url := sqltest.SQLitePath(t), pgtest.URL(t)
			if _, err := raw(t, path).Exec(`UPDATE clients SET name = ` + value); err != nil {
				t.Fatal(err)
			}
			says(t, copyInto(t, path, url), "the column name of a row of the table clients", "PostgreSQL cannot hold")
			if one[bool](t, session(t, url), `SELECT to_regclass('signet_copy') IS NOT NULL`) {
				t.Error("a copy was begun")
			}
		})
	}
}

// A copy never mixes two states of the source, nor two sources, and finds what something else did to
// the target.
func TestACopyFindsWhatChanged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		source, target string // statements between the interruption and the next run
		other          bool   // the next run copies another source
		says           []string
	}{
		"a changed row":    {source: `UPDATE users SET version = version - 1 WHERE version > 0`, says: []string{"the table users of the source has changed"}},
		"a new row":        {source: `INSERT INTO spent_handles (id, ends_at) VALUES ('new', 1)`, says: []string{"the table spent_handles of the source"}},
		"another source":   {other: true, says: []string{"it was another source"}},
		"a changed target": {target: `UPDATE users SET email = email || '!'`, says: []string{"the table users does not hold what the source holds", "empty it"}},
		"a lost row":       {target: `DELETE FROM clients WHERE id = (SELECT min(id) FROM clients)`, says: []string{"does not hold what the source holds"}},
		"a strange row": {target: `INSERT INTO throttle_networks (budget, until) VALUES ('\x00', 1)`,
			says: []string{"the table throttle_networks does not hold"}},
		"one bit": {target: `UPDATE grants SET id = set_bit(id, 0, 1 - get_bit(id, 0)) WHERE id = (SELECT id FROM grants ORDER BY id LIMIT 1)`,
			says: []string{"does not hold"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path, url := sqltest.SQLitePath(t), pgtest.URL(t)
			lite := fillTables(t, path, 20)
			begun(t, path, url)
			if c.source != "" {
				if _, err := lite.Exec(c.source); err != nil {
					t.Fatal(err)
				}
			}
			if c.target != "" {
				psql(t, session(t, url), c.target)
			}
			if c.other {
				path = sqltest.SQLitePath(t)
			}
			to := open(t, url, sqlstore.Options{})
			_, err := open(t, path, sqlstore.Options{}).CopyTo(t.Context(), to, sqlstore.CopyOptions{Batch: 5})
			says(t, err, c.says...)
			if err := to.CheckSchema(t.Context()); !errors.Is(err, sqlstore.ErrCopyUnfinished) {
				t.Errorf("a server would start: %v", err)
			}
		})
	}
}

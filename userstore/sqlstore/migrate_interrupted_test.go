//go:build unix

package sqlstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgproxy"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// oldest is the schema of v0.1.0, whose servers go on while the migrations behind it are applied.
const oldest = 16

// ofBefore are the rows of a user n with a grant, as v0.1.0 writes them.
func ofBefore(n, id string) []string {
	return []string{
		`INSERT INTO users (id, email, email_key, email_verified, username, username_key, claims, roles, is_active, is_staff,
			created_at, updated_at, version, last_login_at, last_session_id, password_hash)
		VALUES ('` + n + `', '', '` + n + `@x.test', 1 = 1, '', '', '{}', '[]', 1 = 1, 1 = 0, 1, 2, 3, 4, 's', 'hash')`,
		`INSERT INTO grants (id, generation, rotated_at, late_generation, late_count, revoked_at, expires_at, created_at,
			auth_time, client_epoch, client_id, user_id, session_id, scopes, resources, amr, acr, nonce, user_agent, address)
		VALUES (` + id + `, 1, 2, 0, 0, 0, 4000000000000000, 1, 1, 1, 'signet', '` + n + `', '` + n + `', '[]', '[]', '[]', '', '', '', '')`,
	}
}

// revocations show that the triggers of the status lists are there, whatever happened to the
// migration that made them.
var revocations = []string{
	`UPDATE grants SET status_index = 7 WHERE session_id = 'before'`,
	`UPDATE grants SET status_index = 8 WHERE session_id = 'between'`,
	`UPDATE grants SET revoked_at = 1 WHERE session_id = 'before'`,
	`DELETE FROM grants WHERE session_id = 'between'`,
}

const (
	kept  = `SELECT COUNT(*) FROM grants WHERE status_index = 0 AND jkt = '' AND revoked_at = 0`
	ended = `SELECT COUNT(*) FROM status_ended WHERE status_index IN (7, 8) AND seen_at = 0`
)

// schemaSQL describes everything that migrations make.
const schemaSQL = `SELECT string_agg(line, E'\n' ORDER BY line) FROM (
	SELECT format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
		pg_get_expr(d.adbin, d.adrelid), c.reloptions) AS line
		FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL SELECT pg_get_indexdef(i.indexrelid) || i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
		WHERE c.relnamespace = 'public'::regnamespace
	UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) || convalidated FROM pg_constraint
		WHERE connamespace = 'public'::regnamespace
	UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
	UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace) all_lines`

// F-34: the connection of a migrator ends before or behind each of its statements, those of the
// migrator itself included. Servers of v0.1.0 go on, and the next migrator finishes: the schema is the
// same as if nothing had happened.
func TestF34EachStatementOfTheMigrationsIsInterrupted(t *testing.T) {
	t.Parallel()
	before := func(url string) error {
		db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{MaxConns: 1})
		if err != nil {
			return err
		}
		defer db.Close()
		if err := sqlstore.MigrateTo(t.Context(), db, oldest); err != nil {
			return err
		}
		for _, s := range ofBefore("before", `'\x01'`) {
			if err := sqlstore.Exec(t.Context(), db, s); err != nil {
				return err
			}
		}
		return nil
	}
	migrated := func(t *testing.T, url string) *pgx.Conn {
		t.Helper()
		db := open(t, url, sqlstore.Options{MaxConns: 1})
		defer db.Close()
		if err := db.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := db.CheckSchema(t.Context()); err != nil {
			t.Fatal(err)
		}
		return session(t, url)
	}
	name := fmt.Sprint("schema ", oldest, " with rows")
	want := one[string](t, migrated(t, pgtest.Clone(t, name, before)), schemaSQL)
	if !strings.Contains(want, "status_grant_deleted") || !strings.Contains(want, "dpop_proofs") {
		t.Fatalf("the description lacks what the migrations made:\n%s", want)
	}
	for what, fault := range map[string]pgproxy.Fault{"before": pgproxy.Cut, "behind": pgproxy.Lose} {
		failed := 0
		for at, reached := 1, true; reached; at++ {
			var hit atomic.Bool // the proxy sets it beside the test
			t.Run(fmt.Sprintf("%s statement %d", what, at), func(t *testing.T) {
				url := pgtest.Clone(t, name, before)
				proxy := pgproxy.New(t, url)
				through := open(t, proxy.URL, sqlstore.Options{MaxConns: 1})
				proxy.Arm(at, fault, "", func() { hit.Store(true) })
				err := through.Migrate(t.Context())
				proxy.Disarm()
				through.Close()
				switch {
				case err != nil && !hit.Load():
					t.Fatal(err)
				case err != nil:
					failed++
				}
				psql(t, session(t, url), ofBefore("between", `'\x02'`)...)
				admin := migrated(t, url)
				if got := one[string](t, admin, schemaSQL); got != want {
					t.Errorf("the schema is\n%s\nwant\n%s", got, want)
				}
				if n := one[int](t, admin, kept); n != 2 {
					t.Errorf("%d grants are as they were, want 2", n)
				}
				psql(t, admin, revocations...)
				if n := one[int](t, admin, ended); n != 2 {
					t.Errorf("%d places are revoked, want 2", n)
				}
			})
			reached = hit.Load()
		}
		t.Logf("%d migrators failed %s a statement", failed, what)
		if failed < 10 {
			t.Errorf("%d migrators failed %s a statement: that proves nothing", failed, what)
		}
	}
}

// fileStatements returns where each statement of a migration ends.
func fileStatements(t *testing.T, text string) (ends []int) {
	t.Helper()
	at, up, block := 0, false, false
	for line := range strings.Lines(text) {
		at += len(line)
		switch line = strings.TrimSpace(line); {
		case line == "-- +goose Up":
			up = true
			ends = append(ends, at) // before the first one
		case line == "-- +goose StatementBegin":
			block = true
		case line == "-- +goose StatementEnd":
			block = false
			ends = append(ends, at)
		case up && !block && !strings.HasPrefix(line, "--") && strings.HasSuffix(line, ";"):
			ends = append(ends, at)
		}
	}
	if len(ends) < 2 || at != len(text) {
		t.Fatalf("no statements in\n%s", text)
	}
	return ends
}

// F-34: a migrator of a file is killed between any two statements of a migration. Nothing of the
// migration is there, the server of before can go on, and the next migrator finishes.
func TestF34AMigratorOfAFileIsKilledBetweenStatements(t *testing.T) {
	if where := os.Getenv("SIGNET_CHILD"); where != "" {
		migrateUntilKilled(t, where)
		return
	}
	t.Parallel()
	names, err := filepath.Glob("migrations/sqlite/*.sql")
	if err != nil || len(names) <= oldest {
		t.Fatalf("%d migrations, %v", len(names), err)
	}
	// at returns a file of the schema of a version. It is closed.
	at := func(version int) string {
		path := filepath.Join(t.TempDir(), "signet.db")
		db := open(t, path, sqlstore.Options{})
		defer db.Close()
		if err := sqlstore.MigrateTo(t.Context(), db, oldest); err != nil {
			t.Fatal(err)
		}
		for _, s := range ofBefore("before", `X'01'`) {
			if err := sqlstore.Exec(t.Context(), db, s); err != nil {
				t.Fatal(err)
			}
		}
		if err := sqlstore.MigrateTo(t.Context(), db, int64(version)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	want := fileSchema(t, at(len(names)))
	for version := oldest + 1; version <= len(names); version++ {
		file := at(version - 1)
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before := fileSchema(t, file)
		text, err := os.ReadFile(names[version-1])
		if err != nil {
			t.Fatal(err)
		}
		for n := range fileStatements(t, string(text)) {
			t.Run(fmt.Sprintf("%s behind %d statements", filepath.Base(names[version-1]), n), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "signet.db")
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				c := child(t, "TestF34AMigratorOfAFileIsKilledBetweenStatements", fmt.Sprint(version, " ", n), path)
				out, err := c.CombinedOutput()
				if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
					t.Fatalf("the migrator was not killed: %v\n%s", err, out)
				}
				if got := fileSchema(t, path); got != before {
					t.Errorf("a part of the migration is there:\n%s", got)
				}
				execute(t, raw(t, path), ofBefore("between", `X'02'`)...)
				db := open(t, path, sqlstore.Options{})
				if err := db.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
				db.Close()
				if got := fileSchema(t, path); got != want {
					t.Errorf("the schema is\n%s\nwant\n%s", got, want)
				}
				lite := raw(t, path)
				count := func(query string) (n int) {
					if err := lite.QueryRow(query).Scan(&n); err != nil {
						t.Fatal(err)
					}
					return n
				}
				if n := count(kept); n != 2 {
					t.Errorf("%d grants are as they were, want 2", n)
				}
				execute(t, lite, revocations...)
				if n := count(ended); n != 2 {
					t.Errorf("%d places are revoked, want 2", n)
				}
				integrity(t, path)
			})
		}
	}
}

// fileSchema describes everything that migrations made in a file.
func fileSchema(t *testing.T, path string) (all string) {
	t.Helper()
	db := raw(t, path)
	defer db.Close()
	if err := db.QueryRow(`SELECT group_concat(sql, char(10)) FROM
		(SELECT sql FROM sqlite_schema WHERE sql <> '' ORDER BY type, name)`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// migrateUntilKilled applies the migrations, the first of which kills this process behind some of its
// statements. where holds the numbers of both.
func migrateUntilKilled(t *testing.T, where string) {
	var version, behind int
	if _, err := fmt.Sscan(where, &version, &behind); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("migrations/sqlite/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	for n, name := range names {
		text := content(t, name)
		if n+1 == version {
			at := fileStatements(t, text)[behind]
			text = text[:at] + "SELECT " + sqlstore.KillFunction + "();\n" + text[at:]
		}
		files[filepath.Base(name)] = &fstest.MapFile{Data: []byte(text)}
	}
	err = sqlstore.MigrateBy(t.Context(), open(t, os.Getenv("SIGNET_CHILD_PATH"), sqlstore.Options{}), files)
	t.Fatalf("it goes on: %v", err)
}

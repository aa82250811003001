//go:build unix

package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A table that is new has to be copied, too. What has no copy: times of probes.
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

// everyPlane is text from every plane of Unicode, and what sorts, folds and compares oddly.
var everyPlane = func() (all []string) {
	for plane := range 17 {
		all = append(all, string(rune(plane<<16+0x41)), string(rune(plane<<16+0xfffd)))
	}
	return append(all, "", " ", "é", "e\u0301", "İı", "ß", "ﬁ", "\u202e", "\u200b", "\ufeff", "\x01", "\x7f", "\\x00", "'", `"`, "{}", "[]",
		"NULL", "\u0130", "\r\n", "\t", "🇩🇪", "👩‍👩‍👧‍👦", strings.Repeat("long ", 500))
}()

var extremes = []int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt32 + 1, math.MaxInt64 - 1, math.MaxInt64}

// fillTables inserts rows of arbitrary values into every table that a copy holds.
func fillTables(t *testing.T, path string, rows int) *sql.DB {
	t.Helper()
	db := raw(t, path)
	random := rand.New(rand.NewPCG(1, 2))
	ids := map[string][]string{}
	word := func(short bool) string {
		w := everyPlane[random.IntN(len(everyPlane))] + everyPlane[random.IntN(len(everyPlane))]
		if short {
			w = w[:min(len(w), 40)]
			w = strings.ToValidUTF8(w, "")
		}
		return w
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	for _, table := range sqlstore.CopiedTables {
		type column struct {
			name, kind string
			key        int
		}
		var columns []column
		info, err := tx.QueryContext(t.Context(), `SELECT name, type, pk FROM pragma_table_info('`+table+`')`)
		if err != nil {
			t.Fatal(err)
		}
		for info.Next() {
			var c column
			if err := info.Scan(&c.name, &c.kind, &c.key); err != nil {
				t.Fatal(err)
			}
			columns = append(columns, c)
		}
		if err := errors.Join(info.Err(), info.Close()); err != nil {
			t.Fatal(err)
		}
		if table == "signet_schema" || table == "key_ring" {
			continue
		}
		bools := map[string]bool{}
		for _, name := range sqlstore.BoolColumns[table] {
			bools[name] = true
		}
		for n := range rows {
			var names, places []string
			var args []any
			for _, c := range columns {
				var v any
				switch {
				case c.name == "user_id" && table != "app_sessions" || table == "app_sessions" && c.name == "user_id":
					v = ids["users"][n%len(ids["users"])]
				case c.name == "client_id" && table == "consents":
					v = ids["clients"][(n/len(ids["users"])+n)%len(ids["clients"])]
				case bools[c.name]:
					v = n%2 == 0
				case c.kind == "INTEGER":
					if v = extremes[random.IntN(len(extremes))]; c.key > 0 || c.name == "seq" {
						v = int64(n) - int64(rows)/2
						if n < len(extremes) {
							v = extremes[n]
						}
					}
				case c.kind == "BLOB":
					b := make([]byte, random.IntN(40))
					for i := range b {
						b[i] = byte(random.IntN(4)) * 85 // many zeros
					}
					v = append(b, fmt.Appendf(nil, "%d", n)...)
					if c.key == 0 && !strings.HasSuffix(c.name, "_hash") && !strings.HasSuffix(c.name, "_code") &&
						c.name != "credential_id" && c.name != "hash" && n%3 == 0 {
						v = []byte{}
					}
				default:
					// Unique where an index may ask for it.
					v = word(true) + fmt.Sprint(n)
					if table == "audit_events" && c.name == "changes" || c.name == "claims" || c.name == "metadata" {
						v = word(false)
					}
				}
				if s, ok := v.(string); ok && c.name == "id" && c.key > 0 {
					ids[table] = append(ids[table], s)
				}
				names, places, args = append(names, c.name), append(places, "?"), append(args, v)
			}
			if _, err := tx.ExecContext(t.Context(), `INSERT INTO `+table+` (`+strings.Join(names, ", ")+`) VALUES (`+
				strings.Join(places, ", ")+`)`, args...); err != nil {
				t.Fatalf("%s, row %d: %v", table, n, err)
			}
		}
	}
	for _, statement := range []string{
		`UPDATE signet_schema SET last_epoch = 9223372036854775807`,
		`UPDATE key_ring SET version = 7, algorithms = '["RS256"]', refresh_secret = 'sealed.🔑.secret'`,
		`UPDATE clients SET epoch = 5 WHERE id = 'signet'`,
	} {
		if _, err := tx.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return db
}

// cellsOf returns every cell of the copied tables as text, read by the drivers alone.
func cellsOfSQLite(t *testing.T, path string) map[string][]string {
	t.Helper()
	db := raw(t, path)
	all := map[string][]string{}
	for _, table := range sqlstore.CopiedTables {
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM `+table)
		if err != nil {
			t.Fatal(err)
		}
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		bools := sqlstore.BoolColumns[table]
		for rows.Next() {
			values, targets := make([]any, len(names)), make([]any, len(names))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			for i, name := range names {
				if slices.Contains(bools, name) {
					values[i] = values[i] == int64(1)
				}
				if b, ok := values[i].([]byte); ok && b == nil {
					values[i] = []byte{}
				}
			}
			all[table] = append(all[table], cellText(names, values))
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		slices.Sort(all[table])
	}
	return all
}

func cellText(names []string, values []any) string {
	var cells []string
	for i, name := range names {
		cells = append(cells, fmt.Sprintf("%s=%T:%v", name, values[i], values[i]))
	}
	slices.Sort(cells)
	return strings.Join(cells, "\x00")
}

func cellsOfPostgres(t *testing.T, url string) map[string][]string {
	t.Helper()
	admin := session(t, url)
	all := map[string][]string{}
	for _, table := range sqlstore.CopiedTables {
		rows, err := admin.Query(t.Context(), `SELECT * FROM `+table)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range rows.FieldDescriptions() {
			names = append(names, f.Name)
		}
		_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
			values, err := row.Values()
			all[table] = append(all[table], cellText(names, values))
			return struct{}{}, err
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(all[table])
	}
	return all
}

func sameCells(t *testing.T, path, url string) {
	t.Helper()
	want, got := cellsOfSQLite(t, path), cellsOfPostgres(t, url)
	for _, table := range sqlstore.CopiedTables {
		if len(want[table]) == 0 {
			t.Errorf("the fixture has no row in %s", table)
		}
		if !slices.Equal(got[table], want[table]) {
			i := 0
			for i < min(len(got[table]), len(want[table])) && got[table][i] == want[table][i] {
				i++
			}
			t.Errorf("%s: %d rows, want %d; the first that differs is row %d", table, len(got[table]), len(want[table]), i)
		}
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
	if err != nil || result.Rows != 3 {
		t.Errorf("%+v, %v", result, err)
	}
}

// Killed after any batch, the copy goes on; until it is complete no server starts on it.
func TestACopyGoesOnAfterEveryInterruption(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), pgtest.URL(t)
	fillTables(t, path, 10)
	unfinished := 0
	for reports, step := 1, 1; ; reports += step {
		ctx, cancel := context.WithCancel(t.Context())
		from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
		seen := 0
		var last int64
		result, err := from.CopyTo(ctx, to, sqlstore.CopyOptions{Batch: 7, Report: func(done, total int64) {
			if done > 2*total/3 {
				step = 9 // it is verified by now
			}
			if done != last && done > total/3 {
				if seen++; seen == reports {
					cancel()
				}
			}
			last = done
		}})
		cancel()
		from.Close()
		check := to.CheckSchema(t.Context())
		to.Close()
		if err == nil {
			if !result.Resumed || result.Already {
				t.Errorf("%+v", result)
			}
			if check != nil {
				t.Error(check)
			}
			break
		}
		if unfinished++; !errors.Is(check, sqlstore.ErrCopyUnfinished) {
			t.Fatalf("after interruption %d a server would start: %v, %v", unfinished, err, check)
		}
	}
	t.Logf("%d interruptions", unfinished)
	if unfinished < len(sqlstore.CopiedTables) {
		t.Errorf("only %d interruptions", unfinished)
	}
	sameCells(t, path, url)
}

// A copy whose connections are ended by the server, at any moment.
func TestACopyThroughLostConnections(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), pgtest.URL(t)
	fillTables(t, path, 60)
	admin := session(t, url)
	ctx, stop := context.WithCancel(t.Context())
	var killer sync.WaitGroup
	killer.Go(func() {
		for ctx.Err() == nil {
			_, _ = admin.Exec(context.Background(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND application_name = 'signet' AND random() < 0.3`)
			select {
			case <-ctx.Done():
			case <-time.After(3 * time.Millisecond):
			}
		}
	})
	failed, done := 0, false
	for try := 0; try < 60 && !done; try++ {
		from := open(t, path, sqlstore.Options{})
		if to, err := sqlstore.Open(t.Context(), url, sqlstore.Options{MaxConns: 2}); err == nil {
			_, err = from.CopyTo(t.Context(), to, sqlstore.CopyOptions{Batch: 5})
			to.Close()
			done = err == nil
		}
		from.Close()
		if !done {
			failed++
		}
	}
	stop()
	killer.Wait()
	if failed == 0 {
		t.Error("no copy was interrupted")
	}
	if !done {
		if _, err := open(t, path, sqlstore.Options{}).CopyTo(t.Context(), open(t, url, sqlstore.Options{}), sqlstore.CopyOptions{}); err != nil {
			t.Fatalf("after %d interruptions: %v", failed, err)
		}
	}
	sameCells(t, path, url)
}

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

// begun makes an unfinished copy: interrupted after some batches.
func begun(t *testing.T, path, url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
	defer from.Close()
	defer to.Close()
	if _, err := from.CopyTo(ctx, to, sqlstore.CopyOptions{Batch: 5, Report: func(done, total int64) {
		if done > total/2 {
			cancel()
		}
	}}); err == nil {
		t.Fatal("it was not interrupted")
	}
	if err := to.CheckSchema(t.Context()); !errors.Is(err, sqlstore.ErrCopyUnfinished) {
		t.Fatalf("%v", err)
	}
	if err := to.Migrate(t.Context()); !errors.Is(err, sqlstore.ErrCopyUnfinished) {
		t.Fatalf("serve --migrate: %v", err)
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

// Two copies into one database: one of them is refused, and the other one is complete.
func TestTwoCopiesIntoOneDatabase(t *testing.T) {
	t.Parallel()
	path, url := sqltest.SQLitePath(t), sqltest.PostgresURL(t)
	fillTables(t, path, 10)
	admin := session(t, url)
	psql(t, admin, `SELECT pg_advisory_lock(`+sqlstore.MigrationLock+`)`)
	from, to := open(t, path, sqlstore.Options{}), open(t, url, sqlstore.Options{})
	short, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := sqlstore.CopyLocked(short, from, to); err == nil || !strings.Contains(err.Error(), "another command migrates this database") {
		t.Errorf("%v", err)
	}
	psql(t, admin, `SELECT pg_advisory_unlock_all()`)
	if _, err := from.CopyTo(t.Context(), to, sqlstore.CopyOptions{}); err != nil {
		t.Error(err)
	}
	sameCells(t, path, url)
}

func content(t *testing.T, name string) string {
	t.Helper()
	text, err := fs.ReadFile(sqlstore.MigrationFiles, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

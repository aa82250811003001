//go:build unix

package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore"
)

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
		if table == "signet_schema" || table == "key_ring" || table == "status_lists" {
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
				case table == "status_ended" && c.key > 0: // a key of one number
					v = int64(n)*1000 + 7
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
		`UPDATE status_lists SET next_index = 9223372036854775807, cutoff_index = 5, cutoff_at = 6, swept_at = 7`,
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

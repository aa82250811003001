package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Counts says in numbers what a database holds: the rows of each table, and for each of its columns
// the total length of its texts, the sum of its small numbers and how many instants it holds. What
// two users did alike adds the same to the counts, and so the difference of two counts says what was
// done between them.
type Counts map[string]int64

// Since returns what was added since earlier counts; what stayed the same is left out.
func (c Counts) Since(earlier Counts) Counts {
	out := Counts{}
	for name, n := range c {
		if n != earlier[name] {
			out[name] = n - earlier[name]
		}
	}
	for name, n := range earlier {
		if _, is := c[name]; !is && n != 0 {
			out[name] = -n
		}
	}
	return out
}

func (c Counts) String() string {
	var lines []string
	for name, n := range c {
		lines = append(lines, fmt.Sprintf("%s %+d", name, n))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

// Counter returns a function that counts what the database at url holds. What without
// names, tables or table.column, belongs to no count.
func Counter(tb testing.TB, url string, without ...string) func() Counts {
	tb.Helper()
	fail := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatalf("sqltest: count: %v", err)
		}
	}
	ctx := context.Background()
	var names []string   // of the numbers
	var queries []string // one for each table
	var widths []int     // how many numbers each answers
	describe := func(columns [][3]string) {
		table := ""
		for _, c := range columns { // table, column, type
			if slices.Contains(without, c[0]) {
				continue
			}
			if c[0] != table {
				table = c[0]
				names = append(names, table)
				queries = append(queries, "SELECT COUNT(*)")
				widths = append(widths, 1)
			}
			if slices.Contains(without, table+"."+c[1]) {
				continue
			}
			names = append(names, table+"."+c[1])
			last := len(queries) - 1
			widths[last]++
			var value string
			switch column := `"` + c[1] + `"`; strings.ToLower(c[2]) {
			case "boolean":
				value = "CASE WHEN " + column + " THEN 1 ELSE 0 END"
			case "integer", "bigint", "smallint":
				value = "CASE WHEN ABS(" + column + ") < 1000000 THEN " + column + " ELSE 1000000 END"
			default: // text, blob, bytea
				value = "LENGTH(" + column + ")"
			}
			queries[last] += ", CAST(COALESCE(SUM(" + value + "), 0) AS BIGINT)"
		}
		if len(queries) < 20 {
			fail(fmt.Errorf("only %d tables were found", len(queries)))
		}
		at := 0
		for i := range queries {
			queries[i] += " FROM " + names[at]
			at += widths[i]
		}
	}
	counts := func(query func(do func(table int, scan func(...any) error) error) error) Counts {
		values := make([]int64, len(names))
		targets := make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		at := 0
		fail(query(func(table int, scan func(...any) error) error {
			defer func() { at += widths[table] }()
			return scan(targets[at : at+widths[table]]...)
		}))
		out := Counts{}
		for i, n := range values {
			out[names[i]] = n
		}
		return out
	}
	if strings.HasPrefix(url, "postgres") {
		conn, err := pgx.Connect(ctx, url)
		fail(err)
		tb.Cleanup(func() { _ = conn.Close(ctx) })
		rows, err := conn.Query(ctx, `SELECT table_name, column_name, data_type FROM information_schema.columns
			JOIN information_schema.tables USING (table_schema, table_name)
			WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
			AND NOT (SELECT relispartition FROM pg_class WHERE oid = CAST(quote_ident(table_name) AS regclass))
			ORDER BY table_name, ordinal_position`)
		fail(err)
		columns, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (c [3]string, err error) {
			return c, r.Scan(&c[0], &c[1], &c[2])
		})
		fail(err)
		describe(columns)
		return func() Counts {
			tb.Helper()
			var b pgx.Batch
			for _, q := range queries {
				b.Queue(q)
			}
			return counts(func(do func(int, func(...any) error) error) error {
				results := conn.SendBatch(ctx, &b)
				defer results.Close()
				for i := range queries {
					if err := do(i, results.QueryRow().Scan); err != nil {
						return err
					}
				}
				return results.Close()
			})
		}
	}
	db, err := sql.Open("sqlite", url) // the driver that sqlstore has registered
	fail(err)
	db.SetMaxOpenConns(1) // data_version is one connection's
	tb.Cleanup(func() { _ = db.Close() })
	rows, err := db.QueryContext(ctx, `SELECT m.name, c.name, c.type FROM sqlite_schema m JOIN pragma_table_info(m.name) c
		WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'search_%' ORDER BY m.name, c.cid`)
	fail(err)
	defer rows.Close()
	var columns [][3]string
	for rows.Next() {
		var c [3]string
		fail(rows.Scan(&c[0], &c[1], &c[2]))
		columns = append(columns, c)
	}
	fail(rows.Err())
	describe(columns)
	statements := make([]*sql.Stmt, len(queries))
	for i, q := range queries {
		statements[i], err = db.PrepareContext(ctx, q)
		fail(err)
	}
	var counted int64 // the version of what was counted last
	var last Counts
	return func() Counts {
		tb.Helper()
		var version int64
		fail(db.QueryRowContext(ctx, "PRAGMA data_version").Scan(&version))
		if version != counted {
			counted = version
			last = counts(func(do func(int, func(...any) error) error) error {
				for i := range queries {
					if err := do(i, statements[i].QueryRowContext(ctx).Scan); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return maps.Clone(last)
	}
}

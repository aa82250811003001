//go:build unix

package sqlstore_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

// mayScan are the statements that may read a whole table or index: a part of the text, the table,
// and why. A statement that needs another line here makes some request slower with each row that is
// stored.
var mayScan = []struct{ statement, table, reason string }{}

// statements are the statements that a store ran, each with the arguments of its first run.
type statements struct {
	mu    sync.Mutex
	first map[string][]any
}

func (s *statements) add(sql string, args []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.first[sql]; !ok {
		s.first[sql] = args
	}
}

// TestNoStatementScansATable runs the contract of a store, which calls every method of it, and asks
// both engines how they would run each statement that came of it.
func TestNoStatementScansATable(t *testing.T) {
	t.Parallel()
	ran := statements{first: map[string][]any{}}
	t.Run("contract", func(t *testing.T) {
		storetest.RunRest(t, func(tb testing.TB) storetest.Store {
			db := sqltest.SQLite(tb)
			sqlstore.Observe(db, ran.add)
			return db
		})
	})
	if len(ran.first) < 300 {
		t.Fatalf("only %d statements ran", len(ran.first))
	}
	used := map[int]bool{}
	t.Run("sqlite", func(t *testing.T) {
		db := sqltest.SQLite(t)
		for _, sql := range slices.Sorted(maps.Keys(ran.first)) {
			plan, err := sqlstore.SQLitePlan(t.Context(), db, sql, ran.first[sql]...)
			if err != nil {
				t.Errorf("%s: %v", sql, err)
			}
			for line := range strings.Lines(plan) {
				if m := sqliteScan.FindStringSubmatch(line); m != nil && !allowed(used, sql, tableOf(sql, m[1])) {
					t.Errorf("SCAN of %s\n%s\n%s", tableOf(sql, m[1]), sql, plan)
				}
			}
		}
	})
	t.Run("postgres", func(t *testing.T) {
		url := sqltest.PostgresURL(t)
		db, admin := open(t, url, sqlstore.Options{}), session(t, url)
		own := statements{first: maps.Clone(ran.first)}
		sqlstore.Observe(db, own.add)
		ownStatements(t, db)
		fillTables(t, admin)
		psql(t, admin, `SET enable_seqscan = off`)
		for _, sql := range slices.Sorted(maps.Keys(own.first)) {
			for _, table := range postgresScans(t, admin, sql, own.first[sql]) {
				if !allowed(used, sql, table) {
					t.Errorf("scan of %s\n%s", table, sql)
				}
			}
		}
	})
	for i, m := range mayScan {
		if !used[i] && !t.Failed() {
			t.Errorf("no statement with %q scans %s any more", m.statement, m.table)
		}
	}
}

func allowed(used map[int]bool, sql, table string) bool {
	for i, m := range mayScan {
		if m.table == table && strings.Contains(sql, m.statement) {
			used[i] = true
			return true
		}
	}
	return false
}

// ownStatements runs what PostgreSQL has texts of its own for.
func ownStatements(t *testing.T, db *sqlstore.DB) {
	t.Helper()
	_, g := create(t, db)
	if _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); err != nil {
		t.Fatal(err)
	}
	if err := db.ReserveAttempt(t.Context(), userstore.Reserve{Attempt: userstore.Attempt{At: now, Network: userstore.BudgetKey{1}},
		NetworkLimit: userstore.Limit{Free: 1, Window: time.Hour}}); err != nil {
		t.Fatal(err)
	}
}

// SQLite names a table by its alias. A subquery that was made into a table, and rows that are
// constant, are no tables.
var sqliteScan = regexp.MustCompile(`^SCAN (\w+)(?: USING.*)?\n$`)

// tableOf returns the table of an alias.
func tableOf(sql, alias string) string {
	m := regexp.MustCompile(`(?:FROM|JOIN|UPDATE|INTO|,)\s+(\w+)\s+(?:AS )?` + alias + `\b`).FindStringSubmatch(sql)
	if m == nil {
		return alias
	}
	return m[1]
}

// fillTables puts rows into every table that may have many.
func fillTables(t *testing.T, admin *pgx.Conn) {
	t.Helper()
	psql(t, admin, `SET session_replication_role = replica`, `DELETE FROM clients`) // no order of foreign keys
	rows, err := admin.Query(t.Context(), `SELECT c.table_name::text, string_agg(CASE c.data_type
			WHEN 'bigint' THEN '1772600000000000 + (n - 2500) * 3600000000' WHEN 'bytea' THEN 'decode(md5(n::text), ''hex'')'
			WHEN 'boolean' THEN 'n % 2 = 0' ELSE '''x''||n' END, ', ' ORDER BY c.ordinal_position)
		FROM information_schema.columns c JOIN pg_class p ON p.oid = c.table_name::regclass
		WHERE c.table_schema = 'public' AND p.relkind IN ('r', 'p') AND NOT p.relispartition
			AND c.table_name NOT IN ('key_ring', 'signet_schema', 'write_probe', 'goose_db_version') GROUP BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Values string }])
	if err != nil || len(tables) < 25 {
		t.Fatalf("%d tables, %v", len(tables), err)
	}
	for _, table := range tables {
		psql(t, admin, `DELETE FROM `+table.Name,
			`INSERT INTO `+table.Name+` SELECT `+table.Values+` FROM generate_series(CAST(1 AS BIGINT), 5000) n`)
	}
	psql(t, admin, `ANALYZE`)
}

type node struct {
	Type     string `json:"Node Type"`
	Relation string `json:"Relation Name"`
	Cond     string `json:"Index Cond"`
	Tid      string `json:"TID Cond"`
	Plans    []node
}

// scans returns the tables of which the plan reads all rows, by the table itself or by an index.
func (n node) scans() (tables []string) {
	switch n.Type {
	case "Seq Scan", "Index Scan", "Index Only Scan":
		if n.Cond == "" {
			tables = append(tables, n.Relation)
		}
	}
	for _, p := range n.Plans {
		tables = append(tables, p.scans()...)
	}
	return tables
}

var small = []string{"key_ring", "signet_schema", "write_probe"} // they have one row, or a few

func postgresScans(t *testing.T, admin *pgx.Conn, sql string, args []any) []string {
	t.Helper()
	if strings.HasPrefix(strings.TrimSpace(sql), "CREATE") || strings.HasPrefix(sql, "ALTER") || strings.Contains(sql, "unixepoch") {
		return nil
	}
	var text string
	if err := admin.QueryRow(t.Context(), `EXPLAIN (FORMAT JSON) `+sql, args...).Scan(&text); err != nil {
		t.Errorf("%s: %v", sql, err)
		return nil
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		t.Fatal(fmt.Errorf("%s: %w", text, err))
	}
	return slices.DeleteFunc(plans[0].Plan.scans(), func(table string) bool { return slices.Contains(small, table) })
}

package sqlite_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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
)

// mayScan are the statements that may read a whole table or index: a part of the text, the table,
// and why. A statement that needs another line here makes some request slower with each row that is
// stored.
var mayScan = []struct{ statement, table, reason string }{
	{"FROM audit_events WHERE TRUE", "audit_events", "a page of the log, which ends at its limit: most entries have the names without an index"},
	{"FROM users u WHERE TRUE", "users", "admins page through users, and look for a part of a name"},
	{"search_todo", "search_todo", "new users whose names are not indexed yet: a search does without the index when they are many"},
	{"FROM clients c ORDER BY c.created_at", "clients", "a page of clients, which ends at its limit"},
	{"c.metadata LIKE '%signed_response_alg%'", "clients", "a server starts with fewer algorithms"},
	{"redirect_origins", "clients", "the origin of a browser's request; the answer is kept in memory for a while"},
	{"FROM registration_tokens ORDER BY", "registration_tokens", "a page of tokens, which ends at its limit"},
	{"FROM outbox ORDER BY at", "outbox", "a page of what waits, which ends at its limit"},
	{"COALESCE(MIN(at), 0) FROM outbox", "outbox", "how much waits, for the metrics: little, unless mail is down"},
	{"COALESCE(MIN(ended_at), 0) FROM app_sessions", "app_sessions", "the same of logouts"},
	{"t.kind = 'invite'", "outbox", "an operator invites many: who has a message that waits"},
	{"FROM key_ring r LEFT JOIN signing_keys", "signing_keys", "the keys, all of which are wanted"},
	{"codes WHERE client_id", "codes", "a client is deleted; a code lives an hour"},
}

// few are tables of one row, and indexes of few rows whatever a store holds.
var few = []string{"key_ring", "status_lists", "signet_schema", "write_probe", "users_admins", "app_sessions_leased", "search_before"}

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

// noneScans asks both engines how they would run each of the statements.
func (s *statements) noneScans(t *testing.T) {
	if len(s.first) < 300 {
		t.Fatalf("only %d statements ran", len(s.first))
	}
	used := map[int]bool{}
	t.Run("sqlite", func(t *testing.T) { s.noneScansSQLite(t, used) })
	t.Run("postgres", func(t *testing.T) { s.noneScansPostgres(t, used) })
	for i, m := range mayScan {
		if !used[i] && !t.Failed() {
			t.Errorf("no statement with %q scans %s any more", m.statement, m.table)
		}
	}
}

func (s *statements) noneScansSQLite(t *testing.T, used map[int]bool) {
	db, err := sql.Open("sqlite", sqltest.SQLitePath(t)) // the driver that sqlstore has registered
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tables := column(t, db, 0, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	for _, sql := range slices.Sorted(maps.Keys(s.first)) {
		plan := column(t, db, 3, "EXPLAIN QUERY PLAN "+sql, s.first[sql]...)
		for _, line := range plan {
			m := sqliteScan.FindStringSubmatch(line)
			if m == nil || slices.Contains(few, m[2]) {
				continue
			}
			if table := tableOf(sql, m[1]); slices.Contains(tables, table) && !allowed(used, sql, table) {
				t.Errorf("a scan of %s\n%s\n%s", table, sql, strings.Join(plan, "\n"))
			}
		}
	}
}

// column returns the i-th column of a query's rows, all of them texts.
func column(t *testing.T, db *sql.DB, i int, query string, args ...any) (values []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return nil
	}
	defer rows.Close()
	names, err := rows.Columns()
	for rows.Next() && err == nil {
		row := make([]any, len(names))
		for n := range row {
			row[n] = new(string)
		}
		err = rows.Scan(row...)
		values = append(values, *row[i].(*string))
	}
	if err := errors.Join(err, rows.Err()); err != nil {
		t.Errorf("%s: %v", query, err)
	}
	return values
}

func (s *statements) noneScansPostgres(t *testing.T, used map[int]bool) {
	url := sqltest.PostgresURL(t)
	admin, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.Background())
	db, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	own := statements{first: maps.Clone(s.first)}
	sqlstore.Observe(db, own.add)
	ownStatements(t, db)
	fillForPlans(t, admin)
	psql(t, admin, `SET enable_seqscan = off`)
	for _, sql := range slices.Sorted(maps.Keys(own.first)) {
		for _, table := range postgresScans(t, admin, sql, own.first[sql]) {
			if !allowed(used, sql, table) {
				t.Errorf("a scan of %s\n%s", table, sql)
			}
		}
	}
}

func psql(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := conn.Exec(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func allowed(used map[int]bool, sql, table string) bool {
	if slices.Contains(few, table) || sql == "DELETE FROM "+table { // all of it, for signet recover
		return true
	}
	if table == "app_sessions" && strings.Contains(sql, "ORDER BY a.expires_at LIMIT") {
		// PostgreSQL joins a batch that is a good part of a table with the live rows of the index by
		// ended_at, and looks the rows up one by one where there are many more: how depends on its version.
		return true
	}
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
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	_, err := db.AdvanceGrant(t.Context(), userstore.Advance{Generation: 1, ClientID: userstore.FirstPartyClientID,
		FirstParty: true, Now: now, IdleSince: now.Add(-time.Hour)})
	if !errors.Is(err, userstore.ErrConflict) { // there is no such grant
		t.Fatal(err)
	}
	if _, err := db.ListUsers(t.Context(), userstore.UserQuery{Text: "x49", Role: "admin", State: userstore.Disabled, Limit: 10}); err != nil {
		t.Fatal(err)
	}
	if err := db.ReserveAttempt(t.Context(), userstore.Reserve{Attempt: userstore.Attempt{At: now, Network: userstore.BudgetKey{1}},
		NetworkLimit: userstore.Limit{Free: 1, Window: time.Hour}}); err != nil {
		t.Fatal(err)
	}
}

// SQLite names a table, or a subquery, by its alias.
var sqliteScan = regexp.MustCompile(`^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+).*)?$`)

// tableOf returns the table of an alias.
func tableOf(sql, alias string) string {
	m := regexp.MustCompile(`(?:FROM|JOIN|UPDATE|INTO|,)\s+(\w+)\s+(?:AS )?` + alias + `\b`).FindStringSubmatch(sql)
	if m == nil {
		return alias
	}
	return m[1]
}

// fillForPlans puts rows into every table that may have many.
func fillForPlans(t *testing.T, admin *pgx.Conn) {
	t.Helper()
	psql(t, admin, `SET session_replication_role = replica`, `DELETE FROM clients`) // no order of foreign keys
	rows, err := admin.Query(t.Context(), `SELECT c.table_name::text, string_agg(CASE
			WHEN c.column_name IN ('ended_at', 'due_at', 'spent_at', 'used_at', 'revoked_at', 'disabled_at', 'unused_until')
				THEN 'CASE WHEN n % 100 = 0 THEN 1772600000000000 + n ELSE 0 END'
			WHEN c.column_name = 'lease' THEN 'CASE WHEN n % 1000 = 0 THEN ''x''||n ELSE '''' END'
			WHEN c.column_name = 'kind' THEN 'CASE WHEN n % 5 = 0 THEN ''undo_email'' ELSE ''reset_password'' END'
			WHEN c.data_type = 'bigint' THEN '1772600000000000 + (n - 2500) * CAST(3600000000 AS BIGINT)'
			WHEN c.data_type = 'bytea' THEN 'decode(md5(n::text), ''hex'')'
			WHEN c.data_type = 'boolean' THEN 'n % 2 = 0'
			ELSE '''x''||n' END, ', ' ORDER BY c.ordinal_position)
		FROM information_schema.columns c JOIN pg_class p ON p.oid = c.table_name::regclass
		WHERE c.table_schema = 'public' AND p.relkind IN ('r', 'p') AND NOT p.relispartition
			AND c.table_name NOT IN ('key_ring', 'status_lists', 'signet_schema', 'write_probe', 'goose_db_version') GROUP BY 1`)
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
	Index    string `json:"Index Name"`
	Cond     string `json:"Index Cond"`
	Plans    []node
}

// scans returns the tables of which the plan reads all rows, by the table itself or by an index.
func (n node) scans() (tables []string) {
	switch n.Type {
	case "Seq Scan", "Index Scan", "Index Only Scan":
		if n.Cond == "" && !slices.Contains(few, n.Index) {
			tables = append(tables, monthOf.ReplaceAllString(n.Relation, ""))
		}
	}
	for _, p := range n.Plans {
		tables = append(tables, p.scans()...)
	}
	return tables
}

// monthOf is what the name of a part of the audit log has behind that of the whole.
var monthOf = regexp.MustCompile(`(?:_\d{4}_\d{2}|_other)$`)

func postgresScans(t *testing.T, admin *pgx.Conn, sql string, args []any) []string {
	t.Helper()
	if strings.Contains(sql, "unixepoch") || strings.Contains(sql, "search_todo") { // SQLite's clock, and its searches
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
	return plans[0].Plan.scans()
}

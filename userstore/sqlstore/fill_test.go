//go:build unix

package sqlstore_test

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
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

// filling says how many users and grants a store holds in the end. A share of them may be filled in
// first.
type filling struct {
	users, grants int
	began         time.Time
	generations   *sync.Map // of the grants that were refreshed since, by number
}

// user is user n, from 1. One of ten thousand has a role, and one of a thousand is disabled.
func (f filling) user(n int) userstore.User {
	u := sizedUser(n)
	u.CreatedAt = f.began.Add(time.Duration(n-f.users) * time.Second)
	u.UpdatedAt = u.CreatedAt
	if n%10_000 == 0 {
		u.Roles = []string{filledRole}
	}
	u.IsActive = n%1000 != 1
	return u
}

const filledRole = "support"

// owner is the number of the user of grant n.
func (f filling) owner(n int) int { return (n-1)*f.users/f.grants + 1 }

// grant is grant n, from 1. The grants of a user stand side by side, and those of the first users
// come first.
func (f filling) grant(n int) userstore.Grant {
	g := sizedGrant(n)
	g.UserID = f.user(f.owner(n)).ID
	g.SessionID = base64.RawURLEncoding.EncodeToString(spread(n+1<<40, 16))
	return g
}

// filled are the tables, with the columns in which two rows differ. All others are those of a row
// that the store itself has stored, so that a new column needs no line here. Tables that triggers
// keep are filled by them.
func (f filling) filled() []filledTable {
	return []filledTable{
		{"users", func(n int) map[string]any {
			u := f.user(n)
			roles := "[]"
			if len(u.Roles) > 0 {
				roles = `["` + filledRole + `"]`
			}
			return map[string]any{"id": u.ID, "email": u.Email, "email_key": u.EmailKey, "roles": roles, "is_active": u.IsActive,
				"created_at": u.CreatedAt.UnixMicro(), "updated_at": u.UpdatedAt.UnixMicro(),
				"last_session_id": f.grant(n * f.grants / f.users).SessionID}
		}},
		{"grants", func(n int) map[string]any {
			g := f.grant(n)
			return map[string]any{"id": g.ID[:], "user_id": g.UserID, "session_id": g.SessionID}
		}},
	}
}

type filledTable struct {
	name string
	row  func(n int) map[string]any // by column
}

// fill adds the users after the first and the grants after the second of two numbers, up to two
// others. Nothing else may use the store.
func (f filling) fill(tb testing.TB, url string, from, to [2]int) {
	tb.Helper()
	if from == [2]int{} {
		f.firsts(tb, url)
		from = [2]int{1, 1}
	}
	var b bulk
	if strings.HasPrefix(url, "postgres") {
		b = newPostgresBulk(tb, url)
	} else {
		b = newSQLiteBulk(tb, url)
	}
	indexes := b.dropIndexes()
	for i, table := range f.filled() {
		columns, values := b.model(table.name)
		at := from[i]
		b.insert(table.name, columns, func() []any {
			if at >= to[i] {
				return nil
			}
			at++
			row, own := slices.Clone(values), table.row(at)
			for c, column := range columns {
				if value, differs := own[column]; differs {
					row[c] = value
				}
			}
			return row
		})
	}
	b.finish(indexes)
}

// firsts stores user 1 and grant 1 as the server does.
func (f filling) firsts(tb testing.TB, url string) {
	tb.Helper()
	db, err := sqlstore.Open(tb.Context(), url, sqlstore.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	u := f.user(1)
	u.IsActive = true
	if err := db.CreateUser(tb.Context(), u); err != nil {
		tb.Fatal(err)
	}
	if err := db.StartGrant(tb.Context(), userstore.StartGrant{Grant: f.grant(1), PasswordHash: sizedHash}); err != nil {
		tb.Fatal(err)
	}
}

// bulk writes many rows past the store. Indexes are dropped before and built again after, because
// sorting once is much faster than finding a random place for each row.
type bulk interface {
	dropIndexes() (again []string)
	model(table string) (columns []string, values []any) // any row
	insert(table string, columns []string, next func() []any)
	finish(again []string)
}

type postgresBulk struct {
	tb   testing.TB
	conn *pgx.Conn
}

func newPostgresBulk(tb testing.TB, url string) bulk {
	conn := session(tb, url)
	psql(tb, conn, `SET synchronous_commit = off`, `SET maintenance_work_mem = '512MB'`)
	return postgresBulk{tb, conn}
}

func (p postgresBulk) strings(query string) (all []string) {
	rows, err := p.conn.Query(context.Background(), query)
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		p.tb.Fatalf("%s: %v", query, err)
	}
	return all
}

func (p postgresBulk) dropIndexes() (again []string) {
	const foreign = ` FROM pg_constraint WHERE conrelid = 'grants'::regclass AND contype = 'f'`
	const indexes = ` FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ('users', 'grants')
		AND indexname NOT IN (SELECT conname FROM pg_constraint)`
	again = append(p.strings(`SELECT indexdef`+indexes), p.strings(
		`SELECT 'ALTER TABLE grants ADD CONSTRAINT ' || conname || ' ' || pg_get_constraintdef(oid)`+foreign)...)
	psql(p.tb, p.conn, append(p.strings(`SELECT 'ALTER TABLE grants DROP CONSTRAINT ' || conname`+foreign),
		p.strings(`SELECT 'DROP INDEX ' || indexname`+indexes)...)...)
	return again
}

func (p postgresBulk) model(table string) (columns []string, values []any) {
	rows, err := p.conn.Query(context.Background(), `SELECT * FROM `+table+` LIMIT 1`)
	if err != nil {
		p.tb.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if values, err = rows.Values(); err != nil {
			p.tb.Fatal(err)
		}
	}
	for _, column := range rows.FieldDescriptions() {
		columns = append(columns, column.Name)
	}
	return columns, values
}

func (p postgresBulk) insert(table string, columns []string, next func() []any) {
	if _, err := p.conn.CopyFrom(context.Background(), pgx.Identifier{table}, columns,
		pgx.CopyFromFunc(func() ([]any, error) { return next(), nil })); err != nil {
		p.tb.Fatal(err)
	}
}

func (p postgresBulk) finish(again []string) {
	psql(p.tb, p.conn, append(again, `VACUUM ANALYZE`, `CHECKPOINT`)...)
}

type sqliteBulk struct {
	tb testing.TB
	db *sql.DB
}

func newSQLiteBulk(tb testing.TB, path string) bulk {
	db := raw(tb, path)
	execute(tb, db, `PRAGMA synchronous = OFF`, `PRAGMA cache_size = -1000000`)
	return sqliteBulk{tb, db}
}

func (s sqliteBulk) dropIndexes() (again []string) {
	rows, err := s.db.Query(`SELECT 'DROP INDEX ' || name, sql FROM sqlite_schema
		WHERE type = 'index' AND tbl_name IN ('users', 'grants') AND sql IS NOT NULL`)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer rows.Close()
	var drop []string
	for rows.Next() {
		var one, other string
		if err := rows.Scan(&one, &other); err != nil {
			s.tb.Fatal(err)
		}
		drop, again = append(drop, one), append(again, other)
	}
	if err := rows.Err(); err != nil {
		s.tb.Fatal(err)
	}
	rows.Close()
	execute(s.tb, s.db, drop...)
	return again
}

func (s sqliteBulk) model(table string) (columns []string, values []any) {
	rows, err := s.db.Query(`SELECT * FROM ` + table + ` LIMIT 1`)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer rows.Close()
	if columns, err = rows.Columns(); err != nil {
		s.tb.Fatal(err)
	}
	values = make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			s.tb.Fatal(err)
		}
	}
	return columns, values
}

// insert inserts fifty rows with a statement and a hundred thousand in a transaction.
func (s sqliteBulk) insert(table string, columns []string, next func() []any) {
	const together = 50
	place := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ")"
	statement := func(rows int) string {
		return `INSERT INTO ` + table + ` ("` + strings.Join(columns, `", "`) + `") VALUES ` +
			strings.TrimSuffix(strings.Repeat(place+", ", rows), ", ")
	}
	must := func(err error) {
		if err != nil {
			s.tb.Helper()
			s.tb.Fatalf("fill %s: %v", table, err)
		}
	}
	for more := true; more; {
		tx, err := s.db.Begin()
		must(err)
		many, err := tx.Prepare(statement(together))
		must(err)
		for range 100_000 / together {
			var args []any
			for range together {
				row := next()
				if more = row != nil; !more {
					break
				}
				args = append(args, row...)
			}
			if !more {
				if len(args) > 0 {
					_, err := tx.Exec(statement(len(args)/len(columns)), args...)
					must(err)
				}
				break
			}
			_, err := many.Exec(args...)
			must(err)
		}
		must(tx.Commit())
	}
}

func (s sqliteBulk) finish(again []string) {
	execute(s.tb, s.db, append(again, `PRAGMA wal_checkpoint(TRUNCATE)`)...)
	if err := s.db.Close(); err != nil {
		s.tb.Fatal(err)
	}
}

// Rows that are written past the store are those that the store writes, in each of its tables, and
// the store takes them for its own. So what a growth benchmark measures is what an operator has.
func TestFilledRowsAreLikeStoredOnes(t *testing.T) {
	t.Parallel()
	sqltest.EachURL(t, func(t *testing.T, url string) {
		f := filling{users: 1500, grants: 3000, began: time.Now()}
		rows := sqltest.Counter(t, url, "goose_db_version")
		empty := rows()
		f.firsts(t, url)
		stored := rows().Since(empty)
		f.fill(t, url, [2]int{1, 1}, [2]int{500, 1000})
		f.fill(t, url, [2]int{500, 1000}, [2]int{f.users, f.grants})
		now := rows().Since(empty)
		for name, n := range stored {
			if table, _, isColumn := strings.Cut(name, "."); !isColumn {
				want := map[string]int{"users": f.users, "grants": f.grants}[table]
				if n != 1 || now[name] != int64(want) {
					t.Errorf("%s has %d rows of the store, and %d in all; want 1 and %d", name, n, now[name], want)
				}
			}
		}
		db := open(t, url, sqlstore.Options{})
		for _, n := range []int{1, 2, 1000, f.grants} {
			g := f.grant(n)
			v, err := db.AdvanceGrant(t.Context(), userstore.Advance{ID: g.ID, Generation: 1, ClientID: g.ClientID, FirstParty: true,
				Now: f.began, IdleSince: f.began.Add(-time.Hour)})
			if err != nil || v.Grant.SessionID != g.SessionID || v.Grant.Generation != 2 {
				t.Errorf("grant %d: %v", n, err)
			}
			u := f.user(f.owner(n))
			if got, known, _, err := db.LoginView(t.Context(), userstore.Login{EmailKey: u.EmailKey}, userstore.FirstPartyClientID); err != nil ||
				!known || got.ID != g.UserID || got.PasswordHash != sizedHash || got.Claims.Name != u.Claims.Name {
				t.Errorf("the user of grant %d: %v, %v", n, got, err)
			}
		}
		disabled, err := userstore.FullPage(t.Context(), db, userstore.UserQuery{Limit: 10, State: userstore.Disabled})
		if err != nil || len(disabled) != 1 || disabled[0].ID != f.user(1001).ID {
			t.Errorf("disabled are %d users: %v", len(disabled), err)
		}
		for _, index := range []string{f.user(7).ID, f.user(7).EmailKey} {
			found, err := userstore.FullPage(t.Context(), db, userstore.UserQuery{Limit: 10, Text: index})
			if err != nil || len(found) != 1 || found[0].EmailKey != f.user(7).EmailKey {
				t.Errorf("%s finds %d users: %v", index, len(found), err)
			}
		}
		again := f.user(7)
		again.ID = f.user(f.users + 1).ID
		var exists *userstore.ExistsError
		if err := db.CreateUser(t.Context(), again); !errors.As(err, &exists) || exists.Field != "email" {
			t.Errorf("the unique indexes are not there again: %s was stored twice: %v", again.Email, err)
		}
	})
}

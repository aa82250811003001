//go:build unix

package sqlstore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// writer adds entries to the audit log until stop is called, which returns how many it added.
func writer(t *testing.T, db *sqlstore.DB) (stop func() int) {
	t.Helper()
	var ended atomic.Bool
	written := make(chan int)
	go func() {
		n := 0
		for ; !ended.Load(); n++ {
			e := audit.Event{ID: fmt.Sprint("live", n), At: time.Now(), Name: audit.LoginSucceeded, Target: audit.User("live")}
			if err := db.Record(t.Context(), e); err != nil {
				t.Errorf("an entry during the migration: %v", err)
				break
			}
			if _, err := db.ListEvents(t.Context(), userstore.EventQuery{Limit: 3, TargetID: "live"}); err != nil {
				t.Errorf("a page during the migration: %v", err)
				break
			}
		}
		written <- n
	}()
	return func() int { ended.Store(true); return <-written }
}

const manyEntries = `INSERT INTO audit_events SELECT 1700000000000000 + n * CAST(1000000000 AS BIGINT), 'e'||n, 'user_updated', 'success', '', 'user',
	'a'||n%7, 'user', 't'||n%5, '', '', '', '', '', '[]' FROM generate_series(1, 30000) n`

// A log of an older release becomes one partition while servers of both releases read and write it.
// The entries, the privileges and the view stay.
func TestALogOfAnOlderReleaseBecomesAPartition(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db, admin := open(t, url, sqlstore.Options{}), session(t, url)
	if err := sqlstore.MigrateTo(t.Context(), db, 16); err != nil {
		t.Fatal(err)
	}
	role := "reader_" + one[string](t, admin, `SELECT current_database()`)
	psql(t, admin, manyEntries, `CREATE ROLE `+role, `GRANT SELECT, DELETE ON audit_events TO `+role+` WITH GRANT OPTION`,
		`GRANT SELECT ON readable_audit_events TO `+role, `GRANT INSERT ON audit_events TO PUBLIC`)
	t.Cleanup(func() { psql(t, admin, `DROP OWNED BY `+role, `DROP ROLE `+role) })
	acl := one[string](t, admin, `SELECT string_agg(a::text, ' ' ORDER BY a::text)
		FROM (SELECT aclexplode(relacl) a FROM pg_class WHERE oid = 'audit_events'::regclass) x`)

	stop := writer(t, db)
	replica := open(t, url, sqlstore.Options{})
	if err := replica.Migrate(t.Context()); err != nil {
		t.Error(err)
	}
	if err := db.Record(t.Context(), audit.Event{ID: "after", At: time.Now(), Target: audit.User("live")}); err != nil {
		t.Errorf("the server that ran before: %v", err)
	}
	written := stop() + 1

	if n := one[int](t, admin, `SELECT count(*) FROM audit_events WHERE target_id = 'live'`); n != written || n < 2 {
		t.Errorf("%d live entries are stored, want %d", n, written)
	}
	if got := parts(t, admin); !strings.HasPrefix(got, fmt.Sprintf("before:%d other:0", 30000+written)) {
		t.Errorf("the entries are in %s", got)
	}
	if n := one[int](t, admin, `SELECT count(*) FROM readable_audit_events`); n != 30000+written {
		t.Errorf("the view shows %d entries", n)
	}
	if got := one[string](t, admin, `SELECT string_agg(a::text, ' ' ORDER BY a::text)
		FROM (SELECT aclexplode(relacl) a FROM pg_class WHERE oid = 'audit_events'::regclass) x`); got != acl {
		t.Errorf("privileges:\n%s, want\n%s", got, acl)
	}
	psql(t, admin, `SET ROLE `+role, `SELECT count(*) FROM readable_audit_events`, `SELECT count(*) FROM audit_events`, `RESET ROLE`)
	if n := one[int](t, admin, `SELECT count(*) FROM pg_inherits WHERE inhrelid::regclass::text LIKE 'audit_events_before_%'`); n != 4 {
		t.Errorf("%d of four indexes belong to the whole log", n)
	}
	if n := one[int](t, admin, `SELECT count(*) FROM pg_constraint WHERE conname = 'audit_events_months'`); n != 0 {
		t.Error("the condition of the migration is still there")
	}
	// The old entries go as they went before, one by one, and their table with the last of them.
	ends := date(time.January, 1).AddDate(2, 0, 0)
	if rest := tend(t, db, time.Now(), date(3, 4)); !rest.Equal(date(3, 4)) {
		t.Errorf("the rest of the old entries is before %s", rest)
	}
	if n, err := db.RemoveEvents(t.Context(), time.UnixMicro(1700000000000000+5*1000000000), 100); err != nil || n != 4 {
		t.Errorf("%d old entries were removed, want 4: %v", n, err)
	}
	tend(t, db, time.Now(), ends)
	if got := parts(t, admin); strings.Contains(got, "before") {
		t.Errorf("after %s: %s", ends, got)
	}
}

// An entry far in the future, which a wrong clock made, does not keep the migration from its end.
func TestALogWithAnEntryOfTheFutureBecomesAPartition(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db, admin := open(t, url, sqlstore.Options{}), session(t, url)
	if err := sqlstore.MigrateTo(t.Context(), db, 16); err != nil {
		t.Fatal(err)
	}
	record(t, db, time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), "far")
	record(t, db, date(3, 4), "near")
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := parts(t, admin), "before:2 other:0"; got != want {
		t.Errorf("the entries are in %s, want %s", got, want)
	}
	record(t, db, date(11, 30), "next")
	if n, err := db.RemoveEvents(t.Context(), date(12, 1), 10); err != nil || n != 2 {
		t.Errorf("%d entries were removed, want 2: %v", n, err)
	}
}

// A migration that was interrupted behind any of its statements goes on where it was, with the
// entries that came meanwhile.
func TestTheMigrationToMonthsGoesOn(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("migrations", "postgres", goesOn))
	if err != nil {
		t.Fatal(err)
	}
	var statements []string
	for _, s := range strings.Split(string(text), "-- +goose StatementBegin\n")[1:] {
		s, _, _ = strings.Cut(s, "-- +goose StatementEnd")
		statements = append(statements, s)
	}
	if len(statements) != 3 {
		t.Fatalf("%d statements", len(statements))
	}
	for _, entries := range []int{0, 5} {
		for done := range len(statements) + 1 {
			t.Run(fmt.Sprintf("%d entries, interrupted behind %d statements", entries, done), func(t *testing.T) {
				url := pgtest.URL(t)
				db, admin := open(t, url, sqlstore.Options{}), session(t, url)
				if err := sqlstore.MigrateTo(t.Context(), db, 16); err != nil {
					t.Fatal(err)
				}
				for i := range entries {
					record(t, db, date(3, 4), fmt.Sprint(i))
				}
				for range 2 { // each may be repeated
					psql(t, admin, statements[:done]...)
				}
				record(t, db, time.Now(), "between")
				if err := db.Migrate(t.Context()); err != nil {
					t.Fatal(err)
				}
				if n := one[int](t, admin, `SELECT count(*) FROM audit_events`); n != entries+1 {
					t.Errorf("%d entries, want %d", n, entries+1)
				}
				if kind := one[string](t, admin, `SELECT relkind::text FROM pg_class WHERE oid = 'audit_events'::regclass`); kind != "p" {
					t.Errorf("audit_events is of the kind %s", kind)
				}
				if n := one[int](t, admin, `SELECT count(*) FROM pg_constraint WHERE conname = 'audit_events_months'`); n != 0 {
					t.Error("the condition of the migration is still there")
				}
				record(t, db, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), "after")
			})
		}
	}
}

// A migration that meets a long transaction gives way to the writers that wait behind it, and goes
// on when the transaction has ended.
func TestTheMigrationToMonthsWaitsWithoutHoldingUpWriters(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db, admin, long := open(t, url, sqlstore.Options{}), session(t, url), session(t, url)
	if err := sqlstore.MigrateTo(t.Context(), db, 16); err != nil {
		t.Fatal(err)
	}
	record(t, db, date(3, 4), "first")
	psql(t, long, `BEGIN`, `SELECT count(*) FROM audit_events`)
	migrated := make(chan error, 1)
	go func() { migrated <- open(t, url, sqlstore.Options{}).Migrate(t.Context()) }()
	for waiting := 0; waiting == 0; { // until the migration waits for its lock
		waiting = one[int](t, admin, `SELECT count(*) FROM pg_locks WHERE relation = 'audit_events'::regclass AND NOT granted`)
	}
	for i := range 3 {
		record(t, db, time.Now(), fmt.Sprint("behind it", i))
	}
	select {
	case err := <-migrated:
		t.Fatalf("the migration did not wait: %v", err)
	default:
	}
	psql(t, long, `COMMIT`)
	if err := <-migrated; err != nil {
		t.Error(err)
	}
	if n := one[int](t, admin, `SELECT count(*) FROM audit_events`); n != 4 {
		t.Errorf("%d entries, want 4", n)
	}
}

// Where the server's role does not own the tables, entries go where they always fit and are removed
// one by one; the owner's migration makes months as well.
func TestARoleThatDoesNotOwnTheAuditLog(t *testing.T) {
	t.Parallel()
	url := pgtest.URL(t)
	db, admin := open(t, url, sqlstore.Options{}), session(t, url)
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	role := "server_" + one[string](t, admin, `SELECT current_database()`)
	psql(t, admin, `CREATE ROLE `+role, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO `+role)
	t.Cleanup(func() { psql(t, admin, `DROP OWNED BY `+role, `DROP ROLE `+role) })
	separator := "?"
	if strings.Contains(url, "?") {
		separator = "&"
	}
	server := open(t, url+separator+"options=-c%20role%3D"+role, sqlstore.Options{})
	noMonths(t, admin)
	before := date(3, 4)
	if rest := tend(t, server, date(4, 1), before); !rest.Equal(before) {
		t.Errorf("the rest is before %s", rest)
	}
	record(t, server, date(3, 1), "old")
	record(t, server, date(4, 1), "new")
	if got := parts(t, admin); got != "other:2" {
		t.Errorf("the entries are in %s", got)
	}
	if n, err := server.RemoveEvents(t.Context(), before, 10); err != nil || n != 1 {
		t.Errorf("%d entries were removed: %v", n, err)
	}
	tend(t, db, date(4, 2), before) // the owner
	if got, want := parts(t, admin), "2026_05:0 2026_06:0 other:1"; got != want {
		t.Errorf("the owner made %s, want %s", got, want)
	}
	record(t, server, date(5, 5), "in a month of the owner's")
	if rest := tend(t, server, date(5, 5), date(6, 6)); !rest.Equal(date(6, 6)) {
		t.Errorf("the rest is before %s", rest)
	}
	if n, err := server.RemoveEvents(t.Context(), date(6, 6), 10); err != nil || n != 2 {
		t.Errorf("%d entries were removed: %v", n, err)
	}
}

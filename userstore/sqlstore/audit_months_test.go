//go:build unix

package sqlstore_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// parts returns the partitions of the audit log with their numbers of entries.
func parts(t *testing.T, admin *pgx.Conn) string {
	t.Helper()
	rows, err := admin.Query(t.Context(),
		`SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range names {
		names[i] = fmt.Sprintf("%s:%d", strings.TrimPrefix(name, "audit_events_"), one[int64](t, admin, `SELECT count(*) FROM `+name))
	}
	return strings.Join(names, " ")
}

// noMonths drops the months that the real clock has made.
func noMonths(t *testing.T, admin *pgx.Conn) {
	t.Helper()
	psql(t, admin, `DO $$ DECLARE t regclass; BEGIN
		FOR t IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit_events'::regclass
			AND inhrelid <> 'audit_events_other'::regclass LOOP EXECUTE 'DROP TABLE ' || t; END LOOP; END $$`)
}

func record(t *testing.T, db *sqlstore.DB, at time.Time, id string) {
	t.Helper()
	if err := db.Record(t.Context(), audit.Event{ID: id, At: at, Name: audit.UserUpdated, Target: audit.User("u")}); err != nil {
		t.Fatalf("an entry of %s: %v", at, err)
	}
}

func tend(t *testing.T, db *sqlstore.DB, now, before time.Time) time.Time {
	t.Helper()
	rest, err := db.TendEventMonths(t.Context(), now, before)
	if err != nil {
		t.Fatal(err)
	}
	return rest
}

func date(month time.Month, day int) time.Time { return time.Date(2026, month, day, 12, 0, 0, 0, time.UTC) }

// Months are made ahead and dropped as a whole; an entry of any other time is stored all the same.
func TestTheAuditLogIsKeptByMonths(t *testing.T) {
	t.Parallel()
	url := sqltest.PostgresURL(t)
	db, admin := open(t, url, sqlstore.Options{}), session(t, url)
	noMonths(t, admin)
	is := func(want string) {
		t.Helper()
		if got := parts(t, admin); got != want {
			t.Errorf("the log is kept in\n%s, want\n%s", got, want)
		}
	}
	is("other:0")
	record(t, db, date(3, 4), "no month yet")
	is("other:1")
	for range 2 { // the second time changes nothing
		tend(t, db, date(1, 31), time.Time{})
		is("2026_01:0 2026_02:0 other:1") // March has an entry where it is
	}
	tend(t, db, date(4, 1), time.Time{})
	is("2026_01:0 2026_02:0 2026_04:0 2026_05:0 2026_06:0 other:1")
	for i, at := range []time.Time{date(1, 2), date(2, 1), date(2, 28), date(4, 1), date(4, 30), date(5, 1), date(12, 1),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.UnixMicro(-1)} {
		record(t, db, at, fmt.Sprint(i))
	}
	is("2026_01:1 2026_02:2 2026_04:2 2026_05:1 2026_06:0 other:4")

	// Ends of months are their last microsecond in UTC.
	begin := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	record(t, db, begin.Add(-time.Microsecond), "march")
	record(t, db, begin, "april")
	is("2026_01:1 2026_02:2 2026_04:3 2026_05:1 2026_06:0 other:5")

	// The order of pages does not depend on where an entry is.
	page, err := db.ListEvents(t.Context(), userstore.EventQuery{Limit: 20})
	if err != nil || len(page) != 12 {
		t.Fatalf("%d entries, %v", len(page), err)
	}
	for i := range page[1:] {
		if page[i].At.Before(page[i+1].At) {
			t.Errorf("%s stands before %s", page[i].At, page[i+1].At)
		}
	}

	for _, test := range []struct {
		before, rest time.Time
		left         string
	}{
		{date(1, 31), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), "2026_01:1 2026_02:2 2026_04:3 2026_05:1 2026_06:0 other:5"},
		{date(2, 1), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC), "2026_02:2 2026_04:3 2026_05:1 2026_06:0 other:5"},
		{date(3, 10), date(3, 10), "2026_04:3 2026_05:1 2026_06:0 other:5"}, // March has no month
		{begin, begin, "2026_04:3 2026_05:1 2026_06:0 other:5"},
		{date(6, 1), time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), "2026_06:0 other:5"},
	} {
		if rest := tend(t, db, date(4, 2), test.before); !rest.Equal(test.rest) {
			t.Errorf("before %s: the rest is before %s, want %s", test.before, rest, test.rest)
		}
		is(test.left)
	}
	n, err := db.RemoveEvents(t.Context(), date(6, 1), 10)
	if err != nil || n != 3 {
		t.Errorf("%d entries without a month were removed, want 3: %v", n, err)
	}
}

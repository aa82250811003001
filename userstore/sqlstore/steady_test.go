//go:build unix

package sqlstore_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/registration"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// removeAll removes what has expired of every kind, and audit entries from before then.
func removeAll(tb testing.TB, db *sqlstore.DB, now, before time.Time) {
	tb.Helper()
	const limit = 500
	rest, err := db.TendEventMonths(tb.Context(), now, before)
	if err != nil {
		tb.Fatal(err)
	}
	for _, remove := range []func(context.Context, time.Time, int) (int, error){
		db.RemoveExpired, db.RemoveExpiredAttempts, db.RemoveExpiredCodes, db.RemoveExpiredTokens, db.RemoveExpiredAppSessions,
		db.RemoveSpentHandles, db.RemoveRegistrationTokens,
		func(ctx context.Context, _ time.Time, limit int) (int, error) {
			return db.RemoveEvents(ctx, rest, limit)
		},
		func(ctx context.Context, now time.Time, limit int) (int, error) {
			return registration.RemoveUnused(ctx, db, slog.New(slog.DiscardHandler), now, limit)
		},
	} {
		for n := limit; n >= limit; {
			if n, err = remove(tb.Context(), now, limit); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// storeSize returns the size of all tables and indexes. PostgreSQL reuses the room of rows that
// were deleted once VACUUM has been there, which a server does by itself from time to time.
func storeSize(tb testing.TB, url string) int64 {
	tb.Helper()
	var size int64
	if !strings.HasPrefix(url, "postgres") {
		if err := raw(tb, url).QueryRow(`SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`).Scan(&size); err != nil {
			tb.Fatal(err)
		}
		return size
	}
	admin := session(tb, url)
	defer admin.Close(tb.Context())
	psql(tb, admin, `VACUUM `+one[string](tb, admin, `SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`))
	return postgresSize(tb, admin)
}

// postgresSize returns the size of all tables and indexes of a database.
func postgresSize(tb testing.TB, conn *pgx.Conn) int64 {
	tb.Helper()
	return one[int64](tb, conn, `SELECT CAST(sum(pg_total_relation_size(c.oid)) AS BIGINT) FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm')`)
}

// turnover stores and removes rows of every kind that expires, time after time, on a clock that
// moves six weeks each, and returns the size of the store after each time.
func turnover(tb testing.TB, url string, rows, times int) (sizes []int64) {
	tb.Helper()
	db := open(tb, url, sqlstore.Options{})
	clock := time.Now().UTC()
	for range times {
		sqltest.Expired(tb, url, clock, rows)
		removeAll(tb, db, clock, clock)
		sizes = append(sizes, storeSize(tb, url))
		clock = clock.AddDate(0, 0, 42)
	}
	return sizes
}

// Under a constant load no table grows for ever: what is removed makes room for what comes.
func TestF38TableSizesReachASteadyState(t *testing.T) {
	t.Parallel()
	sqltest.EachURL(t, func(t *testing.T, url string) {
		sizes := turnover(t, url, 2000, 7)
		most := sizes[2] + sizes[2]/10
		for i, size := range sizes[3:] {
			if size > most {
				t.Errorf("after %d times the store has %d bytes, after the third %d: %d", i+4, size, sizes[2], sizes)
			}
		}
		t.Logf("sizes: %d", sizes)
		for table, n := range sqltest.Count(t, url) {
			if n > 100 && table != "audit_events" { // those of this month are left, and live rows
				t.Errorf("%d rows of %s are left", n, table)
			}
		}
	})
}

// BenchmarkTableSizes prints how large a store is after each of many times at which a hundred
// thousand rows came and went. b.N does not count. The metric is the last size by the third.
func BenchmarkTableSizes(b *testing.B) {
	for engine, address := range map[string]func(testing.TB) string{"sqlite": sqltest.SQLitePath, "postgres": sqltest.PostgresURL} {
		b.Run(engine, func(b *testing.B) {
			sizes := turnover(b, address(b), 100_000, 12)
			b.Logf("sizes: %d", sizes)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(sizes[11])/float64(sizes[2]), "size-ratio")
		})
	}
}

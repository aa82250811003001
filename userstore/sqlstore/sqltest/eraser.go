package sqltest

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Eraser returns a function that empties tables of the database at url.
func Eraser(tb testing.TB, url string, tables ...string) func() {
	tb.Helper()
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatalf("sqltest: erase: %v", err)
		}
	}
	var execute func(text string) error
	if strings.HasPrefix(url, "postgres") {
		conn, err := pgx.Connect(ctx, url)
		fail(err)
		tb.Cleanup(func() { _ = conn.Close(ctx) })
		execute = func(text string) error {
			_, err := conn.Exec(ctx, text)
			return err
		}
	} else {
		db, err := sql.Open("sqlite", url+"?_pragma=busy_timeout(5000)") // the driver that sqlstore has registered
		fail(err)
		db.SetMaxOpenConns(1)
		tb.Cleanup(func() { _ = db.Close() })
		execute = func(text string) error {
			_, err := db.ExecContext(ctx, text)
			return err
		}
	}
	return func() {
		tb.Helper()
		for _, table := range tables {
			fail(execute("DELETE FROM " + table))
		}
	}
}

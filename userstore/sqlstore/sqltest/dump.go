package sqltest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Dump returns everything that a thief of the database has, as one text to search: every cell of
// every table and view in the catalog, in text and in binary form, and for SQLite also the bytes of
// its files, which hold deleted rows that are not yet overwritten.
func Dump(tb testing.TB, url string) []byte {
	tb.Helper()
	var out bytes.Buffer
	var tables int
	var err error
	if strings.HasPrefix(url, "postgres") {
		tables, err = dumpPostgres(tb.Context(), &out, url)
	} else {
		tables, err = dumpSQLite(tb.Context(), &out, url)
	}
	if err != nil {
		tb.Fatalf("sqltest: dump: %v", err)
	}
	if tables < 8 {
		tb.Fatalf("sqltest: dump: only %d tables were found", tables)
	}
	return out.Bytes()
}

func dumpPostgres(ctx context.Context, out *bytes.Buffer, url string) (tables int, err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg_toast%'`)
	if err != nil {
		return 0, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		for _, format := range []string{"text", "binary"} {
			if _, copyErr := conn.PgConn().CopyTo(ctx, out, "COPY (SELECT * FROM "+name+") TO STDOUT (FORMAT "+format+")"); copyErr != nil {
				return 0, copyErr
			}
		}
	}
	return len(names), err
}

func dumpSQLite(ctx context.Context, out *bytes.Buffer, path string) (tables int, err error) {
	db, err := sql.Open("sqlite", path) // the driver that sqlstore has registered
	if err != nil {
		return 0, err
	}
	defer db.Close()
	// A checkpoint that is busy is no error; the rest of the log is read from its file.
	if _, err := db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return 0, err
	}
	names, err := column(ctx, db, `SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')`)
	for _, name := range names {
		if err := cells(ctx, db, out, `SELECT * FROM "`+strings.ReplaceAll(name, `"`, `""`)+`"`); err != nil {
			return 0, err
		}
	}
	for _, file := range []string{path, path + "-wal"} {
		content, readErr := os.ReadFile(file)
		if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
			return 0, readErr
		}
		out.Write(content)
	}
	return len(names), err
}

func column(ctx context.Context, db *sql.DB, query string) (values []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	return values, rows.Err()
}

func cells(ctx context.Context, db *sql.DB, out *bytes.Buffer, query string) error {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]sql.RawBytes, len(names))
	targets := make([]any, len(names))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for _, v := range values {
			out.Write(v)
			out.WriteByte('\n')
		}
	}
	return rows.Err()
}

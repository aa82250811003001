package sqlstore

import (
	"context"
	"database/sql"
	"strings"
)

// MigrationNames lists the embedded migrations.
func (db *DB) MigrationNames() ([]string, error) {
	all, err := db.embedded()
	var names []string
	for _, m := range all {
		names = append(names, m.Name)
	}
	return names, err
}

var (
	AdvanceSQL = advanceOurs
	ViewSQL    = viewBySession
)

// SQLiteSettings tells what the connections of a file are set to.
func SQLiteSettings(ctx context.Context, db *DB) (string, error) {
	e := db.engine.(*sqliteEngine)
	var b strings.Builder
	for _, c := range []struct {
		name string
		db   *sql.DB
	}{{"writer", e.writer.DB}, {"reader", e.reader.DB}} {
		b.WriteString(c.name + ":")
		for _, pragma := range []string{"journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only"} {
			var value string
			if err := c.db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&value); err != nil {
				return "", err
			}
			b.WriteString(" " + pragma + "=" + value)
		}
		b.WriteString("\n")
	}
	return b.String(), nil
}

package sqlstore

import (
	"context"
	"time"
)

// Bounds gives a store's searches other bounds: rows of the first walk, names of the first look-up,
// rows of a later walk. PostgreSQL samples names however few users there are.
func Bounds(db *DB, first, names, walk int64) {
	db.dialect.bounds.first, db.dialect.bounds.names, db.dialect.bounds.walk = first, names, walk
	db.dialect.bounds.sampled = 0
}

// Patience gives a store's searches another patience.
func Patience(db *DB, d time.Duration) { db.dialect.bounds.patience = d }

// SearchesRoles reports whether roles are found by their index.
func SearchesRoles(ctx context.Context, db *DB) (bool, error) {
	has, err := db.as("UserSearch").searchIndexes(ctx)
	return has.roles, err
}

// WithoutSearch makes a store list users as if there were no index for it, which also works before
// the migration that makes them.
func WithoutSearch(db *DB, without bool) {
	db.dialect.search, db.dialect.bounds.first = `SELECT FALSE, FALSE, FALSE, 0`, unbounded
	switch {
	case without:
	case db.dialect.name == "sqlite":
		db.dialect.search, db.dialect.bounds.first = sqliteSearch, sqliteDialect.bounds.first
	default:
		db.dialect.search, db.dialect.bounds.first = postgresSearch, postgresDialect.bounds.first
	}
}

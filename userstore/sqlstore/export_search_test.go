package sqlstore

import "context"

// Turns gives a store's searches other bounds: of a walk, of a look-up, of a walk. The last look-up has
// none.
func Turns(db *DB, first, found, second int) {
	db.dialect.turns = []searchTurn{{false, first}, {true, found}, {false, second}, {true, 0}}
}

// SearchesRoles reports whether roles are found by their index.
func SearchesRoles(ctx context.Context, db *DB) (bool, error) {
	has, err := db.as("UserSearch").searchIndexes(ctx)
	return has.roles, err
}

// WithoutSearch makes a store list users as if there were no index for it, which also works before the
// migration that makes them.
func WithoutSearch(db *DB, without bool) {
	db.dialect.search = `SELECT FALSE, FALSE, FALSE`
	switch {
	case without:
	case db.dialect.name == "sqlite":
		db.dialect.search = sqliteSearch
	default:
		db.dialect.search = postgresSearch
	}
}

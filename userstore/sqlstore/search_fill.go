package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// indexNames makes the index of names behind the migrations: where the database does not offer
// pg_trgm, or the role may not have it, or the index cannot be made for another reason, there is
// none, and searches walk along the list: no server waits for an index that it can do without. The
// next migration, also one that has nothing else to do, tries again. The index is built beside
// readers and writers, and holds nobody up while it waits for transactions that are open, so it has
// no time limit.
func (p *postgres) indexNames(ctx context.Context) error {
	db := p.forMigration(0)
	defer db.Close()
	var missing bool
	err := db.QueryRowContext(ctx, `SELECT to_regclass('users') IS NOT NULL AND NOT EXISTS
		(SELECT FROM pg_index WHERE indexrelid = to_regclass('users_names') AND indisvalid)`).Scan(&missing)
	if err != nil || !missing {
		return err
	}
	without := "the database does not give us pg_trgm; have an administrator run CREATE EXTENSION pg_trgm in it"
	if _, err = db.ExecContext(ctx, `CREATE EXTENSION IF NOT EXISTS pg_trgm`); err == nil {
		without = "it could not be made; mend the cause"
		err = makeNamesIndex(ctx, db)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || ctx.Err() != nil || gaveWay(pg) {
		return err
	}
	if p.log != nil {
		p.log.Warn("users are searched without an index of names, because "+without+", and then run `signet migrate up`",
			"error", err)
	}
	return nil
}

func makeNamesIndex(ctx context.Context, db *sql.DB) error {
	// The extension may be in a schema that is not searched.
	var class string
	err := db.QueryRowContext(ctx, `SELECT format('%I.gin_trgm_ops', n.nspname) FROM pg_opclass c JOIN pg_namespace n
		ON n.oid = c.opcnamespace WHERE c.opcname = 'gin_trgm_ops' LIMIT 1`).Scan(&class)
	if err != nil {
		return err
	}
	// What is left of an interrupted one costs every write and serves no read. If the server was
	// still building it, this waits for that.
	if _, err := db.ExecContext(ctx, `DROP INDEX CONCURRENTLY IF EXISTS users_names`); err != nil {
		return err
	}
	// Both names as one text: most trigrams of the one are in the other, too, and are then held
	// once. New entries wait in a list of limited length, which a search reads: the writer that
	// fills it puts them in their places, and should not take long.
	_, err = db.ExecContext(ctx, `CREATE INDEX CONCURRENTLY IF NOT EXISTS users_names ON users
		USING gin ((email_key || ' ' || username_key) `+class+`) WITH (gin_pending_list_limit = 512)`)
	return err
}

// The statements that index the next users of search_todo, in one transaction. A user's number in
// the index is its row in search_names, for good: the row's own number in users may change with
// VACUUM.
const (
	nextTodo = `(SELECT user_id FROM search_todo ORDER BY user_id LIMIT $1)`
	// Names of before: whoever is found by them alone does not match any more.
	endNames = `DELETE FROM search_grams WHERE _rowid_ IN
		(SELECT m.n FROM ` + nextTodo + ` AS t CROSS JOIN search_names m WHERE m.user_id = t.user_id)`
	numberTodo = `INSERT INTO search_names (user_id) SELECT t.user_id
		FROM ` + nextTodo + ` AS t CROSS JOIN users u WHERE u.id = t.user_id ON CONFLICT DO NOTHING`
	indexTodo = `INSERT INTO search_grams (_rowid_, names) SELECT m.n, u.email_key || ' ' || u.username_key
		FROM ` + nextTodo + ` AS t CROSS JOIN search_names m CROSS JOIN users u
		WHERE m.user_id = t.user_id AND u.id = t.user_id`
	endTodo = `DELETE FROM search_todo WHERE user_id IN ` + nextTodo
)

// The statements that take the users of before the migration, those between two ids; a trigger
// takes their roles.
const (
	beforeTodo = `INSERT INTO search_todo (user_id) SELECT u.id FROM users u WHERE u.id > $1 AND u.id <= $2
		AND NOT EXISTS (SELECT 1 FROM search_names m WHERE m.user_id = u.id) ON CONFLICT DO NOTHING`
	beforeDone = `UPDATE search_before SET upto = $2 WHERE upto = $1`
)

// IndexNames indexes at most limit users whose names are not in the index of searches yet, those of
// before there was an index first, and returns how many. Until then a search reads new ones one by
// one, and does without the index while there are users of before. On PostgreSQL, which indexes by
// itself, it does nothing.
func (db *DB) IndexNames(ctx context.Context, limit int) (int, error) {
	if db.dialect.notYet == "" {
		return 0, nil
	}
	most := int64(limit)
	var waits, before bool
	var upto, last string
	var next int64
	as := db.as("IndexNames")
	err := as.one(ctx, bind(`SELECT EXISTS (SELECT 1 FROM search_todo), EXISTS (SELECT 1 FROM search_before),
		COALESCE((SELECT upto FROM search_before), '')`),
		func(s scanner) error { return s.Scan(&waits, &before, &upto) })
	if err != nil || !waits && !before {
		return 0, err
	}
	var all []stmt
	if before {
		err := as.one(ctx, bind(`SELECT COUNT(*), COALESCE(MAX(id), '')
			FROM (SELECT u.id FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2) AS t`, upto, most),
			func(s scanner) error { return s.Scan(&next, &last) })
		switch {
		case err != nil:
			return 0, err
		case next == 0:
			all = append(all, bind(`DELETE FROM search_before WHERE upto = $1`, upto))
		default:
			all = append(all, bind(beforeTodo, upto, last), bind(beforeDone, upto, last))
		}
	}
	for _, sql := range []string{endNames, numberTodo, indexTodo, endTodo} {
		all = append(all, bind(sql, most))
	}
	n, err := as.batch(ctx, true, all...)
	if err != nil {
		return 0, err
	}
	return int(max(next, n[len(n)-1])), nil
}

package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// indexNames makes the index of names behind the migrations: where the database does not offer pg_trgm,
// or the role may not have it, there is none, and searches walk along the list. The next migration, also
// one that has nothing else to do, tries again. The index is built beside readers and writers.
func (p *postgres) indexNames(ctx context.Context, db *sql.DB) error {
	var missing bool
	err := db.QueryRowContext(ctx, `SELECT to_regclass('users') IS NOT NULL AND NOT EXISTS
		(SELECT FROM pg_index WHERE indexrelid = to_regclass('users_names') AND indisvalid)`).Scan(&missing)
	if err != nil || !missing {
		return err
	}
	_, err = db.ExecContext(ctx, `CREATE EXTENSION IF NOT EXISTS pg_trgm`)
	if why := notOffered(err); why != "" {
		if p.log != nil {
			p.log.Warn("users are searched without an index of names, because the database does not give us pg_trgm; have an "+
				"administrator run CREATE EXTENSION pg_trgm in it, and then run `signet migrate up`", "why", why)
		}
		return nil
	}
	if err != nil {
		return err
	}
	// The extension may be in a schema that is not searched.
	var class string
	err = db.QueryRowContext(ctx, `SELECT format('%I.gin_trgm_ops', n.nspname) FROM pg_opclass c JOIN pg_namespace n
		ON n.oid = c.opcnamespace WHERE c.opcname = 'gin_trgm_ops' LIMIT 1`).Scan(&class)
	if err != nil {
		return err
	}
	// What is left of an interrupted one costs every write and serves no read.
	if _, err := db.ExecContext(ctx, `DROP INDEX CONCURRENTLY IF EXISTS users_names`); err != nil {
		return err
	}
	// New entries wait in a list of at most a megabyte, which a search reads: the writer that fills it
	// puts them in their places, and should not take long.
	_, err = db.ExecContext(ctx, `CREATE INDEX CONCURRENTLY IF NOT EXISTS users_names ON users
		USING gin (email_key `+class+`, username_key `+class+`) WITH (gin_pending_list_limit = 1024)`)
	return err
}

// notOffered returns why a server does not give us an extension; empty: it does, or it failed otherwise.
func notOffered(err error) string {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return ""
	}
	switch pg.Code {
	case "42501", // no privilege
		"0A000", "58P01", // not installed
		"42704", "42601", "42710": // an engine that has no extensions, or not this one
		return pg.Message
	}
	return ""
}

// fillBatch is how many users FillSearch indexes at once: some 20 ms.
const fillBatch = 250

// FillSearch indexes the users of before there was an index, on SQLite, in small transactions; a server
// may write meanwhile. It does nothing when all are indexed. What was interrupted goes on. It has no
// time limit.
func (db *DB) FillSearch(ctx context.Context) error {
	if db.dialect.notYet == "" {
		return nil
	}
	for done := ""; ; {
		has, err := db.as("FillSearch").searchIndexes(ctx)
		if err != nil || has.roles {
			return err
		}
		var last string
		err = db.as("FillSearch").one(ctx, bind(`SELECT COALESCE(MAX(id), '') FROM (SELECT u.id FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2) AS t`,
			done, int64(fillBatch)), func(s scanner) error { return s.Scan(&last) })
		if err != nil {
			return err
		}
		if last == "" {
			_, err := db.as("FillSearch").write(ctx, true, bind(`DELETE FROM search_todo WHERE user_id = ''`))
			return err
		}
		_, err = db.as("FillSearch").batch(ctx, true,
			bind(`INSERT INTO search_todo (user_id) SELECT u.id FROM users u WHERE u.id > $1 AND u.id <= $2
				AND NOT EXISTS (SELECT 1 FROM search_names m WHERE m.user_id = u.id) ON CONFLICT DO NOTHING`, done, last),
			bind(numberTodo, int64(fillBatch)), bind(indexTodo, int64(fillBatch)), bind(endTodo, int64(fillBatch)))
		if err != nil {
			return err
		}
		done = last
	}
}

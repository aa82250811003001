package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// wrap turns a driver's error into one of the store's errors; nothing else does. An error that wrap
// does not know for certain is an infrastructure failure, which must never be taken for an answer
// about a user or a grant.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	for _, ours := range []error{userstore.ErrNotFound, userstore.ErrExists, userstore.ErrConflict,
		userstore.ErrSpent, userstore.ErrLastAdmin, userstore.ErrInvalid, userstore.ErrUnavailable, keys.ErrConflict} {
		if errors.Is(err, ours) {
			return err
		}
	}
	if errors.Is(err, pgx.ErrNoRows) || errors.Is(err, sql.ErrNoRows) {
		return userstore.ErrNotFound
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == "23505": // unique_violation
			if e := exists(pg.ConstraintName); e != nil {
				return e
			}
		case pg.Code[:2] == "22" || pg.Code == "54000": // data exception; too long for an index
			return fmt.Errorf("%w: %w", userstore.ErrInvalid, err)
		}
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			// … UNIQUE constraint failed: users.email_key (2067)
			_, columns, _ := strings.Cut(lite.Error(), "constraint failed: ")
			if _, c, ok := strings.Cut(columns, "constraint failed: "); ok {
				columns = c
			}
			columns, _, _ = strings.Cut(columns, " (")
			if e := exists(columns); e != nil {
				return e
			}
		case sqlite3.SQLITE_TOOBIG:
			return fmt.Errorf("%w: %w", userstore.ErrInvalid, err)
		}
	}
	if e := unreachable(err); e != nil {
		return e
	}
	return fmt.Errorf("%w: %w", userstore.ErrUnavailable, err)
}

// exists returns the error for a unique constraint, which PostgreSQL names by the constraint's name
// and SQLite by its columns.
func exists(constraint string) error {
	switch constraint {
	case "users_email_key", "users.email_key":
		return &userstore.ExistsError{Field: "email"}
	case "users_username_key", "users.username_key":
		return &userstore.ExistsError{Field: "username"}
	case "users_pkey", "users.id":
		return &userstore.ExistsError{Field: "id"}
	case "clients_pkey", "clients.id":
		return &userstore.ExistsError{Field: "client_id"}
	case "browser_sessions_pkey", "browser_sessions.hash", "browser_sessions_id", "browser_sessions.id", "grants_pkey", "grants.id", "grants_session_id", "grants.session_id":
		// The same 128 random bits twice, or a grant started twice: as if another request was
		// first.
		return userstore.ErrConflict
	case "signing_keys_pkey", "signing_keys.id", "signing_keys_seq", "signing_keys.algorithm, signing_keys.seq":
		return keys.ErrConflict
	}
	return nil
}

// retry says which operations may be retried after an error.
type retry int

const (
	never        retry = iota
	safely             // nothing was changed: every operation may be retried
	ifIdempotent       // it may have been committed: only an idempotent one may be
)

// retryable classifies an error of the driver, before wrap changes it.
func retryable(err error) retry {
	if errors.Is(err, errPooler) || errors.Is(err, errAbandoned) { // the connection was not used; rolled back
		return safely
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "40001", "40P01", // serialization failure, deadlock: rolled back
			"23503",          // a user or client that the statement read is gone: the retry sees this
			"0A000",          // cached plan must not change result type: after a migration, before execution
			"26000", "42P05": // a pooler mixed up prepared statements; before execution
			return safely
		case "57P01", "57P02", "57P03", "08006", "08003", "08000": // shutdown, crash, starting up, broken connection
			return ifIdempotent
		case "08P01": // how a pooler ends connections, for whatever reason
			switch {
			case refusesLimits(pg):
				return safely
			case pg.Severity == "FATAL":
				return ifIdempotent
			}
		}
		return never
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			return safely
		}
		return never
	}
	if pgconn.SafeToRetry(err) { // nothing was sent
		return safely
	}
	if pgconn.Timeout(err) {
		return never // the caller has no time left
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok || connectionLost(err) {
		return ifIdempotent
	}
	return never
}

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/signet-id/signet/internal/span"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

var (
	_ userstore.Store = (*DB)(nil)
	_ keys.Store      = (*DB)(nil)
)

const (
	// callLimit bounds every call, also one whose context has no deadline or a later one.
	callLimit = 5 * time.Second
	// retries is how often an operation is retried at most.
	retries = 3
)

// DB is a store on SQLite or PostgreSQL. It implements userstore.Store and keys.Store. All methods
// are safe for concurrent use.
type DB struct {
	engine  engine
	dialect dialect
	locked  sync.Mutex
	unlock  func()   // releases the lock file; nil without one
	probe   probe    // whether the database takes writes
	fronts  sync.Map // statement → *atomic.Int64: see removeFrom
	acts    acts     // what is called, for metrics
}

// ErrLocked means that another server uses the same SQLite file.
var ErrLocked = errors.New("another server uses this database")

// Options tune a DB. The zero value is right for a server.
type Options struct {
	// MaxConns is how many connections to PostgreSQL serve requests. One more is kept for readiness
	// and the key set. 0 means 15, or one less than the URL's pool_max_conns, which counts all
	// connections.
	MaxConns  int
	MustExist bool // SQLite: refuse to make a new database file
	// Log receives a line when a pooler before PostgreSQL is detected, and when a migration gives way
	// to what uses a table; nil: nothing is logged.
	Log *slog.Logger
}

// engine is a database as the operations use it. It returns the driver's errors.
type engine interface {
	// read runs a query that changes nothing and calls row for each row.
	read(ctx context.Context, s stmt, row func(scanner) error) error
	// write runs one statement and counts the rows that it changed. With row, it may return rows.
	write(ctx context.Context, s stmt, row func(scanner) error) (int64, error)
	// batch runs statements in one transaction and one round trip, all or none of them.
	batch(ctx context.Context, s []stmt) ([]int64, error)
	// transact runs fn in one transaction at READ COMMITTED. fn may read what a statement changed
	// before it goes on. The transaction is rolled back when fn returns an error.
	transact(ctx context.Context, fn func(exec) error) error
	// migrate applies the migrations that the database does not have yet.
	migrate(ctx context.Context) error
	close()
}

// exec runs statements of a transaction in one round trip and counts the rows that each changed.
type exec func(s ...stmt) ([]int64, error)

// stmt is a statement with its arguments, which are string, int64, bool or []byte.
type stmt struct {
	sql   string
	args  []any
	vital bool // does not queue behind requests: see spareConns
	entry bool // adds an entry to the audit log
	// expired: the statement removes what has expired, or belongs to such a removal. A loss of
	// power may bring that back, and the next sweep removes it again.
	expired bool
	// planned is a statement that PostgreSQL plans anew with its arguments, not once for all
	// arguments.
	planned bool
}

func bind(sql string, args ...any) stmt { return stmt{sql: sql, args: args} }

// expired binds a statement that removes what has expired.
func expired(sql string, args ...any) stmt { return stmt{sql: sql, args: args, expired: true} }

// vital binds a short statement that the server's readiness depends on.
func vital(sql string) stmt { return stmt{sql: sql, vital: true} }

type scanner interface{ Scan(dest ...any) error }

// Open connects to url: postgres://… (or postgresql://…), or else the path of a SQLite file, which
// is taken literally whatever characters it has. Open creates a missing file, with its folder,
// readable by its owner only. Open does not migrate.
//
// Open fails, with a sentence that says what to do, when the database cannot be reached or is not
// fit. PostgreSQL must be version 14 or later, be UTF-8, accept writes and have synchronous_commit
// on. A file must be an intact database of ours.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	db := &DB{}
	var err error
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		db.dialect = postgresDialect
		db.engine, err = openPostgres(ctx, url, o)
	case strings.Contains(url, "://"):
		scheme, _, _ := strings.Cut(url, "://")
		return nil, fmt.Errorf("the database address begins with %q://: give postgres://… or the plain path of a file", scheme)
	default:
		db.dialect = sqliteDialect
		db.engine, err = openSQLite(ctx, url, o)
	}
	if err != nil {
		return nil, err
	}
	switch e := db.engine.(type) {
	case *postgres:
		e.acts = &db.acts
	case *sqliteEngine:
		e.acts = &db.acts
	}
	return db, nil
}

// Close ends the connections after their current work and releases the lock file.
func (db *DB) Close() {
	db.engine.close()
	db.locked.Lock()
	defer db.locked.Unlock()
	if db.unlock != nil {
		db.unlock()
		db.unlock = nil
	}
}

// Lock makes this DB the one server of its SQLite file until Close, or until the process ends,
// however it ends. Commands beside a running server do not take the lock. On PostgreSQL, which any
// number of replicas share, Lock does nothing. ErrLocked.
func (db *DB) Lock() error {
	e, ok := db.engine.(*sqliteEngine)
	if !ok {
		return nil
	}
	db.locked.Lock()
	defer db.locked.Unlock()
	if db.unlock != nil {
		return nil
	}
	var err error
	db.unlock, err = lockFile(e.path)
	return err
}

// Engine returns "sqlite" or "postgres".
func (db *DB) Engine() string { return db.dialect.name }

// SweepsWaited returns how long what removes expired rows has waited for its turn to write, since
// the DB was opened. It is 0 where writers do not take turns.
func (db *DB) SweepsWaited() time.Duration {
	if e, ok := db.engine.(*sqliteEngine); ok {
		return time.Duration(e.sweepsWaited.Load())
	}
	return 0
}

// Now returns the time of the database's clock.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	var n int64
	err := db.as("Now").one(ctx, vital(db.dialect.now), func(s scanner) error { return s.Scan(&n) })
	return instant(n), err
}

// named is a DB in the hands of one of its exported methods, under whose name it counts and traces
// what it runs. Statements run through it alone, so that no method can do without a name.
type named struct {
	*DB
	act *act
}

// as returns db for the exported method of that name, which calls it.
func (db *DB) as(method string) named { return named{db, db.acts.of(method)} }

// retrying runs one operation within callLimit. It retries the operation, at most retries times,
// when the failed try changed nothing; and, if the operation is idempotent, also when the try may
// have been committed. maybeDone tells fn that an earlier try may have been committed.
func (db named) retrying(
	ctx context.Context, idempotent bool, fn func(ctx context.Context, maybeDone bool) error,
) (err error) {
	began := time.Now()
	ctx, recorded := span.Begin(ctx, db.act.span)
	defer func() {
		db.acts.done(db.act, time.Since(began), err)
		recorded.End(failure(err))
	}()
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > callLimit {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callLimit)
		defer cancel()
	}
	maybeDone := false
	for try := 0; ; try++ {
		err := fn(ctx, maybeDone)
		if err == nil {
			return nil
		}
		r := retryable(err)
		if r == never || r == ifIdempotent && !idempotent || try == retries || !pause(ctx, try) {
			return wrap(err)
		}
		db.acts.retried(err)
		maybeDone = maybeDone || r == ifIdempotent
	}
}

// pause waits before a retry, longer each time and with jitter.
func pause(ctx context.Context, try int) bool {
	wait := time.Duration(5<<(2*try)) * time.Millisecond // 5, 20, 80 ms
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait/2 + rand.N(wait)):
		return true
	}
}

// rows runs a read and calls row for each row. When the connection breaks it starts over from the
// first row, and calls begin before each try.
func (db named) rows(ctx context.Context, s stmt, begin func(), row func(scanner) error) error {
	if err := storable(s.args); err != nil {
		return err
	}
	return db.retrying(ctx, true, func(ctx context.Context, _ bool) error {
		begin()
		return db.engine.read(ctx, s, row)
	})
}

// one reads a single row: ErrNotFound without one. A value that cannot be stored finds no row.
func (db named) one(ctx context.Context, s stmt, row func(scanner) error) error {
	found := false
	err := db.rows(ctx, s, func() { found = false }, func(r scanner) error {
		found = true
		return row(r)
	})
	if err == nil && !found || errors.Is(err, userstore.ErrInvalid) {
		return userstore.ErrNotFound
	}
	return err
}

// write runs one statement as one operation and counts the rows that it changed.
func (db named) write(ctx context.Context, idempotent bool, s stmt) (n int64, err error) {
	if err := storable(s.args); err != nil {
		return 0, err
	}
	err = db.retrying(ctx, idempotent, func(ctx context.Context, _ bool) error {
		n, err = db.engine.write(ctx, s, nil)
		return err
	})
	return n, err
}

// batch runs statements as one operation and counts the rows that each changed.
func (db named) batch(ctx context.Context, idempotent bool, s ...stmt) (n []int64, err error) {
	if err := storables(s); err != nil {
		return nil, err
	}
	err = db.retrying(ctx, idempotent, func(ctx context.Context, _ bool) error {
		n, err = db.engine.batch(ctx, s)
		return err
	})
	return n, err
}

// ifUnstorable replaces the error for a value that no engine can store by answer, which is the
// result for a value that no row has.
func ifUnstorable(err, answer error) error {
	if errors.Is(err, userstore.ErrInvalid) {
		return answer
	}
	return err
}

// connectionLost reports whether a connection ended during a call.
func connectionLost(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed)
}

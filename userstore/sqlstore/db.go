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

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

var (
	_ userstore.Store = (*DB)(nil)
	_ keys.Store      = (*DB)(nil)
)

const (
	// callLimit bounds every call, whatever its context says.
	callLimit = 5 * time.Second
	// retries is how often an act is begun again at most.
	retries = 3
)

// DB is a store on SQLite or PostgreSQL: userstore.Store and keys.Store.
// All methods may be called at once from anywhere.
type DB struct {
	engine  engine
	dialect dialect
	locked  sync.Mutex
	unlock  func() // releases the lock file; nil without one
	probe   probe  // whether the database takes writes
}

// ErrLocked: another server works on the same SQLite file.
var ErrLocked = errors.New("another server uses this database")

// Options tune a DB; the zero value is right for a server.
type Options struct {
	// MaxConns is how many connections to PostgreSQL serve requests; one more is kept
	// for readiness and the key set. 0: 15, or one less than the URL's pool_max_conns,
	// which counts all.
	MaxConns  int
	MustExist bool // SQLite: refuse to make a new database file
	// Log hears once that there is a pooler before PostgreSQL; nil: nobody does.
	Log *slog.Logger
}

// engine is a database as the acts see it. Its errors are the driver's.
type engine interface {
	// read runs a query that changes nothing and calls row for each row.
	read(ctx context.Context, s stmt, row func(scanner) error) error
	// write runs one statement; with row it may return rows. It counts the rows it changed.
	write(ctx context.Context, s stmt, row func(scanner) error) (int64, error)
	// batch runs statements in one transaction and one round trip, whole or not at all.
	batch(ctx context.Context, s []stmt) ([]int64, error)
	// transact runs fn in one transaction, at READ COMMITTED: it may look at what a
	// statement changed before it goes on. It is rolled back when fn returns an error.
	transact(ctx context.Context, fn func(exec) error) error
	// migrate applies what is missing of the migrations.
	migrate(ctx context.Context) error
	close()
}

// exec runs statements of a transaction, in one round trip, and counts the rows that each changed.
type exec func(s ...stmt) ([]int64, error)

// stmt is a statement with its arguments: string, int64, bool or []byte.
type stmt struct {
	sql   string
	args  []any
	vital bool // need not queue behind requests: see spareConns
}

func bind(sql string, args ...any) stmt { return stmt{sql: sql, args: args} }

// vital binds a short read by which the server knows that it may serve.
func vital(sql string) stmt { return stmt{sql: sql, vital: true} }

type scanner interface{ Scan(dest ...any) error }

// Open connects to url: postgres://… (or postgresql://…), or else the path of a
// SQLite file, taken literally whatever characters it has. A missing file is
// made, with its folder, readable by nobody else. Open does not migrate.
//
// It fails, with a sentence that says what to do, when the database cannot be
// reached or is not fit: PostgreSQL must be version 14 or later, be UTF-8,
// accept writes and have synchronous_commit on; a file must be an intact
// database of ours.
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
	return db, nil
}

// Close ends the connections after what they are doing, and gives the lock back.
func (db *DB) Close() {
	db.engine.close()
	db.locked.Lock()
	defer db.locked.Unlock()
	if db.unlock != nil {
		db.unlock()
		db.unlock = nil
	}
}

// Lock makes this DB the one server of its SQLite file until Close, or until the
// process ends, however it ends. Commands beside a running server do not take
// it. On PostgreSQL, which any number of replicas share, it does nothing.
// ErrLocked.
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

// Engine is "sqlite" or "postgres".
func (db *DB) Engine() string { return db.dialect.name }

// Now is the database's clock.
func (db *DB) Now(ctx context.Context) (time.Time, error) {
	var n int64
	err := db.one(ctx, vital(db.dialect.now), func(s scanner) error { return s.Scan(&n) })
	return instant(n), err
}

// retrying runs one retrying within its time and begins it again, at most three times,
// when nothing has happened; and, if that does no harm, when it is not known
// whether it has. again tells the retrying that an earlier try may have happened.
func (db *DB) retrying(ctx context.Context, idempotent bool, fn func(ctx context.Context, maybeDone bool) error) error {
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
		maybeDone = maybeDone || r == ifIdempotent
	}
}

// pause waits a little longer each time and a little differently from others.
func pause(ctx context.Context, try int) bool {
	wait := time.Duration(5<<(2*try)) * time.Millisecond // 5, 20, 80 ms
	select {
	case <-ctx.Done():
		return false
	case <-time.After(wait/2 + rand.N(wait)):
		return true
	}
}

// rows runs a read and calls row for each row, from the first again when the
// connection broke: row must be able to start over, which begin announces.
func (db *DB) rows(ctx context.Context, s stmt, begin func(), row func(scanner) error) error {
	if err := storable(s.args); err != nil {
		return err
	}
	return db.retrying(ctx, true, func(ctx context.Context, _ bool) error {
		begin()
		return db.engine.read(ctx, s, row)
	})
}

// one reads a single row: ErrNotFound without it. A value that no row can hold
// finds none.
func (db *DB) one(ctx context.Context, s stmt, row func(scanner) error) error {
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

// write runs one statement and counts the rows it changed. harmless: running it
// twice leads to the same end.
func (db *DB) write(ctx context.Context, idempotent bool, s stmt) (n int64, err error) {
	if err := storable(s.args); err != nil {
		return 0, err
	}
	err = db.retrying(ctx, idempotent, func(ctx context.Context, _ bool) error {
		n, err = db.engine.write(ctx, s, nil)
		return err
	})
	return n, err
}

// batch runs statements as one act and counts the rows that each changed.
func (db *DB) batch(ctx context.Context, idempotent bool, s ...stmt) (n []int64, err error) {
	if err := storables(s); err != nil {
		return nil, err
	}
	err = db.retrying(ctx, idempotent, func(ctx context.Context, _ bool) error {
		n, err = db.engine.batch(ctx, s)
		return err
	})
	return n, err
}

// ifUnstorable turns "no engine can hold this value" into the answer for a value
// that no row has.
func ifUnstorable(err, answer error) error {
	if errors.Is(err, userstore.ErrInvalid) {
		return answer
	}
	return err
}

// connectionLost tells whether a connection ended under a call.
func connectionLost(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, pgconn.ErrConnClosed)
}

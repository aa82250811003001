package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/signet-id/signet/userstore"
)

const (
	// busyTimeout is how long SQLite itself waits for another process (a CLI command, a backup)
	// before it returns BUSY. With the retries, this stays below callLimit.
	busyTimeout = time.Second
	// turnLimit is how long a call waits for its turn to write.
	turnLimit = 2500 * time.Millisecond
	// readers is how many reads run at once, beside the writer.
	readers = 4
)

var waitBusy = fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds())

// sqliteEngine is a file with one connection that writes and some that read. WAL lets them work at
// the same time; synchronous=FULL syncs the log at each commit, so that acknowledged data survives
// a loss of power.
type sqliteEngine struct {
	path   string
	writer conns
	// sweeper has the turns that writer has, too, for what removes expired rows. It does not sync
	// the log: the next commit of writer does. That keeps a request from waiting for the sync of a
	// batch.
	sweeper conns
	reader  conns
	turn    chan struct{} // held by the writer; waiters are served in order
	group   group         // of writes that wait for a turn together
	writes  atomic.Int64  // how often rows were changed and committed
	wrote   atomic.Bool   // that happened within the last probeEvery
	quiet   *time.Timer   // clears wrote; each write starts it again
	acts    *acts         // nil: nothing is counted

	sweepsWaited atomic.Int64 // nanoseconds that sweep has waited for turns

	checkpoints *checkpointer
}

// conns is a pool with its statements, each prepared once.
type conns struct {
	*sql.DB
	prepared sync.Map // SQL text → *sql.Stmt
}

// address returns the driver's name for a path: a file: URI, in which every character of the path
// that could have a meaning is escaped.
func address(path string, settings url.Values) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: settings.Encode()}).String()
}

func openSQLite(ctx context.Context, path string, o Options) (*sqliteEngine, error) {
	path, err := prepareFile(ctx, path, o.MustExist)
	if err != nil {
		return nil, err
	}
	if err := checkFile(ctx, path); err != nil {
		return nil, err
	}
	common := []string{waitBusy, "journal_mode(WAL)", "foreign_keys(ON)", "trusted_schema(OFF)", "journal_size_limit(67108864)", "wal_autocheckpoint(0)"}
	durable := append(slices.Clone(common), "synchronous(FULL)")
	writer, err := sql.Open("sqlite", address(path, url.Values{"_pragma": durable, "_txlock": {"immediate"}}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	sweeper, err := sql.Open("sqlite", address(path, url.Values{"_pragma": append(slices.Clone(common), "synchronous(NORMAL)")}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	reader, err := sql.Open("sqlite", address(path, url.Values{"_pragma": append(slices.Clone(durable), "query_only(ON)")}))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	e := &sqliteEngine{path: path, turn: make(chan struct{}, 1)}
	e.quiet = time.AfterFunc(probeEvery, func() { e.wrote.Store(false) })
	e.writer.DB, e.sweeper.DB, e.reader.DB = writer, sweeper, reader
	writer.SetMaxOpenConns(1)
	sweeper.SetMaxOpenConns(1)
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers)
	if e.checkpoints, err = newCheckpointer(path, durable, e); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := e.checkWritable(ctx); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

// statement returns the prepared statement of a text, which is prepared once.
func (c *conns) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := c.prepared.Load(text); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if first, ok := c.prepared.LoadOrStore(text, s); ok {
		s.Close()
		s = first.(*sql.Stmt)
	}
	return s, nil
}

// transactionStatements are the statements of one transaction, to which the one connection belongs.
type transactionStatements struct {
	tx     *sql.Tx
	kept   *conns
	used   map[string]*sql.Stmt
	unkept []string // texts of used that kept did not have
}

// longStatement is the length in bytes from which on a statement is not kept: one for many rows, of
// which there is one for each number of rows.
const longStatement = 4096

// of returns the statement of a text. One that is not kept ends with the transaction.
func (t *transactionStatements) of(ctx context.Context, text string) (s *sql.Stmt, err error) {
	if s := t.used[text]; s != nil {
		return s, nil
	}
	if known, ok := t.kept.prepared.Load(text); ok {
		s = t.tx.StmtContext(ctx, known.(*sql.Stmt))
	} else if s, err = t.tx.PrepareContext(ctx, text); err != nil {
		return nil, err
	} else if len(text) < longStatement {
		t.unkept = append(t.unkept, text)
	}
	t.used[text] = s
	return s, nil
}

var errNoTurn = fmt.Errorf("no turn to write within %s", turnLimit)

// waitTurn waits for the right to write. database/sql would give its connection to any one of the
// waiting calls, not to the first.
func (e *sqliteEngine) waitTurn(ctx context.Context) error {
	timer := time.NewTimer(turnLimit)
	defer timer.Stop()
	select {
	case e.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", userstore.ErrUnavailable, ctx.Err())
	case <-timer.C:
		return fmt.Errorf("%w: %w", userstore.ErrUnavailable, errNoTurn)
	}
}

func (e *sqliteEngine) endTurn() { <-e.turn }

func (e *sqliteEngine) read(ctx context.Context, s stmt, row func(scanner) error) error {
	prepared, err := e.reader.statement(ctx, s.sql)
	if err != nil {
		return err
	}
	return query(ctx, prepared, s.args, row)
}

func (e *sqliteEngine) write(ctx context.Context, s stmt, row func(scanner) error) (int64, error) {
	if s.expired {
		return e.sweep(ctx, s, row)
	}
	counts, err := e.do(ctx, []stmt{s}, row)
	if err != nil {
		return 0, err
	}
	e.noteWrite(counts[0], nil)
	return counts[0], nil
}

// sweep removes expired rows, in a commit of its own that does not sync the log.
func (e *sqliteEngine) sweep(ctx context.Context, s stmt, row func(scanner) error) (int64, error) {
	begin := time.Now()
	err := e.waitTurn(ctx)
	e.sweepsWaited.Add(int64(time.Since(begin)))
	if err != nil {
		return 0, err
	}
	defer e.endTurn()
	defer e.checkpoints.note()
	prepared, err := e.sweeper.statement(ctx, s.sql)
	if err != nil {
		return 0, err
	}
	if row != nil {
		return 0, query(ctx, prepared, s.args, row)
	}
	n, err := count(prepared.ExecContext(ctx, s.args...))
	e.noteWrite(n, err)
	return n, err
}

// noteWrite records that a write was committed now. A statement that changed no row wrote nothing.
func (e *sqliteEngine) noteWrite(rows int64, err error) {
	if err == nil && rows > 0 {
		e.writes.Add(1)
		e.wrote.Store(true)
		e.quiet.Reset(probeEvery) // afterwards: every wrote is followed by the end of a timer
	}
}

func query(ctx context.Context, s *sql.Stmt, args []any, row func(scanner) error) error {
	rows, err := s.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

func (e *sqliteEngine) batch(ctx context.Context, s []stmt) ([]int64, error) {
	counts, err := e.do(ctx, s, nil)
	var all int64
	for _, n := range counts {
		all += n
	}
	e.noteWrite(all, err)
	e.acts.entries(s, counts, err)
	return counts, err
}

func count(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// transact runs fn in a transaction that no other call shares. The statements that it had to prepare
// are prepared once more behind it, for the transactions to come: that takes longer than to run them.
func (e *sqliteEngine) transact(ctx context.Context, fn func(exec) error) error {
	if err := e.waitTurn(ctx); err != nil {
		return err
	}
	defer e.endTurn()
	defer e.checkpoints.note()
	var t transaction
	statements := transactionStatements{kept: &e.writer, used: map[string]*sql.Stmt{}}
	err := e.inTransaction(ctx, func(tx *sql.Tx) error {
		statements.tx = tx
		return fn(t.watching(func(s ...stmt) ([]int64, error) {
			counts := make([]int64, len(s))
			for i := range s {
				prepared, err := statements.of(ctx, s[i].sql)
				if err != nil {
					return nil, err
				}
				if counts[i], err = count(prepared.ExecContext(ctx, s[i].args...)); err != nil {
					return nil, err
				}
			}
			return counts, nil
		}))
	})
	e.acts.ended(t, err)
	if err != nil {
		return err
	}
	for _, text := range statements.unkept {
		if _, err := e.writer.statement(ctx, text); err != nil {
			break // everything is committed; a later transaction prepares it
		}
	}
	return nil
}

// inTransaction runs fn in a transaction that has the right to write from its start. The call has
// the turn.
func (e *sqliteEngine) inTransaction(ctx context.Context, fn func(*sql.Tx) error) error {
	tx, err := e.writer.BeginTx(ctx, nil) // BEGIN IMMEDIATE
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (e *sqliteEngine) migrate(ctx context.Context) error {
	files, err := migrationFiles(sqliteDialect.name)
	if err != nil {
		return err
	}
	// Another process may migrate the same file at this moment. Each migration is one transaction,
	// so the second process fails as a whole, and then finds the migration applied.
	for try := 0; ; try++ {
		err := func() error {
			if err := e.waitTurn(ctx); err != nil {
				return err
			}
			defer e.endTurn()
			defer e.checkpoints.note()
			return migrate(ctx, goose.DialectSQLite3, e.writer.DB, files)
		}()
		if err == nil || try == retries || !pause(ctx, try) {
			return err
		}
	}
}

func (e *sqliteEngine) close() {
	e.checkpoints.close()
	// The writer closes last: it writes the log back into the file.
	_ = e.reader.Close()
	_ = e.sweeper.Close()
	_ = e.writer.Close()
}

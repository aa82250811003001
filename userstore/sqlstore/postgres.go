package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/signet-id/signet/internal/pgurl"
	"github.com/signet-id/signet/userstore"
)

const (
	// defaultConns, with the spare one, serves a replica well and leaves room for five more
	// replicas under PostgreSQL's default of 100 connections.
	defaultConns = 15
	// spareConns are for vital statements alone: a replica whose requests fill the pool is busy,
	// not unready, and must learn of a revoked key without delay.
	spareConns = 1
	// acquireLimit is how long a call waits for a connection. A full pool is reported early, while
	// the client still waits for the answer.
	acquireLimit = time.Second
)

// limits are enforced by the server for each session. They are a little below our own limits, so
// that the server's answer, which releases the row locks, comes first.
var limits = map[string]string{
	"statement_timeout":                   "4500",
	"lock_timeout":                        "2000",
	"idle_in_transaction_session_timeout": "10000",
	"default_transaction_isolation":       "read committed",
}

type postgres struct {
	pool   *pgxpool.Pool
	pooler *pooler
	log    *slog.Logger // nil: nothing is logged
	// busy and spare hold one entry for each connection in use. Together they hold as many as the
	// pool, so that a caller who has an entry need not wait for a connection.
	busy, spare   chan struct{}
	waits, waited atomic.Int64 // calls that found no free place; nanoseconds
	acts          *acts        // nil: nothing is counted
}

func openPostgres(ctx context.Context, url string, o Options) (*postgres, error) {
	config, err := pgxpool.ParseConfig(pgurl.Plain(url))
	if err != nil {
		return nil, fmt.Errorf("the database address cannot be used: %w", err) // pgx hides the password
	}
	switch {
	case o.MaxConns > 0:
		config.MaxConns = int32(min(o.MaxConns, 1000)) + spareConns
	case !strings.Contains(url, "pool_max_conns="):
		config.MaxConns = defaultConns + spareConns
	}
	config.MaxConnLifetime, config.MaxConnLifetimeJitter = 30*time.Minute, 5*time.Minute
	config.MaxConnIdleTime = 5 * time.Minute
	config.PingTimeout = acquireLimit
	conn := config.ConnConfig
	if conn.ConnectTimeout == 0 || conn.ConnectTimeout > callLimit {
		conn.ConnectTimeout = callLimit
	}
	// A vanished peer is noticed within 25 s, not after the system's two hours.
	conn.DialFunc = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}).DialContext
	conn.RuntimeParams["timezone"] = "UTC" // goose writes local time without a zone
	if _, ok := conn.RuntimeParams["application_name"]; !ok {
		conn.RuntimeParams["application_name"] = "signet"
	}
	for name, value := range limits {
		conn.RuntimeParams[name] = value
	}

	pl := &pooler{log: o.Log, modeChosen: strings.Contains(url, "default_query_exec_mode=")}
	pl.configure(config)
	new(hosts).configure(config)

	ctx, cancel := context.WithTimeout(ctx, 2*callLimit)
	defer cancel()
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", userstore.ErrUnavailable, err)
	}
	most := pool.Config().MaxConns
	requests := max(1, most-spareConns) // pool_max_conns=1 spares none
	p := &postgres{pool: pool, pooler: pl, log: o.Log, busy: make(chan struct{}, requests), spare: make(chan struct{}, most-requests)}
	for try := 0; ; try++ {
		err := checkServer(ctx, p)
		if err == nil {
			return p, nil
		}
		if retryable(err) != safely || try == retries { // for example, the first connection detects a pooler
			pool.Close()
			return nil, err
		}
	}
}

// checkServer refuses a server on which the store could not keep its guarantees.
func checkServer(ctx context.Context, p *postgres) error {
	var version int
	var encoding, commit, isolation string
	err := p.resetIfUseless(p.pool.QueryRow(ctx, `SELECT CAST(current_setting('server_version_num') AS INT), current_setting('server_encoding'),
		current_setting('synchronous_commit'), current_setting('default_transaction_isolation')`).Scan(
		&version, &encoding, &commit, &isolation))
	switch {
	case retryable(err) == safely:
		return err
	case unreachable(err) != nil:
		return unreachable(err)
	case err != nil:
		return fmt.Errorf("%w: PostgreSQL cannot be reached, or is read-only: %w", userstore.ErrUnavailable, err)
	case version < 140000:
		return fmt.Errorf("PostgreSQL %d is too old: version 14 or later is needed", version/10000)
	case encoding != "UTF8":
		return fmt.Errorf("the database's encoding is %s: make it with ENCODING 'UTF8'", encoding)
	case commit == "off":
		return errors.New("synchronous_commit is off, so that a crash would lose acknowledged sign-ups and revocations: " +
			"turn it on for this database (ALTER DATABASE … SET synchronous_commit = on)")
	case isolation != "read committed": // we set it ourselves, unless a pooler refuses it
		return fmt.Errorf("default_transaction_isolation is %q, and the pooler does not pass on that we need \"read committed\": "+
			"set it for this role (ALTER ROLE … SET default_transaction_isolation = 'read committed')", isolation)
	}
	return nil
}

// acquire takes a connection of the pool, and waits at most acquireLimit. The pool's own queue has
// no limit but a context, and to make a context for each call would cost a tenth of a refresh's
// time on our side.
func (p *postgres) acquire(ctx context.Context, vital bool) (conn *pgxpool.Conn, release func(), err error) {
	taken, err := p.enter(ctx, vital)
	if err != nil {
		return nil, nil, err
	}
	conn, err = p.pool.Acquire(ctx)
	if err != nil {
		<-taken
		return nil, nil, p.resetIfUseless(err)
	}
	return conn, func() {
		conn.Release()
		<-taken
	}, nil
}

// enter waits for a free place and returns where it took it: among the requests' connections or,
// for a vital statement, also among the spare ones.
func (p *postgres) enter(ctx context.Context, vital bool) (taken chan struct{}, err error) {
	select {
	case p.busy <- struct{}{}:
		return p.busy, nil
	default:
	}
	var spare chan struct{} // nil: never free
	if vital {
		spare = p.spare
		select {
		case spare <- struct{}{}:
			return spare, nil
		default:
		}
	}
	end, _ := ctx.Deadline() // every operation has one
	left := time.Until(end)
	p.waits.Add(1)
	defer func() { p.waited.Add(int64(left - time.Until(end))) }()
	timer := time.NewTimer(acquireLimit)
	defer timer.Stop()
	select {
	case p.busy <- struct{}{}:
		return p.busy, nil
	case spare <- struct{}{}:
		return spare, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for a connection: %w", userstore.ErrUnavailable, ctx.Err())
	case <-timer.C:
		return nil, fmt.Errorf("%w: no free connection within %s", userstore.ErrUnavailable, acquireLimit)
	}
}

// resetIfUseless closes every connection when an error shows that they are of no use any more: the
// node turned out to be read-only (it was demoted, and the address may by now lead to its
// successor), or a pooler is between us and the server.
func (p *postgres) resetIfUseless(err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if ok && (readOnly(err) || p.pooler.detect(pg)) {
		p.pool.Reset()
	}
	return err
}

func readOnly(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "25006"
}

// renew closes every connection to a node that takes no writes, if the address leads to one that
// takes them. Requests would do so, but no requests are sent to a replica that is not ready; until
// then its reads go on.
func (p *postgres) renew(ctx context.Context) bool {
	config := p.pool.Config().ConnConfig
	p.pooler.adapt(config)
	if several(config) {
		config.ConnectTimeout = probeLimit / 4 // there is time for the hosts behind one that is frozen
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
			p.pooler.detect(pg) // the next probe connects as the pooler wants it
		}
		return false
	}
	_ = conn.Close(ctx)
	p.pool.Reset()
	return true
}

func (p *postgres) read(ctx context.Context, s stmt, row func(scanner) error) error {
	_, err := p.write(ctx, s, row)
	return err
}

func (p *postgres) write(ctx context.Context, s stmt, row func(scanner) error) (int64, error) {
	conn, release, err := p.acquire(ctx, s.vital)
	if err != nil {
		return 0, err
	}
	defer release()
	if row == nil {
		tag, err := conn.Conn().Exec(ctx, s.sql, s.args...)
		return tag.RowsAffected(), p.resetIfUseless(err)
	}
	args := s.args
	if s.planned && conn.Conn().Config().DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		args = append([]any{pgx.QueryExecModeCacheDescribe}, args...) // without a name, it is planned each time
	}
	rows, err := conn.Conn().Query(ctx, s.sql, args...)
	if err != nil {
		return 0, p.resetIfUseless(err)
	}
	defer rows.Close()
	plain := &plainRows{rows}
	for rows.Next() {
		if err := row(plain); err != nil {
			return 0, err
		}
	}
	err = rows.Err()
	return rows.CommandTag().RowsAffected(), p.resetIfUseless(err)
}

func (p *postgres) batch(ctx context.Context, s []stmt) ([]int64, error) {
	vital := len(s) > 0 && s[0].vital
	conn, release, err := p.acquire(ctx, vital)
	if err != nil {
		return nil, err
	}
	defer release()
	counts, err := pipeline(ctx, conn.Conn(), s)
	p.acts.entries(s, counts, err)
	if vital && readOnly(err) {
		return counts, err // a failed probe does not end the reads: see renew
	}
	return counts, p.resetIfUseless(err)
}

// pipeline sends statements in one round trip and counts the rows that each changed.
func pipeline(ctx context.Context, conn interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
}, s []stmt) ([]int64, error) {
	if len(s) == 0 {
		return nil, nil
	}
	var b pgx.Batch
	for i := range s {
		b.Queue(s[i].sql, s[i].args...)
	}
	results := conn.SendBatch(ctx, &b)
	counts := make([]int64, len(s))
	for i := range s {
		tag, err := results.Exec()
		if err != nil {
			_ = results.Close()
			return nil, err
		}
		counts[i] = tag.RowsAffected()
	}
	// Close reads the end of the implicit transaction: only then is it committed.
	return counts, results.Close()
}

func (p *postgres) transact(ctx context.Context, fn func(exec) error) (err error) {
	conn, release, err := p.acquire(ctx, false)
	if err != nil {
		return err
	}
	defer release()
	tx, err := conn.Conn().BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return p.resetIfUseless(err)
	}
	var t transaction
	defer func() { p.acts.ended(t, err) }()
	if err := fn(t.watching(func(s ...stmt) ([]int64, error) { return pipeline(ctx, tx, s) })); err != nil {
		_ = tx.Rollback(ctx)
		return p.resetIfUseless(err)
	}
	err = tx.Commit(ctx)
	if pgconn.SafeToRetry(err) {
		// The driver finds its connection closed, which it did itself when the answer did not come,
		// and calls that safe. It is unknown whether COMMIT was sent before.
		//nolint:errorlint // wrapped, it would be safe to retry still
		err = fmt.Errorf("commit: %w: %v", io.ErrUnexpectedEOF, err)
	}
	return p.resetIfUseless(err)
}

func (p *postgres) close() { p.pool.Close() }

package sqlstore

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/userstore"
)

// acts measures the calls of a DB by the method that was called, for metrics.
type acts struct {
	called counts.Cells[string, *act] // by method

	retries  counts.Outcomes // by RetryCauses
	failures atomic.Uint64

	stored   counts.Words // audit entries by name
	unstored atomic.Uint64
}

// act is a method of DB.
type act struct {
	span  string // of a trace
	calls counts.Histogram
}

// of returns the act of a method. Only the method's first call takes memory.
func (a *acts) of(method string) *act {
	return a.called.Of(method, func(method string) *act { return &act{span: "store " + method} })
}

// done counts a call that took so long and ended with err.
func (a *acts) done(by *act, took time.Duration, err error) {
	by.calls.Observe(took)
	if failure(err) != nil && !errors.Is(err, context.Canceled) {
		a.failures.Add(1)
	}
}

// failure returns err if the database was not there: every other error is an answer.
func failure(err error) error {
	if errors.Is(err, userstore.ErrUnavailable) {
		return err
	}
	return nil
}

// RetryCauses are the causes of retries. A serialization failure or a deadlock is one of PostgreSQL;
// busy is SQLite's, whose file another process holds.
var RetryCauses = []string{"serialization", "busy", "connection", "other"}

const (
	causeSerialization = iota
	causeBusy
	causeConnection
	causeOther
)

// retried counts a retry after err.
func (a *acts) retried(err error) {
	cause := causeOther
	pg, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case ok && (pg.Code == "40001" || pg.Code == "40P01"):
		cause = causeSerialization
	case ok && (strings.HasPrefix(pg.Code, "57P") || strings.HasPrefix(pg.Code, "08")):
		cause = causeConnection
	case ok:
	case connectionLost(err) || pgconn.SafeToRetry(err):
		cause = causeConnection
	case retryable(err) == safely:
		cause = causeBusy
	case retryable(err) == ifIdempotent:
		cause = causeConnection
	}
	a.retries.Add(cause)
}

// Calls calls yield with the calls of each method since the DB was opened, retries included.
func (db *DB) Calls(yield func(method string, calls counts.Durations)) {
	for method, act := range db.acts.called.All() {
		yield(method, act.calls.Read())
	}
}

// Retries calls yield with the retries since the DB was opened.
func (db *DB) Retries(yield func(cause string, n uint64)) { db.acts.retries.Each(RetryCauses, yield) }

// Failures returns the calls since the DB was opened for which the database was not there, after all
// retries.
func (db *DB) Failures() uint64 { return db.acts.failures.Load() }

// entries counts the audit entries that a transaction of the statements s stored.
func (a *acts) entries(s []stmt, changed []int64, err error) {
	var t transaction
	t.add(s, changed, err)
	a.ended(t, err)
}

// transaction is what a transaction does to the audit log.
type transaction struct {
	stored []string // names of the events
	tried  bool
}

func (t *transaction) add(s []stmt, changed []int64, err error) {
	for i := range s {
		if !s[i].entry {
			continue
		}
		t.tried = true
		if err == nil && changed[i] > 0 {
			t.stored = append(t.stored, s[i].args[2].(string)) // as eventRows orders them
		}
	}
}

// watching returns run, and adds to t what it does.
func (t *transaction) watching(run exec) exec {
	return func(s ...stmt) ([]int64, error) {
		changed, err := run(s...)
		t.add(s, changed, err)
		return changed, err
	}
}

// ended counts a transaction that ended with err. Only a database that is not there counts as a
// failure: an entry is also not stored when its operation is refused.
func (a *acts) ended(t transaction, err error) {
	switch {
	case a == nil || !t.tried:
	case err == nil:
		for _, name := range t.stored {
			a.stored.Add(name, 1)
		}
	case errors.Is(wrap(err), userstore.ErrUnavailable):
		a.unstored.Add(1)
	}
}

// Entries calls yield with the audit entries that were stored since the DB was opened, by the name of
// the event.
func (db *DB) Entries(yield func(event string, n uint64)) {
	names := make([]string, len(audit.Names))
	for i, name := range audit.Names {
		names[i] = string(name)
	}
	db.acts.stored.Each(names, yield)
}

// FailedEntries returns how often the database could not store audit entries since the DB was opened.
// The operation failed with them, or was retried.
func (db *DB) FailedEntries() uint64 { return db.acts.unstored.Load() }

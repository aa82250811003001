package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/signet-id/signet/userstore"
)

const (
	// probeEvery is how long the result of a probe is reused. However many callers ask, and however
	// often, the database is written to once in this time.
	probeEvery = time.Second
	// probeLimit is how long a probe may take. A readiness check does not wait long.
	probeLimit = 2 * time.Second
)

// probe finds out whether the database takes writes, by writing. The zero value is ready for use.
type probe struct {
	mu      sync.Mutex
	running chan struct{} // closed when the running probe ends; nil: none runs
	fresh   bool          // the result of the last probe is reused
	err     error         // that result
}

// end stores the result of the running probe, to be reused for probeEvery.
func (p *probe) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.fresh = err, true
	time.AfterFunc(probeEvery, func() { // no probe starts before, so one such timer runs at a time
		p.mu.Lock()
		defer p.mu.Unlock()
		p.fresh = false
	})
	close(p.running)
	p.running = nil
}

// Ping returns nil when the database answers and has taken a write within the last second,
// userstore.ErrUnwritable when it answers but takes no write, and userstore.ErrUnavailable
// otherwise. Concurrent callers share one probe, which goes on when one of them leaves.
func (db *DB) Ping(ctx context.Context) error {
	p := &db.probe
	p.mu.Lock()
	if p.fresh {
		err := p.err
		p.mu.Unlock()
		if err == nil {
			_, err = db.Now(ctx) // it took a write; it must still answer
		}
		return err
	}
	if p.running == nil {
		p.running = make(chan struct{})
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), probeLimit)
			defer cancel()
			p.end(db.as("Ping").probeWrite(ctx))
		}()
	}
	running := p.running
	p.mu.Unlock()
	select {
	case <-running:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.err
	case <-ctx.Done():
		return fmt.Errorf("%w: the database did not answer in time: %w", userstore.ErrUnavailable, ctx.Err())
	}
}

// probeWrite writes once to the database.
func (db named) probeWrite(ctx context.Context) error {
	lite, isLite := db.engine.(*sqliteEngine)
	var before int64
	if isLite {
		if lite.wrote.Load() {
			return nil // a request has just written: no need to wait for a turn
		}
		before = lite.writes.Load()
	}
	write := make([]stmt, len(db.dialect.probe))
	for i, sql := range db.dialect.probe {
		write[i] = vital(sql)
	}
	_, err := db.batch(ctx, true, write...)
	if e, ok := db.engine.(*postgres); ok && readOnly(err) && e.renew(ctx) {
		_, err = db.batch(ctx, true, write...)
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "53400" {
		_, err = db.batch(ctx, true, write[len(write)-1]) // the role's temp_file_limit forbids spilling
	}
	if isLite && err != nil && lite.writes.Load() > before {
		return nil // requests wrote while the probe waited for its turn
	}
	return db.unwritable(err)
}

// unwritable returns err, or an ErrUnwritable that says in a sentence why a database that answers
// takes no writes.
func (db *DB) unwritable(err error) error {
	why := ""
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case pg.Code == "53100":
			why = "PostgreSQL's disk is full: make room where its data lies"
		case pg.Code == "25006":
			why = "PostgreSQL is read-only, or a standby: name the primary in database_url"
		case pg.Code == "42501":
			why = "PostgreSQL lets this role write nothing: give it the tables that \"signet migrate up\" made"
		case pg.Code[:2] == "58":
			why = "PostgreSQL cannot write its files: its log says why"
		}
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		path := db.engine.(*sqliteEngine).path
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			why = "the disk of the database " + path + " is full: make room"
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			why = "the database " + path + ", or its folder, cannot be written: give both to the user that runs this program"
		case sqlite3.SQLITE_IOERR:
			why = "the disk of the database " + path + " fails, or is full"
		}
	}
	if why == "" {
		return err
	}
	return fmt.Errorf("%w: %s: %w", userstore.ErrUnwritable, why, err)
}

package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/signet-id/signet/userstore"
)

// mostJobs is how many jobs a group has at most. The first of them waits for the last one.
const mostJobs = 64

// errAbandoned means that a job was rolled back because another one of its group failed in a way
// that says nothing about this one. Nothing was changed.
var errAbandoned = errors.New("another write of the same transaction failed")

// job is what one call writes: some statements, all or none of them.
type job struct {
	s   []stmt
	row func(scanner) error // receives what a single statement returns; nil: its rows are counted

	counts []int64
	err    error
	done   chan struct{} // closed when counts and err are known
	lead   chan struct{} // closed when this job's call leads the next group
	leads  bool          // lead is closed, or the call began as the leader
}

// group collects jobs while another group is committed. The log is synced once a group, which is
// what a write on SQLite takes longest for: so the more calls wait, the less each one costs.
//
// The call of one job leads: it waits for its turn, runs all jobs that wait by then, and lets the
// first of those that came meanwhile lead the next group.
type group struct {
	mu      sync.Mutex
	waiting []*job
	led     bool // some call leads
}

// add returns whether the job's call leads.
func (g *group) add(j *job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, j)
	if g.led {
		return false
	}
	g.led, j.leads = true, true
	return true
}

// take returns the jobs of a group, the leader's among them.
func (g *group) take() []*job {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), mostJobs)
	jobs := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	for _, j := range jobs {
		j.err = errAbandoned // until its end is known
	}
	return jobs
}

// next lets the first call that waits lead.
func (g *group) next() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.appoint()
}

func (g *group) appoint() {
	if g.led = len(g.waiting) > 0; g.led {
		g.waiting[0].leads = true
		close(g.waiting[0].lead)
	}
}

// leave takes out a job that no group has. It returns false if one has it.
func (g *group) leave(j *job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, j)
	if i < 0 {
		return false
	}
	g.waiting = slices.Delete(g.waiting, i, i+1)
	if j.leads {
		g.appoint()
	}
	return true
}

// do runs a job in a group. A call that gives up before its job has begun has changed nothing.
func (e *sqliteEngine) do(ctx context.Context, s []stmt, row func(scanner) error) ([]int64, error) {
	j := &job{s: s, row: row, done: make(chan struct{}), lead: make(chan struct{})}
	if err := e.await(ctx, j, e.group.add(j)); err != nil {
		return nil, err
	}
	return j.counts, j.err
}

// await returns when a job was run, by this call or by another one, or with an error if it never
// will be.
func (e *sqliteEngine) await(ctx context.Context, j *job, leads bool) error {
	if !leads {
		timer := time.NewTimer(turnLimit)
		defer timer.Stop()
		var err error
		select {
		case <-j.done:
			return nil
		case <-j.lead:
		case <-ctx.Done():
			err = ctx.Err()
		case <-timer.C:
			err = errNoTurn
		}
		if err != nil {
			if e.group.leave(j) {
				return fmt.Errorf("%w: %w", userstore.ErrUnavailable, err)
			}
			<-j.done
			return nil
		}
	}
	if err := e.waitTurn(ctx); err != nil {
		e.group.leave(j)
		return err
	}
	jobs := e.group.take()
	defer func() {
		e.checkpoints.note()
		e.endTurn()
		e.group.next()
		for _, j := range jobs {
			close(j.done)
		}
	}()
	if len(jobs) == 1 {
		e.runAlone(ctx, j)
	} else {
		e.runTogether(jobs)
	}
	return nil
}

// runAlone runs one job, which ends with the call's context.
func (e *sqliteEngine) runAlone(ctx context.Context, j *job) {
	prepared, err := e.prepare(ctx, j.s)
	if err != nil {
		j.err = err
		return
	}
	if len(prepared) == 1 {
		j.err = j.run(ctx, prepared)
		return
	}
	j.err = e.inTransaction(ctx, func(tx *sql.Tx) error { return j.run(ctx, within(ctx, tx, prepared)) })
}

const (
	savepoint  = "SAVEPOINT job"
	rollbackTo = "ROLLBACK TO job"
	release    = "RELEASE job"
)

// runTogether runs jobs in one transaction. A job that the database refuses is taken back alone.
// The transaction does not end with the context of any one call: it is that of others, too. So a
// call may wait past its deadline, for as long as the jobs and the disk take.
func (e *sqliteEngine) runTogether(jobs []*job) {
	ctx := context.Background()
	var ready []*job
	var statements [][]*sql.Stmt
	marks, err := e.prepare(ctx, []stmt{{sql: savepoint}, {sql: rollbackTo}, {sql: release}})
	for _, j := range jobs {
		prepared, unfit := e.prepare(ctx, j.s)
		if err != nil || unfit != nil {
			j.err = cmp.Or(err, unfit)
			continue
		}
		ready, statements = append(ready, j), append(statements, prepared)
	}
	if len(ready) == 0 {
		return
	}
	refusals := make([]error, len(ready))
	var faulty *job
	var fault error
	err = e.inTransaction(ctx, func(tx *sql.Tx) error {
		marks := within(ctx, tx, marks)
		for i, j := range ready {
			refusal, err := j.runWithin(ctx, within(ctx, tx, statements[i]), marks)
			if err != nil {
				faulty, fault = j, err
				return abandonedBy(err)
			}
			refusals[i] = refusal
		}
		return nil
	})
	for i, j := range ready {
		// A refusal may come from what another job wrote: unless that is committed it is no answer.
		if j.err = err; err == nil {
			j.err = refusals[i]
		}
	}
	if faulty != nil {
		faulty.err = fault
	}
}

// abandonedBy returns the error of the jobs beside a faulty one. It names a failure of SQLite, a
// full disk say, which is theirs as well; another failure is none of their business.
func abandonedBy(fault error) error {
	if lite, ok := errors.AsType[*sqlite.Error](fault); ok {
		return fmt.Errorf("%w: %w", errAbandoned, lite)
	}
	return errAbandoned
}

// runWithin runs a job in the transaction of its group. After a refusal nothing of the job is left,
// and the transaction goes on; after an error it cannot.
func (j *job) runWithin(ctx context.Context, prepared, marks []*sql.Stmt) (refusal, err error) {
	if len(prepared) > 1 { // SQLite takes a single statement back by itself
		if _, err := marks[0].ExecContext(ctx); err != nil {
			return nil, err
		}
		defer func() {
			if err == nil {
				_, err = marks[2].ExecContext(ctx)
			}
		}()
	}
	switch refusal = j.run(ctx, prepared); {
	case refusal == nil:
		return nil, nil
	case !onlyRefused(refusal):
		return nil, refusal
	case len(prepared) > 1:
		_, err = marks[1].ExecContext(ctx)
	}
	return refusal, err
}

// onlyRefused reports whether a statement failed by what it was to write, so that SQLite took back
// the statement, and nothing else.
func onlyRefused(err error) bool {
	lite, ok := errors.AsType[*sqlite.Error](err)
	return ok && lite.Code()&0xff == sqlite3.SQLITE_CONSTRAINT
}

// prepare returns prepared statements. It needs the one connection, which a transaction has.
func (e *sqliteEngine) prepare(ctx context.Context, s []stmt) ([]*sql.Stmt, error) {
	prepared := make([]*sql.Stmt, len(s))
	for i := range s {
		var err error
		if prepared[i], err = e.writer.statement(ctx, s[i].sql); err != nil {
			return nil, err
		}
	}
	return prepared, nil
}

func within(ctx context.Context, tx *sql.Tx, prepared []*sql.Stmt) []*sql.Stmt {
	bound := make([]*sql.Stmt, len(prepared))
	for i, s := range prepared {
		bound[i] = tx.StmtContext(ctx, s)
	}
	return bound
}

func (j *job) run(ctx context.Context, prepared []*sql.Stmt) error {
	if j.row != nil {
		j.counts = []int64{0}
		return query(ctx, prepared[0], j.s[0].args, j.row)
	}
	j.counts = make([]int64, len(prepared))
	for i, s := range prepared {
		var err error
		if j.counts[i], err = count(s.ExecContext(ctx, j.s[i].args...)); err != nil {
			return err
		}
	}
	return nil
}

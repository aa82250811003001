package crashes_test

import (
	"database/sql"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgproxy"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// fault is what happens to one statement.
type fault int

const (
	none    fault = iota
	refused       // the database refuses it, and would refuse it again
	again         // the database refuses it, and would take it again
	cut           // the connection ends before the server has it
	lost          // it is executed, and the answer does not come
)

func (f fault) String() string { return [...]string{"none", "refused", "again", "cut", "lost"}[f] }

// store is a database, and a way to it that can fail.
type store struct {
	direct, faulty *sqlstore.DB
	faults         []fault // those that its engine knows
	count          func() sqltest.Counts

	arm    func(at statement, f fault)
	forget func() // empties the budgets
	disarm func() ran
}

// statement is the nth of those with a text that are run for a request. What a server does beside the
// request, such as giving budgets back, may come before it or not, and so a number alone would be of
// another statement now and then.
type statement struct {
	sql string
	nth int // from 1
}

// ran is what a request ran.
type ran struct {
	statements []string
	lossy      []int // numbers of those whose answers can be lost
	met        bool  // the fault was met
}

// at returns the k-th statement.
func (r ran) at(k int) statement {
	s := statement{sql: r.statements[k-1]}
	for _, sql := range r.statements[:k] {
		if sql == s.sql {
			s.nth++
		}
	}
	return s
}

// budgets are spent whatever becomes of a request: they hold no acts, and are emptied before a request
// is sent again and again.
var budgets = []string{"throttle_attempts", "throttle_networks"}

// noActs are the tables, and the columns, that no act is counted by. users.wrong_codes is a budget of
// guesses: a code counts as wrong until it was right. Which place in a status list is given away does
// not matter, and one is wasted now and then.
var noActs = append([]string{"mail_requests", "signet_schema", "users.wrong_codes", "write_probe",
	"goose_db_version", "status_lists.next_index", "grants.status_index", "clients.status_index",
	"status_ended.status_index"}, budgets...)

func sqliteStore(t *testing.T) *store {
	path := sqltest.SQLitePath(t)
	s := &store{direct: apitest.Open(t, path), faulty: apitest.Open(t, path), count: sqltest.Counter(t, path, noActs...),
		faults: []fault{refused, again, lost}, forget: sqltest.Eraser(t, path,
			budgets...)} // there is no connection that could be cut
	busy, broken := sqliteErrors(t)
	var mu sync.Mutex
	var at statement
	var what fault
	var seen []string
	var here, met bool // the statement runs whose answer is to be lost; the fault was met
	sqlstore.Interrupt(s.faulty, sqlstore.Interruption{
		Before: func(text string) error {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, text)
			if what == none || met || text != at.sql || (ran{statements: seen}).at(len(seen)) != at {
				return nil
			}
			switch met = true; what {
			case refused:
				return broken
			case again:
				return busy
			}
			here = true
			return nil
		},
		After: func(text string) error {
			mu.Lock()
			defer mu.Unlock()
			if here && text == at.sql {
				here = false
				return broken
			}
			return nil
		},
	})
	s.arm = func(n statement, f fault) {
		mu.Lock()
		defer mu.Unlock()
		at, what, seen, here, met = n, f, nil, false, false
	}
	s.disarm = func() ran {
		mu.Lock()
		defer mu.Unlock()
		what = none
		var lossy []int
		inside := false // a transaction, of which only the end is an answer about the data
		for i, text := range seen {
			if text == sqlstore.Commit || !inside && text != sqlstore.Begin && !strings.HasPrefix(text, "SELECT") {
				lossy = append(lossy, i+1)
			}
			inside = text == sqlstore.Begin || inside && text != sqlstore.Commit && text != sqlstore.Rollback
		}
		return ran{seen, lossy, met}
	}
	return s
}

// sqliteErrors are errors of the driver: one for a file that another connection holds, and one that a
// retry does not mend.
func sqliteErrors(t *testing.T) (busy, broken error) {
	path := sqltest.SQLitePath(t)
	holder, other := open(t, path), open(t, path)
	if _, err := holder.ExecContext(t.Context(), "BEGIN EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	_, busy = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	_, broken = holder.ExecContext(t.Context(), "SELECT abs(-9223372036854775808)")
	if busy == nil || !strings.Contains(busy.Error(), "SQLITE_BUSY") || broken == nil || errors.Is(broken, busy) {
		t.Fatalf("%v, %v", busy, broken)
	}
	return busy, broken
}

func open(t *testing.T, path string) *sql.DB {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func postgresStore(t *testing.T) *store {
	url := sqltest.PostgresURL(t)
	p := pgproxy.New(t, url)
	s := &store{direct: apitest.Open(t, url), count: sqltest.Counter(t, url, noActs...),
		faults: []fault{refused, cut, again, lost}, forget: sqltest.Eraser(t, url, budgets...)}
	s.faulty = apitest.Open(t, p.URL)
	var met atomic.Bool
	s.arm = func(at statement, f fault) {
		// The connection is open, and ready for the first statement.
		if _, err := s.faulty.Now(t.Context()); err != nil {
			t.Fatal(err)
		}
		met.Store(false)
		means := map[fault]struct {
			fault pgproxy.Fault
			code  string
		}{
			none:    {pgproxy.None, ""},
			refused: {pgproxy.Fail, "XX000"}, // internal_error
			again:   {pgproxy.Fail, "40001"}, // serialization_failure
			cut:     {pgproxy.Cut, ""},
			lost:    {pgproxy.Lose, ""},
		}[f]
		p.ArmAmong(at.sql, at.nth, means.fault, means.code, func() { met.Store(true) })
	}
	s.disarm = func() ran {
		statements, lossy := p.Disarm()
		return ran{statements, lossy, met.Load()}
	}
	return s
}

// eachStore runs fn on both stores, side by side.
func eachStore(t *testing.T, fn func(t *testing.T, open func(*testing.T) *store)) {
	t.Helper()
	for name, open := range map[string]func(*testing.T) *store{"sqlite": sqliteStore, "postgres": postgresStore} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fn(t, open)
		})
	}
}

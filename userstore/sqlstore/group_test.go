//go:build unix

package sqlstore_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// queue starts calls that wait for one group together, in this order, and lets them go when release
// is called. wait returns how each call ended.
func queue(t *testing.T, db *sqlstore.DB, calls ...func() error) (release func(), wait func() []error) {
	t.Helper()
	release = sqlstore.HoldTurn(t, db)
	errs := make([]error, len(calls))
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(func() { errs[i] = call() })
		for sqlstore.Queued(db) <= i {
			time.Sleep(time.Millisecond)
		}
	}
	return release, func() []error {
		all.Wait()
		return errs
	}
}

// together writes statements in one group, and returns how each call ended. A list of several
// statements is one call.
func together(t *testing.T, db *sqlstore.DB, statements ...[]string) []error {
	t.Helper()
	var calls []func() error
	for _, s := range statements {
		calls = append(calls, func() error { return sqlstore.Batch(t.Context(), db, s...) })
	}
	release, wait := queue(t, db, calls...)
	release()
	return wait()
}

func rowsOf(t *testing.T, path string) (rows []int) {
	t.Helper()
	found, err := raw(t, path).QueryContext(t.Context(), "SELECT x FROM scratch ORDER BY x")
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	for found.Next() {
		var n int
		if err := found.Scan(&n); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, n)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// commits counts the commits in the log: of each one's last page the log tells how long the file
// is.
func commits(t *testing.T, path string) (n int) {
	t.Helper()
	log, err := os.ReadFile(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	const header, frameHeader, page = 32, 24, 4096
	for at := header; at+frameHeader+page <= len(log); at += frameHeader + page {
		current := bytes.Equal(log[at+8:at+16], log[16:24]) // not left from before the log began anew
		if current && binary.BigEndian.Uint32(log[at+4:]) > 0 {
			n++
		}
	}
	return n
}

// overflow fails for no reason that is in the data.
const overflow = "INSERT INTO scratch VALUES (abs(-9223372036854775808))"

func insert(n int) string { return fmt.Sprintf("INSERT INTO scratch VALUES (%d)", n) }

func uniqueScratch(t *testing.T) (*sqlstore.DB, string) {
	t.Helper()
	db, path := scratch(t)
	write(t, db, "CREATE UNIQUE INDEX scratch_x ON scratch (x)", 1)
	return db, path
}

func TestWritesThatWaitAreCommittedTogether(t *testing.T) {
	db, path := uniqueScratch(t)
	sqlstore.StopCheckpoints(db)
	before := commits(t, path)
	for i, err := range together(t, db, []string{insert(1)}, []string{insert(2), insert(3)}, []string{insert(4)}) {
		if err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if got := rowsOf(t, path); !slices.Equal(got, []int{1, 2, 3, 4}) {
		t.Errorf("rows: %v", got)
	}
	if n := commits(t, path) - before; n != 1 {
		t.Errorf("%d commits for three calls", n)
	}
}

// A call that the database refuses leaves nothing, and the others of its group are committed.
func TestARefusedWriteIsTakenBackAlone(t *testing.T) {
	db, path := uniqueScratch(t)
	errs := together(t, db, []string{insert(1)}, []string{insert(1)}, []string{insert(2), insert(1), insert(3)}, []string{insert(4)})
	for i, want := range []bool{true, false, false, true} {
		if (errs[i] == nil) != want {
			t.Errorf("call %d: %v", i, errs[i])
		}
	}
	if got := rowsOf(t, path); !slices.Equal(got, []int{1, 4}) {
		t.Errorf("rows: %v", got)
	}
}

// A call that fails for another reason rolls back its group. What says nothing about the others is
// not their answer: they may try again.
func TestAFaultyWriteLetsTheOthersTryAgain(t *testing.T) {
	db, path := uniqueScratch(t)
	errs := together(t, db, []string{insert(1)}, []string{overflow}, []string{insert(2)})
	for i, want := range []error{nil, userstore.ErrUnavailable, nil} {
		if !errors.Is(errs[i], want) {
			t.Errorf("call %d: %v", i, errs[i])
		}
	}
	if got := rowsOf(t, path); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("rows: %v", got)
	}
}

// What SQLite failed by stands in the errors of all: a full disk has to be told whoever met it
// first.
func TestTheFaultOfAGroupIsNamed(t *testing.T) {
	db, _ := uniqueScratch(t)
	once := func(statement string) func() error {
		return func() error { return sqlstore.BatchOnce(t.Context(), db, statement) }
	}
	release, wait := queue(t, db, once(insert(1)), once(overflow), once(insert(2)))
	release()
	for i, err := range wait() {
		if err == nil || !strings.Contains(err.Error(), "integer overflow") {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// While the file cannot be committed to, nobody is told that a row exists: it is not there.
func TestARefusalInAnUncommittedGroupIsNoAnswer(t *testing.T) {
	db, path := uniqueScratch(t)
	write(t, db, "CREATE TABLE parents (id INTEGER PRIMARY KEY)", 1)
	write(t, db, "CREATE TABLE children (id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)", 1)
	errs := together(t, db, []string{insert(1)}, []string{insert(1)}, []string{"INSERT INTO children VALUES (7)"})
	for i, err := range errs {
		if err == nil {
			t.Errorf("call %d has no error, and the commit failed", i)
		}
	}
	if got := rowsOf(t, path); len(got) > 0 {
		t.Errorf("rows: %v", got)
	}
}

// A call that gives up while it waits has changed nothing, whether or not it led; the others go on.
func TestACallThatGivesUpIsNotRun(t *testing.T) {
	db, path := uniqueScratch(t)
	const callers = 4
	var stops []context.CancelFunc
	var calls []func() error
	for i := range callers {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		stops = append(stops, stop)
		calls = append(calls, func() error { return sqlstore.Batch(ctx, db, insert(i)) })
	}
	release, wait := queue(t, db, calls...)
	for n, i := range []int{0, 2} { // the leader, and one that waits
		stops[i]()
		for sqlstore.Queued(db) != callers-n-1 {
			time.Sleep(time.Millisecond)
		}
	}
	release()
	errs := wait()
	for i, want := range []bool{false, true, false, true} {
		if (errs[i] == nil) != want {
			t.Errorf("call %d: %v", i, errs[i])
		}
	}
	if got := rowsOf(t, path); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("rows: %v", got)
	}
}

// More calls than a group takes are all run, and calls that need a transaction of their own get
// turns.
func TestManyGroups(t *testing.T) {
	db, path := uniqueScratch(t)
	const callers, each = 200, 20
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := range each {
				n := c*each + i
				var err error
				switch n % 5 {
				case 0:
					err = sqlstore.Transact(t.Context(), db, insert(n))
				case 1:
					ctx, stop := context.WithCancel(t.Context())
					if n%2 == 0 {
						stop()
					}
					err = sqlstore.Batch(ctx, db, insert(n))
					stop()
					if n%2 == 0 && err != nil {
						err = sqlstore.Batch(t.Context(), db, insert(n))
					}
				default:
					err = sqlstore.Batch(t.Context(), db, insert(n))
				}
				if err != nil {
					t.Errorf("row %d: %v", n, err)
				}
			}
		})
	}
	all.Wait()
	got := rowsOf(t, path)
	for i := range got {
		if got[i] != i {
			t.Fatalf("row %d is %d", i, got[i])
		}
	}
	if len(got) != callers*each {
		t.Errorf("%d rows of %d", len(got), callers*each)
	}
}

// What a sweep waits for is counted apart from its work.
func TestASweepTellsHowLongItWaited(t *testing.T) {
	db, _ := migrated(t)
	release := sqlstore.HoldTurn(t, db)
	const held = 20 * time.Millisecond
	time.AfterFunc(held, release)
	if _, err := db.RemoveExpired(t.Context(), time.Now(), 1); err != nil {
		t.Fatal(err)
	}
	if waited := db.SweepsWaited(); waited < held/2 {
		t.Errorf("it waited %s for a turn that was held for %s", waited, held)
	}
}

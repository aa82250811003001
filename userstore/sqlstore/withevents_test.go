//go:build unix

package sqlstore_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
	"github.com/signet-id/signet/userstore/storetest"
)

// F-08, for each answer that each operation waits for: an operation that was committed but whose
// answer was lost is done once, has its audit entries once, and is not refused.
func TestF08EveryAnswerOfAnActWithEvents(t *testing.T) {
	t.Parallel()
	p := newProxy(t, sqltest.PostgresURL(t))
	db := open(t, p.url, sqlstore.Options{MaxConns: 1})
	for _, op := range storetest.Operations() {
		t.Run(op.Name, func(t *testing.T) {
			for _, with := range []bool{true, false} {
				if err := op.Prepare(t, db).Do(storetest.TwoEvents()...); err != nil { // prepares the statements
					t.Fatal(err)
				}
				for nth := int64(1); ; nth++ {
					prepared, events := op.Prepare(t, db), storetest.TwoEvents()
					eventsOrNone := events
					if !with {
						eventsOrNone = nil
					}
					p.skip.Store(nth - 1)
					p.lose.Store(1)
					err := prepared.Do(eventsOrNone...)
					lost := p.lose.Swap(0) == 0
					done, entries := prepared.Done(), storetest.StoredEntries(t, db, events)
					what := fmt.Sprintf("with events %v, answer %d lost %v: %v, done %v, %d entries", with, nth, lost, err,
						done, entries)
					switch {
					case with && op.Uncertain && lost:
						if err != nil && !errors.Is(err, userstore.ErrUnavailable) || done != (entries == 2) || entries == 1 {
							t.Error(what)
						}
					case with:
						if err != nil || !done || entries != 2 {
							t.Error(what)
						}
					case op.Name == "record":
					case err == nil:
						if !done {
							t.Error(what)
						}
					default: // a refused caller finds the operation done
						if !errors.Is(err, userstore.ErrUnavailable) &&
							!(done && (errors.Is(err, userstore.ErrConflict) || errors.Is(err, keys.ErrConflict))) {
							t.Error(what)
						}
					}
					if !lost {
						if nth == 1 && with {
							t.Error("it waits for no answer")
						}
						break
					}
				}
			}
		})
	}
}

// An operation without its audit entry does not happen: both are one transaction.
func TestNothingHappensWithoutItsAuditEntry(t *testing.T) {
	t.Parallel()
	refuse := map[string][]string{
		"sqlite": {`CREATE TRIGGER untold BEFORE INSERT ON audit_events WHEN new.name = 'untold' BEGIN SELECT RAISE(ABORT, 'made to fail'); END`},
		"postgres": {`CREATE FUNCTION untold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'made to fail'; END $$`,
			`CREATE TRIGGER untold BEFORE INSERT ON audit_events FOR EACH ROW WHEN (new.name = 'untold') EXECUTE FUNCTION untold()`},
	}
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		for _, statement := range refuse[db.Engine()] {
			if err := sqlstore.Exec(t.Context(), db, statement); err != nil {
				t.Fatal(err)
			}
		}
		for _, op := range storetest.Operations() {
			t.Run(op.Name, func(t *testing.T) {
				prepared, events := op.Prepare(t, db), storetest.TwoEvents()
				events[1].Name = "untold"
				unavailable(t, op.Name, prepared.Do(events...))
				if entries := storetest.StoredEntries(t, db, events); prepared.Done() || entries != 0 {
					t.Errorf("done %v, %d entries", prepared.Done(), entries)
				}
			})
		}
	})
}

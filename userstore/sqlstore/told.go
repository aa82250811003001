package sqlstore

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// errDone: an earlier try of the act had been committed after all.
var errDone = errors.New("done by an earlier try")

// tell runs fn as one transaction and stores the events in it, if fn says that
// the act happened.
//
// When an answer was lost the act is begun again, and its first event tells
// whether the earlier try was committed: nobody else stores an event of that id.
// So an act with events may be begun again even where doing it twice does harm.
// An earlier try whose connection broke may still be at work on the server;
// fn's first statement waits for it at the row that both want, and only what is
// asked after that is certain: the event's row is there already when this try is
// about to store it, or when this try found nothing to do any more.
func (db *DB) tell(ctx context.Context, harmless bool, events []audit.Event, fn func(run exec, again bool) (happened bool, err error)) error {
	rows := eventRows(events)
	return db.act(ctx, harmless || len(rows) > 0, func(ctx context.Context, again bool) error {
		err := db.engine.transact(ctx, func(run exec) error {
			happened, err := fn(run, again)
			if err != nil || !happened || len(rows) == 0 {
				return err
			}
			steps, first := storeEvents(rows)
			n, err := run(steps...)
			if err == nil && again && n[first] == 0 {
				return errDone // and this try is rolled back
			}
			return err
		})
		switch {
		case errors.Is(err, errDone):
			return nil
		case again && len(rows) > 0 && answers(err):
			return db.unlessTold(ctx, rows[0], err)
		}
		return err
	})
}

// answers: err is a refusal, not a failure.
func answers(err error) bool {
	return err != nil && !errors.Is(wrap(err), userstore.ErrUnavailable)
}

// unlessTold is refusal, unless the event is in the log.
func (db *DB) unlessTold(ctx context.Context, event eventRow, refusal error) error {
	err := refusal
	failure := db.engine.read(ctx, bind(`SELECT id FROM audit_events WHERE at = $1 AND id = $2`, event.key()...), func(row scanner) error {
		var id string
		err = nil
		return row.Scan(&id)
	})
	return orElse(failure, err)
}

// change is an act of one statement: refused is its answer when no row changed.
// Without events it is that statement alone, and one that is begun again and
// finds nothing to change has done it itself.
func (db *DB) change(ctx context.Context, harmless bool, s stmt, refused error, events []audit.Event) error {
	if err := storable(s.args); err != nil {
		return err
	}
	if len(events) > 0 {
		return db.tell(ctx, harmless, events, func(run exec, _ bool) (bool, error) {
			n, err := run(s)
			if err != nil || n[0] == 0 {
				return false, orElse(err, refused)
			}
			return true, nil
		})
	}
	return db.act(ctx, harmless, func(ctx context.Context, again bool) error {
		n, err := db.engine.write(ctx, s, nil)
		if err == nil && n == 0 && !again {
			return refused
		}
		return err
	})
}

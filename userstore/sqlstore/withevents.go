package sqlstore

import (
	"context"
	"errors"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// errAlreadyCommitted means that an earlier try of the operation had been committed.
var errAlreadyCommitted = errors.New("done by an earlier try")

// transactWithEvents runs fn as one transaction and stores the events in it, if fn says that the
// operation happened.
//
// When an answer was lost the operation is retried, and its first event tells whether the earlier
// try was committed: no other operation stores an entry of that id. So an operation with events may
// be retried even if it is not idempotent.
//
// An earlier try whose connection broke may still run on the server. fn's first statement waits for
// that try at the row that both need, and only reads after this statement are certain. The entry is
// stored already when this try is about to insert it, or when this try found nothing left to do.
func (db named) transactWithEvents(
	ctx context.Context, idempotent bool, events []audit.Event,
	fn func(run exec, maybeDone bool) (happened bool, err error),
) error {
	rows := eventRows(events)
	return db.retrying(ctx, idempotent || len(rows) > 0, func(ctx context.Context, maybeDone bool) error {
		err := db.engine.transact(ctx, func(run exec) error {
			happened, err := fn(run, maybeDone)
			if err != nil || !happened || len(rows) == 0 {
				return err
			}
			n, err := run(storeEvents(rows)...)
			if err == nil && maybeDone && n[len(n)-len(rows)] == 0 { // of the first event
				return errAlreadyCommitted // this try is rolled back
			}
			return err
		})
		switch {
		case errors.Is(err, errAlreadyCommitted):
			return nil
		case maybeDone && len(rows) > 0 && isRefusal(err):
			return db.unlessRecorded(ctx, rows[0], err)
		}
		return err
	})
}

// isRefusal reports whether err is a refusal, not a failure.
func isRefusal(err error) bool {
	return err != nil && !errors.Is(wrap(err), userstore.ErrUnavailable)
}

// unlessRecorded returns refusal, or nil if the event is in the audit log.
func (db named) unlessRecorded(ctx context.Context, event eventRow, refusal error) error {
	err := refusal
	failure := db.engine.read(ctx, bind(`SELECT id FROM audit_events WHERE at = $1 AND id = $2`, event.key()...),
		func(row scanner) error {
			var id string
			err = nil
			return row.Scan(&id)
		})
	return orElse(failure, err)
}

// change runs an operation of one statement, and the statements of then if the first one changed a
// row. It returns refused when no row changed. Without events and further statements it runs the
// statement alone. Without events, a retry that finds nothing to change returns nil: the earlier try
// changed the row.
func (db named) change(
	ctx context.Context, idempotent bool, s stmt, refused error, events []audit.Event, then ...stmt,
) error {
	if err := storables(append([]stmt{s}, then...)); err != nil {
		return err
	}
	if len(events) > 0 || len(then) > 0 {
		return db.transactWithEvents(ctx, idempotent, events, func(run exec, maybeDone bool) (bool, error) {
			n, err := run(s)
			switch {
			case err != nil:
				return false, err
			case n[0] == 0 && maybeDone && len(events) == 0:
				return false, nil
			case n[0] == 0:
				return false, refused
			case len(then) > 0:
				_, err = run(then...)
			}
			return err == nil, err
		})
	}
	return db.retrying(ctx, idempotent, func(ctx context.Context, maybeDone bool) error {
		n, err := db.engine.write(ctx, s, nil)
		if err == nil && n == 0 && !maybeDone {
			return refused
		}
		return err
	})
}

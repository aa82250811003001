package sqlstore

import (
	"context"
	"math"
	"sync/atomic"
)

// removeAll runs removals one after another, each of which removes at most limit rows.
func removeAll(limit int, removals ...func(limit int) (int, error)) (removed int, err error) {
	for _, remove := range removals {
		n, err := remove(limit)
		if removed += n; err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// removal deletes by a statement whose last argument is how many rows it deletes at most.
func (db named) removal(ctx context.Context, sql string, args ...any) func(limit int) (int, error) {
	return func(limit int) (int, error) {
		n, err := db.write(ctx, true, expired(sql, append(args[:len(args):len(args)], int64(limit))...))
		return int(n), err
	}
}

// removalFrom deletes by removeFrom.
func (db named) removalFrom(ctx context.Context, sql string, args ...any) func(limit int) (int, error) {
	return func(limit int) (int, error) { return db.removeFrom(ctx, sql, limit, args...) }
}

// removeFrom deletes at most limit rows that have expired, those first that expired first. The
// statement returns when each row expired. Its first argument is the time from which it looks for
// them, its last one how many it deletes, and args stand between them.
//
// It begins where the call before ended: of rows that were deleted, PostgreSQL keeps the entries in
// the index until VACUUM has been there, and each batch of a million rows would read the entries of
// all batches before. A call that finds fewer rows than it may delete looks from the beginning as
// well: a row may have come that expired earlier.
func (db named) removeFrom(ctx context.Context, sql string, limit int, args ...any) (removed int, err error) {
	stored, _ := db.fronts.LoadOrStore(sql, new(atomic.Int64))
	front := stored.(*atomic.Int64)
	for from := front.Load(); ; from = 0 {
		begin := from
		if from == 0 {
			begin = math.MinInt64
		}
		n, last, err := db.removeBatch(ctx, expired(sql, append(append([]any{begin}, args...), int64(limit-removed))...))
		removed += n
		if err != nil {
			return removed, err
		}
		if removed == limit {
			front.Store(last)
			return removed, nil
		}
		front.Store(0)
		if from == 0 {
			return removed, nil
		}
	}
}

// removeBatch counts the rows that a statement deletes, and returns when the last one expired.
func (db named) removeBatch(ctx context.Context, s stmt) (n int, last int64, err error) {
	err = db.retrying(ctx, true, func(ctx context.Context, _ bool) error {
		n, last = 0, 0
		_, err := db.engine.write(ctx, s, func(row scanner) error {
			var at int64
			err := row.Scan(&at)
			n, last = n+1, max(last, at)
			return err
		})
		return err
	})
	return n, last, err
}

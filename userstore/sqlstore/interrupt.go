package sqlstore

import "context"

// Begin, Commit and Rollback are how an Interruption names the two ends of a transaction.
const (
	Begin    = "BEGIN"
	Commit   = "COMMIT"
	Rollback = "ROLLBACK"
)

// Interruption is called between the statements that reach a database, for tests that let every one
// of them fail. sql is the statement, or an end of a transaction.
type Interruption struct {
	// Before comes before a statement. With its error the statement is not run, and the operation
	// ends as if the database had returned that error. Nothing prevents a Rollback.
	Before func(sql string) error
	// After comes after a statement. With its error the operation ends as if the answer had been lost:
	// after Commit, and after a single write, what the operation wrote is in the database.
	After func(sql string) error
}

// Interrupt puts an interruption between a store and its database. Only tests call it, before
// anything else uses db. It runs what goes to the database at once statement by statement, in one
// transaction as before.
func Interrupt(db *DB, i Interruption) { db.engine = &interrupted{db.engine, i} }

type interrupted struct {
	engine
	Interruption
}

func (e *interrupted) read(ctx context.Context, s stmt, row func(scanner) error) error {
	return e.around(s.sql, func() error { return e.engine.read(ctx, s, row) })
}

func (e *interrupted) write(ctx context.Context, s stmt, row func(scanner) error) (n int64, err error) {
	err = e.around(s.sql, func() error {
		n, err = e.engine.write(ctx, s, row)
		return err
	})
	return n, err
}

func (e *interrupted) batch(ctx context.Context, s []stmt) (counts []int64, err error) {
	err = e.transact(ctx, func(run exec) error {
		counts, err = run(s...)
		return err
	})
	return counts, err
}

func (e *interrupted) transact(ctx context.Context, fn func(exec) error) error {
	if err := e.Before(Begin); err != nil {
		return err
	}
	err := e.engine.transact(ctx, func(run exec) error {
		err := fn(func(s ...stmt) (counts []int64, err error) {
			for i := range s {
				err := e.around(s[i].sql, func() error {
					n, err := run(s[i])
					counts = append(counts, n...)
					return err
				})
				if err != nil {
					return nil, err
				}
			}
			return counts, nil
		})
		if err != nil {
			return err
		}
		return e.Before(Commit)
	})
	if err != nil {
		_ = e.Before(Rollback)
		return err
	}
	return e.After(Commit)
}

func (e *interrupted) around(sql string, run func() error) error {
	if err := e.Before(sql); err != nil {
		return err
	}
	if err := run(); err != nil {
		return err
	}
	return e.After(sql)
}

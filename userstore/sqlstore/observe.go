package sqlstore

import "context"

// Observe calls fn with each statement that db is about to run, before it runs, for tests of what
// the store asks of the database. fn may be called by several goroutines at once. Only tests call
// Observe, before anything else uses db.
func Observe(db *DB, fn func(sql string, args []any)) { db.engine = observed{db.engine, fn} }

type observed struct {
	engine
	fn func(sql string, args []any)
}

func (o observed) all(s []stmt) {
	for i := range s {
		o.fn(s[i].sql, s[i].args)
	}
}

func (o observed) read(ctx context.Context, s stmt, row func(scanner) error) error {
	o.fn(s.sql, s.args)
	return o.engine.read(ctx, s, row)
}

func (o observed) write(ctx context.Context, s stmt, row func(scanner) error) (int64, error) {
	o.fn(s.sql, s.args)
	return o.engine.write(ctx, s, row)
}

func (o observed) batch(ctx context.Context, s []stmt) ([]int64, error) {
	o.all(s)
	return o.engine.batch(ctx, s)
}

func (o observed) transact(ctx context.Context, fn func(exec) error) error {
	return o.engine.transact(ctx, func(run exec) error {
		return fn(func(s ...stmt) ([]int64, error) {
			o.all(s)
			return run(s...)
		})
	})
}

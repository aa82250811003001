package sqlstore

import (
	"context"
	"fmt"
	"sync"
)

// Counted is what reached the database through a DB, in order: "read", "write", "batch of 5". Each
// is one round trip to PostgreSQL; a transaction is one more for each of its ends.
type Counted struct {
	engine
	mu    sync.Mutex
	calls []string
}

// Count begins to count. Nothing else may use db at this moment.
func Count(db *DB) *Counted {
	c := &Counted{engine: db.engine}
	db.engine = c
	return c
}

// Since returns what has reached the database since the last call of Since.
func (c *Counted) Since() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = nil
	return calls
}

func (c *Counted) add(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (c *Counted) read(ctx context.Context, s stmt, row func(scanner) error) error {
	c.add("read")
	return c.engine.read(ctx, s, row)
}

func (c *Counted) write(ctx context.Context, s stmt, row func(scanner) error) (int64, error) {
	c.add("write")
	return c.engine.write(ctx, s, row)
}

func (c *Counted) batch(ctx context.Context, s []stmt) ([]int64, error) {
	c.add(fmt.Sprint("batch of ", len(s)))
	return c.engine.batch(ctx, s)
}

func (c *Counted) transact(ctx context.Context, fn func(exec) error) error {
	c.add("begin")
	defer c.add("end")
	return c.engine.transact(ctx, func(run exec) error {
		return fn(func(s ...stmt) ([]int64, error) {
			c.add(fmt.Sprint("batch of ", len(s)))
			return run(s...)
		})
	})
}

package sqlstore

import (
	"context"
	"database/sql"
	"net/url"
	"time"
)

const (
	// A checkpoint follows the one before after longRest, or after shortRest if that one found
	// busyLog pages or more that were new.
	longRest  = time.Second
	shortRest = 50 * time.Millisecond
	busyLog   = 50 // pages
	// longLog is how many pages the log has when writers wait until all of it was written back:
	// only then does SQLite begin the log anew, instead of making it longer.
	longLog = 4000
)

// checkpointer writes SQLite's log back into its file, beside the requests. SQLite would do that
// itself, but within the commit that makes the log longer than a thousand pages: one of a few
// hundred requests, or each second batch of the sweeper, and all that wait for their turn behind
// it, would wait until the file is synced.
type checkpointer struct {
	db    *sql.DB // one connection, opened by the first checkpoint
	wrote chan struct{}
	stop  context.CancelFunc
	ended chan struct{}
}

// turns is the right to write, which one call holds at a time.
type turns interface {
	waitTurn(context.Context) error
	endTurn()
}

func newCheckpointer(path string, pragmas []string, t turns) (*checkpointer, error) {
	db, err := sql.Open("sqlite", address(path, url.Values{"_pragma": pragmas}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	ctx, stop := context.WithCancel(context.Background())
	c := &checkpointer{db: db, wrote: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	go c.run(ctx, t)
	return c, nil
}

// note says that something may have been written.
func (c *checkpointer) note() {
	select {
	case c.wrote <- struct{}{}:
	default:
	}
}

func (c *checkpointer) run(ctx context.Context, t turns) {
	defer close(c.ended)
	for before := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-c.wrote:
		}
		pages, held := c.checkpoint(ctx, t)
		rest := longRest
		if !held && (pages < before || pages-before >= busyLog) { // fewer: the log began anew meanwhile
			rest = shortRest
		}
		before = pages
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

// checkpoint writes back the log and returns its length in pages. held says that a long log could
// not be written back whole, because a reader, a backup say, needs the file as it is.
func (c *checkpointer) checkpoint(ctx context.Context, t turns) (pages int, held bool) {
	pages, _ = c.writeBack(ctx)
	if pages < longLog || t.waitTurn(ctx) != nil {
		return pages, false
	}
	defer t.endTurn()
	pages, left := c.writeBack(ctx) // what was written since, which is little
	return pages, left > 0
}

// writeBack writes back what no reader needs as it was. It returns the length of the log in pages,
// and how many of them are left. An error is that of a full or broken disk: the log keeps
// everything, and the next commit meets the error, too.
func (c *checkpointer) writeBack(ctx context.Context) (pages, left int) {
	var busy, done int
	if err := c.db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &pages, &done); err != nil {
		return 0, 0
	}
	return pages, pages - done
}

func (c *checkpointer) close() {
	c.stop()
	<-c.ended
	_ = c.db.Close()
}

package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/signet-id/signet/userstore"
)

var (
	// ErrNotEmpty means that the target of a copy holds something, and not an unfinished copy of
	// this database.
	ErrNotEmpty = errors.New("the target is not empty")
	// ErrCopyDiffers means that the target does not hold what the source holds.
	ErrCopyDiffers = errors.New("the copy differs")
	// ErrCopyUnfinished means that a database holds only a part of another one.
	ErrCopyUnfinished = errors.New("the database holds an unfinished copy of another one: run `signet migrate copy` " +
		"again, which goes on where it stopped")
)

const (
	// copyMarker is the table that a target has while the copy is not finished: for each table what
	// the source holds. No server starts on a database that has it.
	copyMarker = "signet_copy"
	// copyBatch is how many rows are written by one statement, and copyBytes how many bytes it holds
	// before it is sent with fewer rows: a slow line carries it within callLimit.
	copyBatch = 500
	copyBytes = 1 << 20
	// CopyPasses is how often each row is met: to learn what there is to copy, to copy it, and to
	// verify it.
	CopyPasses = 3
)

// CopyOptions tune a copy. The zero value is right for an operator.
type CopyOptions struct {
	Batch  int                     // rows of a batch; 0: copyBatch
	Report func(done, total int64) // is told of all rows, CopyPasses times each; may be nil
}

// CopiedTable is a table that source and target hold alike.
type CopiedTable struct {
	Name   string `json:"table"`
	Rows   int64  `json:"rows"`
	Digest string `json:"sha256"` // of its rows in the order of their keys
}

// CopyResult is what a copy did.
type CopyResult struct {
	Tables  []CopiedTable
	Rows    int64
	Resumed bool // an interrupted copy was finished
	Already bool // the target was a complete copy already
}

// CopyTo copies all of this SQLite database into the PostgreSQL database to, and verifies the copy
// table by table. The schema of to is made if it is missing. Everything else there is refused, but
// for an unfinished copy of this database as it is now, which goes on. Whatever interrupts a copy,
// the next call goes on where it stopped. Until the copy is complete and verified no server starts on
// it.
//
// No other process writes to the source meanwhile: CopyTo takes the lock of a server and the right
// to write. What is sealed is copied sealed. ErrLocked, ErrNotSQLite, ErrNotEmpty, ErrCopyDiffers.
func (db *DB) CopyTo(ctx context.Context, to *DB, o CopyOptions) (CopyResult, error) {
	source, ok := db.engine.(*sqliteEngine)
	if !ok {
		return CopyResult{}, ErrNotSQLite
	}
	target, ok := to.engine.(*postgres)
	if !ok {
		return CopyResult{}, errors.New("only a PostgreSQL database is the target of a copy")
	}
	if o.Batch <= 0 {
		o.Batch = copyBatch
	}
	if o.Report == nil {
		o.Report = func(int64, int64) {}
	}
	if err := db.Lock(); err != nil {
		return CopyResult{}, err
	}
	release, err := source.hold(ctx)
	if err != nil {
		return CopyResult{}, wrap(err)
	}
	defer release()
	if err := db.as("CopyTo").exactly(ctx); err != nil {
		return CopyResult{}, fmt.Errorf("the source: %w", err)
	}
	c := &copying{from: db.as("CopyTo"), to: to.as("CopyTo"), CopyOptions: o}
	resumed, err := c.prepare(ctx)
	if err != nil {
		return CopyResult{}, err
	}
	end, err := target.migrating(ctx)
	if err != nil {
		return CopyResult{}, wrap(err)
	}
	defer end()
	return c.run(ctx, resumed)
}

// exactly refuses a schema that is not the one of this binary. A newer one, which this binary may
// serve, could hold what it does not know.
func (db named) exactly(ctx context.Context) error {
	have, want, err := db.versions(ctx)
	if err == nil && have != want {
		err = &SchemaError{Have: have, Want: want}
	}
	return err
}

// hold keeps the right to write, so that the rows stay as they are, until release is called.
func (e *sqliteEngine) hold(ctx context.Context) (release func(), err error) {
	if err := e.waitTurn(ctx); err != nil {
		return nil, err
	}
	tx, err := e.writer.BeginTx(ctx, nil) // BEGIN IMMEDIATE
	if err != nil {
		e.endTurn()
		return nil, explainOpenError(e.path, err)
	}
	return func() {
		_ = tx.Rollback()
		e.endTurn()
	}, nil
}

// copying is a copy under way.
type copying struct {
	CopyOptions
	from, to    named
	tables      []copyTable
	want        []tableSum // of the source, as tables
	done, total int64      // rows met, in all passes
}

// prepare brings an empty target to this binary's schema and reads what there is to copy. resumed
// says that the target holds a part of it.
func (c *copying) prepare(ctx context.Context) (resumed bool, err error) {
	var exists int64
	err = c.to.one(ctx, bind(c.to.dialect.hasTable, copyMarker), func(s scanner) error { return s.Scan(&exists) })
	if err != nil {
		return false, err
	}
	resumed = exists != 0
	if !resumed {
		if err := c.to.ours(ctx); err != nil {
			return false, err
		}
		have, want, err := c.to.versions(ctx)
		if err != nil {
			return false, err
		}
		if have > 0 && have < want { // a server of before may use it: only an empty one is migrated
			if used, err := c.to.used(ctx); err != nil || used != "" {
				return false, errors.Join(err, notEmpty(used))
			}
		}
		if err := c.to.Migrate(ctx); err != nil {
			return false, fmt.Errorf("the target: %w", err)
		}
	}
	if err := c.to.exactly(ctx); err != nil {
		return false, fmt.Errorf("the target: %w", err)
	}
	if c.tables, err = c.to.copyTables(ctx); err != nil {
		return false, err
	}
	return resumed, c.readSource(ctx)
}

func notEmpty(table string) error {
	if table == "" {
		return nil
	}
	return fmt.Errorf("%w: it has rows in the table %s; nothing was changed there. Give an empty database", ErrNotEmpty, table)
}

// readSource learns what the source holds, and that PostgreSQL can hold it.
func (c *copying) readSource(ctx context.Context) error {
	for _, t := range c.tables {
		var n int64
		err := c.from.one(ctx, bind(`SELECT COUNT(*) FROM `+t.name), func(s scanner) error { return s.Scan(&n) })
		if err != nil {
			return err
		}
		c.total += CopyPasses * n
	}
	for _, t := range c.tables {
		sum, err := c.sum(ctx, c.from, t)
		if err != nil {
			return err
		}
		c.want = append(c.want, sum)
	}
	return nil
}

// sum reads all rows of a table of db.
func (c *copying) sum(ctx context.Context, db named, t copyTable) (tableSum, error) {
	s := newTableSum(t)
	var after []any
	for {
		rows, err := db.page(ctx, t, after, c.Batch)
		if err != nil {
			return s, err
		}
		for _, row := range rows {
			s.add(row)
		}
		c.reach(int64(len(rows)))
		if len(rows) == 0 || len(t.key) == 0 {
			return s, nil
		}
		after = t.keyOf(rows[len(rows)-1])
	}
}

func (c *copying) reach(rows int64) {
	c.done += rows
	c.Report(min(c.done, c.total), c.total)
}

func (c *copying) run(ctx context.Context, resumed bool) (CopyResult, error) {
	result := CopyResult{Resumed: resumed}
	if !resumed {
		used, err := c.to.used(ctx)
		if err != nil {
			return CopyResult{}, err
		}
		if used != "" {
			if differs, err := c.differs(ctx); err != nil || differs != "" {
				return CopyResult{}, errors.Join(err, notEmpty(used))
			}
			result.Already = true
			return c.finish(result), nil
		}
	}
	if err := c.begin(ctx, resumed); err != nil {
		return CopyResult{}, err
	}
	for i, t := range c.tables {
		if err := c.copyTable(ctx, t, c.want[i].rows); err != nil {
			return CopyResult{}, fmt.Errorf("copy the table %s: %w", t.name, err)
		}
	}
	differs, err := c.differs(ctx)
	if err != nil {
		return CopyResult{}, err
	}
	if differs != "" {
		return CopyResult{}, fmt.Errorf("%w: the table %s does not hold what the source holds: something else wrote to the target; "+
			"empty it (drop the database and make it again) and run this again", ErrCopyDiffers, differs)
	}
	for _, t := range c.tables {
		// The planner needs to know sizes; autovacuum would tell it within minutes.
		if _, err := c.to.write(ctx, true, bind(`ANALYZE `+t.name)); err != nil && ctx.Err() != nil {
			return CopyResult{}, err
		}
	}
	if _, err := c.to.write(ctx, true, bind(`DROP TABLE IF EXISTS `+copyMarker)); err != nil {
		return CopyResult{}, err
	}
	return c.finish(result), nil
}

func (c *copying) finish(r CopyResult) CopyResult {
	for i, t := range c.tables {
		r.Tables = append(r.Tables, CopiedTable{t.name, c.want[i].rows, c.want[i].text()})
		r.Rows += c.want[i].rows
	}
	c.Report(c.total, c.total)
	return r
}

// begin marks the target as an unfinished copy and removes what migrations inserted; or, when there
// is such a copy, checks that it is one of the source as it is now.
func (c *copying) begin(ctx context.Context, resumed bool) error {
	if resumed {
		found := map[string]string{}
		err := c.to.rows(ctx, bind(`SELECT name, digest FROM `+copyMarker), func() { clear(found) }, func(s scanner) error {
			var name, digest string
			err := s.Scan(&name, &digest)
			found[name] = digest
			return err
		})
		if err != nil {
			return err
		}
		for i, t := range c.tables {
			if found[t.name] != c.want[i].text() {
				return fmt.Errorf("%w: the target holds an unfinished copy, and the table %s of the source has changed since, or "+
					"it was another source; empty the target (drop the database and make it again) and run this again", ErrNotEmpty, t.name)
			}
		}
		return nil
	}
	return wrap(c.to.engine.transact(ctx, func(do exec) error {
		if _, err := do(bind(`CREATE TABLE ` + copyMarker + ` (name TEXT NOT NULL PRIMARY KEY, digest TEXT NOT NULL)`)); err != nil {
			return err
		}
		s := []stmt{bind(`DELETE FROM key_ring WHERE version = 0`), bind(`DELETE FROM clients WHERE id = 'signet'`),
			bind(`DELETE FROM status_lists WHERE next_index = 1`)}
		for i, t := range c.tables {
			s = append(s, bind(`INSERT INTO `+copyMarker+` (name, digest) VALUES ($1, $2)`, t.name, c.want[i].text()))
		}
		n, err := do(s...)
		if err == nil && (n[0] != 1 || n[1] != 1 || n[2] != 1) {
			err = fmt.Errorf("%w: a server or a command wrote to it at this moment", ErrNotEmpty)
		}
		return err
	}))
}

// copyTable copies the rows of a table that come after the last one that is there: batches are
// copied whole, in the order of the key.
func (c *copying) copyTable(ctx context.Context, t copyTable, rows int64) error {
	if len(t.key) == 0 { // one row, without a key
		page, err := c.from.page(ctx, t, nil, c.Batch)
		if err == nil {
			_, err = c.to.batch(ctx, true, bind(`DELETE FROM `+t.name), t.insert(page))
		}
		c.reach(rows)
		return err
	}
	after, err := c.to.lastKey(ctx, t)
	if err != nil {
		return err
	}
	var copied int64
	for {
		page, err := c.from.page(ctx, t, after, c.Batch)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			c.reach(rows - copied) // those of an earlier run
			return nil
		}
		if _, err := c.to.write(ctx, true, t.insert(page)); err != nil {
			return err
		}
		copied += int64(len(page))
		c.reach(int64(len(page)))
		after = t.keyOf(page[len(page)-1])
	}
}

// differs returns a table in which the target differs from the source; empty: there is none. The
// key ring is last in the order of the tables and first here: nothing tells two databases apart
// sooner.
func (c *copying) differs(ctx context.Context) (table string, err error) {
	for i, t := range slices.Backward(c.tables) {
		got, err := c.sum(ctx, c.to, t)
		if err != nil {
			return "", err
		}
		if got.rows != c.want[i].rows || got.text() != c.want[i].text() {
			return t.name, nil
		}
	}
	return "", nil
}

// ours refuses a database that holds a table that no migration of ours made.
func (db named) ours(ctx context.Context) error {
	known := append(slices.Clone(copied), versionTable, "write_probe", "search_roles")
	foreign := ""
	err := db.rows(ctx, bind(`SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname`),
		func() { foreign = "" }, func(s scanner) error {
			var name string
			err := s.Scan(&name)
			if err == nil && foreign == "" && !slices.Contains(known, name) {
				foreign = name
			}
			return err
		})
	if err == nil && foreign != "" {
		err = fmt.Errorf("%w: it has a table %s, which is not Signet's; give a database of its own", ErrNotEmpty, foreign)
	}
	return err
}

// used returns a table with a row that no migration inserted; empty: there is none. The tables of an
// older schema may be missing.
func (db named) used(ctx context.Context) (table string, err error) {
	for _, name := range copied {
		var exists int64
		if err := db.one(ctx, bind(db.dialect.hasTable, name), func(s scanner) error { return s.Scan(&exists) }); err != nil {
			return "", err
		}
		if exists == 0 {
			continue
		}
		but := map[string]string{
			"signet_schema": " WHERE FALSE", "clients": " WHERE id <> 'signet'", "key_ring": " WHERE version <> 0",
			"status_lists": " WHERE next_index <> 1",
		}[name]
		err := db.one(ctx, bind(`SELECT 1 FROM `+name+but+` LIMIT 1`), func(s scanner) error { return s.Scan(&exists) })
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, userstore.ErrNotFound) {
			return "", err
		}
	}
	return "", nil
}

// page returns the next rows of a table in the order of its key; after is the key of the last row
// that was read. It stops early at copyBytes.
func (db named) page(ctx context.Context, t copyTable, after []any, limit int) (rows [][]any, err error) {
	size := 0
	read := func(s scanner) error {
		row := t.targets()
		if err := s.Scan(row...); err != nil {
			return fmt.Errorf("a row of the table %s cannot be read: %w", t.name, err)
		}
		values, err := t.values(row)
		if err != nil {
			return err
		}
		rows = append(rows, values)
		if size += sizeOf(values); size >= copyBytes {
			return errFull
		}
		return nil
	}
	err = db.rows(ctx, t.selectAfter(after, limit), func() { rows, size = nil, 0 }, read)
	if errors.Is(err, errFull) {
		err = nil
	}
	return rows, err
}

// errFull ends the reading of a page.
var errFull = errors.New("the page is full")

// lastKey returns the key of the last row of a table; nil: it is empty.
func (db named) lastKey(ctx context.Context, t copyTable) (key []any, err error) {
	keyOnly := copyTable{name: t.name}
	var order []string
	for _, i := range t.key {
		keyOnly.columns = append(keyOnly.columns, t.columns[i])
		order = append(order, t.columns[i].name+" DESC")
	}
	q := `SELECT ` + keyOnly.names() + ` FROM ` + t.name + ` ORDER BY ` + strings.Join(order, ", ") + ` LIMIT 1`
	err = db.one(ctx, bind(q), func(s scanner) error {
		row := keyOnly.targets()
		if err := s.Scan(row...); err != nil {
			return err
		}
		key, err = keyOnly.values(row)
		return err
	})
	if errors.Is(err, userstore.ErrNotFound) {
		return nil, nil
	}
	return key, err
}

// selectAfter selects the rows after a key, in the order of the key.
func (t copyTable) selectAfter(after []any, limit int) stmt {
	q := `SELECT ` + t.names() + ` FROM ` + t.name
	var key, places []string
	for n, i := range t.key {
		key, places = append(key, t.columns[i].name), append(places, "$"+strconv.Itoa(n+1))
	}
	if len(after) > 0 {
		q += ` WHERE (` + strings.Join(key, ", ") + `) > (` + strings.Join(places, ", ") + `)`
	}
	if len(key) > 0 {
		q += ` ORDER BY ` + strings.Join(key, ", ")
	}
	return bind(q+` LIMIT `+strconv.Itoa(limit), after...)
}

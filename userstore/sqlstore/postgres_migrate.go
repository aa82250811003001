package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/signet-id/signet/userstore"
)

const (
	// lockWait is how long a statement of a migration waits for a lock. Who comes after it waits
	// behind it, which is well within what a request may take.
	lockWait = 500 * time.Millisecond
	// lockPause is about how long it then leaves the table to the others, and lockTries how often a
	// migration is tried: for some five minutes.
	lockPause = time.Second
	lockTries = 200
	// lockPoll is about how often a migrator asks whether another one has ended.
	lockPoll = 100 * time.Millisecond
)

// migrationLock is the advisory lock that only one migrator holds at a time.
const migrationLock = 0x5369676e6574 // "Signet"

func (p *postgres) migrate(ctx context.Context) error {
	files, err := migrationFiles(postgresDialect.name)
	if err != nil {
		return err
	}
	return p.migrateBy(ctx, files)
}

// migrateBy applies the migrations in files. A statement that waits for a lock holds up everybody who
// comes after it, so it gives way after lockWait, and the migration is tried again a little later: it
// was rolled back, or goes on where it was ended.
func (p *postgres) migrateBy(ctx context.Context, files fs.FS) error {
	db := p.forMigration(lockWait)
	defer db.Close()
	end, err := lockMigrations(ctx, db, true)
	if err != nil {
		return err
	}
	defer end()
	for try := 1; ; try++ {
		err := dropInvalid(ctx, db, files)
		if err == nil {
			err = migrate(ctx, goose.DialectPostgres, db, briefly{files})
		}
		if err == nil {
			err = p.indexNames(ctx)
		}
		if !gaveWay(err) {
			return err
		}
		if try == lockTries {
			return fmt.Errorf("a table was in use during %d tries%s: end what holds it, and migrate again: %w", try, oldest(ctx, db), err)
		}
		if p.log != nil {
			p.log.Warn("a migration waits for a table that is in use; it gave way and tries again", "try", try, "oldest", oldest(ctx, db))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPause/2 + rand.N(lockPause)):
		}
	}
}

// gaveWay reports whether a statement of a migration was ended because others held what it needs.
func gaveWay(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "55P03" || pg.Code == "40P01") // lock not available, deadlock
}

// oldest tells about the oldest transaction of this database, which is likely to be in the way.
func oldest(ctx context.Context, db *sql.DB) (text string) {
	_ = db.QueryRowContext(ctx, `SELECT format(' (the oldest transaction is that of process %s, %s of %s, since %s)', pid,
			coalesce(nullif(application_name, ''), 'a program'), usename, to_char(xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'))
		FROM pg_stat_activity a WHERE datname = current_database() AND backend_type = 'client backend' AND xact_start IS NOT NULL
			AND pid <> pg_backend_pid() AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory')
		ORDER BY xact_start LIMIT 1`).Scan(&text)
	return text
}

// briefly are migrations whose transactions wait for a lock for lockWait at most. The setting of the
// connection says the same, but a pooler may keep it to itself. A migration without a transaction sets
// its own.
type briefly struct{ fs.FS }

func (b briefly) Open(name string) (fs.File, error) {
	f, err := b.FS.Open(name)
	if err != nil || path.Ext(name) != ".sql" {
		return f, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(text, []byte("+goose NO TRANSACTION")) {
		const up = "-- +goose Up\n"
		limited := fmt.Sprintf("%sSET LOCAL lock_timeout = %d;\n", up, lockWait.Milliseconds())
		text = bytes.Replace(text, []byte(up), []byte(limited), 1)
	}
	return limitedFile{bytes.NewReader(text), info}, nil
}

// limitedFile is the text of a migration.
type limitedFile struct {
	*bytes.Reader
	info fs.FileInfo
}

func (f limitedFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (limitedFile) Close() error                 { return nil }

// concurrently finds the indexes that migrations build while others write.
var concurrently = regexp.MustCompile(`(?i)CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?([a-z0-9_]+)`)

// dropInvalid drops what is left of the building of such an index that was ended: it costs every write
// and serves no read, and stands in the way of the next try.
func dropInvalid(ctx context.Context, db *sql.DB, files fs.FS) error {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return err
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		for _, m := range concurrently.FindAllSubmatch(text, -1) {
			var invalid bool
			index := string(m[1])
			if err := db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_index
				WHERE indexrelid = to_regclass($1) AND NOT indisvalid)`, index).Scan(&invalid); err != nil {
				return err
			}
			if !invalid {
				continue
			}
			if _, err := db.ExecContext(ctx, `DROP INDEX CONCURRENTLY IF EXISTS `+index); err != nil {
				return err
			}
		}
	}
	return nil
}

// forMigration returns connections without time limits, but for the wait for a lock; 0: without
// that one.
func (p *postgres) forMigration(wait time.Duration) *sql.DB {
	config := p.pool.Config().ConnConfig
	p.pooler.forMigration(config)
	if !p.pooler.limitsRefused.Load() {
		config.RuntimeParams["lock_timeout"] = strconv.FormatInt(wait.Milliseconds(), 10)
	}
	return stdlib.OpenDB(*config)
}

// migrating makes this the only migrator until end is called. It does not wait for another one.
func (p *postgres) migrating(ctx context.Context) (end func(), err error) {
	db := p.forMigration(lockWait)
	unlock, err := lockMigrations(ctx, db, false)
	if err != nil {
		db.Close()
		return nil, err
	}
	return func() { unlock(); db.Close() }, nil
}

// lockMigrations takes the lock of migrations in a transaction, which stays open beside those of the
// migrations until end is called. Unlike a session's lock, this lock also works through a transaction
// pooler; and it ends with a migrator that was killed.
//
// It asks again and again instead of waiting within a statement: such a statement has a snapshot, for
// whose end the CREATE INDEX CONCURRENTLY of the one migrator would wait, as the others wait for it.
func lockMigrations(ctx context.Context, db *sql.DB, wait bool) (end func(), err error) {
	for {
		end, err = tryLockMigrations(ctx, db)
		if !wait || !errors.Is(err, errMigrating) {
			return end, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPoll/2 + rand.N(lockPoll)):
		}
	}
}

func tryLockMigrations(ctx context.Context, db *sql.DB) (end func(), err error) {
	lock, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	locked := false
	// The role may have limits that the settings of the connection do not override.
	if _, err = lock.ExecContext(ctx, `SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true),
		set_config('idle_in_transaction_session_timeout', '0', true)`); err == nil {
		// By the simple protocol: a statement of the extended one keeps its snapshot until the next
		// statement, and CREATE INDEX CONCURRENTLY would wait for the end of this transaction.
		err = lock.QueryRowContext(ctx, fmt.Sprintf(`SELECT pg_try_advisory_xact_lock(%d)`, migrationLock),
			pgx.QueryExecModeSimpleProtocol).Scan(&locked)
	}
	if err == nil && !locked {
		err = errMigrating
	}
	if err != nil {
		_ = lock.Rollback()
		return nil, err
	}
	return func() { _ = lock.Rollback() }, nil
}

var errMigrating = fmt.Errorf("%w: another command migrates this database, or copies into it: wait for it", userstore.ErrUnavailable)

package sqlstore

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// ErrNotSQLite: PostgreSQL is copied by its own programs.
var ErrNotSQLite = errors.New("only an SQLite database is copied by this program")

// progressEvery is how often a copy reports how far it is.
const progressEvery = 100 * time.Millisecond

// Copied tells about a copy of a database.
type Copied struct {
	Bytes int64
	At    time.Time // the copy holds everything acknowledged before
	// Kept is where Restore moved the database that was there; empty: there was none.
	Kept string
}

// Progress is told how many of about how many bytes are written.
type Progress func(done, about int64)

// Backup writes the database as it is now into the new file to, readable by its owner only. Servers
// and commands go on reading and writing meanwhile. When Backup returns, the copy is complete, every
// page of it was checked, and it survives a loss of power. After an error there is no file. Deleted
// rows are not in the copy. ErrNotSQLite; an error that is fs.ErrExist: there is such a file.
//
// The copy is one read transaction (VACUUM INTO): the write-ahead log grows while it runs.
func (db *DB) Backup(ctx context.Context, to string, now func() time.Time, report Progress) (c Copied, err error) {
	e, ok := db.engine.(*sqliteEngine)
	if !ok {
		return Copied{}, ErrNotSQLite
	}
	if to, err = filepath.Abs(to); err != nil {
		return Copied{}, err
	}
	if _, err := os.Lstat(to); err == nil {
		return Copied{}, &fs.PathError{Op: "write", Path: to, Err: fs.ErrExist}
	}
	part, err := newPart(to)
	if err != nil {
		return Copied{}, err
	}
	defer os.Remove(part)
	c.At = now()
	if err := copyFile(ctx, e.path, part, report); err != nil {
		return Copied{}, err
	}
	if err := checkWhole(ctx, part); err != nil {
		return Copied{}, err
	}
	c.Bytes, err = settle(part, to)
	return c, err
}

// Restore puts the copy from in the place of the database to, which no server may use. The database
// that was there is moved aside with its write-ahead log, and Copied.Kept names it. check is given
// the copy, opened, before anything is moved. A restore that was interrupted is begun again by
// another one; until then the database is the one before, or there is none. ErrLocked: a server
// runs.
func Restore(
	ctx context.Context, from, to string, now func() time.Time, report Progress, check func(*DB) error,
) (c Copied, err error) {
	if from, err = filepath.Abs(from); err != nil {
		return Copied{}, err
	}
	if to, err = filepath.Abs(to); err != nil {
		return Copied{}, err
	}
	if real, err := filepath.EvalSymlinks(to); err == nil {
		to = real // the file behind a link is the one that is replaced
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return Copied{}, err
	}
	unlock, err := lockFile(to)
	if err != nil {
		return Copied{}, err
	}
	defer unlock()
	// A copy that was made by hand may have a write-ahead log beside it, which belongs to it. Reading
	// through SQLite takes it along; from itself is not written.
	if err := checkWhole(ctx, from); err != nil {
		return Copied{}, err
	}
	part, err := newPart(to)
	if err != nil {
		return Copied{}, err
	}
	defer removeDatabase(part)
	if err := copyFile(ctx, from, part, report); err != nil {
		return Copied{}, err
	}
	if err := checkCopy(ctx, part, check); err != nil {
		return Copied{}, err
	}
	foldLog(ctx, to)
	c.At = now()
	if c.Kept, err = moveAside(to, c.At); err != nil {
		return Copied{}, err
	}
	c.Bytes, err = settle(part, to)
	return c, err
}

// foldLog writes the write-ahead log of the database at path back into it, if it is intact, so that
// the database is one file while it is moved. A damaged one is moved as it is, with its log.
func foldLog(ctx context.Context, path string) {
	if db, err := Open(ctx, path, Options{MaxConns: 1, MustExist: true}); err == nil {
		db.Close()
	}
}

// newPart makes an empty file beside path, which becomes path when it is complete.
func newPart(path string) (string, error) {
	part := path + ".part-" + rand.Text()
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return "", &fs.PathError{Op: "write", Path: path, Err: errors.Unwrap(err)} // the name that the caller knows
	}
	return part, f.Close()
}

// watchFile reports how much of a file is written, until stop is called.
func watchFile(path string, about int64, report Progress) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if info, err := os.Stat(path); err == nil {
					report(info.Size(), about)
				}
			}
		}
	}()
	return func() { close(done); <-ended }
}

// checkWhole refuses a file that is not a database of ours, intact in every page and reference.
func checkWhole(ctx context.Context, path string) error {
	switch info, err := os.Stat(path); {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file: give the path of a backup", path)
	case info.Size() == 0:
		return damaged(path, "it is empty, which a database of ours never is")
	}
	if err := checkFile(ctx, path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", address(path, url.Values{"mode": {"ro"}, "_pragma": {waitBusy}}))
	if err != nil {
		return err
	}
	defer db.Close()
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&verdict); err != nil {
		return explainOpenError(path, err)
	}
	if verdict != "ok" {
		return damaged(path, verdict)
	}
	var table string
	err = db.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check LIMIT 1`).Scan(&table)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return explainOpenError(path, err)
	}
	return damaged(path, "a row of the table "+table+" names one that is missing")
}

// copyFile copies a database into the empty file part, in one read transaction.
func copyFile(ctx context.Context, from, part string, report Progress) error {
	source, err := sql.Open("sqlite", address(from, url.Values{"mode": {"ro"}, "_pragma": {waitBusy}}))
	if err != nil {
		return err
	}
	defer source.Close()
	var about int64
	const size = `SELECT page_count * page_size FROM pragma_page_count, pragma_page_size`
	if err := source.QueryRowContext(ctx, size).Scan(&about); err != nil {
		return explainOpenError(from, err)
	}
	stop := watchFile(part, about, report)
	defer stop()
	if _, err := source.ExecContext(ctx, `VACUUM INTO $1`, part); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

// checkCopy gives check the copy as a DB, and leaves nothing of the opening behind.
func checkCopy(ctx context.Context, part string, check func(*DB) error) error {
	db, err := Open(ctx, part, Options{MaxConns: 1, MustExist: true})
	if err != nil {
		return err
	}
	err = check(db)
	db.Close() // writes its log back into the file
	if err != nil {
		return err
	}
	return checkWhole(ctx, part)
}

// moveAside renames the database at path with its log, and returns its new name; empty: there is
// none. The log goes second and never stays: a log beside a newer database would damage it.
func moveAside(path string, at time.Time) (kept string, err error) {
	aside := path + ".before-restore-" + at.UTC().Format("20060102T150405.000000Z")
	moved := false
	for _, suffix := range []string{"", "-wal"} {
		err := os.Rename(path+suffix, aside+suffix)
		switch {
		case err == nil:
			moved = true
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	if err := os.Remove(path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if !moved {
		return "", nil
	}
	return aside, syncFile(filepath.Dir(path))
}

// settle makes part durable and gives it its name, which no other file may have.
func settle(part, path string) (size int64, err error) {
	info, err := os.Stat(part)
	if err != nil {
		return 0, err
	}
	if err := syncFile(part); err != nil {
		return 0, err
	}
	if err := os.Link(part, path); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return 0, err
		}
		if err := os.Rename(part, path); err != nil { // a file system without links
			return 0, err
		}
	}
	return info.Size(), syncFile(filepath.Dir(path))
}

// syncFile makes a file, or the names in a folder, survive a loss of power.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func removeDatabase(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		_ = os.Remove(path + suffix)
	}
}

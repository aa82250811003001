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
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/signet-id/signet/userstore"
)

const (
	// applicationID marks a file as ours ("Sgnt", for file(1) and for checkFile).
	applicationID = 0x53676e74
	// fullCheck is the size up to which every page is checked when a file is opened (some 0.1 s);
	// damage in a larger file shows when it is read.
	fullCheck = 16 << 20
)

// ErrNoDatabase means that there is no such file, and that Options.MustExist forbids making one.
var ErrNoDatabase = errors.New("there is no database")

// prepareFile makes a missing database and refuses a path that cannot be one. The path it returns
// is absolute.
//
// It never opens an existing file itself: closing it would release the locks that another
// connection of this process holds (POSIX locks belong to the process).
func prepareFile(ctx context.Context, path string, mustExist bool) (string, error) {
	if path == "" || strings.IndexByte(path, 0) >= 0 {
		return "", fmt.Errorf("%q cannot be the path of a database: give a file name or postgres://…", path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if _, lstatErr := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && lstatErr == nil {
		return "", fmt.Errorf("%w: %s is a symbolic link to a file that is not there: put the file back, or remove the link", ErrNoDatabase, path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && mustExist:
		return "", fmt.Errorf("%w at %s: start the server once (signet serve), or name another file", ErrNoDatabase, path)
	case errors.Is(err, fs.ErrNotExist):
		if err := create(ctx, path); err != nil {
			if ctx.Err() != nil {
				return "", ctx.Err() // the path is not at fault
			}
			return "", fmt.Errorf("the database %s cannot be made: %s; give a place where this user may write", path, innermost(err))
		}
	case err != nil:
		return "", fmt.Errorf("the database %s cannot be looked at: %w", path, err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("the database %s is not a file: give the path of a file", path)
	case info.Size() == 0:
		return "", damaged(path, "it is empty, which a database of ours never is")
	}
	return path, nil
}

// create makes the file beside its path and moves it there complete, so that an empty or half-made
// file at the path itself is never ours.
func create(ctx context.Context, path string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fresh := path + ".new-" + rand.Text()
	// SQLite gives its -wal and -shm files the mode of the database.
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(fresh)
	if err := f.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", address(fresh, url.Values{"_pragma": {"synchronous(FULL)"}}))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID))
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, does not replace a file that another process made meanwhile.
	if err := os.Link(fresh, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, statErr := os.Lstat(path); statErr == nil {
			return nil
		}
		if err := os.Rename(fresh, path); err != nil { // a file system without links
			return err
		}
	}
	if d, err := os.Open(dir); err == nil { // make the name itself durable
		_ = d.Sync()
		_ = d.Close()
	}
	return nil
}

// checkFile refuses a file that is not an intact database of ours. It reads through a connection
// that cannot write: another program's file must not even get our journal mode, and a damaged file
// is evidence.
func checkFile(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", address(path, url.Values{"mode": {"ro"}, "_pragma": {waitBusy}}))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var id, pages, size int64
	for _, q := range []struct {
		pragma string
		to     *int64
	}{{"application_id", &id}, {"page_count", &pages}, {"page_size", &size}} {
		if err := db.QueryRowContext(ctx, `PRAGMA `+q.pragma).Scan(q.to); err != nil {
			return explainOpenError(path, err)
		}
	}
	if id != applicationID {
		return fmt.Errorf("the database %s belongs to another program: give the path of a file of Signet's, or of one that does not exist yet", path)
	}
	if pages*size <= fullCheck {
		var verdict string
		if err := db.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict); err != nil {
			return explainOpenError(path, err)
		}
		if verdict != "ok" {
			return damaged(path, verdict)
		}
	}
	return nil
}

// checkWritable takes the right to write once: a file that is read-only for us would otherwise be
// noticed at the first sign-up.
func (e *sqliteEngine) checkWritable(ctx context.Context) error {
	tx, err := e.writer.BeginTx(ctx, nil)
	if err == nil {
		err = tx.Rollback()
	}
	if err != nil {
		return explainOpenError(e.path, err)
	}
	return nil
}

// explainOpenError says in a sentence what an error at the start means.
func explainOpenError(path string, err error) error {
	lite, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return fmt.Errorf("%w: open the database %s: %w", userstore.ErrUnavailable, path, err)
	}
	switch lite.Code() & 0xff {
	case sqlite3.SQLITE_NOTADB:
		return damaged(path, "it is not a database, or its first page is damaged")
	case sqlite3.SQLITE_CORRUPT:
		return damaged(path, err.Error())
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: the database %s, or its folder, cannot be written: give both to the user that runs this program: %w",
			userstore.ErrUnavailable, path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: the database %s is locked by another program: wait for it, or end it: %w", userstore.ErrUnavailable, path, err)
	}
	return fmt.Errorf("%w: open the database %s: %w", userstore.ErrUnavailable, path, err)
}

func damaged(path, how string) error {
	return fmt.Errorf("the database %s is damaged (%s): nothing was changed; restore it from a backup, "+
		"or move it and its -wal file away to begin with an empty one", path, how)
}

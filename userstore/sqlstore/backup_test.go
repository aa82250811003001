//go:build unix

package sqlstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

func clock() time.Time { return now }

func quiet(int64, int64) {}

func accept(*sqlstore.DB) error { return nil }

// migrated makes a database of the present schema, in a folder of its own.
func migrated(t *testing.T) (db *sqlstore.DB, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "signet.db")
	db = open(t, path, sqlstore.Options{})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db, path
}

func filesIn(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A backup that is made while others write holds everything acknowledged before it began, and of
// what came after it all of an act or nothing.
func TestABackupIsOneInstantOfALiveDatabase(t *testing.T) {
	db, path := migrated(t)
	before := make([]userstore.User, 20)
	for n := range before {
		before[n], _ = create(t, db)
	}
	stop := make(chan struct{})
	started := make(chan struct{}, 4)
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for first := true; ; first = false {
				select {
				case <-stop:
					return
				default:
				}
				u := newUser()
				if err := db.CreateUser(context.Background(), u); err != nil {
					t.Error(err)
					return
				}
				g := newGrant(u)
				login := userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash}
				if err := db.StartGrant(context.Background(), login); err != nil {
					t.Error(err)
					return
				}
				if first {
					started <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-started
	}
	folder := t.TempDir()
	for n := range 3 {
		copied, err := db.Backup(t.Context(), filepath.Join(folder, fmt.Sprint(n)), clock, quiet)
		if err != nil {
			t.Error(err)
		}
		if info, err := os.Stat(filepath.Join(folder, fmt.Sprint(n))); err != nil || info.Mode() != 0o600 ||
			info.Size() != copied.Bytes || !copied.At.Equal(now) {
			t.Errorf("%+v; the file: %v, %v", copied, info, err)
		}
	}
	close(stop)
	writers.Wait()
	if got := filesIn(t, folder); len(got) != 3 {
		t.Errorf("beside the copies: %q", got)
	}
	last := 0
	for n := range 3 {
		file := filepath.Join(folder, fmt.Sprint(n))
		execute(t, raw(t, file), `SELECT 1`)
		var users, grants int
		row := raw(t, file).QueryRow(`SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM grants)`)
		if err := row.Scan(&users, &grants); err != nil {
			t.Fatal(err)
		}
		if users < max(len(before), last) || grants > users || grants < users-4 {
			t.Errorf("copy %d has %d users and %d grants", n, users, grants)
		}
		last = users
		copied := open(t, file, sqlstore.Options{MustExist: true})
		for _, u := range before {
			if _, err := copied.UserByID(t.Context(), u.ID); err != nil {
				t.Errorf("copy %d: %v", n, err)
			}
		}
	}
	if db2 := open(t, path, sqlstore.Options{MustExist: true}); db2.CheckSchema(t.Context()) != nil {
		t.Error("the database itself does not open any more")
	}
}

// What was deleted is not in the pages of a copy either.
func TestABackupHoldsNoDeletedRows(t *testing.T) {
	db, _ := migrated(t)
	u, _ := create(t, db)
	keep, _ := create(t, db)
	if err := db.DeleteUser(t.Context(), u.ID); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "copy")
	if _, err := db.Backup(t.Context(), to, clock, quiet); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(to)
	if err != nil || strings.Contains(string(text), u.ID) || !strings.Contains(string(text), keep.ID) {
		t.Errorf("the deleted user is in the copy, or the other one is not: %v", err)
	}
}

func TestABackupThatFailsLeavesNothing(t *testing.T) {
	db, path := migrated(t)
	create(t, db)
	folder := t.TempDir()
	taken := filepath.Join(folder, "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		to   string
		want error
	}{
		"a file is there":      {t.Context(), taken, fs.ErrExist},
		"a link is there":      {t.Context(), filepath.Join(folder, "link"), fs.ErrExist},
		"the database itself":  {t.Context(), path, fs.ErrExist},
		"there is no folder":   {t.Context(), filepath.Join(folder, "none", "copy"), fs.ErrNotExist},
		"a file is the folder": {t.Context(), filepath.Join(taken, "copy"), syscall.ENOTDIR},
		"it is interrupted":    {over, filepath.Join(folder, "copy"), context.Canceled},
	} {
		if _, err := db.Backup(c.ctx, c.to, clock, quiet); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := filesIn(t, folder); len(got) != 2 {
		t.Errorf("left: %q", got)
	}
	if text, err := os.ReadFile(taken); string(text) != "mine" {
		t.Errorf("the file that was there: %q, %v", text, err)
	}
}

func TestOnlySQLiteIsCopied(t *testing.T) {
	db := open(t, pgtest.URL(t), sqlstore.Options{})
	to := filepath.Join(t.TempDir(), "copy")
	if _, err := db.Backup(t.Context(), to, clock, quiet); !errors.Is(err, sqlstore.ErrNotSQLite) {
		t.Error(err)
	}
	if got := filesIn(t, filepath.Dir(to)); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
}

// copyOf returns a backup of a database with one user, whose id it returns.
func copyOf(t *testing.T) (file, user string) {
	t.Helper()
	db, _ := migrated(t)
	u, _ := create(t, db)
	file = filepath.Join(t.TempDir(), "backup")
	if _, err := db.Backup(t.Context(), file, clock, quiet); err != nil {
		t.Fatal(err)
	}
	return file, u.ID
}

func TestRestoreKeepsTheDatabaseThatWasThere(t *testing.T) {
	file, user := copyOf(t)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	db, path := migrated(t)
	other, _ := create(t, db)
	db.Close()
	copied, err := sqlstore.Restore(t.Context(), file, path, clock, quiet, accept)
	if err != nil || copied.Kept != path+".before-restore-20260304T050607.000000Z" {
		t.Fatalf("%+v, %v", copied, err)
	}
	if again, err := os.ReadFile(file); err != nil || string(again) != string(content) {
		t.Errorf("the backup was changed: %v", err)
	}
	for _, c := range []struct{ file, has, lacks string }{{path, user, other.ID}, {copied.Kept, other.ID, user}} {
		db := open(t, c.file, sqlstore.Options{MustExist: true})
		if _, err := db.UserByID(t.Context(), c.has); err != nil {
			t.Errorf("%s: %v", c.file, err)
		}
		if _, err := db.UserByID(t.Context(), c.lacks); !errors.Is(err, userstore.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", c.file, err)
		}
		if info, err := os.Stat(c.file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", c.file, info, err)
		}
		db.Close()
	}
}

func TestRestoreWhereThereIsNoDatabase(t *testing.T) {
	file, user := copyOf(t)
	path := filepath.Join(t.TempDir(), "data", "signet.db")
	copied, err := sqlstore.Restore(t.Context(), file, path, clock, quiet, accept)
	if err != nil || copied.Kept != "" {
		t.Fatalf("%+v, %v", copied, err)
	}
	if _, err := open(t, path, sqlstore.Options{MustExist: true}).UserByID(t.Context(), user); err != nil {
		t.Error(err)
	}
}

// A copy that was made by hand comes with the log in which its last rows are.
func TestRestoreReadsTheLogBesideACopy(t *testing.T) {
	db, from := migrated(t)
	u, _ := create(t, db)
	by := filepath.Join(t.TempDir(), "by-hand.db")
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(from + suffix)
		if err != nil || len(text) == 0 {
			t.Fatalf("%s: %d bytes, %v", suffix, len(text), err)
		}
		if err := os.WriteFile(by+suffix, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "signet.db")
	if _, err := sqlstore.Restore(t.Context(), by, path, clock, quiet, accept); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path, sqlstore.Options{MustExist: true}).UserByID(t.Context(), u.ID); err != nil {
		t.Error(err)
	}
}

// However a restore was cut short, the next one finishes it, and the log of the database before
// never meets the restored one.
func TestARestoreThatWasCutShortIsBegunAgain(t *testing.T) {
	file, user := copyOf(t)
	for name, cut := range map[string]func(t *testing.T, path, aside string){
		"the database is moved, its log is not": func(t *testing.T, path, aside string) {
			rename(t, path, aside)
		},
		"both are moved": func(t *testing.T, path, aside string) {
			rename(t, path, aside)
			rename(t, path+"-wal", aside+"-wal")
		},
		"the copy lies beside it": func(t *testing.T, path, _ string) {
			if err := os.WriteFile(path+".part-"+rand.Text(), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "signet.db")
			crashed(t, path)
			cut(t, path, filepath.Join(folder, "aside"))
			if _, err := sqlstore.Restore(t.Context(), file, path, clock, quiet, accept); err != nil {
				t.Fatal(err)
			}
			db := open(t, path, sqlstore.Options{MustExist: true})
			if _, err := db.UserByID(t.Context(), user); err != nil {
				t.Error(err)
			}
			var users int
			if err := raw(t, path).QueryRow(`SELECT count(*) FROM users`).Scan(&users); err != nil || users != 1 {
				t.Errorf("%d users, %v", users, err)
			}
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// crashed leaves a database at path as a server leaves it that was killed: with a log.
func crashed(t *testing.T, path string) {
	t.Helper()
	db, from := migrated(t)
	for range 3 {
		create(t, db)
	}
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(from + suffix)
		if err == nil {
			err = os.WriteFile(path+suffix, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A refused restore changes nothing.
func TestRestoreRefuses(t *testing.T) {
	file, _ := copyOf(t)
	folder := t.TempDir()
	in := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	torn := []byte(string(content))
	for n := len(torn) / 2; n < len(torn)/2+20_000; n++ {
		torn[n] ^= 0x55
	}
	foreign := filepath.Join(folder, "foreign")
	execute(t, raw(t, foreign), `CREATE TABLE t (x)`)
	orphans := in("orphans", string(content))
	execute(t, raw(t, orphans), `PRAGMA foreign_keys = OFF`, `DELETE FROM users`)
	no := errors.New("not this one")
	for name, c := range map[string]struct {
		from  string
		check func(*sqlstore.DB) error
		words string
	}{
		"no file":           {filepath.Join(folder, "none"), accept, "no such file"},
		"a folder":          {folder, accept, "is not a file"},
		"an empty file":     {in("empty", ""), accept, "it is empty"},
		"no database":       {in("text", strings.Repeat("no database ", 1000)), accept, "damaged"},
		"half a database":   {in("half", string(content[:len(content)/2])), accept, "damaged"},
		"damaged pages":     {in("torn", string(torn)), accept, "damaged"},
		"rows without rows": {orphans, accept, "names one that is missing"},
		"another program's": {foreign, accept, "belongs to another program"},
		"the caller's no":   {file, func(*sqlstore.DB) error { return no }, "not this one"},
	} {
		db, path := migrated(t)
		u, _ := create(t, db)
		db.Close()
		before := filesIn(t, filepath.Dir(path))
		_, err := sqlstore.Restore(t.Context(), c.from, path, clock, quiet, c.check)
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
		want := append(before, "signet.db.lock")
		if after := filesIn(t, filepath.Dir(path)); !slices.Equal(after, want) {
			t.Errorf("%s: files %q, want %q", name, after, want)
		}
		if _, err := open(t, path, sqlstore.Options{MustExist: true}).UserByID(t.Context(), u.ID); err != nil {
			t.Errorf("%s: the database that was there: %v", name, err)
		}
	}
}

func TestRestoreRefusesWhileAServerRuns(t *testing.T) {
	file, _ := copyOf(t)
	db, path := migrated(t)
	if err := db.Lock(); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "by-another-name.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{path, link} {
		if _, err := sqlstore.Restore(t.Context(), file, to, clock, quiet, accept); !errors.Is(err, sqlstore.ErrLocked) {
			t.Errorf("%s: %v", to, err)
		}
	}
	db.Close()
	if _, err := sqlstore.Restore(t.Context(), file, link, clock, quiet, accept); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", info, err)
	}
}

// A disk that is full in the middle of a copy leaves what was there.
func TestABackupMeetsAFullDisk(t *testing.T) {
	if !withOwnMounts(t) {
		return
	}
	db, _ := migrated(t)
	dir := smallDisk(t, "256k")
	_, err := db.Backup(t.Context(), filepath.Join(dir, "copy"), clock, quiet)
	if err == nil || len(filesIn(t, dir)) != 0 {
		t.Errorf("%v; files %q", err, filesIn(t, dir))
	}
}

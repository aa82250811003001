//go:build unix

package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// raw opens a file without the store, as another program would.
func raw(tb testing.TB, path string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		tb.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	tb.Cleanup(func() { db.Close() })
	return db
}

func execute(tb testing.TB, db *sql.DB, statements ...string) {
	tb.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			tb.Fatalf("%s: %v", s, err)
		}
	}
}

func TestSQLitePathsAreLiteral(t *testing.T) {
	for _, name := range []string{
		"plain.db", "with space.db", "a?mode=memory", "a.db?_pragma=journal_mode(DELETE)", "file:b.db",
		"file:c.db?mode=ro&cache=shared", ":memory:",
		"100%41.db", "hash#1.db", "ümläut.db", `back\slash.db`, "quote'\".db", "a&b=c;d", "-rf", "new\nline.db",
		"sub/folder/of/it.db",
	} {
		t.Run("S-09 "+name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			db, err := sqlstore.Open(t.Context(), name, sqlstore.Options{}) // relative: names like file:b.db stay as they are
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			u, _ := create(t, db)
			db.Close()

			var files []string
			err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					files = append(files, strings.TrimPrefix(path, dir+"/"))
				}
				return err
			})
			if err != nil || len(files) != 1 || files[0] != name {
				t.Errorf("files %q, %v", files, err)
			}
			db = open(t, filepath.Join(dir, name), sqlstore.Options{MustExist: true})
			if _, err := db.UserByID(t.Context(), u.ID); err != nil {
				t.Errorf("read again by its absolute path: %v", err)
			}
		})
	}
}

func TestAddressesThatAreNoneAreRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	for url, words := range map[string][]string{
		"":                         {"give a file name"},
		"a\x00b":                   {"cannot be the path"},
		"mysql://u:secret@h/db":    {`"mysql"://`, "postgres://"},
		"file:///tmp/x.db":         {"plain path"},
		"postgres://u:secret@h:x/": {"cannot be used"},
		"postgres://u:secret@127.0.0.1:1/db?connect_timeout=1":           {"cannot be reached"},
		"postgresql://u:secret@/db?host=/nonexistent&sslmode=disable":    {"cannot be reached"},
		"postgres://u:secret@h/db?sslmode=nonsense":                      {"cannot be used"},
		"postgres://u:secret@/db?host=/nonexistent&pool_max_conns=never": {"cannot be used"},
		".": {"not a file"},
	} {
		_, err := sqlstore.Open(t.Context(), url, sqlstore.Options{})
		says(t, err, words...)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password shows: %v", err)
		}
	}
	if entries, _ := os.ReadDir("."); len(entries) != 0 {
		t.Errorf("something was made: %v", entries)
	}
	_, err := sqlstore.Open(t.Context(), "absent/signet.db", sqlstore.Options{MustExist: true})
	if !errors.Is(err, sqlstore.ErrNoDatabase) {
		t.Error(err)
	}
	says(t, err, "signet serve")
	if entries, _ := os.ReadDir("."); len(entries) != 0 {
		t.Errorf("something was made: %v", entries)
	}
}

func TestSQLiteFilesAreForTheirOwnerOnly(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir := filepath.Join(t.TempDir(), "data", "deep")
	db := open(t, filepath.Join(dir, "signet.db"), sqlstore.Options{})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Lock(); err != nil {
		t.Fatal(err)
	}
	create(t, db)
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", d, info.Mode(), err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 { // the file, -wal, -shm, .lock
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
}

func TestUnfitSQLiteFilesAreRefusedAndLeftAlone(t *testing.T) {
	good := sqltest.SQLitePath(t)
	func() {
		db := open(t, good, sqlstore.Options{})
		defer db.Close()
		for range 200 {
			create(t, db)
		}
	}()
	intact, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	garbage := bytes.Repeat([]byte("garbage!"), 512)
	for name, test := range map[string]struct {
		content []byte
		words   []string
	}{
		"F-29 empty":              {nil, []string{"damaged", "empty", "backup"}},
		"F-29 cut in half":        {intact[:len(intact)/2], []string{"damaged", "backup"}},
		"F-29 last page gone":     {intact[:len(intact)-4096], []string{"damaged", "backup"}},
		"F-29 first page garbage": {append(bytes.Clone(garbage), intact[4096:]...), []string{"damaged", "backup"}},
		"F-29 other page garbage": {append(append(bytes.Clone(intact[:len(intact)-8*4096]), garbage...),
			intact[len(intact)-7*4096:]...), []string{"damaged", "backup"}},
		"F-29 header of 50 bytes":  {intact[:50], []string{"damaged"}},
		"F-29 text":                {[]byte("# notes\nnot a database\n"), []string{"damaged", "not a database"}},
		"F-29 nothing but zeroes":  {make([]byte, 8192), []string{"damaged"}},
		"F-29 another application": {other(t), []string{"another program"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "signet.db")
			if err := os.WriteFile(path, test.content, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := sqlstore.Open(t.Context(), path, sqlstore.Options{})
			if err == nil {
				db.Close()
				t.Fatal("it was opened")
			}
			says(t, err, append(test.words, path)...)
			if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, test.content) {
				t.Errorf("the file was changed (%d bytes now, %d before), %v", len(left), len(test.content), err)
			}
		})
	}
	if os.Getuid() != 0 { // root may write to every file
		if err := os.Chmod(good, 0o400); err != nil {
			t.Fatal(err)
		}
		_, err := sqlstore.Open(t.Context(), good, sqlstore.Options{})
		says(t, err, "cannot be written")
	}
}

// other returns a database of another program.
func other(t *testing.T) []byte {
	path := filepath.Join(t.TempDir(), "other.db")
	db := raw(t, path)
	execute(t, db, `CREATE TABLE moz_places (id INTEGER PRIMARY KEY)`)
	db.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestF29ASecondServerOnOneFileIsRefused(t *testing.T) {
	path := sqltest.SQLitePath(t)
	first, second := open(t, path, sqlstore.Options{}), open(t, path, sqlstore.Options{})
	if err := first.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := first.Lock(); err != nil {
		t.Errorf("its own lock is in its way: %v", err)
	}
	err := second.Lock()
	if !errors.Is(err, sqlstore.ErrLocked) {
		t.Fatal(err)
	}
	says(t, err, "another server", "stop that server")
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := open(t, link, sqlstore.Options{}).Lock(); !errors.Is(err, sqlstore.ErrLocked) {
		t.Errorf("by a link: %v", err)
	}
	create(t, second) // a command works beside the server
	if size := open(t, link, sqlstore.Options{}).Stats().Log; size == 0 {
		t.Error("by a link, the log is not found")
	}
	first.Close()
	if err := second.Lock(); err != nil {
		t.Errorf("after the first is closed: %v", err)
	}
	db := sqltest.Postgres(t) // any number of replicas
	if err := db.Lock(); err != nil {
		t.Error(err)
	}
}

// What a transaction had to prepare is there for the next one, unless it is long or was refused.
func TestStatementsOfTransactionsAreKept(t *testing.T) {
	db := sqltest.SQLite(t)
	const plain = `UPDATE users SET email = 'x' WHERE id = ''`
	for _, test := range []struct {
		name, statement string
		refused         bool
		kept            int
	}{
		{"a new one", plain, false, 1},
		{"the same", plain, false, 1},
		{"a long one", plain + ` -- ` + strings.Repeat("x", 4096), false, 1},
		{"one that is refused", `INSERT INTO users (id) VALUES ('x')`, true, 1},
		{"one that is none", `UPDATE nothing`, true, 1},
		{"another", plain + ` AND id = 'x'`, false, 2},
	} {
		if err := sqlstore.Transact(t.Context(), db, test.statement); (err != nil) != test.refused {
			t.Errorf("%s: %v", test.name, err)
		}
		if n := sqlstore.Kept(db); n != test.kept {
			t.Errorf("%s: %d are kept, want %d", test.name, n, test.kept)
		}
	}
}

func TestF28ALockedSQLiteFile(t *testing.T) {
	t.Parallel()
	path := sqltest.SQLitePath(t)
	db := open(t, path, sqlstore.Options{})
	u, g := create(t, db)
	locker := raw(t, path)
	execute(t, locker, `BEGIN IMMEDIATE`)
	within(t, "a write beside a locker", 6*time.Second, func() {
		_, err := db.AdvanceGrant(t.Context(), advance(g, 1))
		unavailable(t, "a write beside a locker", err)
	})
	within(t, "a read beside a locker", time.Second, func() {
		if _, err := db.UserByID(t.Context(), u.ID); err != nil {
			t.Errorf("a read beside a locker: %v", err)
		}
	})
	time.AfterFunc(300*time.Millisecond, func() { locker.Exec(`ROLLBACK`) }) // database/sql may be used from anywhere
	if _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); err != nil {   // waits for the lock
		t.Errorf("after a short lock: %v", err)
	}
}

func TestSQLiteWritersAreServedInOrderAndNotForEver(t *testing.T) {
	t.Parallel()
	path := sqltest.SQLitePath(t)
	db := open(t, path, sqlstore.Options{})
	_, g := create(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := db.AdvanceGrant(ctx, advance(g, 1))
	unavailable(t, "a call whose caller is gone", err)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the cause is lost: %v", err)
	}
	if _, err := db.AdvanceGrant(t.Context(), advance(g, 1)); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// F-11: a full disk. Here it is a limit on the size of files, which a child process sets for
// itself.
func TestF11AFullDisk(t *testing.T) {
	if os.Getenv("SIGNET_CHILD") == "full disk" {
		fullDisk(t)
		return
	}
	t.Parallel()
	out, err := child(t, "TestF11AFullDisk", "full disk", sqltest.SQLitePath(t)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func fullDisk(t *testing.T) {
	path := os.Getenv("SIGNET_CHILD_PATH")
	db := open(t, path, sqlstore.Options{})
	kept, _ := create(t, db)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	before := limit.Cur
	limit.Cur = 600 << 10
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	failures := 0
	for i := 0; failures < 5 && i < 5000; i++ {
		u := newUser()
		u.Claims.Name = strings.Repeat("x", 10_000)
		if err := db.CreateUser(t.Context(), u); err != nil {
			failures++
			unavailable(t, "a write on a full disk", err)
			continue
		}
		acknowledged = append(acknowledged, u.ID)
	}
	if failures == 0 {
		t.Fatal("the disk never filled up")
	}
	if _, err := db.UserByID(t.Context(), kept.ID); err != nil {
		t.Errorf("a read on a full disk: %v", err)
	}
	limit.Cur = before
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	create(t, db) // the store recovers without a restart
	for _, id := range acknowledged {
		if _, err := db.UserByID(t.Context(), id); err != nil {
			t.Fatalf("acknowledged, and gone: %v", err)
		}
	}
	integrity(t, path)
}

func integrity(t *testing.T, path string) {
	t.Helper()
	var verdict string
	if err := raw(t, path).QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity_check: %s, %v", verdict, err)
	}
	rows, err := raw(t, path).Query(`PRAGMA foreign_key_check`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if rows.Next() {
		t.Fatal("foreign_key_check found a row")
	}
}

func TestSQLiteIsSetUpToBeDurable(t *testing.T) {
	path := sqltest.SQLitePath(t)
	settings, err := sqlstore.SQLiteSettings(t.Context(), open(t, path, sqlstore.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	want := "writer: journal_mode=wal synchronous=2 foreign_keys=1 busy_timeout=1000 query_only=0\n" +
		"sweeper: journal_mode=wal synchronous=1 foreign_keys=1 busy_timeout=1000 query_only=0\n" +
		"reader: journal_mode=wal synchronous=2 foreign_keys=1 busy_timeout=1000 query_only=1\n"
	if settings != want {
		t.Errorf("got %s", settings)
	}
}

func TestSQLitePlansUseIndexes(t *testing.T) {
	t.Parallel()
	db := sqltest.SQLite(t)
	for index, s := range sqlstore.EventsSQL {
		plan, err := sqlstore.SQLitePlan(t.Context(), db, s.SQL(), s.Args()...)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan,
			strings.Replace(strings.TrimSpace(index), "audit_events_pkey", "sqlite_autoindex_audit_events_1", 1)+" ") ||
			strings.Contains(plan, "B-TREE") {
			t.Errorf("events go without the index %s:\n%s", index, plan)
		}
	}
	if plan, err := sqlstore.SQLitePlan(t.Context(), db, sqlstore.DeleteAdminSQL, "u1"); err != nil ||
		!strings.Contains(plan, "users_admins") {
		t.Errorf("the last admin is looked for among everybody: %v\n%s", err, plan)
	}
	bound := []any{"u1", "c1", []byte("g"), int64(1), int64(1), int64(50), int64(1000)}
	for name, s := range map[string]struct {
		statement string
		args      []any
	}{
		"list of grants":  {sqlstore.ListGrantsSQL, []any{"u1", int64(1), int64(1)}},
		"oldest grants":   {sqlstore.EndOldestSQL, slices.Concat(bound, []any{"n", "r", int64(100)})},
		"recorded grants": {sqlstore.RecordEndedSQL, slices.Concat(bound, []any{"", "", "", "", "", "", "", "", "", ""})},
	} {
		plan, err := sqlstore.SQLitePlan(t.Context(), db, s.statement, s.args...)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, "grants_user") || strings.Contains(plan, "SCAN grants") ||
			strings.Contains(plan, "SCAN g\n") {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}

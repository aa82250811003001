//go:build linux

package sqlstore_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

const ownMounts = "SIGNET_TEST_OWN_MOUNTS"

// withOwnMounts runs the test again in a process that may mount file systems of its own, and
// reports whether this is that process. It needs no root: a user namespace is enough.
func withOwnMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownMounts) != "" {
		return true
	}
	var out []byte
	var err error
	for _, user := range []bool{false, true} {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), ownMounts+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if user {
			const sysAdmin = 21 // CAP_SYS_ADMIN
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getuid(), HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getgid(), HostID: os.Getgid(), Size: 1}}
			cmd.SysProcAttr.AmbientCaps = []uintptr{sysAdmin}
		}
		if out, err = cmd.CombinedOutput(); !errors.Is(err, syscall.EPERM) {
			break
		}
	}
	if err != nil {
		t.Errorf("with file systems of its own: %v\n%s", err, out)
	}
	return false
}

// smallDisk mounts a file system of this size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "sd-")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("signet-test", dir, "tmpfs", 0, "mode=0777,size="+size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		os.Remove(dir)
	})
	return dir
}

// fill fills a disk, and returns a function that empties it again.
func fill(t *testing.T, dir string) (empty func()) {
	t.Helper()
	name := filepath.Join(dir, "full")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			size /= 2
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// unready waits until Ping says, with these words, that the store takes no writes.
func unready(t *testing.T, db *sqlstore.DB, words ...string) {
	t.Helper()
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = db.Ping(t.Context()); err != nil {
			break
		}
	}
	if !errors.Is(err, userstore.ErrUnwritable) || !errors.Is(err, userstore.ErrUnavailable) {
		t.Errorf("ready, or for another reason not: %v", err)
		return
	}
	says(t, err, words...)
}

// F-11: a full disk, and one that is mounted read-only, make SQLite unready. Reads go on, nothing
// is damaged, and no restart is needed.
func TestF11SQLiteIsUnreadyOnAFullDisk(t *testing.T) {
	if !withOwnMounts(t) {
		return
	}
	dir := smallDisk(t, "2m")
	path := filepath.Join(dir, "signet.db")
	db := open(t, path, sqlstore.Options{})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, _ := create(t, db)
	ready(t, db)
	empty := fill(t, dir)
	// The log has room from before, and has room again once what it holds is written back, until
	// the database has none.
	var refused error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if refused = db.CreateUser(t.Context(), newUser()); refused != nil && db.Ping(t.Context()) != nil {
			break
		}
	}
	unavailable(t, "a sign-up", refused)
	unready(t, db, "disk", "full", path)
	if _, err := db.UserByID(t.Context(), u.ID); err != nil {
		t.Errorf("a read: %v", err)
	}
	other, err := sqlstore.Open(t.Context(), path, sqlstore.Options{MustExist: true})
	if err != nil {
		t.Fatalf("a command that only reads: %v", err)
	}
	unready(t, other, "full")
	other.Close()
	empty()
	ready(t, db)
	if err := db.CreateUser(t.Context(), newUser()); err != nil {
		t.Errorf("afterwards: %v", err)
	}

	// A disk that the kernel made read-only because of errors cannot be simulated with open files;
	// a file that is read-only for everybody can.
	db.Close()
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	_, err = sqlstore.Open(t.Context(), path, sqlstore.Options{})
	says(t, err, "cannot be written")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT, "size=2m"); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, sqlstore.Options{})
	ready(t, db)
	var verdict string
	if err := raw(t, path).QueryRow(`PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity: %s %v", verdict, err)
	}
}

// F-10: PostgreSQL updates rows in place also when its disk is full. The probe nevertheless notices
// before requests do.
func TestF10PostgresIsUnreadyOnAFullDisk(t *testing.T) {
	if !withOwnMounts(t) {
		return
	}
	dir := smallDisk(t, "200m")
	t.Setenv("TMPDIR", dir)
	db := open(t, pgtest.Start(t, pgtest.Options{}).URL(t), sqlstore.Options{})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	u, _ := create(t, db)
	ready(t, db)
	empty := fill(t, dir)
	unready(t, db, "disk is full")
	if _, err := db.UserByID(t.Context(), u.ID); err != nil {
		t.Errorf("a read: %v", err)
	}
	empty()
	ready(t, db)
	if err := db.CreateUser(t.Context(), newUser()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

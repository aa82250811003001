//go:build unix

package pgtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func value(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var s string
	if err := conn.QueryRow(t.Context(), query).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEachDatabaseIsFreshAndOurs(t *testing.T) {
	a, b := URL(t), URL(t)
	if err := execute(a, `CREATE TABLE x (n int)`); err != nil {
		t.Fatal(err)
	}
	if got := value(t, b, `SELECT count(*)::text FROM pg_tables WHERE tablename = 'x'`); got != "0" {
		t.Errorf("the second database sees the first one's table")
	}
}

func TestACloneHoldsWhatWasPreparedOnce(t *testing.T) {
	calls := 0
	prepare := func(url string) error {
		calls++
		return execute(url, `CREATE TABLE prepared AS SELECT 'yes' AS word`)
	}
	for range 3 {
		if got := value(t, Clone(t, "test", prepare), `SELECT word FROM prepared`); got != "yes" {
			t.Errorf("got %q", got)
		}
	}
	if calls != 1 && os.Getenv(variable) == "" {
		t.Errorf("prepared %d times", calls)
	}
}

func TestTheLogShowsSyntaxErrors(t *testing.T) {
	u := URL(t)
	if err := execute(u, `SELEKT marker_of_this_test`); err == nil {
		t.Fatal("no error")
	}
	if log := Log(t); !strings.Contains(log, "syntax error") || !strings.Contains(log, "marker_of_this_test") {
		t.Errorf("log:\n%s", log)
	}
}

func TestAServerStopsAndResumesWithItsData(t *testing.T) {
	s := Start(t, Options{Durable: true})
	u := s.URL(t)
	if err := execute(u, `CREATE TABLE kept AS SELECT 'still here' AS word`); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := execute(u, `SELECT 1`); err == nil {
		t.Error("a stopped server answers")
	}
	if err := s.Resume(); err != nil {
		t.Fatal(err)
	}
	if got := value(t, u, `SELECT word FROM kept`); got != "still here" {
		t.Errorf("got %q", got)
	}
	if got := value(t, u, `SHOW fsync`); got != "on" {
		t.Errorf("fsync is %s", got)
	}
}

// A test process that was killed cannot clean up; the supervisor must.
func TestTheServerDiesWithItsProcess(t *testing.T) {
	if os.Getenv("SIGNET_PGTEST_CHILD") != "" {
		s, err := start(Options{})
		if err != nil {
			t.Fatal(err)
		}
		pid, _ := s.PID()
		os.Stdout.WriteString(s.dir + "\n")
		if pid == 0 {
			t.Fatal("no pid")
		}
		time.Sleep(time.Hour)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestTheServerDiesWithItsProcess$")
	child.Env = append(os.Environ(), "SIGNET_PGTEST_CHILD=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	dir := strings.TrimSpace(line)
	if err != nil || !filepath.IsAbs(dir) {
		t.Fatalf("the child says %q, %v", line, err)
	}
	pid, err := (&Server{data: filepath.Join(dir, "data")}).PID()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(dir)
		if errors.Is(err, os.ErrNotExist) && syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("server %d or its folder %s outlived the killed process", pid, dir)
		}
	}
}

func TestWithoutProgramsTheMessageNamesThePackage(t *testing.T) {
	empty := t.TempDir()
	if v := version(filepath.Join(empty, "postgres")); v != 0 {
		t.Errorf("version of nothing: %d", v)
	}
	fake := filepath.Join(empty, "postgres")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho 'postgres (PostgreSQL) 19beta2 (Debian)'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if v := version(fake); v != 19 {
		t.Errorf("version of a beta: %d", v)
	}
	if !bytes.Contains([]byte(errNoPrograms.Error()), []byte("apt-get install postgresql")) {
		t.Error(errNoPrograms)
	}
}

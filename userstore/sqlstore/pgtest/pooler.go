//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// poolerSupervisor obeys "start" and "kill". It ends the pooler when the test process closes the pipe
// or ends.
const poolerSupervisor = `
trap '' INT HUP TERM
pid=
stop() { [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null && wait "$pid"; pid=; }
while read -r command; do
	case $command in
	start) "$@" </dev/null & pid=$! ;;
	kill) stop; rm -f "$DIR"/.s.PGSQL.* ;;
	esac
done
stop
rm -rf "$DIR"
`

// Pooler is a PgBouncer in transaction mode.
type Pooler struct {
	URL    string // of the database through the pooler
	stdin  *os.File
	output syncedBuffer
}

// PgBouncer starts a PgBouncer in transaction mode before the database at address. It returns an
// address through PgBouncer, a socket that only its user can reach. settings are further lines of
// its configuration. The program comes from Debian's package "pgbouncer"; the test fails without
// it.
func PgBouncer(tb testing.TB, address string, settings ...string) string {
	tb.Helper()
	return StartPgBouncer(tb, address, settings...).URL
}

// StartPgBouncer is like PgBouncer, and returns a pooler that can be killed.
func StartPgBouncer(tb testing.TB, address string, settings ...string) *Pooler {
	tb.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		if program = "/usr/sbin/pgbouncer"; !executable(program) {
			tb.Fatal(`pgtest: PgBouncer is missing; on Debian: apt-get install --no-install-recommends pgbouncer`)
		}
	}
	target, err := pgx.ParseConfig(address)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	uid, attr := os.Getuid(), &syscall.SysProcAttr{Setpgid: true}
	if uid == 0 { // PgBouncer refuses to run as root, too
		if attr.Credential, err = unprivileged(); err != nil {
			tb.Fatalf("pgtest: %v", err)
		}
		uid = int(attr.Credential.Uid)
	}
	dir, err := makeDir(uid)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	quoted := func(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
	server := fmt.Sprintf("* = host=%s port=%d user=%s", quoted(target.Host), target.Port, quoted(target.User))
	if target.Password != "" { // PgBouncer reads two quotes as one
		server += " password=" + quoted(target.Password)
	}
	lines := []string{
		"[databases]", server,
		"[pgbouncer]", "listen_addr =", "listen_port = 6432", "unix_socket_dir = " + dir,
		"auth_type = any", "pool_mode = transaction", "query_wait_timeout = 10",
	}
	file := filepath.Join(dir, "pgbouncer.ini")
	err = os.WriteFile(file, []byte(strings.Join(append(lines, settings...), "\n")+"\n"), 0o600)
	if err == nil && uid != os.Getuid() {
		err = os.Chown(file, uid, -1)
	}
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	defer r.Close()
	p := &Pooler{stdin: w}
	cmd := exec.Command("/bin/sh", "-c", poolerSupervisor, "signet-pgtest", program, file)
	cmd.Dir, cmd.SysProcAttr, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, attr, r, &p.output, &p.output
	cmd.Env = append(os.Environ(), "DIR="+dir)
	if err := cmd.Start(); err != nil {
		tb.Fatalf("pgtest: start PgBouncer: %v", err)
	}
	tb.Cleanup(func() {
		w.Close()
		_ = cmd.Wait()
	})

	u := url.URL{Scheme: "postgres", User: url.User(target.User), Path: "/" + target.Database,
		RawQuery: url.Values{"host": {dir}, "port": {"6432"}, "sslmode": {"disable"}}.Encode()}
	p.URL = u.String()
	if err := p.Resume(); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	return p
}

// Kill kills PgBouncer. Its connections end, to both sides.
func (p *Pooler) Kill() error {
	_, err := io.WriteString(p.stdin, "kill\n")
	return err
}

// Resume starts a PgBouncer that was killed, and waits until it answers.
func (p *Pooler) Resume() error {
	if _, err := io.WriteString(p.stdin, "start\n"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for ; ; time.Sleep(10 * time.Millisecond) {
		conn, err := pgx.Connect(ctx, p.URL)
		if err == nil {
			return conn.Close(ctx)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("PgBouncer does not answer: %w\n%s", err, p.output.String())
		}
	}
}

type syncedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncedBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Options configure a server that one test starts for itself.
type Options struct {
	// Durable makes every commit reach the disk, as in production. Only benchmarks and crash tests
	// need that.
	Durable bool
	// Settings are further lines for the server's command line: name=value.
	Settings []string
	// Data is the data folder of a server to go on with, such as a restored backup, which the user
	// of Folder owns. Not given: a new one.
	Data string
}

// Server is a running PostgreSQL.
type Server struct {
	dir   string    // all of its files; removed when it ends
	data  string    // its data folder
	stdin *os.File  // the supervisor's input: commands; it closes with this process
	serve *exec.Cmd // the supervisor
	owner *syscall.SysProcAttr
	admin string // address of the database "postgres"
	bins  string
	made  atomic.Int64
}

// supervisor obeys "start" and "stop". At the end of its input it stops the server, removes the
// folder and ends. It ignores signals that a terminal sends to the whole group: only the pipe shows
// that the test process has ended.
const supervisor = `
trap '' INT HUP TERM
pid=
stop() { [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null && wait "$pid"; pid=; }
while read -r command; do
	case $command in
	start) "$@" </dev/null >>"$DIR/log" 2>&1 & pid=$! ;;
	stop) stop ;;
	esac
done
stop
rm -rf "$DIR"
`

// Start runs a server for one test, which may stop and start it.
func Start(tb testing.TB, o Options) *Server {
	tb.Helper()
	s, err := start(o)
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(s.close)
	return s
}

func start(o Options) (_ *Server, err error) {
	s := &Server{}
	if s.bins, err = Programs(); err != nil {
		return nil, err
	}
	uid := os.Getuid()
	s.owner = &syscall.SysProcAttr{Setpgid: true}
	if uid == 0 { // initdb refuses to run as root
		cred, err := unprivileged()
		if err != nil {
			return nil, err
		}
		s.owner.Credential, uid = cred, int(cred.Uid)
	}
	if s.dir, err = makeDir(uid); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()

	if s.data = o.Data; s.data == "" {
		s.data = filepath.Join(s.dir, "data")
		initdb := exec.Command(filepath.Join(s.bins, "initdb"), "--pgdata="+s.data, "--username=postgres",
			"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
		initdb.Dir, initdb.SysProcAttr = s.dir, s.owner
		if out, err := initdb.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("initdb: %w\n%s", err, out)
		}
	}

	settings := []string{
		"listen_addresses=", // the socket's folder is readable by its owner only, so that trust is safe
		"unix_socket_directories=" + s.dir,
		"max_connections=200", "shared_buffers=64MB", "max_prepared_transactions=10",
		"log_line_prefix=%m [%p] %d ", "timezone=Asia/Kathmandu", // stored instants must not depend on it
	}
	if !o.Durable {
		settings = append(settings, "fsync=off", "full_page_writes=off", "max_wal_size=4GB", "autovacuum_naptime=1h")
	}
	args := []string{"-c", supervisor, "signet-pgtest", filepath.Join(s.bins, "postgres"), "-D", s.data}
	for _, setting := range append(settings, o.Settings...) {
		args = append(args, "-c", setting)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s.stdin = w
	s.serve = exec.Command("/bin/sh", args...)
	s.serve.Dir, s.serve.SysProcAttr, s.serve.Stdin = s.dir, s.owner, r
	s.serve.Env = append(os.Environ(), "DIR="+s.dir)
	if err := s.serve.Start(); err != nil {
		s.serve = nil
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s.admin = address(s.dir, "postgres")
	return s, s.Resume()
}

// unprivileged returns the user that the server runs as when the test runs as root.
func unprivileged() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New(`PostgreSQL refuses to run as root, and there is neither a user "postgres" nor "nobody": ` +
		`install Debian's package "postgresql", or run the tests as another user`)
}

// makeDir makes the server's folder where its user can reach it and where the socket's path stays
// under the 107 bytes that the system allows.
func makeDir(uid int) (string, error) {
	parent := os.TempDir()
	if len(parent) > 60 || !reachable(parent) {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "signet-pg-")
	if err != nil {
		return "", err
	}
	if uid != os.Getuid() {
		err = os.Chown(dir, uid, -1)
	}
	return dir, err
}

// reachable reports whether the permissions of every folder on the path let other users pass.
func reachable(dir string) bool {
	if os.Getuid() != 0 {
		return true
	}
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
	}
}

func address(dir, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database,
		RawQuery: url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode()}
	return u.String()
}

// Resume starts a server that was stopped and waits until it answers.
func (s *Server) Resume() error {
	if _, err := io.WriteString(s.stdin, "start\n"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.admin)
		if err == nil {
			return conn.Close(ctx)
		}
		if log := s.Log(); bytes.Contains(log, []byte("FATAL:  could not")) || ctx.Err() != nil {
			return fmt.Errorf("the server does not answer: %w\n%s", err, log)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Stop ends the server at once, as a crash of its machine would.
func (s *Server) Stop() error {
	pid, err := s.PID()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(s.stdin, "stop\n"); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return nil
		}
	}
	return errors.New("the server does not stop")
}

// PID returns the process id of the postmaster.
func (s *Server) PID() (int, error) {
	b, err := os.ReadFile(filepath.Join(s.data, "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strconv.Atoi(strings.TrimSpace(line))
}

// Log returns everything that the server has logged, failed statements included.
func (s *Server) Log() []byte {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return b
}

// Address returns the address of a database that exists.
func (s *Server) Address(database string) string { return address(s.dir, database) }

// URL makes an empty database and returns its address.
func (s *Server) URL(tb testing.TB) string {
	tb.Helper()
	name, err := s.create("")
	if err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() { _ = execute(s.admin, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`) })
	return address(s.dir, name)
}

func (s *Server) create(template string) (name string, err error) {
	name = fmt.Sprintf("signet_%d", s.made.Add(1))
	statement := `CREATE DATABASE ` + name
	if template != "" {
		statement += ` TEMPLATE ` + template
	}
	return name, execute(s.admin, statement)
}

// execute runs one statement on a connection of its own.
func execute(address, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, statement)
	return err
}

func (s *Server) close() {
	if s.stdin != nil {
		s.stdin.Close()
	}
	if s.serve != nil {
		_ = s.serve.Wait()
		return
	}
	os.RemoveAll(s.dir)
}

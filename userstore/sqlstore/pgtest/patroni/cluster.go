//go:build linux

package patroni

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// patience is how long a cluster may take to do what is asked of it. A failover takes about 25 s.
const patience = 3 * time.Minute

// Nodes are the names of the nodes.
var Nodes = []string{"pg1", "pg2", "pg3"}

// Cluster is a running cluster with an empty database "signet", which belongs to the role "signet".
type Cluster struct {
	dir      string
	stdin    *os.File  // the supervisor's input: commands; it closes with this process
	serve    *exec.Cmd // the supervisor
	owner    *syscall.SysProcAttr
	bins     string
	programs map[string]string // path by name
	place    place
}

// supervisor obeys "start NAME", which runs the script of that name. At the end of its input it
// kills all programs, frozen ones as well, removes the folder and ends.
const supervisor = `
trap '' INT HUP TERM
while read -r command name; do
	sh "$DIR/run/$name" </dev/null >>"$DIR/log/$name" 2>&1 &
	echo $! >"$DIR/pid/$name.new" && mv "$DIR/pid/$name.new" "$DIR/pid/$name"
done
for round in 1 2; do
	kill -KILL $(cat "$DIR"/pid/*) 2>/dev/null
	for file in "$DIR"/pg?/data/postmaster.pid; do
		test -e "$file" && postmaster=$(head -n 1 "$file") || continue
		kill -KILL $(ps -A -o pid=,ppid= | while read -r pid parent; do
			test "$parent" = "$postmaster" && echo "$pid"; done) "$postmaster" 2>/dev/null
	done
done
wait
rm -rf "$DIR"
`

// Start starts a cluster in synchronous mode, and returns when a leader and two standbys, one of
// them synchronous, are there.
func Start() (_ *Cluster, err error) {
	c := &Cluster{}
	if c.programs, err = findPrograms(); err != nil {
		return nil, err
	}
	if err := checkVersion(c.programs["patroni"]); err != nil {
		return nil, err
	}
	if c.bins, err = pgtest.Programs(); err != nil {
		return nil, err
	}
	for _, name := range []string{"pg_basebackup", "pg_rewind"} { // the pinned programs of pgtest lack them
		if _, err := os.Stat(filepath.Join(c.bins, name)); err != nil {
			return nil, fmt.Errorf("%s is missing; on Debian: apt-get install --no-install-recommends postgresql", name)
		}
	}
	if c.place, err = findPlace(); err != nil {
		return nil, err
	}
	if c.dir, c.owner, err = pgtest.Folder(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	if err := c.prepare(); err != nil {
		return nil, err
	}
	if err := c.supervise(); err != nil {
		return nil, err
	}
	if err := c.begin("etcd1", "etcd2", "etcd3", "pg1"); err != nil {
		return nil, err
	}
	if err := c.eventually("pg1 is the leader", func() error {
		leader, err := c.Leader()
		if err == nil && leader != "pg1" {
			err = fmt.Errorf("the leader is %s", leader)
		}
		return err
	}); err != nil {
		return nil, err
	}
	if err := c.begin("pg2", "pg3", "haproxy"); err != nil {
		return nil, err
	}
	if err := c.eventually("the database is made", c.makeDatabase); err != nil {
		return nil, err
	}
	return c, c.Whole()
}

func (c *Cluster) supervise() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	c.stdin = w
	c.serve = exec.Command("/bin/sh", "-c", supervisor, "signet-patroni")
	c.serve.Dir, c.serve.SysProcAttr, c.serve.Stdin = c.dir, c.owner, r
	c.serve.Env = c.environment()
	if err := c.serve.Start(); err != nil {
		c.serve = nil
		return fmt.Errorf("start the supervisor: %w", err)
	}
	return nil
}

func (c *Cluster) environment() []string {
	return append(os.Environ(), "DIR="+c.dir, "HOME="+c.dir, "LC_ALL=C.UTF-8")
}

// begin starts programs by the names of their scripts.
func (c *Cluster) begin(names ...string) error {
	for _, name := range names {
		if err := os.Remove(c.path("pid", name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if _, err := io.WriteString(c.stdin, "start "+name+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// makeDatabase makes the role and the database as the document does.
func (c *Cluster) makeDatabase() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.Superuser("pg1", "postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	for _, statement := range []string{`CREATE ROLE signet LOGIN PASSWORD 'SIGNET-PASSWORD'`, `CREATE DATABASE signet OWNER signet`} {
		if _, err := conn.Exec(ctx, statement); err != nil && !strings.Contains(err.Error(), "already exists") {
			return err
		}
	}
	return nil
}

// URL returns the address of the database through HAProxy, which leads to the leader.
func (c *Cluster) URL() string { return c.address(c.place.at("127.0.0.1:5000")) + "?sslmode=disable" }

// Hosts returns the address of the database that names all nodes.
func (c *Cluster) Hosts() string {
	var hosts []string
	for _, node := range Nodes {
		hosts = append(hosts, c.Address(node))
	}
	return c.address(strings.Join(hosts, ",")) + "?sslmode=disable&target_session_attrs=read-write"
}

// Direct returns the address of the database on one node, whatever its role.
func (c *Cluster) Direct(node string) string { return c.address(c.Address(node)) + "?sslmode=disable" }

// Address returns host and port of a node's PostgreSQL.
func (c *Cluster) Address(node string) string { return c.place.at(documented(node) + ":5432") }

// Superuser returns the superuser's address of a database on one node.
func (c *Cluster) Superuser(node, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", "SUPERUSER-PASSWORD"), Host: c.Address(node),
		Path: "/" + database, RawQuery: "sslmode=disable&connect_timeout=5"}
	return u.String()
}

func (c *Cluster) address(hosts string) string {
	return "postgres://signet:SIGNET-PASSWORD@" + hosts + "/signet"
}

// Log returns what a program has written: "pg1" is Patroni with PostgreSQL, "etcd1", "haproxy".
func (c *Cluster) Log(name string) string {
	b, _ := os.ReadFile(c.path("log", name))
	return string(b)
}

// Close ends all programs and removes their files.
func (c *Cluster) Close() {
	if c.stdin != nil {
		c.stdin.Close()
	}
	if c.serve != nil {
		_ = c.serve.Wait()
		return
	}
	os.RemoveAll(c.dir)
}

func (c *Cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

// eventually calls what until it returns nil, and says what did not come true.
func (c *Cluster) eventually(claim string, what func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := what()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not true after %v: %s: %w\n%s", patience, claim, err, c.tails())
		}
	}
}

// tails returns the ends of all logs.
func (c *Cluster) tails() string {
	var all strings.Builder
	for _, name := range append([]string{"etcd1", "haproxy"}, Nodes...) {
		text := c.Log(name)
		fmt.Fprintf(&all, "--- %s\n%s\n", name, text[max(0, len(text)-2000):])
	}
	return all.String()
}

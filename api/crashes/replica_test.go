//go:build unix

package crashes_test

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// childStore names the variable that makes a test a replica on the store that it names.
const childStore = "SIGNET_TEST_REPLICA"

func childOf() bool { return os.Getenv(childStore) != "" }

// childTime is the time of all replicas here.
var childTime = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func fresh32() string { return strings.ToLower(rand.Text()) }

// replica is a server in a process of its own: this test binary, in one test of it.
type replica struct {
	url    string
	cmd    *exec.Cmd
	in     io.Writer
	out    *bufio.Scanner
	exited chan struct{}
}

// startReplica starts one, which ends with owner.
func startReplica(t, owner *testing.T, test, store string) *replica {
	t.Helper()
	r := &replica{cmd: exec.Command(os.Args[0], "-test.run=^"+test+"$", "-test.v=false"), exited: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), childStore+"="+store)
	r.cmd.Stderr = os.Stderr
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.in, r.out = in, bufio.NewScanner(out)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.cmd.Wait(); close(r.exited) }()
	owner.Cleanup(r.kill)
	r.url = r.read(t)
	return r
}

func (r *replica) read(t *testing.T) string {
	t.Helper()
	if !r.out.Scan() {
		t.Fatalf("the replica says nothing: %v", r.out.Err())
	}
	return r.out.Text()
}

// ask sends a command to the replica, and returns its answer.
func (r *replica) ask(t *testing.T, command string) string {
	t.Helper()
	if _, err := fmt.Fprintln(r.in, command); err != nil {
		t.Fatal(err)
	}
	return r.read(t)
}

// kill ends the process at once, and waits until it has ended.
func (r *replica) kill() {
	_ = r.cmd.Process.Kill()
	<-r.exited
}

// wait waits until the process has ended, and returns the signal that ended it.
func (r *replica) wait(t *testing.T) syscall.Signal {
	t.Helper()
	select {
	case <-r.exited:
	case <-time.After(time.Minute):
		t.Fatal("the replica goes on")
	}
	status, _ := r.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return status.Signal()
}

// childReplica serves as a replica if this process is one, until its input ends, and reports whether
// it was one. Its commands are "code", which makes a code and answers with its client, its user and
// itself, and for SQLite "arm N EXECUTED" and "count".
func childReplica(t *testing.T) bool {
	if !childOf() {
		return false
	}
	db := apitest.Open(t, os.Getenv(childStore))
	var mu sync.Mutex
	var seen, at int
	var executed bool
	die := func(now bool) {
		if now {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if !strings.HasPrefix(os.Getenv(childStore), "postgres") {
		sqlstore.Interrupt(db, sqlstore.Interruption{
			Before: func(string) error {
				mu.Lock()
				defer mu.Unlock()
				seen++
				die(seen == at && !executed)
				return nil
			},
			After: func(string) error {
				mu.Lock()
				defer mu.Unlock()
				die(at > 0 && seen >= at && executed)
				return nil
			},
		})
	}
	s := apitest.New(t, apitest.Options{DB: db})
	fmt.Println(s.Replicas[0].HTTP.URL)
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		words := strings.Fields(commands.Text())
		switch words[0] {
		case "code":
			id := fresh32()
			u, c := s.Operated(id+"@example.test", true), s.Register(userstore.Client{ID: id, AuthMethod: userstore.AuthNone})
			fmt.Println(c.ID, u.ID, s.Code(u, c))
		case "arm":
			mu.Lock()
			seen = 0
			_, err := fmt.Sscan(words[1]+" "+words[2], &at, &executed)
			mu.Unlock()
			fmt.Println("armed", err)
		case "count":
			mu.Lock()
			fmt.Println(seen)
			mu.Unlock()
		}
	}
	return true
}

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/signet-id/signet/internal/faultproxy"
)

// Replica is a process of the real program, between two fault proxies: one before it, for clients,
// and one behind it, for its database. It is started again whenever it ends, as an orchestrator
// does.
type Replica struct {
	Name     string
	Clients  *faultproxy.Proxy
	Database *faultproxy.Proxy
	Listen   string // address of the process itself, past Clients
	Metrics  string // address
	command  func() *exec.Cmd
	log      *os.File
	events   *log.Logger // when processes start and end

	ready  atomic.Bool
	probes http.Client

	mu      sync.Mutex
	process *os.Process
	meant   bool // somebody here ended the process
	served  bool // the process has been ready
	frozen  bool // by SIGSTOP
	links   int  // faults of the way to the database that last
	faults  int  // of the process and of that way, so far
	exits   []string
	exited  chan struct{} // of the present process
}

// supervise runs the process until ctx ends, and then ends it.
func (r *Replica) supervise(ctx context.Context) {
	runtime.LockOSThread() // on Linux the process ends with the thread that started it
	for ctx.Err() == nil {
		cmd := r.command()
		cmd.Stdout, cmd.Stderr = r.log, r.log
		r.mu.Lock()
		err := cmd.Start()
		if err != nil {
			r.exits = append(r.exits, fmt.Sprintf("%s does not start: %v", r.Name, err))
			r.mu.Unlock()
			return
		}
		r.process, r.meant, r.served, r.frozen, r.exited = cmd.Process, false, false, false, make(chan struct{})
		r.events.Printf("%s starts", r.Name)
		exited := r.exited
		r.mu.Unlock()

		stop := context.AfterFunc(ctx, func() { r.signal(syscall.SIGTERM) })
		_ = cmd.Wait()
		stop()
		r.ready.Store(false)
		r.mu.Lock()
		code := cmd.ProcessState.ExitCode()
		if killed := code == -1; r.served && !r.meant || r.meant && !killed && code != 0 && r.served {
			r.exits = append(r.exits, fmt.Sprintf("%s ended by itself or not cleanly: %s", r.Name, cmd.ProcessState))
		}
		r.events.Printf("%s ended: %s", r.Name, cmd.ProcessState)
		r.process = nil
		close(exited)
		r.mu.Unlock()
		if ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
	}
}

// signal sends a signal and returns a channel that closes when the process has ended; nil: there is
// no process.
func (r *Replica) signal(s syscall.Signal) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.process == nil {
		return nil
	}
	switch s {
	case syscall.SIGKILL, syscall.SIGTERM:
		r.meant = true
		r.faults++
	case syscall.SIGSTOP, syscall.SIGCONT:
		r.frozen = s == syscall.SIGSTOP
		r.faults++
	}
	r.events.Printf("%s gets %s", r.Name, s)
	_ = r.process.Signal(s)
	return r.exited
}

// met counts a fault of a proxy of the replica, which lasts until over is called, if it is the one
// before the database. What clients meet is no fault of the replica.
func (r *Replica) met(p *faultproxy.Proxy) (over func()) {
	if p != r.Database {
		return func() {}
	}
	count := func(begins int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.links += begins
		r.faults++
	}
	count(1)
	return func() { count(-1) }
}

// sound reports whether the replica is under no fault: it runs, has been ready since it was started,
// and the way to its database is whole. It returns the same number of faults as before if that was so
// all the time.
func (r *Replica) sound() (faults int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.faults, r.process != nil && r.served && !r.meant && !r.frozen && r.links == 0
}

// probe asks /readyz again and again, as a balancer does.
func (r *Replica) probe(ctx context.Context) {
	r.probes.Timeout = time.Second
	for ctx.Err() == nil {
		r.mu.Lock()
		asked := r.process
		r.mu.Unlock()
		ok := false
		if resp, err := r.probes.Get("http://" + r.Clients.Addr() + "/readyz"); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			ok = resp.StatusCode == http.StatusOK
		}
		r.mu.Lock()
		if ok = ok && r.process == asked && asked != nil; ok {
			r.served = true
		}
		if r.ready.Swap(ok) != ok {
			r.events.Printf("%s is ready: %t", r.Name, ok)
		}
		r.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// untilReady waits until the replica is ready.
func (r *Replica) untilReady(ctx context.Context) error {
	for !r.ready.Load() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", r.Name, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Exits are the ends of processes that nobody here brought about.
func (r *Replica) Exits() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.exits
}

// Usage is what a process holds.
type Usage struct {
	Goroutines, Files, Connections int
	Resident                       int64 // bytes
}

// usage reads the replica's metrics.
func (r *Replica) usage() (u Usage, err error) {
	resp, err := http.Get("http://" + r.Metrics + "/metrics")
	if err != nil {
		return u, err
	}
	defer resp.Body.Close()
	found := 0
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue
		}
		switch {
		case name == "go_goroutines":
			u.Goroutines = int(value)
		case name == "process_open_fds":
			u.Files = int(value)
		case name == "process_resident_memory_bytes":
			u.Resident = int64(value)
		case strings.HasPrefix(name, "signet_store_connections{"):
			u.Connections += int(value)
			continue
		default:
			continue
		}
		found++
	}
	if found < 3 {
		err = errors.New("the metrics lack the process's goroutines, files or memory")
	}
	return u, errors.Join(err, lines.Err())
}

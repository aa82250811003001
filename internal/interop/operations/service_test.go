//go:build interop

package operations

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testport"
)

// service is an issuer: a database, the settings of its replicas, and a balancer, at the issuer's
// address, that gives each request to the next replica.
type service struct {
	issuer string
	dir    string   // of the processes
	env    []string // of all processes

	mu       sync.Mutex
	replicas []*replica // in rotation
	next     int
}

// newService returns a service without replicas. An empty database is the embedded one.
func newService(t *testing.T, database string, env ...string) *service {
	t.Helper()
	s := &service{dir: t.TempDir()}
	front := httptest.NewServer(http.HandlerFunc(s.balance))
	t.Cleanup(front.Close)
	s.issuer = front.URL
	s.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "SIGNET_ISSUER=" + s.issuer, "SIGNET_METRICS_LISTEN=",
		"SIGNET_PASSWORDS_ARGON2_MEMORY=7MiB", "SIGNET_PASSWORDS_ARGON2_TIME=5", // the least that is allowed
		"SIGNET_THROTTLE_SIGNUPS_PER_NETWORK=0", "SIGNET_THROTTLE_FAILURES_PER_NETWORK=0",
		"SIGNET_THROTTLE_FAILURES_PER_BLOCK=0",
		"SIGNET_ACCOUNTS_EMAIL_VERIFICATION=off", "SIGNET_HTTP_DRAIN_NOTICE=1s", "SIGNET_LOG_FORMAT=json",
		`SIGNET_RESOURCES=[{"uri":"` + resource + `","scopes":["orders:read","orders:write"],
			"introspection_clients":["basic","post","jwt"]}]`,
	}, env...)
	if database != "" {
		s.env = append(s.env, "SIGNET_DATABASE_URL="+database)
	}
	return s
}

const resource = "https://orders.example"

func (s *service) balance(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if len(s.replicas) == 0 {
		s.mu.Unlock()
		http.Error(w, "no replica is in rotation", http.StatusBadGateway)
		return
	}
	s.next++
	one := s.replicas[s.next%len(s.replicas)]
	s.mu.Unlock()
	one.proxy.ServeHTTP(w, r)
}

// take gives requests to a replica, and leave no more of them.
func (s *service) take(one *replica) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replicas = append(s.replicas, one)
}

func (s *service) leave(one *replica) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rest := s.replicas[:0:0]
	for _, other := range s.replicas {
		if other != one {
			rest = append(rest, other)
		}
	}
	s.replicas = rest
}

// replica is a running server.
type replica struct {
	name, url string
	program   string
	log       string // a file
	proxy     *httputil.ReverseProxy
	stop      func(syscall.Signal) error // sends a signal and waits for the end
	exited    <-chan struct{}
}

func (r *replica) address() string { return r.url }

// start starts a server, waits until it is ready, and gives it requests.
func (s *service) start(t *testing.T, name, program string, env []string, args ...string) *replica {
	t.Helper()
	one := s.launch(t, name, program, env, args...)
	eventually(t, name+" is ready", func() bool {
		select {
		case <-one.exited:
			said, _ := os.ReadFile(one.log)
			t.Fatalf("%s ended:\n%s", name, said)
		default:
		}
		resp, err := http.Get(one.url + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	s.take(one)
	return one
}

// launch starts a server.
func (s *service) launch(t *testing.T, name, program string, env []string, args ...string) *replica {
	t.Helper()
	listen := testport.Address(t)
	one := &replica{name: name, url: "http://" + listen, program: program,
		log: filepath.Join(s.dir, strings.ReplaceAll(name, " ", "-")+".log")}
	one.proxy = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: listen})
	out, err := os.OpenFile(one.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer out.Close()
	cmd := exec.Command(program, append([]string{"serve"}, args...)...)
	cmd.Env = append(append(s.env[:len(s.env):len(s.env)], env...), "SIGNET_LISTEN="+listen)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	exited := make(chan struct{})
	one.exited = exited
	go func() { _ = cmd.Wait(); close(exited) }()
	one.stop = func(with syscall.Signal) error {
		_ = cmd.Process.Signal(with)
		<-exited
		if !cmd.ProcessState.Success() {
			return errors.New(cmd.ProcessState.String())
		}
		return nil
	}
	t.Cleanup(func() {
		s.leave(one)
		_ = one.stop(syscall.SIGKILL)
		if t.Failed() {
			said, _ := os.ReadFile(one.log)
			t.Logf("%s said last:\n%s", name, said[max(0, len(said)-3000):])
		}
	})
	return one
}

// end takes a replica out of rotation and stops it.
func (s *service) end(t *testing.T, one *replica) {
	t.Helper()
	s.leave(one)
	if err := one.stop(syscall.SIGTERM); err != nil {
		t.Errorf("%s ended with %v", one.name, err)
	}
}

// run runs a command of the operator and returns what it prints.
func (s *service) run(t *testing.T, program string, env []string, args ...string) string {
	t.Helper()
	out, said, err := s.try(program, env, args...)
	if err != nil {
		t.Fatalf("signet %s: %v\n%s%s", strings.Join(args, " "), err, out, said)
	}
	return out
}

func (s *service) try(program string, env []string, args ...string) (out, said string, err error) {
	cmd := s.command(program, env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func (s *service) command(program string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir = append(s.env[:len(s.env):len(s.env)], env...), s.dir
	return cmd
}

// newKEK writes a new key-encryption key to a file in the folder of the processes.
func (s *service) newKEK(t *testing.T, name string) (file string) {
	t.Helper()
	file = filepath.Join(s.dir, name)
	must(t, os.WriteFile(file, []byte(s.run(t, programs.signet, nil, "keys", "new-kek")), 0o600))
	return file
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited too long until %s", what)
}

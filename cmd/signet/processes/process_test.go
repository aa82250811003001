package processes_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
	"github.com/signet-id/signet/internal/testport"
)

// Exit codes of the program.
const (
	exitOK     = 0
	exitFailed = 1
)

// process is a running `signet serve` in a folder of its own.
type process struct {
	cmd    *exec.Cmd
	base   string
	dir    string
	errOut *watch.Buffer
	exited chan struct{} // closed
}

// start runs the binary; wrap may change the command before it starts.
func start(t testing.TB, wrap func(*exec.Cmd), env ...string) *process {
	t.Helper()
	binary, err := exec.LookPath("signet") // testscript.Main put it on the path
	if err != nil {
		t.Fatal(err)
	}
	address := testport.Address(t)
	p := &process{base: "http://" + address, dir: t.TempDir(), errOut: &watch.Buffer{}, exited: make(chan struct{})}
	p.cmd = exec.Command(binary, "serve")
	p.cmd.Dir = p.dir
	p.cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "SIGNET_LISTEN=" + address, "SIGNET_METRICS_LISTEN=",
		"SIGNET_LOG_LEVEL=debug", "SIGNET_HTTP_DRAIN_NOTICE=1s"}, watch.Env(), env)
	p.cmd.Stderr = p.errOut
	if wrap != nil {
		wrap(p.cmd)
	}
	for _, v := range env {
		if strings.HasPrefix(v, "SIGNET_HTTP_TLS_CERT=") {
			p.base = "https://" + address
		}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	// If the log can be read, it proves that this process answers, and not another server at the
	// same address.
	quiet := p.cmd.Stderr != p.errOut ||
		slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "SIGNET_LOG_LEVEL=") })
	p.until(t, "it serves and is ready", func() bool {
		return (quiet || strings.Contains(p.errOut.String(), address)) && p.status("/readyz") == http.StatusOK
	})
	return p
}

func (p *process) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited too long until %s:\n%s", what, p.errOut)
}

// status returns the status of a request over a new connection, or 0 without an answer.
func (p *process) status(path string) int {
	client := http.Client{Timeout: time.Minute,
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get(p.base + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// insist sends a second signal until it counts: one that comes too soon is taken for the first one.
func (p *process) insist(t testing.TB, s syscall.Signal) {
	t.Helper()
	p.until(t, "the second signal ends it", func() bool {
		return errors.Is(p.cmd.Process.Signal(s), os.ErrProcessDone)
	})
}

func (p *process) wait(t testing.TB, limit time.Duration) (code int, took time.Duration) {
	t.Helper()
	begin := time.Now()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), time.Since(begin)
	case <-time.After(limit):
		t.Fatalf("still running after %s:\n%s", limit, p.errOut)
		return 0, 0
	}
}

package processes_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// F-40: if a reader of our output goes away or stalls, the server goes on.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, p *process, n int) {
		t.Helper()
		begin := time.Now()
		for range n {
			if got := p.status("/healthz"); got != http.StatusOK {
				t.Fatalf("F-40: answered %d", got)
			}
		}
		t.Logf("%d answers in %s", n, time.Since(begin))
	}
	pipe := func(t *testing.T) (r, w *os.File) {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		return r, w
	}
	t.Run("the pipe is closed, and SIGHUP comes in a storm", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		p := start(t, func(c *exec.Cmd) { c.Stdout, c.Stderr = w, w }, "SIGNET_LOG_LEVEL=debug")
		r.Close()
		w.Close()
		for range 100 {
			p.signal(t, syscall.SIGHUP)
		}
		ask(t, p, 50)
		p.signal(t, syscall.SIGTERM)
		if code, _ := p.wait(t, time.Minute); code != 0 {
			t.Errorf("F-40: exit code %d", code)
		}
	})
	t.Run("the reader stands still, and comes back", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		// A pipe of one page is full after some lines.
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), 1031 /* F_SETPIPE_SZ */, 4096); errno != 0 {
			t.Fatal(errno)
		}
		p := start(t, func(c *exec.Cmd) { c.Stderr = w }, "SIGNET_LOG_LEVEL=debug")
		w.Close()
		ask(t, p, 200)
		lines := make(chan int, 1)
		go func() {
			n := 0
			for s := bufio.NewScanner(r); s.Scan(); n++ {
				if !json.Valid(s.Bytes()) {
					t.Errorf("F-40: a torn line: %s", s.Text())
				}
			}
			lines <- n
		}()
		p.signal(t, syscall.SIGTERM)
		if code, _ := p.wait(t, time.Minute); code != 0 {
			t.Errorf("F-40: exit code %d", code)
		}
		if n := <-lines; n < 200 {
			t.Errorf("F-40: only %d lines came after the reader was back", n)
		}
	})
}

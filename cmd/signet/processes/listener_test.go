package processes_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// The limits of the listener.
const (
	maxHeaderBytes    = 32 << 10
	readHeaderTimeout = 5 * time.Second
)

// F-33, H-18: with few file descriptors strangers' connections wait. The store keeps its
// connections, and the waiting ones are served when the others close.
func TestFewFileDescriptors(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *exec.Cmd) {
		c.Args = []string{"sh", "-c", "ulimit -n 64; exec " + c.Path + " serve"}
		c.Path = "/bin/sh"
	})
	var conns []net.Conn
	for range 100 {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(p.base, "http://"), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	// The first connections are served, and their requests need the store.
	fmt.Fprint(conns[0], "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = conns[0].SetReadDeadline(time.Now().Add(time.Minute))
	resp, err := http.ReadResponse(bufio.NewReader(conns[0]), nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("F-33: %v %v\n%s", resp, err, p.errOut)
	}
	for _, c := range conns {
		c.Close()
	}
	p.until(t, "new connections are served", func() bool { return p.status("/readyz") == http.StatusOK })
	if log := p.errOut.String(); strings.Contains(log, `"level":"ERROR"`) || strings.Contains(log, "too many open files") {
		t.Errorf("F-33: the limit was met:\n%s", log)
	}
}

// A stranger cannot hold a connection open with a header: its size and its time are limited.
func TestListenerLimits(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	address := strings.TrimPrefix(p.base, "http://")
	t.Run("a header that is too large", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", 2*maxHeaderBytes))
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%v %v", resp, err)
		}
	})
	t.Run("the longest token fits into a header", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequest(http.MethodGet, p.base+"/v1/profile", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.Repeat("x", jose.MaxTokenBytes))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s", resp.Status)
		}
	})
	t.Run("a header that does not end", func(t *testing.T) {
		t.Parallel()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := time.Now()
		go func() {
			for range 100 {
				if _, err := fmt.Fprint(conn, "G"); err != nil {
					return
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
		_ = conn.SetReadDeadline(time.Now().Add(4 * readHeaderTimeout))
		if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("it is still open")
		}
		if took := time.Since(begin); took < readHeaderTimeout/2 {
			t.Errorf("closed after %s", took)
		}
	})
}

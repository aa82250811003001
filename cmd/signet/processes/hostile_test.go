package processes_test

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/testcert"
	"github.com/signet-id/signet/internal/procstat"
)

// silence is how long a server that will say no more is silent before a test believes it.
const silence = 5 * time.Second

// exchange sends bytes unchanged and reads answers until the server ends the connection or is
// silent for a while. It returns the statuses, and whether the connection has ended.
func exchange(t *testing.T, address, text string) (statuses []int, ended bool) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, text) }() // a server that has heard enough does not read the rest
	r := bufio.NewReader(conn)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(silence))
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses, !errors.Is(err, os.ErrDeadlineExceeded)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		statuses = append(statuses, resp.StatusCode)
	}
}

// H-03: if a proxy in front could see other borders between requests than we do, it gets at most
// one answer, and the connection is closed before the next request.
func TestH03NoRequestHidesInAnother(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	address := strings.TrimPrefix(p.base, "http://")
	const hidden = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
	head := func(lines ...string) string {
		return "POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + strings.Join(lines,
			"\r\n") + "\r\n\r\n"
	}
	for _, c := range []struct {
		name, text string
		statuses   []int // any one of them; nil: no answer is one, too
	}{
		{"two lengths that differ", head("Content-Length: 2", "Content-Length: 36") + "{}" + hidden, []int{400}},
		{"a list of lengths", head("Content-Length: 2, 36") + "{}" + hidden, []int{400}},
		{"a space before the colon", head("Content-Length : 2") + "{}" + hidden, []int{400}},
		{"a length with a sign", head("Content-Length: +2") + "{}" + hidden, []int{400}},
		{"a length in hexadecimal", head("Content-Length: 0x2") + "{}" + hidden, []int{400}},
		{"a length that is negative", head("Content-Length: -2") + "{}" + hidden, []int{400}},
		{"a coding that nobody knows", head("Transfer-Encoding: xchunked") + "{}" + hidden, []int{501}},
		{"two codings", head("Transfer-Encoding: gzip, chunked") + "2\r\n{}\r\n0\r\n\r\n" + hidden, []int{501}},
		{"chunked twice", head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "2\r\n{}\r\n0\r\n\r\n" + hidden,
			[]int{400, 501}},
		{"a coding behind a control character", head("Transfer-Encoding: \x0bchunked", "Content-Length: 2") + "{}" + hidden,
			[]int{400, 501}},
		{"length and coding", head("Content-Length: 41", "Transfer-Encoding: chunked") + "0\r\n\r\n" + hidden, []int{400}},
		{"coding and length", head("Transfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\n" + hidden, []int{400}},
		{"a chunk extension of a MiB", head("Transfer-Encoding: chunked") + "2;" + strings.Repeat("x",
			1<<20) + "\r\n{}\r\n0\r\n\r\n" + hidden, []int{400, 413}},
		{"a chunk that is longer than it says", head("Transfer-Encoding: chunked") + "2\r\n{}{}\r\n0\r\n\r\n" + hidden,
			[]int{400}},
		{"a chunk of a size with a sign", head("Transfer-Encoding: chunked") + "+2\r\n{}\r\n0\r\n\r\n" + hidden, []int{400}},
		{"a size of more than 64 bits", head("Transfer-Encoding: chunked") + "10000000000000002\r\n{}\r\n0\r\n\r\n" + hidden,
			[]int{400, 413}},
		{"a line without an end of its own", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b\rGET /healthz HTTP/1.1\r\n\r\n",
			[]int{400, 200}},
		{"no host", "GET /healthz HTTP/1.1\r\n\r\n" + hidden, []int{400}},
		{"two hosts", "GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" + hidden, []int{400}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			statuses, ended := exchange(t, address, c.text)
			if len(statuses) != 1 || !slices.Contains(c.statuses, statuses[0]) {
				t.Errorf("H-03: answered %v, want one of %v", statuses, c.statuses)
			}
			if !ended && c.statuses[0] != 200 && statuses[0] != 200 {
				t.Error("H-03: the connection stays open")
			}
		})
	}
	// Odd requests with only one meaning are served.
	for name, text := range map[string]string{
		"two lengths that agree": head("Content-Length: 2", "Content-Length: 2") + "{}",
		"lines that end in LF":   strings.ReplaceAll(head("Content-Length: 2"), "\r\n", "\n") + "{}",
		"a folded line":          head("X-Folded: a", " Content-Length: 50", "Content-Length: 2") + "{}",
		"a coding alone":         head("Transfer-Encoding: chunked") + "2\r\n{}\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if statuses, _ := exchange(t, address, text); len(statuses) != 1 || statuses[0] != 400 {
				t.Errorf("H-03: answered %v, want one refusal of the empty login", statuses)
			}
		})
	}
}

// H-01: a client that sends a byte from time to time is cut off within ten seconds, and delays no
// other client until then.
func TestH01SlowRequests(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	const post = "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\n"
	var all sync.WaitGroup
	for n := range 200 {
		opening := []string{"GET /healthz HTTP/1.1\r\nX-Slow: ", post}[n%2]
		all.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			begin := time.Now()
			go func() {
				for _, err := io.WriteString(conn, opening); err == nil; _, err = io.WriteString(conn, "x") {
					time.Sleep(time.Second)
				}
			}()
			_ = conn.SetReadDeadline(begin.Add(20 * time.Second)) // ten, and what a busy machine adds
			if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%.20q is open after 20 seconds", opening)
			}
		})
	}
	for range 20 {
		begin := time.Now()
		if status, took := p.status("/.well-known/jwks.json"), time.Since(begin); status != http.StatusOK ||
			took > 4*time.Second {
			t.Errorf("meanwhile others get %d after %s", status, took)
		}
		time.Sleep(50 * time.Millisecond)
	}
	all.Wait()
}

// H-18: many more idle connections than file descriptors wait without any cost, and clients that
// come after them are served.
func TestH18IdleConnections(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *exec.Cmd) {
		c.Args = []string{"sh", "-c", "ulimit -n 256; exec " + c.Path + " serve"}
		c.Path = "/bin/sh"
	})
	address := strings.TrimPrefix(p.base, "http://")
	var conns []net.Conn
	for range 800 { // as many as this test may open itself; the server has no more than 256
		conn, err := net.DialTimeout("tcp", address, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		conns = append(conns, conn)
	}
	before := p.processorTime(t)
	time.Sleep(2 * time.Second)
	if spent := p.processorTime(t) - before; spent > time.Second {
		t.Errorf("H-18: %s of processor time for connections that do nothing", spent)
	}
	for _, c := range conns {
		c.Close()
	}
	p.until(t, "new connections are served", func() bool { return p.status("/readyz") == http.StatusOK })
	if log := p.errOut.String(); strings.Contains(log, `"level":"ERROR"`) ||
		strings.Contains(log, "too many open files") || strings.Contains(log, "panic") {
		t.Errorf("H-18: the limit was met:\n%s", log)
	}
}

// processorTime returns the processor time that the process has used so far.
func (p *process) processorTime(t *testing.T) time.Duration {
	t.Helper()
	did, err := procstat.Of(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return did.Own
}

// h2 is an HTTP/2 connection on which a test can send any frames.
type h2 struct{ *tls.Conn }

func dialH2(t *testing.T, address string) h2 {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
		t.Fatalf("negotiated %q", got)
	}
	t.Cleanup(func() { conn.Close() })
	c := h2{conn}
	if _, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return c
}

// Frames of RFC 9113 section 6.
const (
	frameHeaders, frameReset, frameSettings, frameContinuation = 1, 3, 4, 9
	endStream, endHeaders                                      = 1, 4
)

func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := []byte{byte(len(payload) >> 16), byte(len(payload) >> 8), byte(len(payload)), kind, flags}
	return append(binary.BigEndian.AppendUint32(b, stream), payload...)
}

// getHealthz is a header block without a table: GET, https, /healthz, authority x (RFC 7541).
var getHealthz = append([]byte{0x82, 0x87, 0x04, 8}, "/healthz\x41\x01x"...)

// H-04: a flood over HTTP/2 ends its connection or costs nothing; other clients are served
// meanwhile.
func TestH04HTTP2Floods(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testcert.Write(t, dir, "localhost")
	p := start(t, nil, "SIGNET_ISSUER=https://localhost",
		"SIGNET_HTTP_TLS_CERT="+filepath.Join(dir, "cert.pem"), "SIGNET_HTTP_TLS_KEY="+filepath.Join(dir, "key.pem"))
	address := strings.TrimPrefix(p.base, "https://")
	for name, next := range map[string]func(i int) []byte{
		// Requests that are cancelled at once (rapid reset) cost no more than as many normal
		// requests.
		"rapid reset": func(i int) []byte {
			stream := uint32(2*i + 1)
			return append(frame(frameHeaders, endStream|endHeaders, stream, getHealthz),
				frame(frameReset, 0, stream, []byte{0, 0, 0, 8})...)
		},
		"headers that never end": func(i int) []byte {
			if i == 0 {
				return frame(frameHeaders, endStream, 1, getHealthz)
			}
			// Literals of a KiB each, without an indexed name.
			literal := append([]byte{0x00, 1, 'a', 0x7f, 0x81, 0x07}, strings.Repeat("x", 1024)...)
			return frame(frameContinuation, 0, 1, literal)
		},
		"settings without end": func(int) []byte {
			return frame(frameSettings, 0, 0, []byte{0, 4, 0, 1, 0, 0})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := p.memory(t, "VmHWM")
			c := dialH2(t, address)
			if _, err := c.Write(frame(frameSettings, 0, 0, nil)); err != nil {
				t.Fatal(err)
			}
			// The client does not read the server's answers, as in a real flood.
			_ = c.SetWriteDeadline(time.Now().Add(3 * time.Second))
			var err error
			sent, asked := 0, 0
			for begin := time.Now(); err == nil && time.Since(begin) < 3*time.Second; sent += 50 {
				var burst []byte
				for j := range 50 {
					burst = append(burst, next(sent+j)...)
				}
				_, err = c.Write(burst)
				if sent%50_000 == 0 || err != nil {
					asked++
					asking := time.Now()
					if got := p.status("/readyz"); got != http.StatusOK || time.Since(asking) > 20*time.Second {
						t.Errorf("H-04: others are answered %d after %s", got, time.Since(asking))
					}
				}
			}
			if asked == 0 {
				t.Error("H-04: nobody else asked")
			}
			if name == "headers that never end" && (err == nil || sent > 50_000) {
				t.Errorf("H-04: %d of one request's frames were taken: %v", sent, err)
			}
			if grown := p.memory(t, "VmHWM") - memory; grown > 64*raceMemory {
				t.Errorf("H-04: it cost %.0f MiB", grown)
			}
			t.Logf("after about %d: %v", sent, err)
		})
	}
}

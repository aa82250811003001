//go:build unix

package sqlstore_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy is between a store and PostgreSQL and can lose answers.
type proxy struct {
	url    string
	skip   atomic.Int64 // how many answers pass before the first loss
	lose   atomic.Int64 // how many answers are lost: the connection is cut instead
	hang   atomic.Bool  // neither direction passes anything on
	refuse atomic.Value // the startup parameter to refuse, as PgBouncer does; string
	mu     sync.Mutex
	open   map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	server := filepath.Join(q.Get("host"), ".s.PGSQL.5432")
	dir, err := os.MkdirTemp("", "sp-") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for c := range p.open {
			c.Close()
		}
	})
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	p.url = u.String()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c, server)
		}
	}()
	return p
}

func (p *proxy) serve(client net.Conn, server string) {
	defer client.Close()
	startup, err := startupMessage(client)
	if err != nil {
		return
	}
	if name, _ := p.refuse.Load().(string); name != "" && contains(startup, name) {
		fields := "SFATAL\x00VFATAL\x00C08P01\x00Munsupported startup parameter: " + name + "\x00\x00"
		answer := binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields)))
		_, _ = client.Write(append(answer, fields...))
		return
	}
	up, err := net.Dial("unix", server)
	if err != nil {
		return
	}
	defer up.Close()
	p.mu.Lock()
	p.open[client], p.open[up] = true, true
	p.mu.Unlock()
	if _, err := up.Write(startup); err != nil {
		return
	}
	go func() {
		p.pump(up, client, false)
		up.Close()
	}()
	p.pump(client, up, true)
}

func (p *proxy) pump(to, from net.Conn, answers bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		for p.hang.Load() {
			time.Sleep(time.Millisecond)
		}
		// PostgreSQL answers when the statement is done and, outside a transaction, committed. A
		// lost answer therefore belongs to a committed statement.
		if answers && p.lose.Load() > 0 && p.skip.Add(-1) < 0 {
			p.lose.Add(-1)
			p.skip.Store(0)
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func startupMessage(c net.Conn) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	rest := make([]byte, int(binary.BigEndian.Uint32(head))-4)
	_, err := io.ReadFull(c, rest)
	return append(head, rest...), err
}

func contains(message []byte, word string) bool {
	return bytes.Contains(message, []byte(word))
}

//go:build unix

package sqlstore_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore/sqlstore/pgproxy"
)

// proxy is between a store and PostgreSQL and can lose answers. Unlike pgproxy it knows nothing of
// statements: it loses what one read of the connection brings.
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
	p := &proxy{open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for c := range p.open {
			c.Close()
		}
	})
	p.url = pgproxy.Listen(t, target, p.serve)
	return p
}

// cut ends every connection at once. What the server runs goes on there.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
}

func (p *proxy) serve(client net.Conn, server string) {
	defer client.Close()
	startup, err := pgproxy.Startup(client)
	if err != nil {
		return
	}
	if name, _ := p.refuse.Load().(string); name != "" && bytes.Contains(startup, []byte(name)) {
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

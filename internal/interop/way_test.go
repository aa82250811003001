//go:build interop

package interop

import (
	"crypto/rand"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
)

// way is an address on loopback that leads to a socket, and can be switched to another socket at
// any moment.
type way struct {
	listener net.Listener

	mu    sync.Mutex
	to    endpoint
	conns map[net.Conn]bool
}

type endpoint struct{ network, address string }

// socketOf returns the socket of a database's address.
func socketOf(t *testing.T, address string) endpoint {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if dir := q.Get("host"); dir != "" {
		port := q.Get("port")
		if port == "" {
			port = "5432"
		}
		return endpoint{"unix", filepath.Join(dir, ".s.PGSQL."+port)}
	}
	return endpoint{"tcp", u.Host}
}

func newWay(t *testing.T, to endpoint) *way {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{listener: l, to: to, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		l.Close()
		w.cut()
	})
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			out, err := net.Dial(w.to.network, w.to.address)
			if err != nil {
				w.mu.Unlock()
				in.Close()
				continue
			}
			w.conns[in], w.conns[out] = true, true
			w.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					pair[0].Close()
					pair[1].Close()
				}()
			}
		}
	}()
	return w
}

func (w *way) address() string { return w.listener.Addr().String() }

func (w *way) lead(to endpoint) {
	w.mu.Lock()
	w.to = to
	w.mu.Unlock()
	w.cut()
}

func (w *way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		c.Close()
		delete(w.conns, c)
	}
}

func randomText() string { return rand.Text() }

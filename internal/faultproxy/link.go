package faultproxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// link is a connection of a client with the connection to the target that serves it.
type link struct {
	conns   [2]net.Conn // where a Direction leads
	carried [2]int64    // bytes since the faults were set; guarded by Proxy.mu
	ended   chan struct{}
	once    sync.Once
}

func newLink(client, target net.Conn) *link {
	return &link{conns: [2]net.Conn{ToTarget: target, ToClient: client}, ended: make(chan struct{})}
}

// end closes both sides, with a reset if so wanted.
func (l *link) end(reset bool) {
	l.once.Do(func() {
		close(l.ended)
		for _, c := range l.conns {
			end(c, reset)
		}
	})
}

func end(c net.Conn, reset bool) {
	if tcp, ok := c.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	c.Close()
}

// finish passes an end of input on.
func (l *link) finish(d Direction) {
	if c, ok := l.conns[d].(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// carry passes the bytes of one direction on until one side ends.
func (p *Proxy) carry(l *link, d Direction) {
	from, to := l.conns[1-d], l.conns[d]
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		arrived := time.Now()
		if n > 0 {
			pass, cut := p.decide(l, d, arrived, n)
			if _, err := to.Write(buf[:pass]); err != nil || cut {
				l.end(cut)
				return
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.end(true)
			return
		}
	}
	if !p.wait(l, d, time.Now()) {
		return
	}
	l.finish(d)
}

// decide waits as the faults say, and returns how many of n bytes to pass on and whether to cut the
// connection then.
func (p *Proxy) decide(l *link, d Direction, arrived time.Time, n int) (pass int, cut bool) {
	if !p.wait(l, d, arrived) {
		return 0, true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l.carried[d] += int64(n)
	c := p.faults.Cut
	if c == nil || c.Direction != d || l.carried[d] <= c.After || c.Times > 0 && p.cuts >= c.Times {
		return n, false
	}
	p.cuts++
	return n - int(min(l.carried[d]-c.After, int64(n))), true
}

// wait returns when the faults let bytes of this direction pass which arrived then. It is false if
// the connection ended meanwhile.
func (p *Proxy) wait(l *link, d Direction, arrived time.Time) bool {
	for {
		p.mu.Lock()
		f, changed := p.faults, p.changed
		p.mu.Unlock()
		var due <-chan time.Time
		switch left := time.Until(arrived.Add(f.Latency)); {
		case f.Hold[d]:
		case left > 0:
			due = time.After(left)
		default:
			return true
		}
		select {
		case <-l.ended:
			return false
		case <-due:
		case <-changed:
		}
	}
}

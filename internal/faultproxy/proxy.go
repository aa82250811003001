package faultproxy

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Direction is one of the two ways that bytes go through a proxy.
type Direction int

const (
	ToTarget Direction = iota // requests
	ToClient                  // answers
)

// Faults are what a proxy does to connections. The zero value passes everything on.
type Faults struct {
	Latency time.Duration      // before bytes that arrived are passed on, in each direction
	Hold    map[Direction]bool // black hole: bytes of this direction wait until the fault is healed
	Refuse  bool               // new connections are reset
	Cut     *Cut
}

// Cut ends a connection that has carried a number of bytes in one direction, counted from the moment
// the fault is set. The bytes beyond are lost. With After 0 and ToClient, a request reaches its
// target and its answer is lost.
type Cut struct {
	Direction Direction
	After     int64
	Times     int // how many connections are cut; 0: every one
}

// Proxy listens on a port of the loopback interface.
type Proxy struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu       sync.Mutex
	target   string
	faults   Faults
	cuts     int           // how many connections the present Cut has ended
	changed  chan struct{} // closed when the faults change
	links    map[*link]bool
	accepted int64
	closed   bool
}

// New starts a proxy before target: host:port, or the path of a Unix socket.
func New(target string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("faultproxy: %w", err)
	}
	p := &Proxy{listener: l, target: target, changed: make(chan struct{}), links: map[*link]bool{}}
	p.serving.Go(p.serve)
	return p, nil
}

// BeforePostgres starts a proxy before the database at address, a postgres:// URL with one host or
// with a folder of sockets, and returns the database's address through the proxy.
func BeforePostgres(address string) (*Proxy, string, error) {
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") || strings.Contains(u.Host, ",") {
		return nil, "", fmt.Errorf("faultproxy: not the postgres:// address of one server")
	}
	q := u.Query()
	port := u.Port()
	if port == "" {
		port = q.Get("port")
	}
	if port == "" {
		port = "5432"
	}
	host := u.Hostname()
	if host == "" {
		host = q.Get("host")
	}
	target := net.JoinHostPort(host, port)
	if strings.HasPrefix(host, "/") {
		target = filepath.Join(host, ".s.PGSQL."+port)
	}
	p, err := New(target)
	if err != nil {
		return nil, "", err
	}
	q.Del("host")
	q.Del("port")
	u.Host, u.RawQuery = p.Addr(), q.Encode()
	return p, u.String(), nil
}

// Addr returns the address that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Target changes where new connections go. Open ones stay where they are; Reset ends them.
func (p *Proxy) Target(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// Set replaces the faults. Counts of bytes and of cut connections start again.
func (p *Proxy) Set(f Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults, p.cuts = f, 0
	for l := range p.links {
		l.carried = [2]int64{}
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// Heal ends every fault. Bytes that were held are passed on, as TCP does after a partition.
func (p *Proxy) Heal() { p.Set(Faults{}) }

// Reset ends the open connections with a reset to both sides, and returns how many there were.
func (p *Proxy) Reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.end(true)
	}
	return len(p.links)
}

// HalfClose tells the receiver of a direction, on every open connection, that no more bytes come.
// The other direction goes on.
func (p *Proxy) HalfClose(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.finish(d)
	}
}

// Open returns how many connections to the target are open.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.links)
}

// Accepted returns how many connections there have been, refused ones included.
func (p *Proxy) Accepted() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Close ends the listener and every connection, and waits for the proxy's goroutines.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for l := range p.links {
		l.end(true)
	}
	p.mu.Unlock()
	p.serving.Wait()
	return err
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.accepted++
		refuse, target := p.faults.Refuse || p.closed, p.target
		p.mu.Unlock()
		if refuse {
			end(client, true)
			continue
		}
		p.serving.Go(func() { p.connect(client, target) })
	}
}

// dialTimeout bounds a connection to a target that does not answer.
const dialTimeout = 10 * time.Second

func (p *Proxy) connect(client net.Conn, target string) {
	network := "tcp"
	if strings.HasPrefix(target, "/") {
		network = "unix"
	}
	up, err := net.DialTimeout(network, target, dialTimeout)
	if err != nil {
		end(client, true)
		return
	}
	l := newLink(client, up)
	p.mu.Lock()
	if p.closed {
		l.end(true)
	}
	p.links[l] = true
	p.mu.Unlock()

	var both sync.WaitGroup
	both.Go(func() { p.carry(l, ToTarget) })
	both.Go(func() { p.carry(l, ToClient) })
	both.Wait()
	l.end(false)
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

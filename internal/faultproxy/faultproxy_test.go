package faultproxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// echo is a server that answers each line with its name and the line.
type echo struct {
	net.Listener
	name string
	got  atomic.Int64 // lines that arrived
}

func newEcho(t *testing.T, network, address, name string) *echo {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	e := &echo{Listener: l, name: name}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					line, err := in.ReadString('\n')
					if err != nil {
						_, _ = io.WriteString(c, "bye\n")
						return
					}
					e.got.Add(1)
					if _, err := io.WriteString(c, name+" "+line); err != nil {
						return
					}
				}
			}()
		}
	}()
	return e
}

func newProxy(t *testing.T, target string) *Proxy {
	t.Helper()
	p, err := New(target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// client is a connection through the proxy.
type client struct {
	*net.TCPConn
	in *bufio.Reader
}

func dial(t *testing.T, p *Proxy) *client {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &client{c.(*net.TCPConn), bufio.NewReader(c)}
}

func (c *client) ask(line string) (string, error) {
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	answer, err := c.in.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

func (c *client) want(t *testing.T, line, want string) {
	t.Helper()
	if got, err := c.ask(line); err != nil || got != want {
		t.Fatalf("%q was answered with %q, %v; want %q", line, got, err, want)
	}
}

// lost asks and demands that the connection ends instead of an answer.
func (c *client) lost(t *testing.T, line string) {
	t.Helper()
	got, err := c.ask(line)
	var timeout net.Error
	if err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("%q was answered with %q, %v", line, got, err)
	}
}

// refused demands that a new connection ends, be it while it opens.
func refused(t *testing.T, p *Proxy) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		return
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatalf("a refused connection got %d bytes", n)
	}
}

// until waits for what other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited too long until " + what)
		}
	}
}

func TestEverythingPassesWithoutFaults(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	a, b := dial(t, p), dial(t, p)
	a.want(t, "x", "one x")
	b.want(t, "y", "one y")
	long := strings.Repeat("z", 1<<20)
	a.want(t, long, "one "+long)
	if p.Open() != 2 || p.Accepted() != 2 {
		t.Errorf("%d open, %d accepted", p.Open(), p.Accepted())
	}
	if err := a.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := a.in.ReadString('\n'); err != nil || got != "bye\n" {
		t.Errorf("the end of the requests did not arrive: %q, %v", got, err)
	}
	if _, err := a.in.ReadByte(); err != io.EOF {
		t.Errorf("the end of the answers did not arrive: %v", err)
	}
	until(t, "the ended connection is forgotten", func() bool { return p.Open() == 1 })
}

func TestUnixSocketsAreTargets(t *testing.T) {
	dir, err := os.MkdirTemp("", "fp-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	e := newEcho(t, "unix", filepath.Join(dir, "s"), "socket")
	dial(t, newProxy(t, e.Addr().String())).want(t, "x", "socket x")
}

func TestRefusedAndResetConnections(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	open := dial(t, p)
	open.want(t, "x", "one x")
	p.Set(Faults{Refuse: true})
	refused(t, p)
	open.want(t, "y", "one y") // refusing is for new connections
	if n := p.Reset(); n != 1 {
		t.Errorf("%d connections were reset", n)
	}
	open.lost(t, "z")
	p.Heal()
	dial(t, p).want(t, "x", "one x")
	if e.got.Load() != 3 {
		t.Errorf("%d lines arrived", e.got.Load())
	}
}

func TestAConnectionToATargetThatIsNotThereIsReset(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, filepath.Join(t.TempDir(), "nothing"))
	refused(t, p)
	p.Target(e.Addr().String())
	dial(t, p).want(t, "x", "one x")
}

func TestTheTargetChanges(t *testing.T) {
	one, two := newEcho(t, "tcp", "127.0.0.1:0", "one"), newEcho(t, "tcp", "127.0.0.1:0", "two")
	p := newProxy(t, one.Addr().String())
	open := dial(t, p)
	open.want(t, "x", "one x")
	p.Target(two.Addr().String())
	open.want(t, "x", "one x")
	dial(t, p).want(t, "x", "two x")
}

func TestALostAnswerBelongsToARequestThatArrived(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	a, b := dial(t, p), dial(t, p)
	a.want(t, "x", "one x")
	b.want(t, "x", "one x")
	p.Set(Faults{Cut: &Cut{Direction: ToClient, Times: 1}})
	a.lost(t, "y")
	if e.got.Load() != 3 {
		t.Errorf("%d lines arrived, want 3", e.got.Load())
	}
	b.want(t, "y", "one y") // one connection was to be cut
}

func TestCutsAfterBytes(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	before := dial(t, p)
	before.want(t, "12345678", "one 12345678")
	p.Set(Faults{Cut: &Cut{Direction: ToTarget, After: 4}})
	for _, c := range []*client{before, dial(t, p)} {
		c.want(t, "123", "one 123") // 4 bytes with the end of the line
		c.lost(t, "4")
	}
	p.Set(Faults{Cut: &Cut{Direction: ToClient, After: 6}})
	c := dial(t, p)
	if got, err := c.ask("1234567"); err == nil || got != "" && got != "one 12" {
		t.Errorf("%q, %v", got, err)
	}
	if e.got.Load() != 4 {
		t.Errorf("%d lines arrived", e.got.Load())
	}
}

func TestABlackHoleOfOneDirection(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	for name, c := range map[string]struct {
		held    Direction
		arrived int64
	}{"requests": {ToTarget, 0}, "answers": {ToClient, 1}} {
		conn := dial(t, p)
		conn.want(t, "x", "one x")
		before := e.got.Load()
		p.Set(Faults{Hold: map[Direction]bool{c.held: true}})
		answer := make(chan string)
		go func() {
			got, err := conn.ask("y")
			if err != nil {
				got = err.Error()
			}
			answer <- got
		}()
		if c.arrived > 0 {
			until(t, name+" are held while the request arrives", func() bool { return e.got.Load() == before+c.arrived })
		}
		select {
		case got := <-answer:
			t.Errorf("%s are held, and the client got %q", name, got)
		case <-time.After(20 * time.Millisecond): // a fault would show now and then; a working proxy never waits
		}
		if got := e.got.Load() - before; got != c.arrived {
			t.Errorf("%s are held, and %d lines arrived", name, got)
		}
		p.Heal()
		if got := <-answer; got != "one y" {
			t.Errorf("%s were released, and the client got %q", name, got)
		}
	}
}

func TestAHeldConnectionEndsWithAReset(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	c := dial(t, p)
	c.want(t, "x", "one x")
	p.Set(Faults{Hold: map[Direction]bool{ToTarget: true, ToClient: true}})
	time.AfterFunc(time.Millisecond, func() { p.Reset() })
	c.lost(t, "y")
	until(t, "the connection is forgotten", func() bool { return p.Open() == 0 })
}

// Latency holds for each direction. Only a lower bound can be asserted.
func TestLatency(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	c := dial(t, p)
	c.want(t, "x", "one x")
	p.Set(Faults{Latency: 30 * time.Millisecond})
	begin := time.Now()
	c.want(t, "y", "one y")
	if took := time.Since(begin); took < 60*time.Millisecond {
		t.Errorf("twice 30 ms were %s", took)
	}
	p.Set(Faults{Latency: time.Hour})
	answer := make(chan string)
	go func() {
		got, _ := c.ask("z")
		answer <- got
	}()
	time.AfterFunc(time.Millisecond, p.Heal)
	if got := <-answer; got != "one z" {
		t.Errorf("after the latency ended: %q", got)
	}
}

func TestHalfClose(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	c := dial(t, p)
	c.want(t, "x", "one x")
	p.HalfClose(ToTarget)
	if got, err := c.in.ReadString('\n'); err != nil || got != "bye\n" {
		t.Errorf("the target went on, or its last words were lost: %q, %v", got, err)
	}

	c = dial(t, p)
	c.want(t, "x", "one x")
	before := e.got.Load()
	p.HalfClose(ToClient)
	if _, err := c.in.ReadByte(); err != io.EOF {
		t.Errorf("the client was not told: %v", err)
	}
	if _, err := io.WriteString(c, "y\n"); err != nil {
		t.Fatal(err)
	}
	until(t, "the request arrives", func() bool { return e.got.Load() == before+1 })
}

func TestCloseEndsEverything(t *testing.T) {
	e := newEcho(t, "tcp", "127.0.0.1:0", "one")
	p := newProxy(t, e.Addr().String())
	c := dial(t, p)
	c.want(t, "x", "one x")
	p.Set(Faults{Hold: map[Direction]bool{ToTarget: true}})
	if _, err := io.WriteString(c, "y\n"); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if p.Open() != 0 {
		t.Errorf("%d connections are open", p.Open())
	}
	if conn, err := net.Dial("tcp", p.Addr()); err == nil {
		conn.Close()
		t.Error("the proxy still listens")
	}
}

func TestBeforePostgres(t *testing.T) {
	p, address, err := BeforePostgres(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var one int
	if err := conn.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Fatal(one, err)
	}
	p.Reset()
	if err := conn.QueryRow(ctx, "SELECT 1").Scan(&one); err == nil {
		t.Error("the connection did not go through the proxy")
	}

	for in, want := range map[string]string{
		"postgres://me:pw@db.example:6543/signet?sslmode=disable": "db.example:6543",
		"postgres://me@db.example/signet":                         "db.example:5432",
		"postgresql://me@/signet?host=/run/pg&port=6000":          "/run/pg/.s.PGSQL.6000",
		"postgres://me@[::1]:5433/signet":                         "[::1]:5433",
	} {
		p, out, err := BeforePostgres(in)
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		defer p.Close()
		u, err := url.Parse(out)
		if err != nil || p.target != want || u.Host != p.Addr() || u.Query().Has("host") || u.Query().Has("port") ||
			u.Path != "/signet" || !strings.HasPrefix(u.User.String(), "me") {
			t.Errorf("%s: %s before %s", in, out, p.target)
		}
	}
	for _, in := range []string{"", "signet.db", "mysql://x/y", "postgres://a,b/signet", "postgres://a:1,b:2/signet",
		"postgres://%zz"} {
		if p, _, err := BeforePostgres(in); err == nil {
			p.Close()
			t.Errorf("%q was taken", in)
		}
	}
}

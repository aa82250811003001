// Package pgproxy stands between a store and PostgreSQL, for tests. It reads the messages of both
// directions and so knows one statement from the next, also within a pipeline: it can let statement k
// fail, cut the connection before statement k reaches the server, and lose the answer to statement k
// after the server has executed it.
//
// A statement is what the server executes: an Execute message of the extended protocol, or a Query
// message of the simple one (the driver begins and commits transactions with these).
package pgproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Fault is what happens to a statement.
type Fault int

// The faults of a statement.
const (
	None Fault = iota
	Fail       // the server refuses the statement, with Proxy.Code
	Cut        // the connection ends before the server has the statement
	Lose       // the server executes it and what was sent with it; the connection ends before the answer
)

// Proxy is between a store and PostgreSQL.
type Proxy struct {
	URL string // where the store connects to

	mu      sync.Mutex
	open    map[net.Conn]bool
	seen    []string // statements since Arm
	awaited []int    // how many there were whenever the driver waited for answers
	among   string   // what at counts: this statement; "": all of them
	at      int      // the one that has the fault; 0: none
	counted int
	fault   Fault
	code    string // SQLSTATE of Fail
	then    func() // called as the fault happens
}

// New starts a proxy before the server at url, which listens on a socket of the file system. The
// proxy ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	p := &Proxy{open: map[net.Conn]bool{}}
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for c := range p.open {
			_ = c.Close()
		}
	})
	p.URL = Listen(t, target, p.serve)
	return p
}

// Listen calls serve with each connection that a store makes to the url that Listen returns, and with
// the path of the socket on which the server at target listens. Listening ends with the test, before
// what the test was told to clean up earlier.
func Listen(t testing.TB, target string, serve func(client net.Conn, server string)) (way string) {
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
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c, server)
		}
	}()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return u.String()
}

// Arm lets a fault happen to the at-th statement from now on; 0 is none. code is the SQLSTATE of
// Fail. then, if not nil, is called as the fault happens: before the server has the statement or, with
// Lose, after the server has answered.
func (p *Proxy) Arm(at int, fault Fault, code string, then func()) {
	p.ArmAmong("", at, fault, code, then)
}

// ArmAmong is Arm for the at-th of the statements whose text is sql.
func (p *Proxy) ArmAmong(sql string, at int, fault Fault, code string, then func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.awaited, p.counted = nil, nil, 0
	p.among, p.at, p.fault, p.code, p.then = sql, at, fault, code, then
}

// Disarm ends what Arm began. It returns the statements since then, and the numbers of those after
// which the driver waited for answers: the answers to what is sent at once are lost together.
func (p *Proxy) Disarm() (seen []string, awaited []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.fault = 0, None
	return p.seen, p.awaited
}

// sent remembers that the driver waits for the answers to the statements so far.
func (p *Proxy) sent() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.awaited); len(p.seen) > 0 && (n == 0 || p.awaited[n-1] < len(p.seen)) {
		p.awaited = append(p.awaited, len(p.seen))
	}
}

// statement counts one, and returns what happens to it.
func (p *Proxy) statement(sql string) (fault Fault, code string, then func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, sql)
	if p.among != "" && p.among != sql {
		return None, "", nil
	}
	if p.counted++; p.counted != p.at {
		return None, "", nil
	}
	then = p.then
	if then == nil {
		then = func() {}
	}
	return p.fault, p.code, then
}

func (p *Proxy) keep(c net.Conn, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[c] = true; !open {
		delete(p.open, c)
	}
}

// conn is a connection through the proxy.
type conn struct {
	proxy          *Proxy
	client, server net.Conn
	prepared       map[string]string // texts by name
	bound          string            // the text of what is executed next

	mu     sync.Mutex
	refuse string // SQLSTATE that the next error gets
	lose   func() // the answers up to the next ReadyForQuery are lost, and then the connection
}

func (p *Proxy) serve(client net.Conn, path string) {
	defer client.Close()
	startup, err := Startup(client)
	if err != nil {
		return
	}
	server, err := net.Dial("unix", path)
	if err != nil {
		return
	}
	defer server.Close()
	for _, c := range []net.Conn{client, server} {
		p.keep(c, true)
		defer p.keep(c, false)
	}
	if _, err := server.Write(startup); err != nil {
		return
	}
	c := &conn{proxy: p, client: client, server: server, prepared: map[string]string{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = pump(client, server, c.answer)
		_, _ = client.Close(), server.Close()
	}()
	_ = pump(server, client, c.request)
	// What the server still answers goes nowhere.
	_, _ = client.Close(), server.Close()
	<-done
}

// Startup reads the message with which a client begins.
func Startup(c net.Conn) ([]byte, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head)
	if n < 4 || n > 1<<16 {
		return nil, errors.New("no startup message")
	}
	rest := make([]byte, n-4)
	_, err := io.ReadFull(c, rest)
	return append(head, rest...), err
}

var errCut = errors.New("the proxy cut the connection")

// pump passes messages on as change returns them; nil passes nothing on.
func pump(to io.Writer, from io.Reader, change func(message []byte) ([]byte, error)) error {
	in, out := bufio.NewReaderSize(from, 64<<10), bufio.NewWriterSize(to, 64<<10)
	for {
		head, err := in.Peek(5)
		if err != nil {
			return err
		}
		message := make([]byte, 1+binary.BigEndian.Uint32(head[1:]))
		if _, err := io.ReadFull(in, message); err != nil {
			return err
		}
		passed, err := change(message)
		if err != nil {
			_ = out.Flush()
			return err
		}
		if _, err := out.Write(passed); err != nil {
			return err
		}
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

// wrong is a message of which the server makes an error: Parse, or Query.
func wrong(kind byte) []byte {
	body := []byte("\x00this is no statement\x00\x00\x00")
	if kind == 'Q' {
		body = []byte("this is no statement\x00")
	} else {
		kind = 'P'
	}
	return append(binary.BigEndian.AppendUint32([]byte{kind}, uint32(4+len(body))), body...)
}

// twoTexts returns the first two texts of a message. Query has one, Parse begins with a name and a
// text, Bind with the names of a portal and of what was parsed.
func twoTexts(message []byte) (first, second string) {
	texts := bytes.SplitN(message[5:], []byte{0}, 3)
	return string(texts[0]), string(texts[1])
}

func (c *conn) request(message []byte) ([]byte, error) {
	var sql string
	switch message[0] {
	case 'P':
		name, query := twoTexts(message)
		c.prepared[name] = query
		return message, nil
	case 'B':
		_, name := twoTexts(message)
		c.bound = c.prepared[name]
		return message, nil
	case 'E':
		sql = c.bound
	case 'Q':
		sql, _ = twoTexts(message)
	case 'S':
		c.proxy.sent()
		return message, nil
	default:
		return message, nil
	}
	fault, code, then := c.proxy.statement(sql)
	if message[0] == 'Q' {
		c.proxy.sent()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch fault {
	case Fail:
		then()
		c.refuse = code
		return wrong(message[0]), nil
	case Cut:
		then()
		return nil, errCut
	case Lose:
		c.lose = then
	}
	return message, nil
}

func (c *conn) answer(message []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.lose != nil && message[0] == 'Z':
		c.lose()
		return nil, errCut
	case c.lose != nil:
		return nil, nil
	case c.refuse != "" && message[0] == 'E':
		message = bytes.Replace(message, []byte("\x00C42601\x00"), []byte("\x00C"+c.refuse+"\x00"), 1)
		c.refuse = ""
	}
	return message, nil
}

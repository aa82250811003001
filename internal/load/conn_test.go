package load

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// answering returns the address of a server that answers each request with the next of some texts,
// byte for byte.
func answering(t *testing.T, texts ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buffer := make([]byte, 4096)
		for _, text := range texts {
			if _, err := c.Read(buffer); err != nil {
				return
			}
			_, _ = io.WriteString(c, text)
		}
	}()
	return l.Addr().String()
}

func TestAnswersAreReadToTheirEnd(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	c, err := dial(answering(t,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
		"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9c40\r\n"+long+"\r\n3\r\nend\r\n0\r\n\r\n",
		"HTTP/1.1 201 Created\r\nX-Content-Length: 9\r\nContent-Length: 4\r\n\r\nlast"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []struct {
		status int
		body   string
	}{{200, "first"}, {503, ""}, {200, long + "end"}, {201, "last"}} {
		status, body, err := c.ask([]byte("GET / HTTP/1.1\r\n\r\n"))
		if err != nil || status != want.status || string(body) != want.body {
			t.Errorf("%d %.20q of %d bytes, %v; want %d %.20q", status, body, len(body), err, want.status, want.body)
		}
	}
}

func TestAnswersThatAreNoneAreErrors(t *testing.T) {
	for name, text := range map[string]string{
		"no length":    "HTTP/1.1 200 OK\r\n\r\nbody",
		"half a body":  "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
		"another kind": "SSH-2.0-OpenSSH_9.2\r\n",
		"no number":    "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
		"half a chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
		"nothing":      "",
	} {
		c, err := dial(answering(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if status, body, err := c.ask([]byte("GET / HTTP/1.1\r\n\r\n")); err == nil {
			t.Errorf("%s: %d %q is taken for an answer", name, status, body)
		}
		c.Close()
	}
}

// What net/http sends for our requests is what it would send for those of its own client.
func TestRequestsAreUnderstood(t *testing.T) {
	var got *http.Request
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "yes")
	}))
	defer s.Close()
	c, err := dial(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	status, answer, err := c.ask(request("POST", "/token", "a=b", formType, basic("me", "x:y")))
	if err != nil || status != 200 || string(answer) != "yes" {
		t.Fatal(status, string(answer), err)
	}
	user, password, ok := got.BasicAuth()
	if got.Host != host || got.URL.Path != "/token" || string(body) != "a=b" || !ok || user != "me" || password != "x:y" {
		t.Errorf("%s %s %s %q %q:%q", got.Method, got.Host, got.URL, body, user, password)
	}
}

// serving is a script of workers that ask a handler.
func serving(t *testing.T, connections int, h http.HandlerFunc, accept func([]byte, bool) error) Script {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	script := Script{Address: s.Listener.Addr().String()}
	for range connections {
		script.Workers = append(script.Workers, repeats(request("GET", "/", ""), accept))
	}
	return script
}

func TestEachAnswerIsCountedOnce(t *testing.T) {
	var served, sampled atomic.Int64
	s := serving(t, 3, func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		_, _ = io.WriteString(w, "ok")
	}, func(body []byte, sample bool) error {
		if sample {
			sampled.Add(1)
		}
		if !bytes.Equal(body, []byte("ok")) {
			return errors.New("not ok")
		}
		return nil
	})
	began := time.Now()
	m, err := s.measure(2, 100*time.Millisecond, nil)
	took := time.Since(began).Seconds()
	if err != nil {
		t.Fatal(err)
	}
	// measure reads the clock within took, so that its rate is no less than the answers in all of
	// it.
	if n := float64(served.Load()); n < 2 || m.Rate < n/took || m.Rate > n/0.1 {
		t.Errorf("%v answers in %v s are called %v in a second", n, took, m.Rate)
	}
	if n := sampled.Load(); n < 2 || n > served.Load()/sampleOf+2 {
		t.Errorf("%d of %d answers were judged closely", n, served.Load())
	}
	if m.CPU != 0 {
		t.Errorf("a contender without processes has spent %v", m.CPU)
	}
}

func TestAWrongAnswerEndsTheSlice(t *testing.T) {
	accepted := func([]byte, bool) error { return nil }
	var asked atomic.Int64
	for name, s := range map[string]Script{
		"its status": serving(t, 2, func(w http.ResponseWriter, _ *http.Request) {
			if asked.Add(1) == 60 {
				http.Error(w, "overloaded", http.StatusServiceUnavailable)
			}
		}, accepted),
		"a redirection": serving(t, 1, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		}, accepted),
		"its body": serving(t, 1, func(http.ResponseWriter, *http.Request) {}, func([]byte, bool) error {
			return errors.New("the token is not signed with the key of this run")
		}),
	} {
		if m, err := s.measure(len(s.Workers), 300*time.Millisecond, nil); err == nil {
			t.Errorf("%s: counted as %v", name, m)
		}
	}
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/testport"
)

// process is a running `signet serve` in a folder of its own.
type process struct {
	cmd    *exec.Cmd
	base   string
	dir    string
	errOut *syncBuffer
	exited chan struct{} // closed
}

// start runs the binary; wrap may change the command before it starts.
func start(t testing.TB, wrap func(*exec.Cmd), env ...string) *process {
	t.Helper()
	binary, err := exec.LookPath("signet") // testscript.Main put it on the path
	if err != nil {
		t.Fatal(err)
	}
	address := testport.Address(t)
	p := &process{base: "http://" + address, dir: t.TempDir(), errOut: &syncBuffer{}, exited: make(chan struct{})}
	p.cmd = exec.Command(binary, "serve")
	p.cmd.Dir = p.dir
	p.cmd.Env = slices.Concat([]string{"PATH=" + os.Getenv("PATH"), "SIGNET_LISTEN=" + address, "SIGNET_METRICS_LISTEN=",
		"SIGNET_LOG_LEVEL=debug", "SIGNET_HTTP_DRAIN_NOTICE=1s"}, watch.Env(), env)
	p.cmd.Stderr = p.errOut
	if wrap != nil {
		wrap(p.cmd)
	}
	for _, v := range env {
		if strings.HasPrefix(v, "SIGNET_HTTP_TLS_CERT=") {
			p.base = "https://" + address
		}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
	// If the log can be read, it proves that this process answers, and not another server at the
	// same address.
	quiet := p.cmd.Stderr != p.errOut ||
		slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "SIGNET_LOG_LEVEL=") })
	p.until(t, "it serves and is ready", func() bool {
		return (quiet || strings.Contains(p.errOut.String(), address)) && p.status("/readyz") == http.StatusOK
	})
	return p
}

func (p *process) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited too long until %s:\n%s", what, p.errOut)
}

// status returns the status of a request over a new connection, or 0 without an answer.
func (p *process) status(path string) int {
	client := http.Client{Timeout: time.Minute,
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	resp, err := client.Get(p.base + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

func (p *process) wait(t testing.TB, limit time.Duration) (code int, took time.Duration) {
	t.Helper()
	begin := time.Now()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode(), time.Since(begin)
	case <-time.After(limit):
		t.Fatalf("still running after %s:\n%s", limit, p.errOut)
		return 0, 0
	}
}

// F-19: clients that keep their connections alive lose no request when the server is stopped.
// Readiness ends first, and running requests are finished.
func TestDrain(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "SIGNET_HTTP_DRAIN_NOTICE=5s") // much longer than the clients need

	// A running request, whose body comes slowly.
	body, bodyWriter := io.Pipe()
	slow := make(chan string, 1)
	go func() {
		resp, err := http.Post(p.base+"/v1/signup", "application/json", body)
		if err != nil {
			slow <- err.Error()
			return
		}
		defer resp.Body.Close()
		slow <- resp.Status
	}()
	if _, err := io.WriteString(bodyWriter, `{"email":"slow@example.com",`); err != nil {
		t.Fatal(err)
	}

	// Busy clients, each with one connection that it keeps.
	// The balancer before them sends no more requests half a second after /readyz has said no.
	const probed = 500 * time.Millisecond
	var unready atomic.Int64 // Unix milliseconds
	var answers atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}, Timeout: time.Minute}
			for {
				resp, err := client.Get(p.base + "/.well-known/jwks.json")
				if err != nil {
					t.Errorf("F-19: a request was lost: %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("F-19: %s", resp.Status)
				}
				answers.Add(1)
				if at := unready.Load(); at > 0 && time.Since(time.UnixMilli(at)) > probed {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	p.until(t, "the clients are busy", func() bool { return answers.Load() > 50 })

	p.signal(t, syscall.SIGTERM)
	p.until(t, "readiness says no", func() bool { return p.status("/readyz") == http.StatusServiceUnavailable })
	unready.Store(time.Now().UnixMilli())
	time.Sleep(probed)
	if _, err := io.WriteString(bodyWriter, `"password":"a long enough passphrase"}`); err != nil {
		t.Fatal(err)
	}
	bodyWriter.Close()
	if got := <-slow; got != "201 Created" {
		t.Errorf("F-19: the request that was under way got %s", got)
	}
	code, took := p.wait(t, time.Minute)
	clients.Wait()
	if code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.errOut)
	}
	t.Logf("%d answers, exit after %s", answers.Load(), took)
}

// F-19: a second signal ends the process at once, whatever is running.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn,
		"POST /v1/signup HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
	p.signal(t, syscall.SIGTERM)
	p.until(t, "the drain has begun", func() bool { return p.status("/readyz") != http.StatusOK })
	p.signal(t, syscall.SIGTERM)
	if code, took := p.wait(t, 10*time.Second); code != exitFailed {
		t.Errorf("exit code %d after %s", code, took)
	}
}

// F-40: if a reader of our output goes away or stalls, the server goes on.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	ask := func(t *testing.T, p *process, n int) {
		t.Helper()
		begin := time.Now()
		for range n {
			if got := p.status("/healthz"); got != http.StatusOK {
				t.Fatalf("F-40: answered %d", got)
			}
		}
		t.Logf("%d answers in %s", n, time.Since(begin))
	}
	pipe := func(t *testing.T) (r, w *os.File) {
		t.Helper()
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.Close(); w.Close() })
		return r, w
	}
	t.Run("the pipe is closed, and SIGHUP comes in a storm", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		p := start(t, func(c *exec.Cmd) { c.Stdout, c.Stderr = w, w }, "SIGNET_LOG_LEVEL=debug")
		r.Close()
		w.Close()
		for range 100 {
			p.signal(t, syscall.SIGHUP)
		}
		ask(t, p, 50)
		p.signal(t, syscall.SIGTERM)
		if code, _ := p.wait(t, time.Minute); code != 0 {
			t.Errorf("F-40: exit code %d", code)
		}
	})
	t.Run("the reader stands still, and comes back", func(t *testing.T) {
		t.Parallel()
		r, w := pipe(t)
		// A pipe of one page is full after some lines.
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, w.Fd(), 1031 /* F_SETPIPE_SZ */, 4096); errno != 0 {
			t.Fatal(errno)
		}
		p := start(t, func(c *exec.Cmd) { c.Stderr = w }, "SIGNET_LOG_LEVEL=debug")
		w.Close()
		ask(t, p, 200)
		lines := make(chan int, 1)
		go func() {
			n := 0
			for s := bufio.NewScanner(r); s.Scan(); n++ {
				if !json.Valid(s.Bytes()) {
					t.Errorf("F-40: a torn line: %s", s.Text())
				}
			}
			lines <- n
		}()
		p.signal(t, syscall.SIGTERM)
		if code, _ := p.wait(t, time.Minute); code != 0 {
			t.Errorf("F-40: exit code %d", code)
		}
		if n := <-lines; n < 200 {
			t.Errorf("F-40: only %d lines came after the reader was back", n)
		}
	})
}

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

// certificate writes a new self-signed certificate to two files.
func certificate(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// H-15: with TLS configured, no version before 1.2, no weak cipher and no plain HTTP is accepted.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate(t, dir, "first")
	p := start(t, nil, "SIGNET_ISSUER=https://localhost",
		"SIGNET_HTTP_TLS_CERT="+filepath.Join(dir, "cert.pem"), "SIGNET_HTTP_TLS_KEY="+filepath.Join(dir, "key.pem"))
	if got := p.status("/.well-known/jwks.json"); got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	address := strings.TrimPrefix(p.base, "https://")
	if _, err := tls.Dial("tcp", address,
		&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("H-15: TLS 1.1 was accepted")
	}
	for _, weak := range tls.InsecureCipherSuites() {
		if conn, err := tls.Dial("tcp", address,
			&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{weak.ID}}); err == nil {
			conn.Close()
			t.Errorf("H-15: %s was accepted", weak.Name)
		}
	}
	plain, err := http.Post("http://"+address+"/v1/login", "application/json",
		strings.NewReader(`{"email":"a@example.com","password":"a long enough passphrase"}`))
	if err != nil {
		t.Fatal(err)
	}
	plain.Body.Close()
	if plain.StatusCode != http.StatusBadRequest || plain.Header.Get("Location") != "" {
		t.Errorf("H-15: plain HTTP is answered %s to %q", plain.Status, plain.Header.Get("Location"))
	}
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	state := conn.ConnectionState()
	conn.Close() // the drain would wait for a handshake that never goes on
	if state.NegotiatedProtocol != "h2" || state.PeerCertificates[0].Subject.CommonName != "first" {
		t.Errorf("%q with %s", state.NegotiatedProtocol, state.PeerCertificates[0].Subject)
	}
	health := exec.Command(p.cmd.Path, "healthcheck")
	health.Env, health.Dir = p.cmd.Env, p.dir
	if out, err := health.CombinedOutput(); err != nil || !strings.Contains(string(out), "ready: https://127.0.0.1") {
		t.Errorf("healthcheck: %v %s", err, out)
	}
	p.signal(t, syscall.SIGTERM)
	if code, _ := p.wait(t, time.Minute); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.errOut)
	}
}

// The server loads a renewed certificate while it runs, as soon as both files belong together.
func TestCertificateRenewal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate(t, dir, "first")
	c := defaultConfig(t)
	c.HTTP.TLSCert, c.HTTP.TLSKey = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	logged := &syncBuffer{}
	p := newPublicServer(http.NotFoundHandler(), textLog(logged))
	p.tlsCheck = 10 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	if err := p.useTLS(ctx, &running, c, textLog(logged)); err != nil {
		t.Fatal(err)
	}
	defer running.Wait()
	defer cancel()
	serves := func() string {
		cert, err := p.http.TLSConfig.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.Subject.CommonName
	}
	if got := serves(); got != "first" {
		t.Fatal(got)
	}
	if err := os.WriteFile(c.HTTP.TLSKey, []byte("half of a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the misfit is told", func() bool { return strings.Contains(logged.String(), "the old one stays") })
	if got := serves(); got != "first" {
		t.Errorf("a certificate without its key is used: %s", got)
	}
	certificate(t, dir, "second")
	eventually(t, "the new one is served", func() bool { return serves() == "second" })
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited too long until %s", what)
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

// syncBuffer is a bytes.Buffer for a process that is still writing.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

//go:build interop

package interop

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testport"
)

// The people who use the replicas come from an address of their own. None of them may pass for
// another address.
const (
	theirAddress   = "127.0.0.2"
	spoofedAddress = "203.0.113.9"
)

// F-19, H-07: the proxy of configs/compose/haproxy.cfg before two real replicas. They are replaced
// one after the other without a failed request. One that is killed fails no request that reads, and
// none that is posted again. The log names the addresses of the people.
func TestTwoReplicasBehindTheDocumentedProxy(t *testing.T) {
	t.Parallel()
	r := newReplicas(t)
	r.a.start(t)
	r.b.start(t) // both migrate the empty database at once
	r.a.ready(t)
	r.b.ready(t)
	r.startProxy(t)
	people := r.traffic(t)

	for _, one := range []*replica{r.a, r.b} {
		r.replace(t, one, people)
	}
	if n := people.failed.Load(); n > 0 {
		t.Errorf("%d requests failed while the replicas were replaced", n)
	}

	people.postAgain.Store(true)
	r.a.kill(t)
	people.goOn(t)
	r.a.start(t)
	r.up(t, r.a)
	people.goOn(t)
	people.stop(t)
	t.Logf("%d requests, of which %d were posted again after the kill", people.done.Load(), people.again.Load())

	r.addresses(t)
}

const haproxy = "/usr/sbin/haproxy" // where Debian has it

// replicas are two servers on one database, and the proxy.
type replicas struct {
	a, b  *replica
	front string // the address of the proxy
	log   string // the file of the proxy's log
	dir   string
	trust *x509.CertPool
}

func newReplicas(t *testing.T) *replicas {
	t.Helper()
	r := &replicas{dir: t.TempDir(), front: testport.Address(t), trust: x509.NewCertPool()}
	r.certificate(t)
	settings := database(t, postgres)
	env := []string{"SIGNET_ISSUER=https://" + r.front, "SIGNET_DATABASE_URL=" + settings["database_url"],
		"SIGNET_KEYS_ENCRYPTION_KEY=" + settings["keys.encryption_key"], "SIGNET_METRICS_LISTEN=",
		"SIGNET_HTTP_TRUSTED_PROXIES=127.0.0.1", "SIGNET_LOG_FORMAT=json"}
	for name, to := range map[string]**replica{"a": &r.a, "b": &r.b} {
		address := testport.Address(t)
		*to = &replica{name: name, address: address, env: append(env[:len(env):len(env)], "SIGNET_LISTEN="+address),
			log: filepath.Join(r.dir, name+".log"), dir: r.dir}
	}
	return r
}

// certificate makes the certificate of the proxy, as docs/deployment.md does for a trial, and trusts it.
func (r *replicas) certificate(t *testing.T) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(r.dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	succeed(t, r.dir, "bash", "-e", "-u", "-c", deploymentBlock(t, "sh certificate"))
	public, err := os.ReadFile(filepath.Join(r.dir, "cert.pem"))
	if err != nil || !r.trust.AppendCertsFromPEM(public) {
		t.Fatalf("no certificate: %v", err)
	}
}

// startProxy runs HAProxy with the file of the repository; only addresses and paths are replaced.
func (r *replicas) startProxy(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../../configs/compose/haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	config := string(text)
	for old, here := range map[string]string{":8443": r.front,
		"/run/secrets/tls.pem": filepath.Join(r.dir, "secrets/tls.pem"), "signet-a:8080": r.a.address, "signet-b:8080": r.b.address} {
		if strings.Count(config, old) != 1 {
			t.Fatalf("%s stands %d times in the proxy's configuration", old, strings.Count(config, old))
		}
		config = strings.Replace(config, old, here, 1)
	}
	file := filepath.Join(r.dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(haproxy, "-c", "-dW", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("haproxy -c: %v\n%s", err, out)
	}
	r.log = filepath.Join(r.dir, "haproxy.log")
	end := background(t, haproxy, nil, r.log, "-db", "-f", file)
	t.Cleanup(func() {
		end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("The proxy said:\n%s", remarkable(r.log))
			for _, one := range []*replica{r.a, r.b} {
				said, _ := os.ReadFile(one.log)
				t.Logf("%s at %s said last:\n%s", one.name, one.address, said[max(0, len(said)-2000):])
			}
		}
	})
	eventually(t, "the proxy leads to a replica", func() bool {
		resp, err := r.client(false).Get("https://" + r.front + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// client returns an HTTP client of the people.
func (r *replicas) client(http2 bool) *http.Client {
	dial := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(theirAddress)}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: dial.DialContext, ForceAttemptHTTP2: http2,
		TLSClientConfig: &tls.Config{RootCAs: r.trust, ServerName: "localhost"}}} // the certificate's name
}

// replace does what docs/deployment.md tells: stop one replica, start its successor, wait until the
// proxy takes it.
func (r *replicas) replace(t *testing.T, one *replica, people *people) {
	t.Helper()
	before := r.count(t, one, "UP")
	one.end(t)
	people.goOn(t)
	one.start(t)
	one.ready(t)
	eventually(t, "the proxy takes "+one.name, func() bool { return r.count(t, one, "UP") > before })
	people.goOn(t)
}

// remarkable returns the lines of the proxy's log that are no successful request.
func remarkable(log string) string {
	text, _ := os.ReadFile(log)
	var lines strings.Builder
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, " 200 ") && !strings.Contains(line, " 201 ") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// up waits until the proxy has found a replica that was down.
func (r *replicas) up(t *testing.T, one *replica) {
	t.Helper()
	eventually(t, "the proxy takes "+one.name, func() bool { return r.count(t, one, "UP") >= r.count(t, one, "DOWN") })
}

// count returns how often the proxy's log says that a replica is up or down.
func (r *replicas) count(t *testing.T, one *replica, state string) int {
	t.Helper()
	text, err := os.ReadFile(r.log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), fmt.Sprintf("Server signet/%s is %s", one.name, state))
}

// addresses checks the lines of the requests in the logs of the replicas.
func (r *replicas) addresses(t *testing.T) {
	t.Helper()
	requests := 0
	for _, one := range []*replica{r.a, r.b} {
		text, err := os.ReadFile(one.log)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), spoofedAddress) {
			t.Errorf("%s believes what a client says of itself", one.name)
		}
		for line := range strings.Lines(string(text)) {
			var l struct{ Msg, Route, Address string }
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Msg != "request" || l.Route == "/readyz" {
				continue
			}
			requests++
			if l.Address != theirAddress {
				t.Fatalf("a request is logged of %q: %s", l.Address, line)
			}
		}
	}
	if requests == 0 {
		t.Error("no request is in the logs")
	}
}

// replica is one server.
type replica struct {
	name, address, log, dir string
	env                     []string
	stop                    func(syscall.Signal) error // sends a signal and waits for the end
}

func (one *replica) start(t *testing.T) {
	t.Helper()
	one.stop = background(t, binaries.signet, one.env, one.log, "serve", "--migrate")
	t.Cleanup(func() { one.stop(syscall.SIGKILL) })
}

func (one *replica) ready(t *testing.T) {
	t.Helper()
	eventually(t, one.name+" is ready", func() bool {
		resp, err := http.Get("http://" + one.address + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// end stops the replica as a supervisor does.
func (one *replica) end(t *testing.T) {
	t.Helper()
	if err := one.stop(syscall.SIGTERM); err != nil {
		t.Errorf("%s ended with %v", one.name, err)
	}
}

func (one *replica) kill(t *testing.T) {
	t.Helper()
	if err := one.stop(syscall.SIGKILL); err == nil {
		t.Errorf("%s was to be killed, and ended by itself", one.name)
	}
}

// background starts a program that appends what it says to a file. The function that it returns
// sends a signal, waits for the end, and may be called again.
func background(t *testing.T, program string, env []string, log string, args ...string) func(syscall.Signal) error {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, filepath.Dir(log), out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	wait := sync.OnceValue(cmd.Wait)
	return func(s syscall.Signal) error {
		cmd.Process.Signal(s)
		return wait()
	}
}

// people read and refresh, all the time.
type people struct {
	failed, done, again atomic.Int64
	postAgain           atomic.Bool // after a kill a client posts again
	each                []*atomic.Int64
	end                 context.CancelFunc
	all                 sync.WaitGroup
}

// traffic signs a user up and lets readers and refreshing apps begin, by HTTP/1.1 and HTTP/2.
func (r *replicas) traffic(t *testing.T) *people {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	p := &people{end: end}
	t.Cleanup(func() { end(); p.all.Wait() })
	base := "https://" + r.front
	login := func(c *http.Client, path string) (tokens, error) {
		var got tokens
		body, err := p.send(ctx, c, http.MethodPost, base+path,
			`{"email":"ada@example.com","password":"correct horse battery","scope":"profile email"}`)
		if err != nil {
			return got, err
		}
		return got, json.Unmarshal(body, &got)
	}
	if _, err := p.send(ctx, r.client(false), http.MethodPost, base+"/v1/signup",
		`{"email":"ada@example.com","password":"correct horse battery"}`); err != nil {
		t.Fatal(err)
	}
	for _, http2 := range []bool{false, true} {
		p.work(ctx, t, func() error { // each request on a connection of its own
			once := r.client(http2)
			defer once.CloseIdleConnections()
			_, err := p.send(ctx, once, http.MethodGet, base+"/.well-known/jwks.json", "")
			return err
		})
		reader, app := r.client(http2), r.client(http2)
		p.work(ctx, t, func() error {
			_, err := p.send(ctx, reader, http.MethodGet, base+"/.well-known/openid-configuration", "")
			return err
		})
		session, err := login(app, "/v1/login")
		if err != nil {
			t.Fatal(err)
		}
		p.work(ctx, t, func() error {
			body, err := p.send(ctx, app, http.MethodPost, base+"/v1/refresh", `{"refresh_token":"`+session.Refresh+`"}`)
			if err != nil {
				return err
			}
			return json.Unmarshal(body, &session)
		})
	}
	p.goOn(t)
	return p
}

func (p *people) work(ctx context.Context, t *testing.T, act func() error) {
	n := new(atomic.Int64)
	p.each = append(p.each, n)
	p.all.Go(func() {
		for ctx.Err() == nil {
			if err := act(); err != nil && ctx.Err() == nil {
				p.failed.Add(1)
				t.Errorf("%s: %v", time.Now().Format(time.RFC3339Nano), err)
				return
			}
			n.Add(1)
		}
	})
}

// send sends a request. An answer of 503 with Retry-After is Signet's own, which is busy: as
// docs/client-apps.md demands, the client waits. Everything but 2xx fails otherwise.
func (p *people) send(ctx context.Context, c *http.Client, method, url, body string) ([]byte, error) {
	for try, posted := 0, 0; ; try++ {
		req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("X-Forwarded-For", spoofedAddress)
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := c.Do(req)
		var text []byte
		if err == nil {
			text, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		switch {
		case err == nil && resp.StatusCode/100 == 2:
			p.done.Add(1)
			return text, nil
		case err == nil && resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "" && try < 20:
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case method == http.MethodPost && p.postAgain.Load() && posted < 5:
			posted++ // more than once, because the proxy may have more connections that are dead
			p.again.Add(1)
		case err != nil:
			return nil, fmt.Errorf("%s %s: %w", method, url, err)
		default:
			return nil, fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, bytes.TrimSpace(text))
		}
	}
}

// goOn waits until each worker has done five more requests.
func (p *people) goOn(t *testing.T) {
	t.Helper()
	var goals []int64
	for _, n := range p.each {
		goals = append(goals, n.Load()+5)
	}
	eventually(t, "all requests go on", func() bool {
		if p.failed.Load() > 0 {
			t.Fatal(errors.New("a request failed"))
		}
		for i, n := range p.each {
			if n.Load() < goals[i] {
				return false
			}
		}
		return true
	})
}

func (p *people) stop(t *testing.T) {
	t.Helper()
	p.end()
	p.all.Wait()
}

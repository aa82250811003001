package processes_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// switchable is a connection to PostgreSQL that the test can cut.
type switchable struct {
	listener net.Listener

	mu    sync.Mutex
	cut   bool
	conns map[net.Conn]bool
}

func newSwitchable(t *testing.T, network, to string) *switchable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &switchable{listener: l, conns: map[net.Conn]bool{}}
	t.Cleanup(func() { l.Close(); s.set(true) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial(network, to)
			s.mu.Lock()
			if err != nil || s.cut {
				s.mu.Unlock()
				in.Close()
				continue
			}
			s.conns[in], s.conns[out] = true, true
			s.mu.Unlock()
			for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					pair[0].Close()
					pair[1].Close()
				}()
			}
		}
	}()
	return s
}

func (s *switchable) set(cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
	for c := range s.conns {
		c.Close()
		delete(s.conns, c)
	}
}

// F-01, F-39: without its store the server tells machines and users so, and still answers requests
// that need no store. When the store is back, the server recovers without an operator.
func TestTheStoreGoesAway(t *testing.T) {
	t.Parallel()
	database, err := url.Parse(pgtest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", database.Host
	if dir := database.Query().Get("host"); dir != "" {
		network, address = "unix", filepath.Join(dir, ".s.PGSQL.5432")
	}
	way := newSwitchable(t, network, address)
	database.Host, database.RawQuery = way.listener.Addr().String(), "sslmode=disable"
	p := start(t, func(c *exec.Cmd) { c.Args = append(c.Args, "--migrate") },
		"SIGNET_DATABASE_URL="+database.String(), "SIGNET_KEYS_ENCRYPTION_KEY="+jose.NewKEK())

	post := func(path, body string) (int, http.Header, string) {
		t.Helper()
		client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post(p.base+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header, string(text)
	}
	const login = `{"email":"ada@example.com","password":"a long enough passphrase"}`
	if status, _, text := post("/v1/signup", login); status != http.StatusCreated {
		t.Fatal(text)
	}
	_, _, text := post("/v1/login", login)
	var tokens struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal([]byte(text), &tokens); err != nil || tokens.Refresh == "" {
		t.Fatal(text)
	}

	way.set(true)
	for path, body := range map[string]string{
		"/v1/login": login, "/v1/refresh": `{"refresh_token":"` + tokens.Refresh + `"}`,
		"/v1/signup": `{"email":"new@example.com","password":"a long enough passphrase"}`,
	} {
		status, header, text := post(path, body)
		if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
			t.Errorf("%s: %d, Retry-After %q: %s", path, status, header.Get("Retry-After"), text)
		}
		if strings.Contains(text, "127.0.0.1") || strings.Contains(text, "postgres") {
			t.Errorf("%s tells strangers about the store: %s", path, text)
		}
	}
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable,
		"/.well-known/jwks.json": http.StatusOK, "/.well-known/openid-configuration": http.StatusOK,
	} {
		if got := p.status(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}

	check := exec.Command("signet", "healthcheck")
	check.Dir, check.Env = p.dir, p.cmd.Env
	if text, err := check.CombinedOutput(); err == nil ||
		!strings.Contains(string(text), "not ready (503): The store does not answer.") {
		t.Errorf("the healthcheck does not say why: %v %s", err, text)
	}

	way.set(false)
	p.until(t, "it is ready again", func() bool { return p.status("/readyz") == http.StatusOK })
	if status, _, text := post("/v1/refresh", `{"refresh_token":"`+tokens.Refresh+`"}`); status != http.StatusOK {
		t.Errorf("the session was lost: %d %s", status, text)
	}
	p.signal(t, syscall.SIGTERM)
	if code, _ := p.wait(t, time.Minute); code != 0 {
		t.Errorf("exit code %d:\n%s", code, p.errOut)
	}
	if log := p.errOut.String(); strings.Contains(log, tokens.Refresh) ||
		strings.Contains(log, "a long enough passphrase") {
		t.Errorf("O-03: the log holds a secret:\n%s", log)
	}
}

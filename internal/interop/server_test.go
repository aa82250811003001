//go:build interop

package interop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testport"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

var binaries struct {
	dir, signet, golangjwt, goclient string
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "signet-interop-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binaries.dir = dir
		binaries.signet, binaries.golangjwt, binaries.goclient = filepath.Join(dir, "signet"),
			filepath.Join(dir, "golangjwt"), filepath.Join(dir, "goclient")
		for _, build := range [][]string{
			{"-o", binaries.signet, "../../cmd/signet"},
			{"-o", binaries.golangjwt, "-tags", "interop", "./golangjwt"},
			{"-C", "goclient", "-o", binaries.goclient, "."}, // a module of its own
		} {
			if out, err := exec.Command("go", append([]string{"build"}, build...)...).CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "go build %s: %v\n%s", strings.Join(build, " "), err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// server is the real binary behind a reverse proxy, as in production. The proxy's address is the
// issuer's. The proxy counts the fetches of the key set, and can be cut off to prove that a
// verification is offline.
type server struct {
	issuer string // the proxy
	config string
	cut    atomic.Bool

	mu      sync.Mutex
	fetches map[string]int // of the key set, by user agent
}

// start runs `signet serve` with the given configuration (YAML) until the test ends, on the
// embedded database.
func start(t *testing.T, config string) *server {
	t.Helper()
	return startOn(t, sqlite, config)
}

// The stores that a server can run on.
const (
	sqlite   = "SQLite"
	postgres = "PostgreSQL"
	pooled   = "PostgreSQL through PgBouncer"
)

var stores = []string{sqlite, postgres}

// database returns the configuration of a fresh database.
func database(t *testing.T, store string) map[string]string {
	t.Helper()
	if store == sqlite {
		return nil
	}
	out, err := exec.Command(binaries.signet, "keys", "new-kek").Output()
	words := strings.Fields(string(out))
	if err != nil || len(words) == 0 {
		t.Fatalf("signet keys new-kek: %v: %s", err, out)
	}
	address := pgtest.URL(t)
	if store == pooled {
		address = pgtest.PgBouncer(t, address, few...)
	}
	return map[string]string{"database_url": address, "keys.encryption_key": words[len(words)-1]}
}

// startOn is like start, on one of the stores.
func startOn(t *testing.T, store, config string) *server {
	t.Helper()
	s, _ := startBehind(t, httptest.NewServer, store, config)
	return s
}

// startBehind is like startOn, behind a given proxy, which may have TLS.
func startBehind(t *testing.T, listenAt func(http.Handler) *httptest.Server, store,
	config string) (*server, *httptest.Server) {
	t.Helper()
	s := &server{fetches: make(map[string]int)}
	var direct *httputil.ReverseProxy
	proxy := listenAt(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cut.Load() {
			http.Error(w, "cut off", http.StatusBadGateway)
			return
		}
		if r.URL.Path == "/.well-known/jwks.json" {
			s.mu.Lock()
			s.fetches[r.UserAgent()]++
			s.mu.Unlock()
		}
		direct.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	s.issuer = proxy.URL

	dir := t.TempDir()
	listen := testport.Address(t)
	direct = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: listen})
	direct.Transport = patient{}
	s.config = filepath.Join(dir, "signet.yaml")
	text := fmt.Sprintf("listen: %s\nissuer: %s\ndata_dir: %s\nmetrics: {listen: ''}\n%s", listen, s.issuer,
		filepath.Join(dir, "data"), config)
	for key, value := range database(t, store) {
		text += fmt.Sprintf("%s: %q\n", key, value)
	}
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	var output bytes.Buffer
	cmd := exec.Command(binaries.signet, "serve", "--migrate", "--config", s.config)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Env = append(os.Environ(), "SIGNET_HTTP_DRAIN_NOTICE=0s") // there is no balancer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections() // otherwise the server waits for our connections to close
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil {
				t.Errorf("signet serve ended with %v:\n%s", err, &output)
			}
		case <-time.After(30 * time.Second):
			cmd.Process.Kill()
			<-exited
			t.Errorf("signet serve ignored SIGTERM:\n%s", &output)
		}
	})
	eventually(t, "the server answers /readyz", func() bool {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("signet serve ended with %v:\n%s", err, &output)
		default:
		}
		resp, err := http.Get("http://" + listen + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	var discovery struct{ Issuer string }
	resp, err := http.Get("http://" + listen +
		"/.well-known/openid-configuration") // not through the proxy, which may speak TLS
	if err != nil {
		t.Fatal(err)
	}
	s.read(t, resp, http.StatusOK, &discovery)
	if discovery.Issuer != s.issuer { // the proxy's address, which no other server uses
		t.Fatalf("another server answers at %s: its issuer is %s", listen, discovery.Issuer)
	}
	return s, proxy
}

// patient sends a request again that is answered with 503, as docs/client-apps.md says that clients do:
// a busy machine answers so when a password waits too long for its turn, or when the clock seems to have
// jumped. No test expects a 503.
type patient struct{}

func (patient) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	for try := 0; ; try++ {
		again := r.Clone(r.Context())
		if body != nil {
			again.Body = io.NopCloser(bytes.NewReader(body))
		}
		resp, err := http.DefaultTransport.RoundTrip(again)
		if err != nil || resp.StatusCode != http.StatusServiceUnavailable || try == 20 {
			return resp, err
		}
		after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
		if err != nil {
			return resp, nil
		}
		resp.Body.Close()
		select {
		case <-time.After(time.Duration(after) * time.Second):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// eventually waits until ok returns true. The waits are long because keys follow a real timeline.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited too long until %s", what)
}

// signet runs a command while the server is running.
func (s *server) signet(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(binaries.signet, append(args, "--config", s.config)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("signet %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// tokens are a token response of the account API.
type tokens struct {
	Access  string `json:"access_token"`
	ID      string `json:"id_token"`
	Refresh string `json:"refresh_token"`
}

func (s *server) signUp(t *testing.T) tokens {
	t.Helper()
	s.post(t, "/v1/signup", http.StatusCreated,
		`{"email":"ada@example.com","password":"correct horse battery","given_name":"Ada"}`, nil)
	var got tokens
	s.post(t, "/v1/login", http.StatusOK,
		`{"email":"ada@example.com","password":"correct horse battery","scope":"openid profile email"}`, &got)
	return got
}

func (s *server) refresh(t *testing.T, old tokens) tokens {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"refresh_token": old.Refresh})
	var got tokens
	s.post(t, "/v1/refresh", http.StatusOK, string(body), &got)
	if got.ID == "" {
		t.Fatal("a refresh of an openid grant answered no ID token")
	}
	return got
}

func (s *server) post(t *testing.T, path string, status int, body string, v any) {
	t.Helper()
	resp, err := http.Post(s.issuer+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	s.read(t, resp, status, v)
}

func (s *server) get(t *testing.T, path string, v any) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, s.issuer+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("User-Agent", "the test itself") // so that it is not counted as the verifier in Go
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	s.read(t, resp, http.StatusOK, v)
}

func (s *server) read(t *testing.T, resp *http.Response, status int, v any) {
	t.Helper()
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s answered %s: %s", resp.Request.URL.Path, resp.Status, text)
	}
	if v != nil {
		if err := json.Unmarshal(text, v); err != nil {
			t.Fatalf("%s: %v: %s", resp.Request.URL.Path, err, text)
		}
	}
}

// published lists the key ids of the current key set.
func (s *server) published(t *testing.T) map[string]bool {
	t.Helper()
	var set struct{ Keys []struct{ Kid string } }
	s.get(t, "/.well-known/jwks.json", &set)
	kids := make(map[string]bool)
	for _, k := range set.Keys {
		kids[k.Kid] = true
	}
	return kids
}

func (s *server) fetched(agent string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for name, count := range s.fetches {
		if strings.HasPrefix(name, agent) {
			n += count
		}
	}
	return n
}

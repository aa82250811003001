package processes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// BenchmarkSizes measures the resident memory of a server, as `make build` makes it, and its connections
// to PostgreSQL: at rest, at most while clients refresh, at most while 200 logins are in flight, and at
// rest again; for several numbers of hash slots. docs/deployment.md has the figures and the command. It
// fails when logins take more than their bound. b.N does not count.
func BenchmarkSizes(b *testing.B) {
	binary := buildServer(b)
	for _, c := range []struct {
		engine string
		slots  int
	}{{"sqlite", 2}, {"postgres", 1}, {"postgres", 2}, {"postgres", 4}, {"postgres", 8}} {
		b.Run(fmt.Sprintf("%s/hash-slots=%d", c.engine, c.slots), func(b *testing.B) {
			serverSizes(b, binary, c.engine, c.slots)
		})
	}
}

const (
	refreshing  = 50  // clients, each with a session of its own
	loggingIn   = 200 // logins in flight
	loadFor     = 8 * time.Second
	hashMiB     = 19  // of one password hash
	beside      = 112 // MiB: what a server may take for everything else, its garbage included
	restAfter   = 10 * time.Second
	credentials = `{"email":"user%d@example.com","password":"a long enough passphrase"}`
)

// serverSizes runs a server and reports what it takes.
func serverSizes(b *testing.B, binary, engine string, slots int) {
	env := []string{"SIGNET_LOG_LEVEL=warn", "SIGNET_THROTTLE_SIGNUPS_PER_NETWORK=0",
		"SIGNET_PASSWORDS_HASH_SLOTS=" + strconv.Itoa(slots)}
	connections := func() float64 { return 0 }
	if engine == "postgres" {
		database, count := benchDatabase(b)
		connections = count
		env = append(env, "SIGNET_DATABASE_URL="+database, "SIGNET_KEYS_ENCRYPTION_KEY="+jose.NewKEK())
	}
	p := start(b, func(c *exec.Cmd) { c.Path, c.Args = binary, append(c.Args, "--migrate") }, env...)
	time.Sleep(restAfter)
	b.ReportMetric(p.memory(b, "VmRSS"), "idle-MiB")
	client := &sizesClient{base: p.base, Client: http.Client{Timeout: time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: loggingIn}}}
	client.signUp(b)
	time.Sleep(restAfter)
	p.forgetPeak(b)
	client.refresh(b)
	b.ReportMetric(p.memory(b, "VmHWM"), "refreshing-MiB")
	p.forgetPeak(b)
	client.logIn(b)
	// One slot more is for the secrets of clients. As many hashes as there are slots, and at least
	// three, leave their memory lying about.
	peak, bound := p.memory(b, "VmHWM"), float64(beside+(slots+1+max(slots, 3))*hashMiB)
	b.ReportMetric(peak, "logins-MiB")
	b.ReportMetric(bound, "bound-MiB")
	b.ReportMetric(connections(), "connections")
	if peak > bound {
		b.Errorf("a server of %d hash slots takes %.0f MiB, more than its bound of %.0f", slots, peak, bound)
	}
	time.Sleep(restAfter)
	b.ReportMetric(p.memory(b, "VmRSS"), "idle-again-MiB")
	b.ReportMetric(0, "ns/op")
	p.stop(b)
}

// forgetPeak makes VmHWM begin anew (proc(5), clear_refs).
func (p *process) forgetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid), []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// benchDatabase returns the address of an empty database, and a function that counts the connections to
// it.
func benchDatabase(b *testing.B) (address string, count func() float64) {
	b.Helper()
	address = pgtest.URL(b)
	admin, err := pgx.Connect(b.Context(), address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = admin.Close(b.Context()) })
	return address, func() (n float64) {
		if err := admin.QueryRow(b.Context(), `SELECT CAST(count(*) AS DOUBLE PRECISION) FROM pg_stat_activity
			WHERE datname = current_database() AND pid != pg_backend_pid()`).Scan(&n); err != nil {
			b.Fatal(err)
		}
		return n
	}
}

// sizesClient is the clients of a server.
type sizesClient struct {
	http.Client
	base     string
	sessions []string // refresh tokens
}

func (c *sizesClient) post(path, body string) (status int, answer []byte) {
	resp, err := c.Post(c.base+path, "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	answer, _ = io.ReadAll(resp.Body)
	return resp.StatusCode, answer
}

// refreshTokenOf returns the refresh token that an answer has.
func refreshTokenOf(b *testing.B, status int, answer []byte) string {
	var tokens struct {
		Refresh string `json:"refresh_token"`
	}
	if err := json.Unmarshal(answer, &tokens); err != nil || status != http.StatusOK || tokens.Refresh == "" {
		b.Errorf("%d %s", status, answer)
	}
	return tokens.Refresh
}

// signUp makes the accounts and the sessions.
func (c *sizesClient) signUp(b *testing.B) {
	b.Helper()
	for n := range refreshing {
		body := fmt.Sprintf(credentials, n)
		if status, answer := c.post("/v1/signup", body); status != http.StatusCreated {
			b.Fatalf("%d %s", status, answer)
		}
		status, answer := c.post("/v1/login", body)
		c.sessions = append(c.sessions, refreshTokenOf(b, status, answer))
	}
}

// refresh keeps clients refreshing for a while.
func (c *sizesClient) refresh(b *testing.B) {
	b.Helper()
	var all sync.WaitGroup
	end := time.Now().Add(loadFor)
	for _, token := range c.sessions {
		all.Go(func() {
			for time.Now().Before(end) && token != "" {
				status, answer := c.post("/v1/refresh", `{"refresh_token":"`+token+`"}`)
				if status != http.StatusServiceUnavailable { // busy: again
					token = refreshTokenOf(b, status, answer)
				}
			}
		})
	}
	all.Wait()
}

// logIn keeps logins in flight for a while. Those that find no room are refused.
func (c *sizesClient) logIn(b *testing.B) {
	b.Helper()
	var all sync.WaitGroup
	end := time.Now().Add(loadFor)
	for n := range loggingIn {
		all.Go(func() {
			for time.Now().Before(end) {
				switch status, answer := c.post("/v1/login", fmt.Sprintf(credentials, n%refreshing)); status {
				case http.StatusOK, http.StatusServiceUnavailable, http.StatusTooManyRequests:
				default:
					b.Errorf("%d %s", status, answer)
					return
				}
			}
		})
	}
	all.Wait()
}

//go:build unix

package processes_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// F-06: while PostgreSQL stands still, no request outlasts its deadline, whatever it was doing.
// Writes that are still due are made when PostgreSQL is back.
func TestF06NoRequestOutlastsItsDeadline(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Options{})
	address := server.URL(t)
	p := start(t, func(c *exec.Cmd) { c.Args = append(c.Args, "--migrate") },
		"SIGNET_DATABASE_URL="+address, "SIGNET_KEYS_ENCRYPTION_KEY="+jose.NewKEK(), "SIGNET_THROTTLE_FAILURES_PER_NETWORK=0")
	// Each request has a connection, so that the client's own queue does not count as answer time.
	client := http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(path, contentType, body string, header http.Header) (status int, took time.Duration, text string) {
		req, err := http.NewRequest("POST", p.base+path, strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		for name, values := range header {
			req.Header[name] = values
		}
		req.Header.Set("Content-Type", contentType)
		began := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return 0, time.Since(began), ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, time.Since(began), string(b)
	}
	const login = `{"email":"ada@example.com","password":"a long enough passphrase"}`
	if status, _, text := post("/v1/signup", "application/json", login, nil); status != http.StatusCreated {
		t.Fatal(text)
	}
	signIn := func() (tokens struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
	}) {
		t.Helper()
		_, _, text := post("/v1/login", "application/json", login, nil)
		if err := json.Unmarshal([]byte(text), &tokens); err != nil || tokens.Refresh == "" {
			t.Fatal(text)
		}
		return tokens
	}
	tokens := signIn()
	bearer := http.Header{"Authorization": {"Bearer " + tokens.Access}}
	const form = "application/x-www-form-urlencoded"
	requests := map[string]func() (int, time.Duration, string){
		"login": func() (int, time.Duration, string) { return post("/v1/login", "application/json", login, nil) },
		"a wrong password": func() (int, time.Duration, string) {
			return post("/v1/login", "application/json", strings.Replace(login, "long", "wrong", 1), nil)
		},
		"sign-up": func() (int, time.Duration, string) {
			return post("/v1/signup", "application/json",
				fmt.Sprintf(`{"email":"%d@example.com","password":"a long enough passphrase"}`, time.Now().UnixNano()), nil)
		},
		"refresh": func() (int, time.Duration, string) {
			return post("/v1/refresh", "application/json", `{"refresh_token":"`+tokens.Refresh+`"}`, nil)
		},
		"password change": func() (int, time.Duration, string) {
			return post("/v1/profile/password", "application/json",
				`{"current_password":"not the passphrase","new_password":"another long passphrase"}`, bearer)
		},
		"login from a browser app": func() (int, time.Duration, string) {
			return post("/v1/login", "application/json", login, http.Header{"Origin": {"https://app.example.com"}})
		},
		"a wrong client secret": func() (int, time.Duration, string) {
			return post("/oauth2/token", form,
				url.Values{"grant_type": {"client_credentials"}, "client_id": {"nobody"}, "client_secret": {"wrong"}}.Encode(), nil)
		},
		"revocation": func() (int, time.Duration, string) {
			return post("/oauth2/revoke", form, url.Values{"client_id": {"signet"}, "token": {tokens.Refresh}}.Encode(), nil)
		},
	}

	// When PostgreSQL stops, requests are running, at all points of their work.
	var all sync.WaitGroup
	var mu sync.Mutex
	longest := map[string]time.Duration{}
	stopped := make(chan struct{})
	for name, request := range requests {
		for range 2 {
			all.Go(func() {
				for {
					status, took, text := request()
					if status != http.StatusServiceUnavailable && status >= 500 {
						t.Errorf("%s: %d %s", name, status, text)
					}
					mu.Lock()
					longest[name] = max(longest[name], took)
					mu.Unlock()
					select {
					case <-stopped:
						return
					case <-time.After(5 * time.Millisecond):
					}
				}
			})
		}
	}
	time.Sleep(500 * time.Millisecond)
	stall(t, server, syscall.SIGSTOP)
	time.Sleep(100 * time.Millisecond) // requests that hash passwords now find no store to write to
	time.AfterFunc(6*time.Second, func() { close(stopped) })
	// A request that needs no store shows what this machine adds to every answer.
	var machine time.Duration
	all.Go(func() {
		for {
			began := time.Now()
			if got := p.status("/healthz"); got != http.StatusOK {
				t.Errorf("/healthz: %d", got)
			}
			machine = max(machine, time.Since(began))
			select {
			case <-stopped:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	began := time.Now()
	if got := p.status("/readyz"); got != http.StatusServiceUnavailable {
		t.Errorf("/readyz: %d", got)
	}
	ready := time.Since(began)
	all.Wait()
	t.Logf("this machine adds up to %s", machine)
	if ready > 3*time.Second+5*machine {
		t.Errorf("/readyz took %s", ready)
	}
	for name, took := range longest {
		t.Logf("%-26s %s", name, took.Round(10*time.Millisecond))
		if took > 5800*time.Millisecond+5*machine { // several steps of a request need a processor
			t.Errorf("F-06: %s took %s", name, took)
		}
	}

	stall(t, server, syscall.SIGCONT)
	p.until(t, "it is ready again", func() bool { return p.status("/readyz") == http.StatusOK })
	p.until(t, "a login works, for attempts that were right were given back", func() bool {
		status, _, _ := post("/v1/login", "application/json", login, nil)
		return status == http.StatusOK || status == http.StatusTooManyRequests // wrong ones came before
	})
}

// stall sends a signal to PostgreSQL's processes: SIGSTOP stops them, SIGCONT lets them go on.
func stall(t *testing.T, s *pgtest.Server, signal syscall.Signal) {
	t.Helper()
	pids, err := s.Processes()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && err != syscall.ESRCH {
			t.Fatal(err)
		}
	}
}

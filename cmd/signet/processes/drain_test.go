package processes_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// After SIGTERM a balancer sends requests until its next probe. Each of them opens a connection,
// and no connection is open when the server decides whether to stop.
func TestDrainNotice(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "SIGNET_HTTP_DRAIN_NOTICE=8s")
	p.signal(t, syscall.SIGTERM)
	begin := time.Now()
	p.until(t, "readiness says no", func() bool { return p.status("/readyz") == http.StatusServiceUnavailable })
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("readiness says no after %s", took)
	}
	for range 25 {
		if time.Since(begin) > 5*time.Second {
			t.Log("this machine is too busy to ask more often within the notice")
			break
		}
		if got := p.status("/.well-known/jwks.json"); got != http.StatusOK {
			t.Fatalf("%s after the signal: %d", time.Since(begin), got)
		}
		if got := p.status("/readyz"); got != http.StatusServiceUnavailable {
			t.Fatalf("%s after the signal the server is ready: %d", time.Since(begin), got)
		}
		time.Sleep(100 * time.Millisecond)
	}
	code, _ := p.wait(t, time.Minute)
	if took := time.Since(begin); code != exitOK || took < 7800*time.Millisecond || took > 24*time.Second {
		t.Errorf("exit code %d after %s", code, took)
	}
}

// A second signal ends the notice, too. With a notice of zero there is no wait, and neither is
// there for a person at a terminal when no connection is open.
func TestDrainNoticeEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		notice  string
		signals []syscall.Signal
		code    int
	}{
		"a second SIGTERM": {"1m", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, exitFailed},
		"a second SIGINT":  {"1m", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, exitFailed},
		"no notice":        {"0s", []syscall.Signal{syscall.SIGTERM}, exitOK},
		"SIGINT":           {"1m", []syscall.Signal{syscall.SIGINT}, exitOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil, "SIGNET_HTTP_DRAIN_NOTICE="+c.notice)
			p.signal(t, c.signals[0])
			if len(c.signals) > 1 {
				p.until(t, "the drain has begun", func() bool { return p.status("/readyz") != http.StatusOK })
				p.insist(t, c.signals[1])
			}
			if code, took := p.wait(t, 30*time.Second); code != c.code {
				t.Errorf("exit code %d after %s", code, took)
			}
		})
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
	p.insist(t, syscall.SIGTERM)
	if code, took := p.wait(t, 10*time.Second); code != exitFailed {
		t.Errorf("exit code %d after %s", code, took)
	}
}

// One that comes together with the first is the same: timeout sends SIGTERM to the process and to its group.
func TestTheSameSignalTwice(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "SIGNET_HTTP_DRAIN_NOTICE=1s")
	p.signal(t, syscall.SIGTERM)
	p.signal(t, syscall.SIGINT) // another signal, because two of one kind may be delivered as one
	if code, took := p.wait(t, 30*time.Second); code != exitOK {
		t.Errorf("exit code %d after %s", code, took)
	}
}

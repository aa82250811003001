package main

import (
	"net/http"
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
				p.signal(t, c.signals[1])
			}
			if code, took := p.wait(t, 30*time.Second); code != c.code {
				t.Errorf("exit code %d after %s", code, took)
			}
		})
	}
}

package main

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/testport"
)

// supervisor listens where systemd would. It returns the socket's name and what comes there.
func supervisor(t *testing.T, name string) <-chan string {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	states := make(chan string, 8)
	go func() {
		defer close(states)
		for buffer := make([]byte, 4096); ; {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			states <- string(buffer[:n])
		}
	}()
	return states
}

// The supervisor hears READY=1 when the server takes requests, and STOPPING=1 when it begins to
// stop, which is before the last request is answered.
func TestTheSupervisorIsToldReadyAndStopping(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "notify") // short: a socket's name has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	name := filepath.Join(dir, "notify")
	states, listen := supervisor(t, name), testport.Address(t)
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	ended := make(chan int, 1)
	var errOut bytes.Buffer
	go func() {
		var out bytes.Buffer
		ended <- run(ctx, []string{"serve"}, []string{"SIGNET_DATA_DIR=" + filepath.Join(dir, "data"), "SIGNET_LISTEN=" + listen,
			"SIGNET_METRICS_LISTEN=", "SIGNET_HTTP_DRAIN_NOTICE=0s", "NOTIFY_SOCKET=" + name}, strings.NewReader(""), &out, &errOut)
	}()
	select {
	case state := <-states:
		if state != "READY=1" {
			t.Fatalf("the supervisor hears %q first", state)
		}
	case code := <-ended:
		t.Fatalf("exit %d\n%s", code, &errOut)
	}
	resp, err := http.Get("http://" + listen + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("it is declared ready, and /readyz answers %s", resp.Status)
	}
	stop(errTerminated)
	if state := <-states; state != "STOPPING=1" {
		t.Errorf("then it hears %q", state)
	}
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d\n%s", code, &errOut)
	}
	if len(states) > 0 {
		t.Errorf("and %q", <-states)
	}
}

func TestWhereTheSupervisorIs(t *testing.T) {
	t.Run("nowhere", func(t *testing.T) {
		var log bytes.Buffer
		for _, env := range [][]string{nil, {"NOTIFY_SOCKET="}, {"MY_NOTIFY_SOCKET=/nonexistent"}} {
			notifySupervisor(env, "READY=1", textLog(&log))
		}
		if log.Len() > 0 {
			t.Errorf("logged: %s", &log)
		}
	})
	t.Run("it is gone", func(t *testing.T) {
		var log bytes.Buffer
		notifySupervisor([]string{"NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "gone")}, "READY=1", textLog(&log))
		if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "NOTIFY_SOCKET cannot be told READY=1") {
			t.Errorf("logged: %s", &log)
		}
	})
}

package processes_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
)

// BenchmarkColdStart measures from the start of the process to its first answer with the key set,
// with existing keys. The targets are under 0.5 s, and under 40 MiB when idle.
func BenchmarkColdStart(b *testing.B) {
	p := start(b, nil)
	p.stop(b)
	var resident float64
	for b.Loop() {
		begin := time.Now()
		restarted := p.restart(b)
		for restarted.status("/.well-known/jwks.json") != http.StatusOK {
			if time.Since(begin) > 10*time.Second {
				b.Fatalf("no answer:\n%s", restarted.errOut)
			}
			time.Sleep(time.Millisecond)
		}
		b.StopTimer()
		time.Sleep(2 * time.Second)
		resident = restarted.memory(b, "VmRSS")
		restarted.stop(b)
		b.StartTimer()
	}
	b.ReportMetric(resident, "idle-MiB")
}

// BenchmarkLogins200 keeps 200 logins in flight. The targets: memory stays under the bound of
// BenchmarkSizes, and a refresh and the key set are answered in under 100 ms at the 99th
// percentile.
func BenchmarkLogins200(b *testing.B) {
	p := start(b, nil, "SIGNET_LOG_LEVEL=warn")
	defer p.stop(b)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	post := func(path, body string) int {
		resp, err := client.Post(p.base+path, "application/json", strings.NewReader(body))
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := post("/v1/signup",
		`{"email":"ada@example.com","password":"a long enough passphrase"}`); got != http.StatusCreated {
		b.Fatal(got)
	}
	app := sizesClient{base: p.base, Client: *client}
	status, answer := app.post("/v1/login", `{"email":"ada@example.com","password":"a long enough passphrase"}`)
	token := refreshTokenOf(b, status, answer)
	const inFlight = 200
	var done, refused atomic.Int64
	var work sync.WaitGroup
	quit := make(chan struct{})
	for range inFlight {
		work.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				if got := post("/v1/login",
					`{"email":"ada@example.com","password":"a long enough passphrase"}`); got == http.StatusOK {
					done.Add(1)
				} else {
					refused.Add(1)
				}
			}
		})
	}
	var took, refreshed []time.Duration
	b.ResetTimer()
	begin := time.Now()
	for b.Loop() {
		time.Sleep(5 * time.Millisecond)
		asked := time.Now()
		status, answer := app.post("/v1/refresh", `{"refresh_token":"`+token+`"}`)
		token = refreshTokenOf(b, status, answer)
		refreshed = append(refreshed, time.Since(asked))
		asked = time.Now()
		resp, err := client.Get(p.base + "/.well-known/jwks.json")
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
		took = append(took, time.Since(asked))
	}
	b.StopTimer()
	close(quit)
	work.Wait()
	b.ReportMetric(float64(done.Load())/time.Since(begin).Seconds(), "logins/s")
	b.ReportMetric(float64(refused.Load()), "refused")
	b.ReportMetric(p99(took), "jwks-p99-ms")
	b.ReportMetric(p99(refreshed), "refresh-p99-ms")
	b.ReportMetric(p.memory(b, "VmHWM"), "peak-MiB")
}

// restart starts the same server once more, in its folder.
func (p *process) restart(t testing.TB) *process {
	t.Helper()
	next := &process{base: p.base, dir: p.dir, errOut: &watch.Buffer{}, exited: make(chan struct{})}
	next.cmd = exec.Command(p.cmd.Path, "serve")
	next.cmd.Dir, next.cmd.Env, next.cmd.Stderr = p.cmd.Dir, p.cmd.Env, next.errOut
	if err := next.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = next.cmd.Wait(); close(next.exited) }()
	t.Cleanup(func() {
		_ = next.cmd.Process.Kill()
		<-next.exited
	})
	return next
}

func (p *process) stop(t testing.TB) {
	t.Helper()
	_ = p.cmd.Process.Signal(os.Interrupt)
	p.wait(t, 15*time.Second)
}

// memory returns a line of /proc/PID/status in MiB.
func (p *process) memory(t testing.TB, name string) float64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

package processes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkLogins1000 keeps 1,000 clients logging in to 100 accounts with the right password. Each
// client logs in again at once after a success, and after Retry-After if it was refused. Meanwhile
// one client refreshes its session and reads the key set. Run it for a minute: -benchtime 60s. The
// targets: the process needs at most 512 MiB, refused logins get 429 or 503, and refresh and key
// set take under 100 ms at the 99th percentile.
//
// The limit is a memory cgroup (version 1 or 2) below this process's own. If none can be made,
// limit-MiB is 0, and peak-MiB (VmHWM) shows the memory that was needed. The clients run on the
// same processors as the server.
func BenchmarkLogins1000(b *testing.B) {
	const limit = 512 << 20
	group, err := newMemoryGroup(b, limit)
	if err != nil {
		b.Logf("without a limit, only measured: %v", err)
	}
	p := start(b, func(c *exec.Cmd) {
		if group != nil {
			c.Args = []string{"sh", "-c", "echo $$ > '" + filepath.Join(group.dir,
				"cgroup.procs") + "' && exec '" + c.Path + "' serve"}
			c.Path = "/bin/sh"
		}
	}, "SIGNET_LOG_LEVEL=warn", "SIGNET_THROTTLE_SIGNUPS_PER_NETWORK=0")
	defer p.stop(b)

	const inFlight, accounts = 1000, 100
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: inFlight + 10}}
	try := func(path, body string) (status int, answer []byte, retryAfter time.Duration, err error) {
		resp, err := client.Post(p.base+path, "application/json", strings.NewReader(body))
		if err != nil {
			return 0, nil, 0, err
		}
		defer resp.Body.Close()
		answer, err = io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
			if retryAfter = time.Duration(seconds) * time.Second; retryAfter <= 0 {
				err = errors.New("no Retry-After")
			}
		}
		return resp.StatusCode, answer, retryAfter, err
	}
	post := func(path, body string) (status int, answer []byte, err error) {
		status, answer, _, err = try(path, body)
		return status, answer, err
	}
	login := func(i int) string {
		return fmt.Sprintf(`{"email":"user%d@example.com","password":"a long enough passphrase"}`, i)
	}
	for i := range accounts + 1 { // the last one is the one that refreshes
		if status, answer, err := post("/v1/signup", login(i)); err != nil || status != http.StatusCreated {
			b.Fatalf("%d %s %v\n%s", status, answer, err, p.errOut)
		}
	}
	refreshed := func(status int, answer []byte, err error) string {
		var t struct {
			Refresh string `json:"refresh_token"`
		}
		if err == nil {
			err = json.Unmarshal(answer, &t)
		}
		if err != nil || status != http.StatusOK || t.Refresh == "" {
			b.Fatalf("%d %s %v\n%s", status, answer, err, p.errOut)
		}
		return t.Refresh
	}
	token := refreshed(post("/v1/login", login(accounts)))

	var mu sync.Mutex
	answers := map[int]int{}
	var lost []error
	var work sync.WaitGroup
	quit := make(chan struct{})
	for i := range inFlight {
		work.Go(func() {
			for {
				select {
				case <-quit:
					return
				default:
				}
				status, _, retryAfter, err := try("/v1/login", login(i%accounts))
				mu.Lock()
				answers[status]++
				if err != nil {
					lost = append(lost, err)
				}
				mu.Unlock()
				select {
				case <-quit:
				case <-time.After(retryAfter):
				}
			}
		})
	}
	time.Sleep(2 * time.Second) // all of them are under way
	var refresh, keys []time.Duration
	peak := 0.0
	b.ResetTimer()
	begin := time.Now()
	for b.Loop() {
		time.Sleep(5 * time.Millisecond)
		asked := time.Now()
		token = refreshed(post("/v1/refresh", `{"refresh_token":"`+token+`"}`))
		refresh = append(refresh, time.Since(asked))
		asked = time.Now()
		resp, err := client.Get(p.base + "/.well-known/jwks.json")
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
		keys = append(keys, time.Since(asked))
		peak = p.memory(b, "VmHWM")
	}
	b.StopTimer()
	took := time.Since(begin).Seconds()
	close(quit)
	work.Wait()
	for status, n := range answers {
		if status != http.StatusOK && status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
			b.Errorf("%d logins were answered with %d", n, status)
		}
	}
	if lost != nil {
		b.Errorf("%d logins got no answer as they should, such as: %v", len(lost), lost[0])
	}
	b.ReportMetric(float64(answers[http.StatusOK])/took, "logins/s")
	b.ReportMetric(float64(answers[http.StatusTooManyRequests]), "429s")
	b.ReportMetric(float64(answers[http.StatusServiceUnavailable]), "503s")
	b.ReportMetric(p99(refresh), "refresh-p99-ms")
	b.ReportMetric(p99(keys), "jwks-p99-ms")
	b.ReportMetric(peak, "peak-MiB")
	b.ReportMetric(group.limit()/(1<<20), "limit-MiB")
	b.ReportMetric(group.peak()/(1<<20), "group-peak-MiB")
}

func p99(took []time.Duration) float64 {
	slices.Sort(took)
	return float64(took[len(took)*99/100].Microseconds()) / 1000
}

// memoryGroup is a cgroup with a limit. Nil stands for no limit.
type memoryGroup struct{ dir, limitFile, peakFile string }

// newMemoryGroup makes a cgroup below the cgroup of this process, so that the limits of that cgroup
// hold for both.
func newMemoryGroup(b *testing.B, limit int64) (*memoryGroup, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	var errs []error
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		g := &memoryGroup{limitFile: "memory.max", peakFile: "memory.peak"}
		root := "/sys/fs/cgroup"
		switch {
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			g.limitFile, g.peakFile = "memory.limit_in_bytes", "memory.max_usage_in_bytes"
			root = "/sys/fs/cgroup/memory"
		case parts[1] != "":
			continue
		}
		parent := filepath.Join(root, parts[2])
		if _, err := os.Stat(parent); err != nil {
			parent = root // a container sees its own group as the root
		}
		dir, err := os.MkdirTemp(parent, "signet-bench-")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b.Cleanup(func() { _ = os.Remove(dir) })
		g.dir = dir
		if err := os.WriteFile(filepath.Join(dir, g.limitFile), []byte(strconv.FormatInt(limit, 10)), 0o600); err != nil {
			errs = append(errs, err)
			continue
		}
		// No swap, because it would hide a lack of memory.
		_ = os.WriteFile(filepath.Join(dir, "memory.swap.max"), []byte("0"), 0o600)
		_ = os.WriteFile(filepath.Join(dir, "memory.swappiness"), []byte("0"), 0o600)
		if got := g.limit(); got != float64(limit) {
			errs = append(errs, fmt.Errorf("%s has the limit %.0f", dir, got))
			continue
		}
		return g, nil
	}
	return nil, errors.Join(append(errs, errors.New("no memory cgroup can be made here"))...)
}

func (g *memoryGroup) limit() float64 { return g.read(func() string { return g.limitFile }) }
func (g *memoryGroup) peak() float64  { return g.read(func() string { return g.peakFile }) }

func (g *memoryGroup) read(file func() string) float64 {
	if g == nil {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(g.dir, file()))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return n
}

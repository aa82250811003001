package processes_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/signet-id/signet/internal/cputime"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/procstat"
)

// BenchmarkLoginCost compares logins of a server, as `make build` makes it, with argon2id alone in
// as many goroutines as the server has hash slots. Both take turns of three seconds, since the
// machine is not equally fast all the time: -benchtime 5x has five of each. raw/login is what is
// left of the rate of argon2id alone, cpu-raw/login the same of processor time, which other
// programs disturb less; of each side the processor time and the page faults of one hash or login.
// BESIDE names other builds of the server, with colons between, which then take turns with them.
func BenchmarkLoginCost(b *testing.B) {
	binaries := map[string]string{"": buildServer(b)}
	for _, other := range filepath.SplitList(os.Getenv("BESIDE")) {
		binaries[filepath.Base(other)+"-"] = other
	}
	for _, engine := range []string{"sqlite", "postgres"} {
		b.Run(engine, func(b *testing.B) { loginCost(b, engine, binaries) })
	}
}

func loginCost(b *testing.B, engine string, binaries map[string]string) {
	const turn = 3 * time.Second
	turns := map[string]func() spent{"raw-": func() spent { return argon2idAlone(b, turn) }}
	for name, binary := range binaries {
		env := []string{"SIGNET_LOG_LEVEL=warn", "SIGNET_THROTTLE_SIGNUPS_PER_NETWORK=0"}
		if engine == "postgres" {
			database, _ := benchDatabase(b)
			env = append(env, "SIGNET_DATABASE_URL="+database, "SIGNET_KEYS_ENCRYPTION_KEY="+jose.NewKEK())
		}
		p := start(b, func(c *exec.Cmd) { c.Path, c.Args = binary, append(c.Args, "--migrate") }, env...)
		defer p.stop(b)
		logins := &loginClients{process: p, client: http.Client{Timeout: time.Minute,
			Transport: &http.Transport{MaxIdleConnsPerHost: loginConnections}}}
		logins.signUp(b)
		logins.run(b, time.Second) // what only the first ones pay
		turns[name+"login-"] = func() spent { return logins.run(b, turn) }
	}
	b.ResetTimer()
	sums := map[string]spent{}
	for range b.N {
		for name, run := range turns {
			sums[name] = sums[name].plus(run())
		}
	}
	raw := sums["raw-"]
	for name, sum := range sums {
		b.ReportMetric(sum.rate(), name+"/s")
		b.ReportMetric(sum.cpuMs(), name+"cpu-ms")
		b.ReportMetric(sum.faults/sum.done, name+"faults")
		if name != "raw-" {
			b.ReportMetric(sum.rate()/raw.rate(), "raw/"+strings.TrimSuffix(name, "-"))
			b.ReportMetric(raw.cpuMs()/sum.cpuMs(), "cpu-raw/"+strings.TrimSuffix(name, "-"))
		}
	}
	b.ReportMetric(0, "ns/op")
}

// spent is what a number of hashes or logins took.
type spent struct{ done, faults, cpu, wall float64 } // cpu and wall in seconds

func (s spent) plus(o spent) spent {
	return spent{s.done + o.done, s.faults + o.faults, s.cpu + o.cpu, s.wall + o.wall}
}

func (s spent) minus(o spent) spent { return s.plus(spent{-o.done, -o.faults, -o.cpu, -o.wall}) }
func (s spent) rate() float64       { return s.done / s.wall }
func (s spent) cpuMs() float64      { return 1000 * s.cpu / s.done }

// argon2idAlone hashes as signet does by default, in this process.
func argon2idAlone(b *testing.B, lasting time.Duration) (did spent) {
	usage := func() spent {
		cpu, faults := cputime.SpentAndFaults(b)
		return spent{faults: float64(faults), cpu: cpu.Seconds()}
	}
	var done atomic.Int64
	before, began := usage(), time.Now()
	var all sync.WaitGroup
	for range runtime.NumCPU() {
		all.Go(func() {
			for time.Since(began) < lasting {
				argon2.IDKey([]byte("a long enough passphrase"), make([]byte, 16), 2, hashMiB<<10, 1, 32)
				done.Add(1)
			}
		})
	}
	all.Wait()
	did = usage().minus(before)
	did.done, did.wall = float64(done.Load()), time.Since(began).Seconds()
	return did
}

const loginConnections = 16

// loginClients log in without a pause.
type loginClients struct {
	process *process
	client  http.Client
}

func (c *loginClients) post(path string, account int) (int, error) {
	resp, err := c.client.Post(c.process.base+path, "application/json",
		strings.NewReader(fmt.Sprintf(credentials, account)))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func (c *loginClients) signUp(b *testing.B) {
	b.Helper()
	for n := range loginConnections {
		if status, err := c.post("/v1/signup", n); err != nil || status != http.StatusCreated {
			b.Fatal(status, err)
		}
	}
}

// run returns what the server spent.
func (c *loginClients) run(b *testing.B, lasting time.Duration) (did spent) {
	var done atomic.Int64
	before, began := c.process.spent(b), time.Now()
	var all sync.WaitGroup
	for n := range loginConnections {
		all.Go(func() {
			for time.Since(began) < lasting {
				switch status, err := c.post("/v1/login", n); {
				case err == nil && status == http.StatusOK:
					done.Add(1)
				case status != http.StatusServiceUnavailable: // that is an answer when the machine is busy
					b.Error(status, err)
					return
				}
			}
		})
	}
	all.Wait()
	did = c.process.spent(b).minus(before)
	did.done, did.wall = float64(done.Load()), time.Since(began).Seconds()
	return did
}

// spent returns the processor time and the page faults of a process since its start.
func (p *process) spent(b *testing.B) spent {
	did, err := procstat.Of(p.cmd.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	return spent{faults: float64(did.Faults), cpu: did.Own.Seconds()}
}

// buildServer returns the path of a server as `make build` makes it.
func buildServer(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "signet")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "../")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return binary
}

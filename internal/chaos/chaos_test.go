//go:build chaos

package chaos

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/testport"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// setting reads CHAOS_ and a name from the environment.
func setting[T any](t *testing.T, name string, byDefault T, parse func(string) (T, error)) T {
	t.Helper()
	text := os.Getenv("CHAOS_" + name)
	if text == "" {
		return byDefault
	}
	value, err := parse(text)
	if err != nil {
		t.Fatalf("CHAOS_%s: %v", name, err)
	}
	return value
}

func parseSeed(text string) (uint64, error) { return strconv.ParseUint(text, 10, 64) }

// configured returns the configuration of a run, and a context that an interrupt ends. The journals
// are kept when the test fails.
func configured(t *testing.T) (context.Context, Config) {
	t.Helper()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	t.Cleanup(stop)
	dir, keep := os.Getenv("CHAOS_DIR"), true
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "signet-chaos-"); err != nil {
			t.Fatal(err)
		}
		keep = false
	}
	t.Cleanup(func() {
		if keep || t.Failed() {
			t.Logf("the journals and the replicas' logs are in %s", dir)
			return
		}
		os.RemoveAll(dir)
	})
	c := Config{
		Binary:    filepath.Join(dir, "signet"),
		Dir:       dir,
		Addresses: func() string { return testport.Address(t) },
		Seed:      setting(t, "SEED", rand.Uint64N(1_000_000), parseSeed),
		Time:      setting(t, "TIME", 2*time.Minute, time.ParseDuration),
		Clients:   setting(t, "CLIENTS", 24, strconv.Atoi),
		Verifiers: setting(t, "VERIFIERS", 50, strconv.Atoi),
		Think:     setting(t, "THINK", 60*time.Millisecond, time.ParseDuration),
		Refreshes: setting(t, "REFRESHES", 20, strconv.Atoi),
		Restarts:  setting(t, "RESTARTS", 20, strconv.Atoi),
		Rotation:  15 * time.Second,
		Timeline: Timeline{Propagation: 10 * time.Second, MaxAge: 2 * time.Second, Skew: 2 * time.Second,
			Lifetime: 30 * time.Second},
		Out: os.Stdout,
	}
	pace := 1.0
	if c.Time < 10*time.Minute {
		pace = 2
	}
	c.Pace = setting(t, "PACE", pace, func(s string) (float64, error) { return strconv.ParseFloat(s, 64) })
	return ctx, c
}

// begin builds the program and starts a database and the replicas.
func begin(ctx context.Context, t *testing.T, c Config) *System {
	t.Helper()
	if out, err := exec.Command("go", "build", "-o", c.Binary, "../../cmd/signet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	switch kind := os.Getenv("CHAOS_DATABASE"); kind {
	case "", "postgres":
		server := pgtest.Start(t, pgtest.Options{Durable: true})
		c.Database = &Postgres{Server: server, Address: server.URL(t)}
	case "patroni":
		c.Database = newCluster(t)
	default:
		t.Fatalf("CHAOS_DATABASE names no database that this knows: %q", kind)
	}
	fmt.Fprintf(c.Out, "seed %d: CHAOS_SEED=%d draws the same faults\n", c.Seed, c.Seed)
	s, err := Start(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// show prints a report, and fails the test with what it found.
func show(t *testing.T, out io.Writer, r *Report, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r.Print(out)
	if n := len(r.Violations); n > 0 {
		t.Errorf("%s: %d violations", r.Name, n)
	}
}

// F-01, F-02, F-06, F-08, F-09, F-25, F-32, F-39: the invariants hold while all of these happen again
// and again. F-19: then replicas are restarted under load, and no request fails.
func TestChaos(t *testing.T) {
	ctx, c := configured(t)
	s := begin(ctx, t, c)
	r, err := s.Faults(ctx)
	show(t, c.Out, r, err)
	if c.Restarts == 0 {
		return
	}
	r, err = s.Rolling(ctx)
	show(t, c.Out, r, err)
}

// F-21: replicas that rotate at the same moment make no verification fail, in real time, with three
// processes and 50 verifiers.
func TestRotations(t *testing.T) {
	ctx, c := configured(t)
	c.Rotation = 7 * time.Second
	c.Timeline = Timeline{Propagation: 7 * time.Second, MaxAge: time.Second, Skew: time.Second, Lifetime: 20 * time.Second}
	c.Clients, c.Think = 4, 100*time.Millisecond
	s := begin(ctx, t, c)
	r, err := s.Rotations(ctx, setting(t, "ROTATIONS", 50, strconv.Atoi),
		setting(t, "VERIFICATIONS", 1_000_000, func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) }))
	show(t, c.Out, r, err)
}

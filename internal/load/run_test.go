//go:build load

package load

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/signet-id/signet/internal/testport"
	"github.com/signet-id/signet/userstore/sqlstore/pgtest"
)

// TestLoad is `make load`. LOAD_ROUNDS and LOAD_SLICE say how long it takes, LOAD_ROWS, a regular
// expression, which rows are measured, and LOAD_BINARY names a program that is measured instead of
// the one of this tree.
func TestLoad(t *testing.T) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := t.TempDir()
	node, err := filepath.Abs("node")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Binary: os.Getenv("LOAD_BINARY"), Bare: filepath.Join(dir, "bare-handler"), NodeDir: node, Node: NodeOf(node), Dir: dir,
		Addresses: func() string { return testport.Address(t) },
		Database:  func() Server { return database(t) },
		Rounds:    setting(t, "ROUNDS", 5, strconv.Atoi),
		Slice:     setting(t, "SLICE", 1500*time.Millisecond, time.ParseDuration),
		Rows:      setting(t, "ROWS", nil, regexp.Compile),
		Out:       os.Stdout,
	}
	if c.Binary == "" {
		c.Binary = filepath.Join(dir, "signet")
		build(t, c.Binary, "../../cmd/signet")
	}
	build(t, c.Bare, "./bare")
	if err := Run(ctx, c); err != nil {
		t.Fatal(err)
	}
}

// build builds a program as `make build` does.
func build(t *testing.T, to, from string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", to, from)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// database starts a PostgreSQL that keeps what it has acknowledged.
func database(t *testing.T) Server {
	t.Helper()
	s := pgtest.Start(t, pgtest.Options{Durable: true})
	url := s.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var version string
	if err := conn.QueryRow(t.Context(), `SHOW server_version`).Scan(&version); err != nil {
		t.Fatal(err)
	}
	return Server{URL: url, Version: version, Processes: func() ([]int, error) {
		pid, err := s.PID()
		return []int{pid}, err
	}}
}

// setting reads LOAD_ and a name from the environment.
func setting[T any](t *testing.T, name string, byDefault T, parse func(string) (T, error)) T {
	t.Helper()
	text := os.Getenv("LOAD_" + name)
	if text == "" {
		return byDefault
	}
	value, err := parse(text)
	if err != nil {
		t.Fatalf("LOAD_%s: %v", name, err)
	}
	return value
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/cmd/signet/internal/watch"
	"github.com/signet-id/signet/configs"
	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

func defaultConfig(t *testing.T) configs.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "signet.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := configs.Load(configs.Input{File: file})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

func TestTheKeyIsWrittenWholeOrNotAtAll(t *testing.T) {
	text := jose.NewKEK()
	t.Run("it is there, private and alone", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "kek")
		if err := writeKEK(path, text, (*os.File).Sync); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("O-01: %v %v", info.Mode(), err)
		}
		if list, _ := os.ReadDir(dir); len(list) != 1 {
			t.Errorf("something is left over: %v", list)
		}
		if _, err := readKEK(path, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	for name, prepare := range map[string]func(path string) error{
		"another file":  func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"a link":        func(path string) error { return os.Symlink("precious", path) },
		"a broken link": func(path string) error { return os.Symlink("/nonexistent/precious", path) },
		"a folder":      func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run("F-12 it never replaces "+name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "kek")
			if err := prepare(path); err != nil {
				t.Fatal(err)
			}
			before, _ := os.Lstat(path)
			if err := writeKEK(path, text, (*os.File).Sync); !errors.Is(err, fs.ErrExist) {
				t.Errorf("not refused: %v", err)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) {
				t.Error("it was replaced")
			}
			if list, _ := os.ReadDir(dir); len(list) != 1 {
				t.Errorf("something is left over: %v", list)
			}
		})
	}
	// If the sync of the file or of its folder fails, no key is left: a key that may be lost in a
	// power cut must not seal anything.
	for n := range 2 {
		t.Run(fmt.Sprintf("F-12 sync %d fails", n+1), func(t *testing.T) {
			dir := t.TempDir()
			eio, calls := errors.New("input/output error"), 0
			err := writeKEK(filepath.Join(dir, "kek"), text, func(*os.File) error {
				calls++
				if calls == n+1 {
					return eio
				}
				return nil
			})
			if !errors.Is(err, eio) {
				t.Errorf("not told: %v", err)
			}
			if list, _ := os.ReadDir(dir); len(list) != 0 {
				t.Errorf("left behind: %v", list)
			}
		})
	}
}

// The server only warns if the default metrics address is in use. A configured one fails the start.
func TestMetricsAddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c := defaultConfig(t)
	c.Metrics.Listen = taken.Addr().String() // without a source, like the default
	logged := &watch.Buffer{}
	stop, err := serveMetrics(c, &metrics{}, textLog(logged))
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	stop()
	if !strings.Contains(logged.String(), "level=WARN") ||
		!strings.Contains(logged.String(), "set metrics.listen to another address") {
		t.Errorf("no warning: %s", logged)
	}
	c, _, err = configs.Load(configs.Input{Env: []string{"SIGNET_METRICS_LISTEN=" + taken.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := serveMetrics(c, &metrics{}, textLog(logged)); err == nil ||
		!strings.Contains(err.Error(), "set metrics.listen") {
		t.Errorf("not refused: %v", err)
	}
}

// Expired grants and old audit entries are removed in small batches; live rows stay.
func TestSweep(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		ctx, now := context.Background(), time.Now().UTC().Truncate(time.Microsecond)
		u := userstore.User{ID: server.NewID(), Email: "a@example.com", EmailKey: "a@example.com", PasswordHash: "$",
			IsActive: true, CreatedAt: now, UpdatedAt: now, Version: 1}
		if err := db.CreateUser(ctx, u); err != nil {
			t.Fatal(err)
		}
		grant := func(expires time.Time) {
			t.Helper()
			err := db.StartGrant(ctx, userstore.StartGrant{PasswordHash: "$", Grant: userstore.Grant{
				ID: server.NewGrantID(), SessionID: server.NewID(), UserID: u.ID, ClientID: userstore.FirstPartyClientID,
				Generation: 1,
				AuthTime:   now, RotatedAt: now, CreatedAt: now, ExpiresAt: expires,
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 5 {
			grant(now.Add(-48 * time.Hour))
		}
		grant(now.Add(time.Hour))
		removed, err := sweepOnce(ctx, db.RemoveExpired,
			func(context.Context) (time.Time, error) { return now.Add(-24 * time.Hour), nil }, 2)
		if err != nil || removed != 5 {
			t.Errorf("removed %d: %v", removed, err)
		}
		for i := range 5 {
			r := userstore.Reserve{Attempt: userstore.Attempt{At: now, Network: userstore.BudgetKey{byte(i)}},
				NetworkLimit: userstore.Limit{Free: 1, Window: time.Hour}}
			r.Network[15] = 1
			if err := db.ReserveAttempt(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		removed, err = sweepOnce(ctx, db.RemoveExpiredAttempts,
			func(context.Context) (time.Time, error) { return now.Add(time.Hour), nil }, 2)
		if err != nil || removed != 5 {
			t.Errorf("removed %d attempts: %v", removed, err)
		}
		for i := range 7 {
			e := audit.New(ctx, now.Add(-time.Duration(i)*24*time.Hour), audit.UsersExported, audit.Target{})
			if err := db.Record(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		clock := func(context.Context) (time.Time, error) { return now.Add(time.Hour), nil }
		if removed, err = sweepOnce(ctx, removeOldEvents(db, 0), clock, 2); err != nil || removed != 0 {
			t.Errorf("kept for ever, and %d events removed: %v", removed, err)
		}
		if removed, err = sweepOnce(ctx, removeOldEvents(db, 48*time.Hour), clock, 2); err != nil || removed != 5 {
			t.Errorf("removed %d events: %v", removed, err)
		}
		if left, err := db.ListEvents(ctx, userstore.EventQuery{Limit: 10}); err != nil || len(left) != 2 ||
			left[1].At.Before(now.Add(-24*time.Hour)) {
			t.Errorf("left: %v %v", left, err)
		}
		live, err := db.ListGrants(ctx, u.ID, now, now.Add(-time.Hour))
		if err != nil || len(live) != 1 {
			t.Errorf("live: %d %v", len(live), err)
		}
	})
}

func TestTheLogNeverBlocks(t *testing.T) {
	release := make(chan struct{})
	var got watch.Buffer
	first := true
	w := newLogWriter(writerFunc(func(p []byte) (int, error) {
		if first {
			first = false
			<-release
		}
		return got.Write(p)
	}))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range logBacklog + 100 {
			_, _ = w.Write([]byte("line\n"))
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("F-40: Write waits for the reader")
	}
	close(release)
	w.flush()
	text := got.String()
	if n := strings.Count(text, "line\n"); n < logBacklog || n > logBacklog+1 {
		t.Errorf("%d lines were kept", n)
	}
	if !strings.Contains(text, "log lines were lost") {
		t.Error("that lines were lost is not told")
	}
	if _, err := w.Write([]byte("late\n")); err != nil { // a goroutine that outlives the log
		t.Error(err)
	}
}

func TestTimeline(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	r := keys.Report{Now: now, Algorithms: []string{"EdDSA"}, Keys: []keys.KeyInfo{
		{KeyID: "aaaaaaaaaaaaaaaa", Algorithm: "EdDSA", State: keys.Retiring, CreatedAt: now.Add(-40 * day),
			ActivateAt: now.Add(-30 * day), RetireAt: now.Add(-time.Minute), RemoveAt: now.Add(10 * time.Minute)},
		{KeyID: "bbbbbbbbbbbbbbbb", Algorithm: "EdDSA", State: keys.Active, CreatedAt: now.Add(-30 * day),
			ActivateAt: now.Add(-time.Minute), RetireAt: now.Add(30 * day), RemoveAt: now.Add(31 * day)},
		{KeyID: "cccccccccccccccc", Algorithm: "EdDSA", State: keys.Pending, CreatedAt: now, ActivateAt: now.Add(30 * day)},
		{KeyID: "dddddddddddddddd", Algorithm: "EdDSA", State: keys.Removed, CreatedAt: now.Add(-400 * day),
			ActivateAt: now.Add(-399 * day), RetireAt: now.Add(-390 * day), RevokedAt: now.Add(-390 * day)},
		{KeyID: "", Algorithm: "EdDSA", State: keys.Pending, CreatedAt: now, ActivateAt: now.Add(60 * day)},
	}}
	var b strings.Builder
	drawTimeline(&b, r, true)
	drawn := b.String()
	for name, want := range map[string]string{
		"a phase too short for a column is still seen": "aaaaaaaa  ░░░░█████████████▒ ",
		"the active key begins where it takes over":    "bbbbbbbb      ░░░░░░░░░░░░░████████████▒",
		"a key that a dry run makes has a place":       "(new)",
		"a revoked key is in the list":                 "revoked 2025-10-27 12:00:00Z",
		"a successor is published all the time":        "cccccccc                   ░░░░░░░░░░░░█",
		"now is marked":                                "              ▼ 2026-11-21 12:00:00Z",
	} {
		if !strings.Contains(drawn, want) {
			t.Errorf("%s: %q is not in\n%s", name, want, drawn)
		}
	}
	if strings.Contains(drawn, "       dddddddd") {
		t.Errorf("a removed key has no bar:\n%s", drawn)
	}
	lines := strings.Split(drawn, "\n")
	if len([]rune(lines[0])) > 100 {
		t.Errorf("too wide: %s", lines[0])
	}
	drawTimeline(&b, keys.Report{Now: now}, false) // nothing to draw is no reason to fail
}

func TestDurationsForPeople(t *testing.T) {
	for _, row := range []struct {
		d    time.Duration
		want string
	}{
		{0, "now"}, {5 * time.Second, "in 5 s"}, {-90 * time.Second, "1 min 30 s ago"},
		{59*time.Minute + 40*time.Second, "in 60 min"},
		{time.Hour + 16*time.Minute, "in 1 h 16 min"}, {29*24*time.Hour + 23*time.Hour, "in 30 days"},
		{50 * time.Hour, "in 2 days 2 h"},
	} {
		if got := readable.Ago(row.d); got != row.want {
			t.Errorf("%s: %q, want %q", row.d, got, row.want)
		}
	}
}

// A user's name must not move the cursor of an operator's terminal.
func TestTablesArePrintable(t *testing.T) {
	var b strings.Builder
	a := &app{out: &b}
	if err := a.table([]string{"NAME"}, [][]string{{"a\x1b[2Jb\nc\u202edcba\u009b"}}); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\u202e\u009b") || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("%q", b.String())
	}
}

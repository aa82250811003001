package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestDurationsInTheLogAreTexts(t *testing.T) {
	var got bytes.Buffer
	log := slog.New(durationTexts{slog.NewJSONHandler(&got, &slog.HandlerOptions{Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})})
	wait := 1500 * time.Microsecond
	log.Info("unseen", "wait", wait)
	log.Warn("a", "n", 1, "wait", wait, slog.Group("g", "wait", wait, slog.Group("h", "wait", wait)))
	log.With("wait", wait).WithGroup("g").Warn("b", "wait", wait)
	log.Warn("c", "n", 1)
	want := `{"level":"WARN","msg":"a","n":1,"wait":"1.5ms","g":{"wait":"1.5ms","h":{"wait":"1.5ms"}}}
{"level":"WARN","msg":"b","wait":"1.5ms","g":{"wait":"1.5ms"}}
{"level":"WARN","msg":"c","n":1}
`
	if got.String() != want {
		t.Errorf("%s", got.String())
	}
}

// Lines that wait are written together: whole, in order, and no more at once than a pipe takes
// whole.
func TestLinesAreWrittenTogether(t *testing.T) {
	release, writes := make(chan struct{}), [][]byte(nil)
	w := newLogWriter(writerFunc(func(p []byte) (int, error) {
		<-release
		writes = append(writes, bytes.Clone(p))
		return len(p), nil
	}))
	var want strings.Builder
	write := func(line string) {
		want.WriteString(line)
		_, _ = io.WriteString(w, line)
	}
	long := strings.Repeat("long ", logChunk/3) + "\n"
	for n := range 1000 {
		write(fmt.Sprintf("line %d of some length\n", n))
		if n == 500 {
			write(long)
		}
	}
	close(release)
	w.flush()
	var got strings.Builder
	for _, p := range writes {
		got.Write(p)
		if p[len(p)-1] != '\n' || len(p) > logChunk && string(p) != long {
			t.Errorf("one write of %d bytes that ends in %q", len(p), p[len(p)-1])
		}
	}
	if got.String() != want.String() {
		t.Errorf("%d bytes came, want %d", got.Len(), want.Len())
	}
	if len(writes) > 20 {
		t.Errorf("%d writes", len(writes))
	}
}

// The lines of a write that failed are counted, but for those that were written before it failed.
func TestLinesOfAFailedWriteAreCounted(t *testing.T) {
	var got bytes.Buffer
	release, fails := make(chan struct{}), 2
	w := newLogWriter(writerFunc(func(p []byte) (int, error) {
		<-release
		if fails--; fails >= 0 {
			n := bytes.IndexByte(p, '\n') + 3 // the next line is torn
			got.Write(p[:min(n, len(p))])
			return min(n, len(p)), errors.New("the disk is full")
		}
		return got.Write(p)
	}))
	const lines, size = 2000, 10
	for n := range lines {
		_, _ = fmt.Fprintf(w, "line %04d\n", n)
	}
	close(release)
	w.flush()
	whole, lost := 0, -1
	for line := range strings.Lines(got.String()) {
		if strings.HasPrefix(line, "line ") && len(line) == size && !strings.Contains(line[1:], "line") {
			whole++
		}
		if _, after, found := strings.Cut(line, `"lines":`); found {
			_, _ = fmt.Sscan(after, &lost)
		}
	}
	if torn := lines - whole - lost; lost < 0 || torn < 0 || torn > 2 {
		t.Errorf("%d lines came whole and %d were told to be lost, of %d:\n%.300s", whole, lost, lines, got.String())
	}
}

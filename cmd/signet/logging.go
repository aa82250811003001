package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/signet-id/signet/configs"
)

// logger returns a logger that writes to standard error, in the configured format. The format auto
// is text on a terminal and JSON otherwise.
func (a *app) logger(c configs.Config) (*slog.Logger, *logWriter) {
	w := newLogWriter(a.err)
	options := &slog.HandlerOptions{Level: c.Log.SlogLevel()}
	text := isTerminal(a.err)
	if c.Log.Format != "auto" {
		text = c.Log.Format == "text"
	}
	var handler slog.Handler = slog.NewJSONHandler(w, options)
	if text {
		handler = slog.NewTextHandler(w, options)
	}
	return slog.New(durationTexts{handler}), w
}

// durationTexts writes durations as texts like 1.5ms, because JSON would show nanoseconds. slog's
// own way to replace values, ReplaceAttr, makes every line slower, also those without a duration.
type durationTexts struct{ slog.Handler }

func (h durationTexts) Handle(ctx context.Context, r slog.Record) error {
	durations := false
	r.Attrs(func(a slog.Attr) bool {
		durations = a.Value.Kind() == slog.KindDuration || a.Value.Kind() == slog.KindGroup
		return !durations
	})
	if durations {
		copied := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.Attrs(func(a slog.Attr) bool {
			copied.AddAttrs(readableAttr(a))
			return true
		})
		r = copied
	}
	return h.Handler.Handle(ctx, r)
}

func (h durationTexts) WithAttrs(attrs []slog.Attr) slog.Handler {
	return durationTexts{h.Handler.WithAttrs(readableAttrs(attrs))}
}

func (h durationTexts) WithGroup(name string) slog.Handler {
	return durationTexts{h.Handler.WithGroup(name)}
}

func readableAttr(a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindDuration:
		a.Value = slog.StringValue(a.Value.Duration().String())
	case slog.KindGroup:
		a.Value = slog.GroupValue(readableAttrs(a.Value.Group())...)
	}
	return a
}

func readableAttrs(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = readableAttr(a)
	}
	return out
}

// logWriter writes the log so that no request ever waits for the reader of the log. A reader that
// stalls, a full disk or a closed pipe loses lines, never answers. Lost lines are counted, and the
// count is logged as soon as writing works again.
//
// A line is written at once, by another goroutine, and then none for logPause: a busy server writes
// many lines with one system call, and its requests do not each wake the goroutine.
type logWriter struct {
	w    io.Writer
	wake chan struct{} // holds an item when lines wait
	done chan struct{}

	spare []byte // memory for lines that will wait; the writing goroutine's

	mu      sync.Mutex
	closed  bool
	waiting []byte // whole lines
	lines   int    // that wait or are being written
	lost    int
}

const (
	// logBacklog is how many lines may wait; with lines of a few hundred bytes that is about a MiB.
	logBacklog = 4096
	logPause   = 5 * time.Millisecond
	// logChunk is how many bytes are written at once, unless a line is longer. So much a pipe takes
	// whole, beside other programs that write into it (PIPE_BUF).
	logChunk = 4096
	maxSpare = 64 << 10 // bytes
)

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{w: w, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for range l.wake {
			l.writeWaiting()
			time.Sleep(logPause)
		}
		l.writeWaiting()
	}()
	return l
}

// Write never blocks and never fails.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
	case l.lines >= logBacklog:
		l.lost++
	default:
		l.waiting = append(l.waiting, line...)
		l.lines++
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return len(line), nil
}

func (l *logWriter) writeWaiting() {
	l.mu.Lock()
	lines := l.waiting
	l.waiting = l.spare[:0]
	l.mu.Unlock()
	l.spare = lines
	if cap(lines) > maxSpare {
		l.spare = nil
	}
	for len(lines) > 0 {
		chunk := lines[:chunkEnd(lines)]
		lines = lines[len(chunk):]
		n, err := l.w.Write(chunk)
		l.wrote(countLines(chunk), countLines(chunk[n:]))
		if err != nil {
			continue
		}
		if lost := l.takeLost(); lost > 0 {
			if _, err := l.w.Write(lostLine(lost)); err != nil {
				l.wrote(0, lost)
			}
		}
	}
}

func countLines(text []byte) int { return bytes.Count(text, []byte("\n")) }

// chunkEnd returns where a chunk of whole lines ends.
func chunkEnd(lines []byte) int {
	if len(lines) <= logChunk {
		return len(lines)
	}
	if end := bytes.LastIndexByte(lines[:logChunk], '\n'); end >= 0 {
		return end + 1
	}
	if end := bytes.IndexByte(lines, '\n'); end >= 0 {
		return end + 1
	}
	return len(lines)
}

// wrote counts lines that wait no more, and those that were lost.
func (l *logWriter) wrote(lines, lost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines -= lines
	l.lost += lost
}

func (l *logWriter) takeLost() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.lost
	l.lost = 0
	return n
}

// lostLine returns the line about n lost lines. It is JSON, which is readable in a text log as
// well.
func lostLine(n int) []byte {
	var line []byte
	w := writerFunc(func(p []byte) (int, error) { line = append([]byte(nil), p...); return len(p), nil })
	slog.New(slog.NewJSONHandler(w, nil)).Warn("log lines were lost because nobody took them", "lines", n)
	return line
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// waitUntilWritten waits a moment until the lines that were logged so far are written, so that text
// printed next comes after them.
func (l *logWriter) waitUntilWritten() {
	for range 100 {
		time.Sleep(time.Millisecond)
		if l.waitingLines() == 0 {
			return
		}
	}
}

func (l *logWriter) waitingLines() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines
}

// flush closes the log and waits at most a second until all lines are written.
func (l *logWriter) flush() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.wake)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(time.Second):
	}
}

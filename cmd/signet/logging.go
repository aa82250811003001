package main

import (
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
	options := &slog.HandlerOptions{Level: c.Log.SlogLevel(), ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().String()) // JSON would show nanoseconds
		}
		return a
	}}
	text := isTerminal(a.err)
	if c.Log.Format != "auto" {
		text = c.Log.Format == "text"
	}
	var handler slog.Handler = slog.NewJSONHandler(w, options)
	if text {
		handler = slog.NewTextHandler(w, options)
	}
	return slog.New(handler), w
}

// logWriter writes the log so that no request ever waits for the reader of the log. A reader that
// stalls, a full disk or a closed pipe loses lines, never answers. Lost lines are counted, and the
// count is logged as soon as writing works again.
type logWriter struct {
	w     io.Writer
	lines chan []byte
	done  chan struct{}

	mu     sync.Mutex
	closed bool
	lost   int
}

// logBacklog is how many lines may wait; with lines of a few hundred bytes that is about a MiB.
const logBacklog = 4096

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{w: w, lines: make(chan []byte, logBacklog), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for line := range l.lines {
			if _, err := l.w.Write(line); err != nil {
				l.lose(1)
			} else if n := l.takeLost(); n > 0 {
				if _, err := l.w.Write(lostLine(n)); err != nil {
					l.lose(n)
				}
			}
		}
	}()
	return l
}

// Write never blocks and never fails.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return len(line), nil
	}
	select {
	case l.lines <- append([]byte(nil), line...):
	default:
		l.lost++
	}
	return len(line), nil
}

func (l *logWriter) lose(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost += n
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
		if len(l.lines) == 0 {
			return
		}
	}
}

// flush closes the log and waits at most a second until all lines are written.
func (l *logWriter) flush() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.lines)
	}
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(time.Second):
	}
}

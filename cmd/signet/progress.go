package main

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// progress shows on standard error how far a long command is: on a terminal as a bar in one line,
// otherwise as a new line from time to time.
type progress struct {
	out   io.Writer
	bar   bool
	quiet bool // for programs
	now   func() time.Time

	size  int64 // of the input; 0: unknown
	read  atomic.Int64
	shown bool
	next  time.Time // when to show the next update
}

const (
	barInterval   = 100 * time.Millisecond
	lineInterval  = 5 * time.Second
	progressWidth = 30
)

func (a *app) newProgress(size int64) *progress {
	_, bar := terminal(a.err)
	p := &progress{out: a.err, bar: bar, quiet: a.asJSON && !bar, now: a.now, size: size}
	p.next = p.now().Add(p.interval())
	return p
}

func (p *progress) interval() time.Duration {
	if p.bar {
		return barInterval
	}
	return lineInterval
}

// watch returns a reader that counts the bytes read from in.
func (p *progress) watch(in io.Reader) io.Reader { return &watched{in, &p.read} }

type watched struct {
	io.Reader
	read *atomic.Int64
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	w.read.Add(int64(n))
	return n, err
}

// show shows that n accounts are done, unless the last update is too recent.
func (p *progress) show(n int) {
	now := p.now()
	if p.quiet || now.Before(p.next) {
		return
	}
	p.next = now.Add(p.interval())
	part := 0.0
	if p.size > 0 {
		part = min(1, float64(p.read.Load())/float64(p.size))
	}
	switch {
	case p.bar && p.size > 0:
		full := int(part * progressWidth)
		fmt.Fprintf(p.out, "\r[%s%s] %3.0f %%  %d accounts", strings.Repeat("#", full), strings.Repeat(".", progressWidth-full), 100*part, n)
	case p.bar:
		fmt.Fprintf(p.out, "\r%d accounts", n)
	case p.size > 0:
		fmt.Fprintf(p.out, "signet: %d accounts, %.0f %% of the file\n", n, 100*part)
	default:
		fmt.Fprintf(p.out, "signet: %d accounts\n", n)
	}
	p.shown = p.bar
}

// hide removes the bar, so that another line can be written.
func (p *progress) hide() {
	if p.shown {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.shown = false
	}
}

func (p *progress) end() { p.hide() }

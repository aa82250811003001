package terminal

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"
)

// Progress shows how far a long command is: on a terminal as a bar in one line, otherwise as a new
// line from time to time.
type Progress struct {
	Out  io.Writer
	Bar  bool   // Out is a terminal
	Size int64  // of the input in bytes; 0: unknown
	Of   string // what is counted, such as accounts
	// Whole is what Size is the size of; empty: the file.
	Whole string
	Now   func() time.Time

	read  atomic.Int64
	shown bool
	next  time.Time // when to show the next update
}

const (
	barInterval   = 100 * time.Millisecond
	lineInterval  = 5 * time.Second
	progressWidth = 30
)

func (p *Progress) interval() time.Duration {
	if p.Bar {
		return barInterval
	}
	return lineInterval
}

// Begin says that the command begins: the first update comes an interval later.
func (p *Progress) Begin() { p.next = p.Now().Add(p.interval()) }

// Watch returns a reader that counts the bytes read from in. The command begins here.
func (p *Progress) Watch(in io.Reader) io.Reader {
	p.Begin()
	return &watched{in, &p.read}
}

// Reach tells how many bytes are done, where there is no reader to watch.
func (p *Progress) Reach(bytes int64) { p.read.Store(bytes) }

type watched struct {
	io.Reader
	read *atomic.Int64
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	w.read.Add(int64(n))
	return n, err
}

// Show shows that n are done, unless the last update is too recent.
func (p *Progress) Show(n int) {
	now := p.Now()
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(p.interval())
	part := 0.0
	if p.Size > 0 {
		part = min(1, float64(p.read.Load())/float64(p.Size))
	}
	switch {
	case p.Bar && p.Size > 0:
		full := int(part * progressWidth)
		bar := strings.Repeat("#", full) + strings.Repeat(".", progressWidth-full)
		fmt.Fprintf(p.Out, "\r[%s] %3.0f %%  %d %s", bar, 100*part, n, p.Of)
	case p.Bar:
		fmt.Fprintf(p.Out, "\r%d %s", n, p.Of)
	case p.Size > 0:
		fmt.Fprintf(p.Out, "signet: %d %s, %.0f %% of %s\n", n, p.Of, 100*part, cmp.Or(p.Whole, "the file"))
	default:
		fmt.Fprintf(p.Out, "signet: %d %s\n", n, p.Of)
	}
	p.shown = p.Bar
}

// Hide removes the bar, so that another line can be written.
func (p *Progress) Hide() {
	if p.shown {
		fmt.Fprint(p.Out, "\r\x1b[K")
		p.shown = false
	}
}

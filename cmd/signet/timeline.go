package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/signet-id/signet/internal/readable"
	"github.com/signet-id/signet/keys"
)

// The runes of a key's bar, one for each phase.
const (
	barPublished = '░' // in the JWKS, not signing yet
	barSigns     = '█'
	barVerifies  = '▒' // in the JWKS for tokens that it signed before
	barWidth     = 48
)

// drawTimeline draws a bar for each published key, then the next events, then the keys with their
// full ids.
func drawTimeline(w *strings.Builder, r keys.Report, wide bool) {
	if len(r.Keys) == 0 {
		return
	}
	axis := newAxis(r)
	fmt.Fprintf(w, "%s\n", axis.header())
	alg := ""
	for _, k := range r.Keys {
		if k.State == keys.Removed {
			continue
		}
		label := ""
		if k.Algorithm != alg {
			alg, label = k.Algorithm, k.Algorithm
		}
		fmt.Fprintf(w, "%-5s  %-8s  %s  %s\n", label, shortID(k.KeyID), axis.bar(k), k.State)
	}
	fmt.Fprintf(w, "%s\n", axis.footer())

	if len(r.Events) > 0 {
		fmt.Fprintf(w, "\nWhat happens next\n")
		before := ""
		for _, e := range r.Events {
			if at := readable.Instant(e.At); at != before {
				before = at
				fmt.Fprintf(w, "  %s, %s\n", at, readable.Ago(e.At.Sub(r.Now)))
			}
			fmt.Fprintf(w, "    %-5s  %-8s  %s\n", e.Algorithm, shortID(e.KeyID), e.Text)
		}
	}

	fmt.Fprintf(w, "\nKeys\n")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if wide {
		fmt.Fprintf(t, "  ALG\tKID\tSTATE\tSIGNS FROM\tUNTIL\tLEAVES THE JWKS\n")
	} else { // the state stands beside the bar
		fmt.Fprintf(t, "  ALG\tKID\tSIGNS FROM\tUNTIL\tLEAVES THE JWKS\n")
	}
	for _, k := range r.Keys {
		instant, id := minute, shortID(k.KeyID)
		if wide {
			if instant, id = readable.Instant, k.KeyID; id == "" {
				id = "(made by the rotation)"
			}
		}
		from, until, leaves := instant(k.ActivateAt), knownInstant(k.RetireAt, instant), knownInstant(k.RemoveAt, instant)
		switch {
		case !k.RevokedAt.IsZero() && wide:
			leaves = "revoked " + instant(k.RevokedAt)
		case !k.RevokedAt.IsZero():
			leaves = "revoked " + k.RevokedAt.UTC().Format(time.DateOnly)
		}
		if !k.RetireAt.IsZero() && !k.RetireAt.After(k.ActivateAt) {
			from, until = "never", "never"
		}
		if wide {
			id += "\t" + string(k.State)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", k.Algorithm, id, from, until, leaves)
	}
	t.Flush()
}

// minute formats an instant for a narrow table.
func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// shortID returns enough of a kid to distinguish keys in the drawing.
func shortID(kid string) string {
	if kid == "" {
		return "(new)"
	}
	return kid[:min(8, len(kid))]
}

func knownInstant(t time.Time, instant func(time.Time) string) string {
	if t.IsZero() {
		return "not yet known"
	}
	return instant(t)
}

// axis maps time to columns.
type axis struct{ start, end, now time.Time }

// newAxis returns an axis for the published keys. It begins when the first of them was made, and
// ends a while after the last known change, so that the state after that change can be seen.
func newAxis(r keys.Report) axis {
	a := axis{start: r.Now, end: r.Now, now: r.Now}
	for _, k := range r.Keys {
		if k.State == keys.Removed {
			continue
		}
		for _, t := range []time.Time{k.CreatedAt, k.ActivateAt, k.RetireAt, k.RemoveAt} {
			if t.IsZero() {
				continue
			}
			if t.Before(a.start) {
				a.start = t
			}
			if t.After(a.end) {
				a.end = t
			}
		}
	}
	margin := max(a.end.Sub(a.start)/8, time.Second)
	a.end = a.end.Add(margin)
	return a
}

// column returns the column of an instant, from 0 to barWidth.
func (a axis) column(t time.Time) int {
	switch {
	case !t.After(a.start):
		return 0
	case !t.Before(a.end):
		return barWidth
	}
	return int(float64(barWidth) * float64(t.Sub(a.start)) / float64(a.end.Sub(a.start)))
}

// bar draws a key's phases. A phase that is shorter than a column still gets one.
func (a axis) bar(k keys.KeyInfo) string {
	row := []rune(strings.Repeat(" ", barWidth))
	end := func(t time.Time) int {
		if t.IsZero() {
			return barWidth
		}
		return a.column(t)
	}
	fill := func(from, to int, with rune) {
		for i := max(0, from); i < min(to, barWidth); i++ {
			row[i] = with
		}
	}
	signs, retires, leaves := a.column(k.ActivateAt), end(k.RetireAt), end(k.RemoveAt)
	fill(a.column(k.CreatedAt), signs, barPublished)
	if k.RetireAt.IsZero() || k.RetireAt.After(k.ActivateAt) {
		retires = max(retires, signs+1)
		fill(signs, retires, barSigns)
	}
	fill(retires, max(leaves, retires+1), barVerifies)
	return string(row)
}

// header returns the line above the bars, which marks now.
func (a axis) header() string {
	at := min(a.column(a.now), barWidth-1)
	text := readable.Instant(a.now)
	left := max(0, at-len(text)-1)
	line := strings.Repeat(" ", left)
	if at > len(text) {
		line += strings.Repeat(" ", at-len(text)-1-left) + text + " ▼"
	} else {
		line = strings.Repeat(" ", at) + "▼ " + text
	}
	return "ALG    KID       " + line
}

// footer returns the lines below the bars: both ends of the axis, and the legend.
func (a axis) footer() string {
	layout := "2006-01-02 15:04"
	if a.end.Sub(a.start) < time.Hour {
		layout = "15:04:05"
	}
	from, to := a.start.UTC().Format(layout), a.end.UTC().Format(layout)
	gap := strings.Repeat(" ", max(1, barWidth-len(from)-len(to)))
	return fmt.Sprintf("%s%s%s%s\n%s%c published   %c signs   %c verifies only",
		strings.Repeat(" ", 17), from, gap, to, strings.Repeat(" ", 17), barPublished, barSigns, barVerifies)
}

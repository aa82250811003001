package chaos

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// Print writes the report as a table, and the first of each kind of violation.
func (r *Report) Print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, format string, args ...any) {
		fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	acts := 0
	for _, n := range r.Counts.Acknowledged {
		acts += n
	}
	fmt.Fprintf(w, "\n%s, %s\n", r.Name, r.Took.Round(time.Second))
	row("acts acknowledged", "%d", acts)
	for _, act := range slices.Sorted(maps.Keys(r.Counts.Acknowledged)) {
		row("  "+string(act), "%d", r.Counts.Acknowledged[act])
	}
	row("acts lost", "%d", r.Counts.LostActs)
	row("tokens doubled", "%d", r.Counts.Doubled)
	row("half acts", "%d", r.of(Whole))
	row("sessions lost", "%d", r.Counts.LostSessions)
	row("verifications", "%d", r.Checked)
	row("failed verifications", "%d", r.of(Verified))
	row("tokens of revoked keys that were refused", "%d, and %d whose key then had to sign too early", r.Revoked, r.Early)
	row("wrong answers", "%d", r.Counts.Wrong)
	row("exits and leaks", "%d", r.of(Processes))
	row("requests", "%d", r.Counts.Requests)
	row("  answered with 503 or 429", "%d", r.Counts.Unavailable)
	row("  answers lost", "%d", r.Counts.Lost)
	row("slowest answer that granted something", "%s", round(time.Duration(r.Live.Slowest.Load())*time.Microsecond))
	row("acts tried again", "%d", r.Counts.Retried)
	row("acts without an answer at the end", "%d", r.Unfinished)
	row("codes that a lost answer ended", "%d", r.Counts.Ambiguous)
	row("refusals that were wanted", "%d", r.Counts.Probes)
	r.recoveries(row)
	if r.LastRevoked > 0 {
		row("revoked key's token last accepted", "%s after the revocation", round(r.LastRevoked))
	}
	for _, alg := range slices.Sorted(maps.Keys(r.Rotations)) {
		row("rotations of "+alg, "%d", r.Rotations[alg])
	}
	for n := range r.Now {
		row(fmt.Sprintf("replica %d: goroutines, files, memory", n), "%d, %d, %d MiB (at the beginning %d, %d, %d MiB)",
			r.Now[n].Goroutines, r.Now[n].Files, r.Now[n].Resident>>20,
			r.Before[n].Goroutines, r.Before[n].Files, r.Before[n].Resident>>20)
	}
	faults := r.Live.Faults()
	total := 0
	for _, n := range faults {
		total += n
	}
	row("faults", "%d", total)
	for _, kind := range slices.Sorted(maps.Keys(faults)) {
		row("  "+kind, "%d", faults[kind])
	}
	_ = t.Flush()

	shown := map[string]int{}
	for _, v := range r.Violations {
		if kind := string(v.Invariant) + v.Kind; shown[kind] < 5 {
			shown[kind]++
			fmt.Fprintf(w, "BROKEN %s\n", v)
		}
	}
	if n := len(r.Violations); n > 0 {
		fmt.Fprintf(w, "%d violations\n", n)
	}
}

// recoveries writes how long after the database accepts connections replicas succeeded.
func (r *Report) recoveries(row func(name, format string, args ...any)) {
	if r.Prober == nil {
		return
	}
	first, last, without := r.Prober.Recoveries()
	if n := len(first); n > 0 {
		row("after the database accepts: first success", "median %s, worst %s, of %d", round(first[n/2]), round(first[n-1]), n)
		row("  of every replica that is under no fault", "median %s, worst %s", round(last[n/2]), round(last[n-1]))
	}
	if without > 0 {
		row("  left out: every replica was under a fault", "%d", without)
	}
}

// of counts the violations of an invariant.
func (r *Report) of(i Invariant) (n int) {
	for _, v := range r.Violations {
		if v.Invariant == i {
			n++
		}
	}
	return n
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

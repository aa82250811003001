//go:build linux

package password

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/signet-id/signet/internal/cputime"
)

// BenchmarkMemory200InFlight keeps 200 password checks in flight and reports the peak of
// resident memory, beside what is allowed: 96 MiB, and the bound of Hasher.
func BenchmarkMemory200InFlight(b *testing.B) {
	for _, p := range []Params{Default, {MemoryKiB: 64 * 1024, Time: 1, Threads: 1}} {
		b.Run("m="+strconv.Itoa(int(p.MemoryKiB)), func(b *testing.B) {
			const callers = 200
			h := New(p, 0, callers, time.Hour)
			phc, err := h.Hash(b.Context(), "pw")
			if err != nil {
				b.Fatal(err)
			}
			slots := int(h.places) - callers
			debug.FreeOSMemory() // of what ran before
			resetPeak(b)
			b.ResetTimer()
			for range b.N {
				inParallel(callers, callers, func() {
					if ok, _, err := h.Verify(b.Context(), phc, "pw"); !ok || err != nil {
						b.Error(ok, err)
					}
				})
			}
			b.StopTimer()
			peak, limit := peakMiB(b), 96+(slots*int(p.MemoryKiB)+int(h.memory.most))/1024
			b.ReportMetric(float64(peak), "peak-MiB")
			b.ReportMetric(float64(limit), "limit-MiB")
			b.ReportMetric(float64(b.N*callers)/b.Elapsed().Seconds(), "hashes/s")
			if peak >= limit {
				b.Errorf("peak of %d MiB, allowed are %d (GOMAXPROCS %d)", peak, limit, runtime.GOMAXPROCS(0))
			}
		})
	}
}

// BenchmarkParallelVerify is the rate of 200 callers at once, against as many goroutines as there
// are slots that do nothing but argon2id, in turns. raw/ours is the share of the raw rate that is
// left, and cpu-raw/ours that of the processor time, which other programs disturb less. Of both
// sides: page faults of a hash, and the peak of resident memory.
func BenchmarkParallelVerify(b *testing.B) {
	const callers, batch, password = 200, 60, "correct horse battery staple"
	h := New(Default, 0, callers, time.Hour)
	phc, err := h.Hash(b.Context(), password)
	if err != nil {
		b.Fatal(err)
	}
	stored, _ := parseArgon2id(phc)
	slots := int(h.places) - callers
	var raw, ours usage
	for range b.N {
		debug.FreeOSMemory()
		raw.add(b, func() {
			inParallel(slots, batch, func() {
				argon2.IDKey([]byte(password), stored.Salt, stored.Time, stored.MemoryKiB, stored.Threads, tagSize)
			})
		})
		debug.FreeOSMemory()
		ours.add(b, func() {
			inParallel(callers, batch, func() {
				if ok, _, err := h.Verify(b.Context(), phc, password); !ok || err != nil {
					b.Error(ok, err)
				}
			})
		})
		h.memory.tidy(func() bool { return true }) // no raised GOGC for the other side
	}
	hashes := float64(b.N * batch)
	b.ReportMetric(raw.wall.Seconds()/ours.wall.Seconds(), "raw/ours")
	b.ReportMetric(raw.cpu.Seconds()/ours.cpu.Seconds(), "cpu-raw/ours")
	b.ReportMetric(hashes/ours.wall.Seconds(), "hashes/s")
	for name, u := range map[string]usage{"raw-": raw, "ours-": ours} {
		b.ReportMetric(float64(u.cpu.Microseconds())/1000/hashes, name+"cpu-ms")
		b.ReportMetric(float64(u.faults)/hashes, name+"faults")
		b.ReportMetric(float64(u.peak), name+"peak-MiB")
	}
}

// inParallel calls f so many times, from so many goroutines.
func inParallel(goroutines, times int, f func()) {
	var begun atomic.Int64
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for begun.Add(1) <= int64(times) {
				f()
			}
		})
	}
	all.Wait()
}

// usage is what work took.
type usage struct {
	wall, cpu time.Duration
	faults    int64
	peak      int // MiB, resident
}

func (u *usage) add(b *testing.B, work func()) {
	resetPeak(b)
	spentBefore, faultsBefore := cputime.SpentAndFaults(b)
	start := time.Now()
	work()
	spent, faults := cputime.SpentAndFaults(b)
	u.wall += time.Since(start)
	u.cpu += spent - spentBefore
	u.faults += faults - faultsBefore
	u.peak = max(u.peak, peakMiB(b))
}

// resetPeak makes VmHWM begin anew (proc(5), clear_refs).
func resetPeak(b *testing.B) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

func peakMiB(b *testing.B) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		b.Fatal("no VmHWM in /proc/self/status")
	}
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}

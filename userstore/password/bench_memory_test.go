//go:build linux

package password

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// BenchmarkMemory200InFlight keeps 200 password checks in flight and reports the peak of
// resident memory, beside what is allowed: 96 MiB + 2 × slots × memory.
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
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						if ok, _, err := h.Verify(b.Context(), phc, "pw"); !ok || err != nil {
							b.Error(ok, err)
						}
					})
				}
				all.Wait()
			}
			b.StopTimer()
			peak, limit := peakMiB(b), 96+2*slots*int(p.MemoryKiB)/1024
			b.ReportMetric(float64(peak), "peak-MiB")
			b.ReportMetric(float64(limit), "limit-MiB")
			b.ReportMetric(float64(b.N*callers)/b.Elapsed().Seconds(), "hashes/s")
			if peak >= limit {
				b.Errorf("peak of %d MiB, allowed are %d (GOMAXPROCS %d)", peak, limit, runtime.GOMAXPROCS(0))
			}
		})
	}
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

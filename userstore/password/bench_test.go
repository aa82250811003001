package password

import (
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
)

type stopwatch struct{ total time.Duration }

func (s *stopwatch) time(f func()) {
	start := time.Now()
	f()
	s.total += time.Since(start)
}

// BenchmarkVerify compares with raw argon2id in the same run: "raw/ours" is the share of the
// raw rate that is left, 1 being all of it. Parallel as logins are: everyone waits for a slot.
func BenchmarkVerify(b *testing.B) {
	h := New(Default, 0, 1, time.Hour)
	const password = "correct horse battery staple"
	phc, err := h.Hash(b.Context(), password)
	if err != nil {
		b.Fatal(err)
	}
	stored, _ := parseArgon2id(phc)

	// In turns, since the machine is not equally fast all the time.
	var raw, ours stopwatch
	for range b.N {
		raw.time(func() {
			argon2.IDKey([]byte(password), stored.Salt, stored.Time, stored.MemoryKiB, stored.Threads, tagSize)
		})
		ours.time(func() {
			if ok, _, err := h.Verify(b.Context(), phc, password); !ok || err != nil {
				b.Fatal(ok, err)
			}
		})
	}
	b.ReportMetric(raw.total.Seconds()/ours.total.Seconds(), "raw/ours")
	b.ReportMetric(float64(raw.total.Nanoseconds())/float64(b.N), "raw-ns/op")
	b.ReportMetric(float64(ours.total.Nanoseconds())/float64(b.N), "ours-ns/op")
}

// BenchmarkParallelVerify is the rate of 200 callers at once, against as many goroutines as
// there are slots that do nothing but argon2id.
func BenchmarkParallelVerify(b *testing.B) {
	const callers, password = 200, "correct horse battery staple"
	h := New(Default, 0, callers, time.Hour)
	phc, err := h.Hash(b.Context(), password)
	if err != nil {
		b.Fatal(err)
	}
	stored, _ := parseArgon2id(phc)
	each := func(goroutines, times int, f func()) func() {
		return func() {
			work := make(chan struct{}, times)
			for range times {
				work <- struct{}{}
			}
			close(work)
			var all sync.WaitGroup
			for range goroutines {
				all.Go(func() {
					for range work {
						f()
					}
				})
			}
			all.Wait()
		}
	}
	const batch = 20
	var raw, ours stopwatch
	for range b.N {
		raw.time(each(int(h.places-callers), batch, func() {
			argon2.IDKey([]byte(password), stored.Salt, stored.Time, stored.MemoryKiB, stored.Threads, tagSize)
		}))
		ours.time(each(callers, batch, func() {
			if ok, _, err := h.Verify(b.Context(), phc, password); !ok || err != nil {
				b.Error(ok, err)
			}
		}))
	}
	b.ReportMetric(raw.total.Seconds()/ours.total.Seconds(), "raw/ours")
	b.ReportMetric(float64(b.N*batch)/ours.total.Seconds(), "hashes/s")
}

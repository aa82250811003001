package password

import (
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

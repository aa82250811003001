//go:build unix

// Package cputime measures benchmarks by the time of the cores instead of that of the clock, which
// other programs on the machine change far more.
package cputime

import (
	"syscall"
	"testing"
	"time"
)

// Loop runs fn as b.Loop does, and reports as cpu-µs/op what the cores spent on this process for
// one fn. A database that is another process is not among it.
func Loop(b *testing.B, fn func()) {
	b.Helper()
	b.ReportAllocs()
	before := Spent(b)
	for b.Loop() {
		fn()
	}
	b.ReportMetric(float64((Spent(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// Spent returns what the cores have spent on this process so far.
func Spent(b *testing.B) time.Duration {
	b.Helper()
	spent, _ := SpentAndFaults(b)
	return spent
}

// SpentAndFaults returns, with Spent, how many pages were mapped into this process so far without
// reading a disk.
func SpentAndFaults(b *testing.B) (spent time.Duration, faults int64) {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), int64(u.Minflt) //nolint:unconvert // int32 where long has 32 bits
}

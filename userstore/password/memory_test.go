package password

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const mib = 1 << 10 // in KiB

// testMemory tolerates 200 MiB of garbage; its collections are counted.
func testMemory() (m *hashMemory, ours, ended *int) {
	ours, ended = new(int), new(int)
	return &hashMemory{
		most:    200 * mib,
		collect: func() { *ours++; *ended++ },
		release: func() { *ours++; *ended++ },
		ended:   func() uint64 { return uint64(*ended) },
		pace:    (&collector{gogc: 100}).pace(200),
	}, ours, ended
}

func busy() bool { return false }

func TestHashMemoryCollectsWhenThereIsTooMuch(t *testing.T) {
	m, ours, _ := testMemory()
	for i := range 9 {
		m.makeRoom()
		if want := i / 2; *ours != want { // 200 MiB are dropped after every second
			t.Fatalf("before hash %d: %d collections, want %d", i, *ours, want)
		}
		m.dropped(100*mib, busy)
	}
}

func TestHashMemoryLeavesItToOthers(t *testing.T) {
	m, ours, ended := testMemory()
	for range 20 {
		m.makeRoom()
		m.dropped(100*mib, busy)
		*ended += 2 // collections of the runtime's own after every hash
	}
	if *ours != 0 {
		t.Errorf("%d collections, though others came before", *ours)
	}
	// What was dropped after the last hash began may have come too late for the last one.
	if got := m.garbage.Load(); got > 2*100*mib {
		t.Errorf("%d KiB of garbage are believed in", got)
	}
	m.makeRoom()
	if got := m.garbage.Load(); got != 100*mib {
		t.Errorf("%d KiB of garbage, want those of the last hash", got)
	}
}

// A collection that ends after memory was dropped may have begun before, and have left it there. Only
// one more has surely taken it.
func TestHashMemoryBelievesTheSecondCollection(t *testing.T) {
	m, _, ended := testMemory()
	m.dropped(100*mib, busy)
	for _, want := range []int64{100 * mib, 100 * mib, 0} {
		m.makeRoom()
		if got := m.garbage.Load(); got != want {
			t.Errorf("after %d collections: %d KiB of garbage, want %d", *ended, got, want)
		}
		*ended++
	}
}

func TestHashMemoryKeepsCountOfWhatIsDroppedMeanwhile(t *testing.T) {
	m, ours, _ := testMemory()
	m.dropped(300*mib, busy)
	collect := m.collect
	m.collect = func() { collect(); m.dropped(50*mib, busy) }
	m.makeRoom()
	if got := m.garbage.Load(); *ours != 1 || got != 50*mib {
		t.Errorf("%d collections, %d KiB left", *ours, got)
	}
}

func TestHashMemoryIsTidiedOnceIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, ours, _ := testMemory()
		var idle atomic.Bool
		m.makeRoom()
		m.dropped(19*mib, idle.Load)
		m.makeRoom()
		m.dropped(19*mib, func() bool { t.Error("a second timer"); return true })
		time.Sleep(10 * idleTime)
		synctest.Wait()
		if *ours != 0 {
			t.Error("tidied while busy")
		}
		idle.Store(true)
		time.Sleep(idleTime)
		synctest.Wait()
		if *ours != 1 || m.garbage.Load() != 0 || m.armed.Load() {
			t.Errorf("after the last hash: %d collections, %d KiB left, armed %v", *ours, m.garbage.Load(), m.armed.Load())
		}
		m.makeRoom()
		if got := m.garbage.Load(); got != 0 {
			t.Errorf("%d KiB of garbage in an empty memory", got)
		}
		m.dropped(8, func() bool { t.Error("8 KiB are not worth a look"); return true })
		time.Sleep(10 * idleTime)
	})
}

func TestCollectionsAreCounted(t *testing.T) {
	before := collections()
	runtime.GC()
	if after := collections(); after <= before {
		t.Errorf("%d, then %d", before, after)
	}
}

package password

import (
	"runtime"
	"sync"
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
		room:    func() (end func()) { return func() {} },
	}, ours, ended
}

// While hashes run, and no longer, the collector has room.
func TestTheCollectorHasRoomWhileHashesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _, _ := testMemory()
		given, held := 0, 0
		m.room = func() (end func()) {
			given, held = given+1, held+1
			return func() { held-- }
		}
		var idle atomic.Bool
		for round := range 3 {
			idle.Store(false)
			m.makeRoom()
			m.dropped(8, idle.Load)
			if held != 0 {
				t.Error("8 KiB are worth a room")
			}
			for range 5 {
				m.makeRoom()
				m.dropped(100*mib, idle.Load)
				if given != round+1 || held != 1 {
					t.Errorf("round %d: %d rooms were given, %d are held", round, given, held)
				}
			}
			time.Sleep(2 * idleTime)
			if held != 1 {
				t.Errorf("while hashes run %d rooms are held", held)
			}
			idle.Store(true)
			time.Sleep(idleTime)
			synctest.Wait()
			if held != 0 {
				t.Errorf("after the last hash %d rooms are held", held)
			}
		}
	})
}

// The bound of the memory in use and dead, by what the runtime counts whenever a hash begins. What
// is not a hash's is allowed 32 MiB.
func TestMemoryOfHashesStaysWithinItsBound(t *testing.T) {
	const slots, callers, each = 2, 8, 6
	h := New(Params{MemoryKiB: 19 * mib, Time: 1, Threads: 1}, slots, callers, 1<<40)
	var held atomic.Int64
	room := h.memory.room
	h.memory.room = func() (end func()) {
		held.Add(1)
		given := room()
		return func() { given(); held.Add(-1) }
	}
	var most atomic.Uint64
	derive, before := h.derive, metric("/memory/classes/heap/objects:bytes")
	h.derive = func(password, salt []byte, time, memory uint32, threads uint8, size uint32) []byte {
		tag := derive(password, salt, time, memory, threads, size)
		for heap := metric("/memory/classes/heap/objects:bytes"); ; {
			if m := most.Load(); heap <= m || most.CompareAndSwap(m, heap) {
				return tag
			}
		}
	}
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range each {
				if _, err := h.Hash(t.Context(), "pw"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	const dead = 3
	bound := before>>20 + (slots+dead)*19 + 32
	if got := most.Load() >> 20; got > bound {
		t.Errorf("%d MiB, allowed are %d", got, bound)
	}
	if held.Load() != 1 {
		t.Errorf("the collector has %d rooms while hashes run", held.Load())
	}
	h.memory.tidy(h.idle)
	if held.Load() != 0 {
		t.Errorf("the collector has %d rooms after the last hash", held.Load())
	}
}

// The memory of a queue that is idle is not tidied while the other one hashes.
func TestIdleIsWhenBothQueuesAre(t *testing.T) {
	h := New(cheap, 1, 0, 0)
	for name, of := range map[string]*Hasher{"passwords": h, "secrets": h.Secrets} {
		if err := of.inSlot(t.Context(), func() {
			if h.idle() || h.Secrets.idle() {
				t.Errorf("idle while one of the %s is hashed", name)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if !h.idle() || !h.Secrets.idle() {
		t.Error("not idle: ", h.Stats(), h.Secrets.Stats())
	}
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

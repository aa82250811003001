package password

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// hashMemory bounds the memory of dead hashes. x/crypto's argon2 allocates its blocks anew for each
// hash and drops them. The collector, left alone, begins when the heap has doubled since it last
// looked, and what it then saw in use may be dead now: the peak comes to five hashes' blocks for
// two slots, and after the last login they stay for two minutes. That does no harm to a heap of a
// few small hashes; it does to one of large hashes. So the dropped memory is counted, and a hash
// that would exceed the bound first runs a collection.
//
// A collection costs a millisecond or a few, whatever the size of the blocks, since they hold no
// pointers. It is worth one for large hashes and wasted on small ones, where slack lets the
// collector come first. A soft limit (GOMEMLIMIT) would bound the same, but counts everything else,
// too, and collects without end once that alone exceeds it.
type hashMemory struct {
	most    int64         // KiB of garbage that is tolerated: as much as may be in use, and slack
	collect func()        // runtime.GC
	release func()        // debug.FreeOSMemory
	ended   func() uint64 // how many collections have, ours or not

	gate    sync.Mutex // held while collecting, so that no hash allocates meanwhile
	seen    uint64     // what ended said when garbage was last taken off,
	older   int64      // and how much there was when a hash last began while ended said so
	garbage atomic.Int64
	armed   atomic.Bool // tidy is coming
}

const (
	slack         = 32 << 10 // KiB
	littleGarbage = 16 << 10 // KiB that tidy leaves alone
	idleTime      = 5 * time.Second
)

func newHashMemory(slots int, p Params) *hashMemory {
	return &hashMemory{most: int64(slots)*int64(p.MemoryKiB) + slack, collect: runtime.GC, release: debug.FreeOSMemory, ended: collections}
}

// makeRoom is called before a hash allocates.
func (m *hashMemory) makeRoom() {
	m.gate.Lock()
	defer m.gate.Unlock()
	switch n := m.ended(); {
	case n == m.seen:
		m.older = m.garbage.Load()
	case n >= m.seen+2:
		// Two collections that were not ours. The first may have begun before the last of what is
		// older was dropped, and have missed it; the second began later.
		m.garbage.Add(-m.older)
		m.seen, m.older = n, m.garbage.Load()
	}
	if m.garbage.Load() >= m.most {
		m.clear(m.collect)
	}
}

// clear is called with gate held. What is dropped while collecting counts as left.
func (m *hashMemory) clear(collect func()) {
	m.garbage.Add(-m.garbage.Load())
	m.older = 0
	collect()
	m.seen = m.ended()
}

// dropped is called when a hash's blocks became garbage. idle tells whether the last
// hash has ended.
func (m *hashMemory) dropped(kib uint32, idle func() bool) {
	if m.garbage.Add(int64(kib)) >= littleGarbage && m.armed.CompareAndSwap(false, true) {
		time.AfterFunc(idleTime, func() { m.tidy(idle) })
	}
}

// tidy returns the memory of the last hashes to the system once no hash runs any more. It includes
// memory that the runtime has collected meanwhile, which the runtime would keep for minutes.
func (m *hashMemory) tidy(idle func() bool) {
	if !idle() {
		time.AfterFunc(idleTime, func() { m.tidy(idle) })
		return
	}
	m.armed.Store(false)
	m.gate.Lock()
	defer m.gate.Unlock()
	m.clear(m.release)
}

// collections counts the collections that have ended in this process.
func collections() uint64 {
	s := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

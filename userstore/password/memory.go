package password

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/gcroom"
)

// hashMemory bounds the memory of dead hashes, and keeps it for the hashes that come. x/crypto's
// argon2 allocates its blocks anew for each hash and drops them. The collector, left alone, begins
// when the heap has doubled since it last looked, and what it then saw in use may be dead now: the
// peak comes to five hashes' blocks for two slots, and after the last login they stay for two
// minutes. Between its rounds the runtime returns some of them to the system, and the hashes after
// that fault them in again. So the dropped memory is counted, a hash that would exceed the bound
// first runs a collection, and while hashes run the collector has room for the bound: it does not
// come before, and its goal stays where it is, so that dead blocks stay. All of them are returned
// once no hash runs any more.
//
// A collection costs some milliseconds of the processor, whatever the size of the blocks, since
// they hold no pointers. It is worth one for large hashes and wasted on small ones. A soft limit
// (GOMEMLIMIT) would bound the same, but counts everything else, too, and collects without end once
// that alone exceeds it.
type hashMemory struct {
	most    int64         // KiB of garbage that is tolerated
	collect func()        // runtime.GC
	release func()        // debug.FreeOSMemory
	ended   func() uint64 // how many collections have, ours or not

	gate    sync.Mutex // held while collecting, so that no hash allocates meanwhile
	seen    uint64     // what ended said when garbage was last taken off,
	older   int64      // and how much there was when a hash last began while ended said so
	garbage atomic.Int64
	armed   atomic.Bool // tidy is coming

	room func() (end func()) // gives the collector room for most
	end  func()              // while armed
}

const (
	fewHashes     = 3        // with fewer slots, as many are collected at a time, and
	worthwhile    = 32 << 10 // KiB at least
	littleGarbage = 16 << 10 // KiB that tidy leaves alone
	idleTime      = 5 * time.Second
)

func newHashMemory(slots int, p Params) *hashMemory {
	most := max(int64(max(slots, fewHashes))*int64(p.MemoryKiB), worthwhile)
	room := gcroom.Room{Bytes: uint64(most) << 10, Peaks: true} //nolint:gosec // positive
	return &hashMemory{most: most, collect: runtime.GC, release: debug.FreeOSMemory, ended: collections,
		room: func() (end func()) { return gcroom.Hold(room) }}
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
		m.end = m.room()
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
	if !m.armed.Load() {
		return // it was tidied already
	}
	end := m.end
	m.armed.Store(false)
	m.gate.Lock()
	defer m.gate.Unlock()
	end()
	m.clear(m.release)
}

// collections counts the collections that have ended in this process.
func collections() uint64 { return metric("/gc/cycles/total:gc-cycles") }

func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// Package gcroom has the garbage collector come when there is a number of bytes of garbage, instead
// of when the heap has doubled, by setting GOGC anew after each collection.
//
// A server whose heap is small collects all the time otherwise: with 10 MB alive after each 10 MB
// of garbage, which a busy server makes ten times a second. And a goal that jumps, because what is
// alive does, makes the runtime return memory to the system that is faulted in again a moment
// later.
package gcroom

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
)

// Room is garbage that the collector waits for.
type Room struct {
	Bytes uint64
	// Peaks says that the holder's live memory comes and goes in large pieces. While such a room is
	// held, the goal stays at the most that the last collections left alive and all rooms together.
	Peaks bool
}

// Hold has the collector wait for the bytes of r, beside those of all other rooms, until end is
// called, which may be called once. GOGC never gets lower than it was before the first Hold, and is
// that again after the last end. Who has switched the collector off, for a limit of memory, keeps
// it off.
func Hold(r Room) (end func()) { return process.hold(r) }

var process = pacer{
	percent: debug.SetGCPercent,
	now:     func() int { return int(int32(metric("/gc/gogc:percent"))) }, //nolint:gosec // -1 is off
	live:    func() uint64 { return metric("/gc/heap/live:bytes") },
	after:   afterCollection,
}

type pacer struct {
	percent func(int) int     // debug.SetGCPercent
	now     func() (gogc int) // -1: off
	live    func() uint64     // bytes of the heap that the last collection left
	after   func(func())      // calls once, after the next collection

	mu      sync.Mutex
	rooms   []*Room
	waiting bool     // adjust comes after the next collection
	usual   int      // GOGC before the first room
	set     int      // what GOGC was set to
	lives   []uint64 // what was alive after the last collections, since rooms were given or taken back
}

// peakOf is how many collections a peak of live memory is remembered for.
const peakOf = 32

func (p *pacer) hold(r Room) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.rooms) == 0 {
		p.usual = p.now()
		p.set = p.usual
	}
	held := &r
	p.rooms, p.lives = append(p.rooms, held), nil
	p.adjust()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.rooms = slices.DeleteFunc(p.rooms, func(one *Room) bool { return one == held })
		p.lives = nil
		p.adjust()
	}
}

// adjust sets the goal by what is alive. It is called with mu held.
func (p *pacer) adjust() {
	if p.usual < 0 {
		return
	}
	if len(p.rooms) == 0 {
		p.to(p.usual)
		return
	}
	const leastHeap = 4 << 20 // below it the runtime reckons with as much
	live := max(p.live(), leastHeap)
	room, peaks := uint64(0), false
	for _, r := range p.rooms {
		room, peaks = room+r.Bytes, peaks || r.Peaks
	}
	if !peaks {
		p.lives = nil
	}
	if p.lives = append(p.lives, live); len(p.lives) > peakOf {
		p.lives = p.lives[1:]
	}
	gogc := min(100*(slices.Max(p.lives)+room-live)/live, math.MaxInt32)
	p.to(max(p.usual, int(gogc))) //nolint:gosec // no more than that
	if !p.waiting {
		p.waiting = true
		p.after(p.collected)
	}
}

func (p *pacer) collected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = false
	if len(p.rooms) > 0 {
		p.adjust()
	}
}

func (p *pacer) to(gogc int) {
	if p.set != gogc {
		p.set = gogc
		p.percent(gogc)
	}
}

// afterCollection calls fn once the collector finds that nothing refers to a piece of memory, which
// the next collection does.
func afterCollection(fn func()) {
	type piece struct{ _ [64]byte } // on its own: the smallest pieces share one
	runtime.AddCleanup(new(piece), func(fn func()) { fn() }, fn)
}

func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

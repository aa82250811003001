package password

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// pace keeps the garbage collector's goal where it is while hashes come and go, by setting GOGC anew
// after each collection. Left alone, the goal jumps: it is twice what a collection has left, and that
// may be the blocks of every slot or of none. After a low goal the next collection comes soon, and
// meanwhile the runtime returns dead blocks to the system, where the next hash has to fault them in
// again, page by page.
type pace struct {
	room    uint64            // bytes of garbage after which the collector comes by itself
	percent func(int) int     // debug.SetGCPercent
	now     func() (gogc int) // -1: off
	live    func() uint64     // bytes of the heap that the last collection left

	raised *raised
	on     bool
	set    int    // what GOGC was set to
	most   uint64 // what live was at most
}

// raised is GOGC as it was before the first of several Hashers in a process set it, and will be when the
// last one has ended.
type raised struct {
	sync.Mutex
	by, usual int
}

var ofProcess raised

func newPace(roomKiB int64) pace {
	return pace{
		room:    uint64(roomKiB) << 10,
		raised:  &ofProcess,
		percent: debug.SetGCPercent,
		now:     func() int { return int(int32(metric("/gc/gogc:percent"))) },
		live:    func() uint64 { return metric("/gc/heap/live:bytes") },
	}
}

// keep is called after a collection, and when hashes begin. GOGC never gets lower than it was. Who has
// switched it off, for a limit of memory, keeps it off.
func (p *pace) keep() {
	if !p.on && !p.begin() {
		return
	}
	p.most = max(p.most, p.live())
	p.goal(p.most + p.room)
}

func (p *pace) begin() bool {
	p.raised.Lock()
	defer p.raised.Unlock()
	if p.raised.by == 0 {
		p.raised.usual = p.now()
	}
	if p.raised.usual < 0 {
		return false
	}
	p.raised.by++
	p.on, p.set = true, p.now()
	return true
}

// end is called when no hash of this Hasher runs any more.
func (p *pace) end() {
	if !p.on {
		return
	}
	p.raised.Lock()
	defer p.raised.Unlock()
	p.on, p.most = false, 0
	if p.raised.by--; p.raised.by == 0 {
		p.to(p.raised.usual)
	}
}

// goal has the next collection come when the heap has that many bytes, or later if that took a lower GOGC
// than the operator's.
func (p *pace) goal(bytes uint64) {
	const leastHeap = 4 << 20 // below it the runtime reckons with as much
	live := max(p.live(), leastHeap)
	gogc := 100 * (max(bytes, live) - live) / live
	p.to(max(p.raised.usual, int(min(gogc, math.MaxInt32))))
}

func (p *pace) to(gogc int) {
	if p.set != gogc {
		p.set = gogc
		p.percent(gogc)
	}
}

func metric(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

package password

import (
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// collector stands for the runtime's: it notes what GOGC is set to.
type collector struct {
	gogc int
	live uint64 // MiB
	set  []int
}

func (c *collector) pace(roomMiB uint64) pace {
	return pace{
		room:    roomMiB << 20,
		raised:  &raised{},
		percent: func(gogc int) int { before := c.gogc; c.gogc = gogc; c.set = append(c.set, gogc); return before },
		now:     func() int { return c.gogc },
		live:    func() uint64 { return c.live << 20 },
	}
}

// goal is what the runtime makes of GOGC (runtime/mgcpacer.go), in MiB.
func (c *collector) goal() float64 {
	gogc := float64(c.gogc) / 100
	return max(float64(max(c.live, 1))*(1+gogc), 4*gogc)
}

func TestTheCollectorsGoalStaysWhereItIs(t *testing.T) {
	c := &collector{gogc: 100}
	p := c.pace(100)
	for _, step := range []struct {
		live uint64
		goal float64
	}{
		{10, 110}, {29, 129}, // one hash more than before
		{10, 129}, {48, 148}, {29, 148}, {10, 148}, {2, 148}, {0, 148},
		{400, 800}, // as GOGC=100 has it
		{48, 500},
	} {
		c.live = step.live
		p.keep()
		if got := c.goal(); math.Abs(got-step.goal) > 4 { // GOGC is a whole number
			t.Errorf("%d MiB are live: the goal is %.0f MiB, want %.0f (GOGC %d)", c.live, got, step.goal, c.gogc)
		}
	}
	p.end()
	if c.gogc != 100 {
		t.Errorf("at the end GOGC is %d", c.gogc)
	}
	c.live = 10
	p.keep()
	if got := c.goal(); math.Abs(got-110) > 1 {
		t.Errorf("the next time the goal is %.0f MiB, want 110", got)
	}
}

func TestTheOperatorsGOGC(t *testing.T) {
	for _, usual := range []int{-1, 0, 1, 50, 100, 400, 5000} {
		c := &collector{gogc: usual, live: 50}
		p := c.pace(100)
		p.end()
		if c.set != nil {
			t.Errorf("GOGC=%d is set to %d before there was a hash", usual, c.set)
		}
		p.keep()
		want := max(usual, 200)
		if usual < 0 {
			want = usual
		}
		if c.gogc != want {
			t.Errorf("GOGC=%d is set to %d, want %d", usual, c.gogc, want)
		}
		p.keep()
		p.end()
		p.end()
		if c.gogc != usual {
			t.Errorf("GOGC=%d is %d when all is over", usual, c.gogc)
		}
		if usual < 0 && c.set != nil {
			t.Errorf("GOGC=off was set to %d", c.set)
		}
	}
}

// The runtime returns memory to the system when the goal after a collection is lower than before it.
func TestTheGoalStaysWhileHashesCollect(t *testing.T) {
	c := &collector{gogc: 100, live: 40}
	m, _, ended := testMemory()
	m.pace = c.pace(260)
	for range 5 {
		m.makeRoom()
		m.dropped(100*mib, busy)
		if got := c.goal(); math.Abs(got-300) > 1 {
			t.Errorf("the goal is %.0f MiB, want 300", got)
		}
	}
	if got := *ended; got != 2 {
		t.Errorf("%d collections", got)
	}
	// The runtime's own collections are noticed as well: when a hash begins, and when it ends.
	c.live, *ended = 60, *ended+1
	m.makeRoom()
	if got := c.goal(); math.Abs(got-320) > 1 {
		t.Errorf("when a hash begins, the goal is %.0f MiB, want 320", got)
	}
	c.live, *ended = 20, *ended+1
	m.dropped(1, busy)
	if got := c.goal(); math.Abs(got-320) > 1 {
		t.Errorf("when a hash ends, the goal is %.0f MiB, want 320", got)
	}
	before := slices.Clone(c.set)
	m.makeRoom()
	m.dropped(1, busy)
	if !slices.Equal(c.set, before) {
		t.Errorf("without a collection GOGC is set: %d, then %d", before, c.set)
	}
}

func TestSmallHashesLeaveTheCollectorAlone(t *testing.T) {
	c := &collector{gogc: 100, live: 10}
	m, _, ended := testMemory()
	m.pace = c.pace(100)
	for range 100 {
		m.makeRoom()
		m.dropped(64, busy)
		*ended++
	}
	if c.set != nil {
		t.Errorf("GOGC was set: %d", c.set)
	}
}

// The bound of the memory in use and dead, by what the runtime counts whenever a hash begins. What is
// not a hash's is allowed 32 MiB.
func TestMemoryOfHashesStaysWithinItsBound(t *testing.T) {
	const slots, callers, each = 2, 8, 6
	h := New(Params{MemoryKiB: 19 * mib, Time: 1, Threads: 1}, slots, callers, 1<<40)
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
	h.memory.tidy(h.idle)
	if h.memory.pace.on {
		t.Error("GOGC stays raised after the last hash")
	}
}

func TestGOGCIsRaisedAndRestored(t *testing.T) {
	ofProcess.Lock() // what Hashers of other tests leave for later waits
	defer ofProcess.Unlock()
	usual := gogcNow()
	var first, second = newPace(1 << 20), newPace(2 << 20)
	first.raised = &raised{}
	second.raised = first.raised
	steps := []struct {
		name   string
		do     func()
		raised bool
	}{
		{"the first begins", first.keep, true},
		{"the second begins", second.keep, true},
		{"the first ends", first.end, true},
		{"the first begins again", first.keep, true},
		{"the second ends", second.end, true},
		{"both have ended", first.end, false},
	}
	for _, step := range steps {
		step.do()
		if got := gogcNow(); got > usual != step.raised || !step.raised && got != usual {
			t.Errorf("%s: GOGC is %d, and was %d at first", step.name, got, usual)
		}
	}
}

// gogcNow asks in another way than pace does.
func gogcNow() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
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
		t.Error(fmt.Sprint("not idle: ", h.Stats(), h.Secrets.Stats()))
	}
}

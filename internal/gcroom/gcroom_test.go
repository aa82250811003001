package gcroom

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"
)

// collector stands for the runtime's: it notes what GOGC is set to.
type collector struct {
	gogc  int
	live  uint64 // MiB
	set   []int
	after []func()
}

func (c *collector) pacer() *pacer {
	return &pacer{
		percent: func(gogc int) int { before := c.gogc; c.gogc = gogc; c.set = append(c.set, gogc); return before },
		now:     func() int { return c.gogc },
		live:    func() uint64 { return c.live << 20 },
		after:   func(fn func()) { c.after = append(c.after, fn) },
	}
}

// collect leaves so many MiB alive.
func (c *collector) collect(live uint64) {
	c.live = live
	after := c.after
	c.after = nil
	for _, fn := range after {
		fn()
	}
}

// goal is what the runtime makes of GOGC (runtime/mgcpacer.go), in MiB.
func (c *collector) goal() float64 {
	gogc := float64(c.gogc) / 100
	return max(float64(max(c.live, 1))*(1+gogc), 4*gogc)
}

func (c *collector) want(t *testing.T, what string, goal float64) {
	t.Helper()
	if got := c.goal(); math.Abs(got-goal) > 4 { // GOGC is a whole number
		t.Errorf("%s, %d MiB alive: the goal is %.0f MiB, want %.0f (GOGC %d)", what, c.live, got, goal, c.gogc)
	}
}

func TestTheGoalIsWhatIsAliveAndTheRooms(t *testing.T) {
	c := &collector{gogc: 100, live: 10}
	p := c.pacer()
	end := p.hold(Room{Bytes: 32 << 20})
	c.want(t, "at first", 42)
	for _, live := range []uint64{10, 20, 12, 2, 0} {
		c.collect(live)
		c.want(t, "one room", max(float64(live), 4)+32)
	}
	c.collect(400)
	c.want(t, "as GOGC=100 has it", 800)
	c.collect(10)
	other := p.hold(Room{Bytes: 10 << 20})
	c.want(t, "two rooms", 52)
	other()
	c.want(t, "one is taken back", 42)
	end()
	if c.gogc != 100 {
		t.Errorf("at the end GOGC is %d", c.gogc)
	}
	c.collect(30)
	if c.gogc != 100 || c.after != nil {
		t.Errorf("after a collection without a room GOGC is %d, and %d calls wait for the next one", c.gogc, len(c.after))
	}
}

func TestTheGoalStaysWhileMemoryComesAndGoes(t *testing.T) {
	c := &collector{gogc: 100, live: 10}
	p := c.pacer()
	defer p.hold(Room{Bytes: 30 << 20})()
	end := p.hold(Room{Bytes: 70 << 20, Peaks: true})
	for _, step := range []struct {
		live uint64
		goal float64
	}{{10, 110}, {29, 129}, {10, 129}, {48, 148}, {29, 148}, {2, 148}, {400, 800}, {48, 500}} {
		c.collect(step.live)
		c.want(t, "with peaks", step.goal)
	}
	for range peakOf - 1 {
		c.want(t, "soon after a peak", 500)
		c.collect(48)
	}
	c.want(t, "long after a peak", 148)
	end()
	c.want(t, "afterwards, as GOGC=100 has it", 96)
	c.collect(10)
	c.want(t, "afterwards", 40)
}

func TestTheOperatorsGOGC(t *testing.T) {
	for _, usual := range []int{-1, 0, 1, 50, 100, 400, 5000} {
		c := &collector{gogc: usual, live: 50}
		p := c.pacer()
		end := p.hold(Room{Bytes: 100 << 20})
		want := max(usual, 200)
		if usual < 0 {
			want = usual
		}
		if c.gogc != want {
			t.Errorf("GOGC=%d is set to %d, want %d", usual, c.gogc, want)
		}
		c.collect(50)
		end()
		if c.gogc != usual {
			t.Errorf("GOGC=%d is %d when all is over", usual, c.gogc)
		}
		if usual < 0 && c.set != nil {
			t.Errorf("GOGC=off was set to %d", c.set)
		}
	}
}

func TestGOGCIsSetOnlyWhenItChanges(t *testing.T) {
	c := &collector{gogc: 100, live: 10}
	p := c.pacer()
	defer p.hold(Room{Bytes: 32 << 20})()
	before := slices.Clone(c.set)
	c.collect(10)
	c.collect(10)
	if !slices.Equal(c.set, before) {
		t.Errorf("GOGC was set again: %d, then %d", before, c.set)
	}
}

// The runtime itself: GOGC follows what a collection leaves alive, and is the operator's in the
// end.
func TestTheRuntimesCollectorWaits(t *testing.T) {
	usual := process.now()
	end := Hold(Room{Bytes: 64 << 20})
	if got := process.now(); got <= usual {
		t.Errorf("GOGC is %d with a room, and was %d", got, usual)
	}
	ballast := make([]byte, 32<<20)
	want := 100 * (64 << 20) / (len(ballast) + 4<<20)
	for patience := time.Now().Add(30 * time.Second); ; {
		runtime.GC()
		got := process.now()
		if got > usual && got <= 100*(64<<20)/len(ballast) {
			break
		}
		if time.Now().After(patience) {
			t.Fatalf("GOGC is %d with 32 MiB alive, want some %d", got, want)
		}
	}
	runtime.KeepAlive(ballast)
	end()
	if got := process.now(); got != usual {
		t.Errorf("GOGC is %d in the end, and was %d", got, usual)
	}
}

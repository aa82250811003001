package userstore

import (
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// collected tells whether blocks that nobody holds any more were freed.
func collected() (freed func() bool) {
	done := make(chan struct{})
	block := new([64]int64)
	runtime.SetFinalizer(block, func(*[64]int64) { close(done) })
	return func() bool {
		for range 100 { // finalizers run a little after the collection
			select {
			case <-done:
				return true
			default:
				time.Sleep(time.Millisecond)
			}
		}
		return false
	}
}

func TestArenaCollectsWhenGarbageIsAsMuchAsWhatMayBeInUse(t *testing.T) {
	a := arena{most: 2 * 19456}
	freed := collected()
	for range 3 {
		a.makeRoom()
		a.dropped(19456, func() bool { return false })
	}
	if !freed() {
		t.Error("two dead hashes were left when the third began")
	}
	if got := a.garbage.Load(); got != 19456 {
		t.Errorf("%d KiB of garbage are known, want those of the third hash", got)
	}
}

func TestArenaTidiesOnceIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := arena{most: 1 << 30}
		var idle atomic.Bool
		a.dropped(19456, idle.Load)
		a.dropped(19456, func() bool { t.Error("a second timer"); return true })
		time.Sleep(10 * idleTime)
		synctest.Wait()
		if a.garbage.Load() == 0 {
			t.Error("tidied while busy")
		}
		idle.Store(true)
		time.Sleep(idleTime)
		synctest.Wait()
		if a.garbage.Load() != 0 || a.armed.Load() {
			t.Errorf("after the last hash: %d KiB left, armed %v", a.garbage.Load(), a.armed.Load())
		}
	})
}

func TestArenaLeavesLittleToTheCollector(t *testing.T) {
	a := arena{most: littleGarbage}
	a.dropped(8, func() bool { return true })
	if a.armed.Load() {
		t.Error("8 KiB armed a timer")
	}
}

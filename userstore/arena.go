package userstore

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// arena bounds the memory of dead hashes. x/crypto's argon2 allocates its blocks anew
// for each hash and drops them. The collector, left alone, starts when the heap has
// doubled since it last looked; blocks of both ended and running hashes can be in that count, so that the
// peak comes to three and more times what is in use (64 MiB a hash, two slots: 390 MiB). And
// when logins end, the last blocks stay for two minutes. So whoever makes the
// garbage has it collected: the blocks hold no pointers, and a collection costs about
// a millisecond for every slots hashes. A soft limit (GOMEMLIMIT) would do the same, but
// it also counts everything else, and collects without end once that alone exceeds it.
type arena struct {
	most    int64      // KiB of garbage that is tolerated
	gate    sync.Mutex // held while collecting, so that nobody allocates meanwhile
	garbage atomic.Int64
	armed   atomic.Bool // a look after idleTime is coming
}

const (
	littleGarbage = 16 << 10 // KiB that are never worth a collection of ours
	idleTime      = 5 * time.Second
)

// makeRoom is called before a hash allocates.
func (a *arena) makeRoom() {
	a.gate.Lock()
	defer a.gate.Unlock()
	if a.garbage.Load() >= a.most {
		a.garbage.Store(0) // before: what is dropped while collecting may or may not be found
		runtime.GC()
	}
}

// dropped is called when a hash's blocks became garbage.
func (a *arena) dropped(kib uint32, idle func() bool) {
	if a.garbage.Add(int64(kib)) >= littleGarbage && a.armed.CompareAndSwap(false, true) {
		time.AfterFunc(idleTime, func() { a.tidy(idle) })
	}
}

// tidy collects what the last hashes left, once nobody hashes any more.
func (a *arena) tidy(idle func() bool) {
	if !idle() {
		time.AfterFunc(idleTime, func() { a.tidy(idle) })
		return
	}
	a.armed.Store(false)
	if a.garbage.Swap(0) > 0 {
		runtime.GC()
	}
}

// Package password hashes and checks passwords: argon2id as PHC strings, the hashes of other
// systems until their first login, and a bound on how many are hashed at a time and how much memory
// that takes. It knows no accounts.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/unicode/norm"

	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/internal/span"
)

// MaxBytes is the longest password in bytes of UTF-8. It is checked before anything is
// queued or hashed.
const MaxBytes = 1024

var (
	// ErrOverloaded: the password queue is full or the wait was too long; nothing was hashed.
	ErrOverloaded = errors.New("too many password checks at once")
	// ErrInput: longer than MaxBytes or not UTF-8; nothing was queued or hashed.
	ErrInput = errors.New("the password is longer than 1024 bytes or not UTF-8")
)

// Params are the costs of argon2id (RFC 9106).
type Params struct {
	MemoryKiB uint32
	Time      uint32 // passes over the memory
	Threads   uint8
}

// Default is OWASP's recommendation, and what zero fields mean.
var Default = Params{MemoryKiB: 19 * 1024, Time: 2, Threads: 1}

// work is what a hash costs, in KiB written.
func (p Params) work() uint64 { return uint64(p.MemoryKiB) * uint64(p.Time) }

// What a stored hash may cost at most, unless more is configured: the defaults that
// other hashers had in the last ten years stay far below. A row that asks for more was
// put there to hurt, and is not executed.
const (
	maxStoredMemory = 256 << 10 // KiB
	maxStoredWork   = 1 << 20   // KiB × passes: 1 GiB, near a second
)

// Hasher hashes and checks passwords, a bounded number at a time and first come, first served.
//
// The bound is for memory as much as for the processor: at most (slots + 1) × MemoryKiB are in use
// at any time, and as garbage slots × MemoryKiB, or 3 × MemoryKiB or 32 MiB if that is more; see
// memory.go. While hashes of more than a few MiB run, and for five seconds after, the process's
// GOGC is raised; see package gcroom.
type Hasher struct {
	// Secrets hashes the secrets of clients: one at a time, in a slot and a queue apart from those of people's
	// passwords. Anybody may send wrong ones.
	Secrets *Hasher

	params Params
	slots  *semaphore.Weighted
	places int64 // running and waiting together
	wait   time.Duration

	// derive is argon2.IDKey, but in tests.
	derive func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte
	decoy  argon2Hash // checked in place of what cannot be

	memory           *hashMemory
	idle             func() bool // no hash of either queue runs or waits
	inside, running  atomic.Int64
	started, refused atomic.Uint64

	// Waits counts how long callers that got a slot waited for it, for metrics.
	Waits counts.Histogram
}

// Defaults of New, for zero arguments.
const (
	DefaultQueue = 256
	DefaultWait  = 5 * time.Second
)

// New makes one with that many slots (0: GOMAXPROCS); queue more callers wait
// (0: 256) for at most wait (0: 5 s) and then get ErrOverloaded. Zero costs are
// Default's. It panics on less than 8 KiB of memory a thread, which RFC 9106 forbids.
func New(p Params, slots, queue int, wait time.Duration) *Hasher {
	if p.MemoryKiB == 0 {
		p.MemoryKiB = Default.MemoryKiB
	}
	if p.Time == 0 {
		p.Time = Default.Time
	}
	if p.Threads == 0 {
		p.Threads = Default.Threads
	}
	if p.MemoryKiB < 8*uint32(p.Threads) {
		panic(fmt.Sprintf("password: argon2id needs 8 KiB a thread, has %d for %d", p.MemoryKiB, p.Threads))
	}
	if slots <= 0 {
		slots = runtime.GOMAXPROCS(0)
	}
	if queue <= 0 {
		queue = DefaultQueue
	}
	if wait <= 0 {
		wait = DefaultWait
	}
	of := func(slots int, memory *hashMemory) *Hasher {
		return &Hasher{
			params: p,
			slots:  semaphore.NewWeighted(int64(slots)),
			places: int64(slots) + int64(queue),
			wait:   wait,
			derive: argon2.IDKey,
			memory: memory,
			decoy:  argon2Hash{Params: p, Salt: random(saltSize), Tag: random(tagSize)},
		}
	}
	memory := newHashMemory(slots, p)
	h := of(slots, memory)
	h.Secrets = of(1, memory)
	h.idle = func() bool { return h.inside.Load() == 0 && h.Secrets.inside.Load() == 0 }
	h.Secrets.idle = h.idle
	return h
}

// Sizes of what is written, in bytes (RFC 9106 section 3.1 and 4).
const (
	saltSize = 16
	tagSize  = 32
)

// Stats is what a Hasher is doing, and has done since it was made.
type Stats struct {
	Running, Waiting int    // now
	Started, Refused uint64 // ever: slots taken, and callers sent away
}

// Stats is for metrics.
func (h *Hasher) Stats() Stats {
	running := h.running.Load()
	return Stats{
		Running: int(running),
		Waiting: int(max(0, h.inside.Load()-running)),
		Started: h.started.Load(),
		Refused: h.refused.Load(),
	}
}

// Hash returns a PHC string. ErrOverloaded, ErrInput.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if !hashable(password) {
		return "", ErrInput
	}
	hash := argon2Hash{Params: h.params, Salt: random(saltSize)}
	err := h.inSlot(ctx, func() {
		hash.Tag = h.run(password, hash.Salt, hash.Params, tagSize)
	})
	if err != nil {
		return "", err
	}
	return hash.String(), nil
}

// Verify checks password against a PHC string; stale: it matched, and its costs or sizes are not
// the configured ones, so that it should be replaced. Costlier than configured is stale too: all
// accounts then converge on one cost, hence one answer time.
//
// A hash of another system is checked in that system's time and always stale; see foreign.go.
//
// An empty, unreadable or absurdly costly phc costs the same time as a real one of ours
// and never matches; Accept tells them. ErrOverloaded, ErrInput.
func (h *Hasher) Verify(ctx context.Context, phc, password string) (ok, stale bool, err error) {
	if !hashable(password) {
		return false, false, ErrInput
	}
	if f, err := parseForeign(phc); err == nil && f.affordable {
		if err := h.inSlot(ctx, func() { ok = f.check(h, password) }); err != nil {
			return false, false, err
		}
		return ok, ok, nil
	}
	hash, err := h.read(phc)
	usable := err == nil
	if !usable {
		hash = h.decoy
	}
	err = h.inSlot(ctx, func() {
		tag := h.run(password, hash.Salt, hash.Params, len(hash.Tag))
		ok = subtle.ConstantTimeCompare(tag, hash.Tag) == 1 && usable
		if !ok {
			h.makeUp(password, hash)
		}
	})
	if err != nil {
		return false, false, err
	}
	return ok, ok && h.stale(hash), nil
}

// Accept is nil when Verify can match phc: a hash of a form that is known, ours or foreign, and of
// a cost within bounds. ErrForm, ErrCost.
func (h *Hasher) Accept(phc string) error {
	if f, err := parseForeign(phc); err == nil {
		if !f.affordable {
			return ErrCost
		}
		return nil
	}
	_, err := h.read(phc)
	return err
}

// read takes a hash of ours apart.
func (h *Hasher) read(phc string) (argon2Hash, error) {
	hash, err := parseArgon2id(phc)
	switch {
	case err != nil:
		return argon2Hash{}, ErrForm
	case !h.affordable(hash.Params):
		return argon2Hash{}, ErrCost
	}
	return hash, nil
}

func (h *Hasher) affordable(p Params) bool {
	return p.MemoryKiB <= max(maxStoredMemory, h.params.MemoryKiB) &&
		p.work() <= max(maxStoredWork, h.params.work())
}

func (h *Hasher) stale(hash argon2Hash) bool {
	return hash.Params != h.params || len(hash.Salt) < saltSize || len(hash.Tag) < tagSize
}

// makeUp spends what a hash of lower cost left unspent. Without it, a wrong password for an
// account from before the costs were raised would be answered sooner than one for an unknown
// account, and so tell that the account exists.
func (h *Hasher) makeUp(password string, hash argon2Hash) {
	unspent := int64(h.params.work()) - int64(hash.work())
	if unspent <= 0 {
		return
	}
	memory := int64(h.params.MemoryKiB)
	passes := max(1, (unspent+memory/2)/memory)
	h.run(password, h.decoy.Salt, Params{
		MemoryKiB: uint32(max(unspent/passes, 8*int64(h.params.Threads))),
		Time:      uint32(passes),
		Threads:   h.params.Threads,
	}, tagSize)
}

// run derives a tag. NFKC (NIST SP 800-63B-4 section 3.1.1.2), because keyboards
// differ in how they spell one character; nothing else is changed: no trimming, no folding, no
// truncation. It is done here, so that setting and checking cannot differ and a foreign
// hash gets the password as it was typed.
func (h *Hasher) run(password string, salt []byte, p Params, size int) []byte {
	h.memory.makeRoom()
	defer h.memory.dropped(p.MemoryKiB, h.idle)
	return h.derive([]byte(norm.NFKC.String(password)), salt, p.Time, p.MemoryKiB, p.Threads, uint32(size))
}

// inSlot runs f in a slot, after a bounded wait in a bounded queue.
func (h *Hasher) inSlot(ctx context.Context, f func()) error {
	defer h.inside.Add(-1)
	if h.inside.Add(1) > h.places {
		h.refused.Add(1)
		return ErrOverloaded
	}
	ctx, cancel := context.WithTimeout(ctx, h.wait)
	defer cancel()
	began := time.Now()
	_, waits := span.Begin(ctx, "wait for a hash slot")
	err := h.slots.Acquire(ctx, 1)
	waits.End(err)
	if err != nil {
		h.refused.Add(1)
		return ErrOverloaded // also when the caller's own time ran out here: what it waited for is a slot
	}
	defer h.slots.Release(1)
	h.running.Add(1)
	defer h.running.Add(-1)
	h.started.Add(1)
	h.Waits.Observe(time.Since(began))
	_, hashes := span.Begin(ctx, "hash")
	defer hashes.End(nil)
	f()
	return nil
}

// Full tells that the queue would send another caller away, and counts it as sent away.
func (h *Hasher) Full() bool {
	full := h.inside.Load() >= h.places
	if full {
		h.refused.Add(1)
	}
	return full
}

func hashable(password string) bool {
	return len(password) <= MaxBytes && utf8.ValidString(password)
}

// random cannot fail: crypto/rand ends the process instead.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

package chaos

import (
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"
)

// Load is what all clients share.
type Load struct {
	Seed      uint64
	Host      string // of the issuer
	Targets   []Target
	Apps      []App
	Journal   *Journal
	Live      *Live
	Verifiers *Verifiers
	Think     time.Duration // between two acts of a client, on average
	Refreshes int           // of one session
	OnlyReady bool          // clients wait while no replica is ready
}

func (l *Load) check(t *tokens) { l.Verifiers.Check(t.access, t.refresh, t.id) }

// Live counts while a run goes on, for its progress. What the run has shown is counted from the
// journal.
type Live struct {
	SignUps, Refreshes, Other        atomic.Int64
	Lost, Unavailable, Wrong, Denied atomic.Int64
	Slowest                          atomic.Int64 // of the answers that granted; microseconds

	Events *log.Logger // nil: none

	mu     sync.Mutex
	faults map[string]int
	kept   []tokens
	users  []string // with a changed password
}

// NewLive returns one.
func NewLive() *Live { return &Live{faults: map[string]int{}} }

func (l *Live) count(a Act, status int) {
	switch {
	case status >= 500:
		l.Wrong.Add(1)
	case status >= 400:
		l.Denied.Add(1)
	case a == SignUp:
		l.SignUps.Add(1)
	case a == Refresh || a == FirstRefresh:
		l.Refreshes.Add(1)
	default:
		l.Other.Add(1)
	}
}

// succeeded takes an answer that granted something.
func (l *Live) succeeded(took time.Duration) {
	for {
		slowest := l.Slowest.Load()
		if took.Microseconds() <= slowest || l.Slowest.CompareAndSwap(slowest, took.Microseconds()) {
			break
		}
	}
}

// Fault counts a fault.
func (l *Live) Fault(kind string) {
	if l.Events != nil {
		l.Events.Printf("over: %s", kind)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults[kind]++
}

// Faults returns how many faults of each kind there were.
func (l *Live) Faults() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string]int{}
	for kind, n := range l.faults {
		all[kind] = n
	}
	return all
}

// keep keeps a session that has to be alive at the end of the run.
func (l *Live) keep(t tokens) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, t)
}

func (l *Live) changed(email string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users = append(l.users, email)
}

// Line is the progress in one line.
func (l *Live) Line(began time.Time, v *Verifiers) string {
	faults := 0
	for _, n := range l.Faults() {
		faults += n
	}
	checked, failed := v.Counts()
	return fmt.Sprintf("%8s  %6d sign-ups %8d refreshes %8d verifications (%d to explain)  ",
		time.Since(began).Round(time.Second), l.SignUps.Load(), l.Refreshes.Load(), checked, failed) +
		fmt.Sprintf("%6d lost answers %6d × 503  %d × 5xx  %4d faults",
			l.Lost.Load(), l.Unavailable.Load(), l.Wrong.Load(), faults)
}

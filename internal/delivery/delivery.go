// Package delivery sends what waits in an outbox of the store. It has two users: package mail sends
// messages to people, and package backchannel tells apps that their sessions have ended.
//
//	Claim under a lease → Send, within half of the lease → Remove, Postpone or GiveUp
//
// The operation that causes an entry stores it in its own transaction, so nothing is forgotten and
// no request waits. Senders of several replicas share an outbox: an entry belongs to one sender
// until its lease ends. A send takes at most half of the lease, so that it has ended before another
// sender may claim the same entry.
//
// A sender that dies after the receiver accepted an entry and before this is stored makes the only
// doubles: the entry is sent again when its lease has ended.
package delivery

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// Outbox is an outbox of the store, and the way by which its entries go out. T is what one entry
// sends.
type Outbox[T any] interface {
	// Claim claims an entry that is due at now. No other caller gets it before until.
	// userstore.ErrNotFound: none is due.
	Claim(ctx context.Context, lease string, now, until time.Time) (Entry[T], error)
	// Send makes one attempt. ctx ends when half of the lease is over, or when the process must end.
	Send(ctx context.Context, e Entry[T]) Outcome
	// Remove removes an entry that was sent, under any lease, or that is not worth sending.
	Remove(ctx context.Context, e Entry[T]) error
	// Postpone stores why an entry was not sent, and when it is due again. userstore.ErrNotFound: the
	// entry is gone, or claimed under another lease. So it is with GiveUp.
	Postpone(ctx context.Context, e Entry[T], due time.Time, reason string) error
	// GiveUp removes an entry that was not sent, and records it. why is Refused or Ended; the actor of
	// ctx is the system.
	GiveUp(ctx context.Context, e Entry[T], why, reason string) error
	State(ctx context.Context) (State, error)
}

// Entry is an entry of an outbox that one sender has claimed.
type Entry[T any] struct {
	Item     T
	Attempts int       // with this one
	Since    time.Time // since when it waits
	Ends     time.Time // it is given up rather than due at this time or later
	About    []any     // keys and values that name it in the log

	At time.Time // of the claim, by the clock of the database; Sender sets it
}

// Outcome is what became of an attempt. The zero value is an attempt that failed.
type Outcome struct {
	Verdict Verdict
	Reason  string    // of what was not sent: a sentence without content of the entry
	Answer  string    // of what was sent: the receiver's words, for the log
	Due     time.Time // of NotTried
	// Unusable says that nothing else can be sent either: the sender pauses.
	Unusable bool
}

// Verdict says what happens to an entry after an attempt.
type Verdict int

// The verdicts.
const (
	Failed   Verdict = iota // tried again until it ends
	Sent                    // accepted
	Dropped                 // nobody to send it to; there is nothing to report
	Rejected                // failed, and another attempt would, too
	TooLate                 // not tried, because it is of no use any more
	NotTried                // there is no way at present; due at Outcome.Due
)

// The reasons why an entry is given up, in its audit entry.
const (
	Refused = "refused" // the receiver will not accept it
	Ended   = "ended"   // it is of no use any more
)

// State is the number of waiting entries, and the time of the oldest.
type State struct {
	Waiting int
	Oldest  time.Time // zero: none waits
}

// Stats holds numbers for metrics. Waiting and Oldest are of the whole outbox; the other numbers are
// of this sender since its start.
type Stats struct {
	Waiting               int
	Oldest                time.Time // zero: none waits
	Sent, Failed, GivenUp int64     // Failed: attempts
}

// Numbers is what a sender counts. The zero value is ready.
type Numbers struct {
	sent, failed, givenUp atomic.Int64

	unusable    atomic.Int64 // how many times in a row nothing could be sent
	unusableNow atomic.Bool  // the last time was since the last pause because of it

	mu    sync.Mutex
	state State
}

// Stats returns the numbers of now. Those of the outbox may be ten seconds old.
func (n *Numbers) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Stats{n.state.Waiting, n.state.Oldest, n.sent.Load(), n.failed.Load(), n.givenUp.Load()}
}

// Limits bounds a sender.
type Limits struct {
	Lease  time.Duration // how long an entry belongs to the sender that claimed it
	Poll   time.Duration // how often to look when nothing was due
	AtOnce int           // how many entries are sent at once
}

// or returns l with the values of others for those that are not positive.
func (l Limits) or(others Limits) Limits {
	if l.Lease <= 0 {
		l.Lease = others.Lease
	}
	if l.Poll <= 0 {
		l.Poll = others.Poll
	}
	if l.AtOnce <= 0 {
		l.AtOnce = others.AtOnce
	}
	return l
}

// Words are the lines of the log, in the words of the outbox.
type Words struct {
	Sent, Dropped, Failed, GivenUp string
	GivenUpEvent                   audit.Name // in the line GivenUp
	Unread                         string     // the outbox cannot be read
	Unnoted                        string     // an outcome could not be stored
	Uncounted                      string     // the numbers for metrics could not be read
}

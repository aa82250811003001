package delivery_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/delivery"
	"github.com/signet-id/signet/userstore"
)

// box is an outbox in memory with the rules of the stores. Its clock is that of the test's bubble
// (testing/synctest), so a test waits for hours without taking any.
type box struct {
	*testing.T
	send func(ctx context.Context, name string) delivery.Outcome
	log  bytes.Buffer
	to   slog.Handler // the log

	mu      sync.Mutex
	waiting []*row
	gone    []string // name and what became of it, in order
	fault   error    // of every claim
	unnoted error    // of every outcome
	claims  int
}

type row struct {
	name, lease, reason string
	attempts            int
	since, due, ends    time.Time
}

type claimed = delivery.Entry[string]

// newBox returns an outbox with entries that are due.
func newBox(t *testing.T, names ...string) *box {
	b := &box{T: t}
	b.to = slog.NewTextHandler(&b.log, &slog.HandlerOptions{Level: slog.LevelDebug})
	b.send = func(context.Context, string) delivery.Outcome { return delivery.Outcome{Verdict: delivery.Sent} }
	for _, name := range names {
		b.post(name)
	}
	return b
}

func (b *box) post(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.waiting = append(b.waiting, &row{name: name, since: now, due: now, ends: now.Add(24 * time.Hour)})
}

// sender returns one replica's sender.
func (b *box) sender() *delivery.Sender[string] {
	return &delivery.Sender[string]{
		Outbox: b,
		Now:    func(context.Context) (time.Time, error) { return time.Now(), nil },
		Log:    slog.New(b.to),
		Words: delivery.Words{Sent: "was sent", Dropped: "was dropped", Failed: "was not sent", GivenUp: "was given up",
			GivenUpEvent: audit.MailGivenUp, Unread: "is unread", Unnoted: "is unnoted", Uncounted: "is uncounted"},
		Waits:    []time.Duration{10 * time.Second, time.Minute, time.Hour},
		Numbers:  &delivery.Numbers{},
		Defaults: delivery.Limits{Lease: time.Minute, Poll: time.Second, AtOnce: 3},
	}
}

func (b *box) Claim(ctx context.Context, lease string, now, until time.Time) (e claimed, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.claims++; b.fault != nil {
		return e, b.fault
	}
	if ctx.Err() != nil {
		return e, ctx.Err()
	}
	for _, r := range b.waiting {
		if !r.due.After(now) {
			r.attempts++
			r.lease, r.due = lease, until
			return claimed{Item: r.name, Attempts: r.attempts, Since: r.since, Ends: r.ends,
				About: []any{"name", r.name, "lease", lease}}, nil
		}
	}
	return e, userstore.ErrNotFound
}

func (b *box) Send(ctx context.Context, e claimed) delivery.Outcome { return b.send(ctx, e.Item) }

// outcome stores an outcome of a claimed entry.
func (b *box) outcome(ctx context.Context, e claimed, anyLease bool, store func(n int, r *row)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unnoted != nil {
		return b.unnoted
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for n, r := range b.waiting {
		if r.name == e.Item && (anyLease || r.lease == e.About[3]) {
			store(n, r)
			return nil
		}
	}
	return userstore.ErrNotFound
}

func (b *box) remove(what string) func(int, *row) {
	return func(n int, r *row) {
		b.waiting = append(b.waiting[:n:n], b.waiting[n+1:]...)
		b.gone = append(b.gone, r.name+": "+what)
	}
}

func (b *box) Remove(ctx context.Context, e claimed) error {
	return b.outcome(ctx, e, true, b.remove("removed"))
}

func (b *box) Postpone(ctx context.Context, e claimed, due time.Time, reason string) error {
	return b.outcome(ctx, e, false, func(_ int, r *row) { r.lease, r.due, r.reason = "", due, reason })
}

func (b *box) GiveUp(ctx context.Context, e claimed, why, reason string) error {
	if actor := audit.New(ctx, e.At, audit.MailGivenUp, audit.User("")).Actor; actor.Type != audit.BySystem {
		b.Errorf("given up by %+v", actor)
	}
	return b.outcome(ctx, e, false, b.remove(why+", "+reason))
}

func (b *box) State(context.Context) (s delivery.State, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.Waiting = len(b.waiting); s.Waiting > 0 {
		s.Oldest = b.waiting[0].since
	}
	return s, nil
}

// step lets a sender send what is due, and checks how much that was.
func (b *box) step(s *delivery.Sender[string], want int) {
	b.Helper()
	if n, err := s.Step(b.Context()); err != nil || n != want {
		b.Fatalf("%d entries were claimed, want %d: %v\n%s", n, want, err, &b.log)
	}
}

// run lets senders run until stop is called. It returns when they have ended.
func (b *box) run(stopped context.Context, senders ...*delivery.Sender[string]) {
	var all sync.WaitGroup
	for _, s := range senders {
		all.Go(func() { s.Run(stopped) })
	}
	all.Wait()
}

package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// Sender sends the entries of one outbox.
type Sender[T any] struct {
	Outbox  Outbox[T]
	Now     func(context.Context) (time.Time, error) // the database's clock, which all replicas share
	Log     *slog.Logger
	Words   Words
	Waits   []time.Duration // the pauses after each attempt; the last one goes on
	Numbers *Numbers

	Limits   Limits // of the operator or of a test
	Defaults Limits // for what Limits leaves open
}

const (
	// finishWithin is how long the current sends may go on when the server stops: the end of a process
	// must not wait for a slow receiver. What was cut off is sent again.
	finishWithin = 5 * time.Second
	// noteWithin is how long it may take to store an outcome, even after ctx has ended.
	noteWithin = 5 * time.Second
	// countEvery is how old the numbers for metrics may be.
	countEvery = 10 * time.Second
)

func (s *Sender[T]) limits() Limits {
	return s.Limits.or(s.Defaults).or(Limits{Lease: time.Minute, Poll: time.Second, AtOnce: 1})
}

// Run sends until ctx has ended. Then it claims no more, and finishes the current sends.
func (s *Sender[T]) Run(ctx context.Context) {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var under sync.WaitGroup
	defer func() {
		done := make(chan struct{})
		go func() { under.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(finishWithin):
			stop()
			<-done
		}
	}()
	under.Go(func() { s.count(ctx) })
	slots := make(chan struct{}, s.limits().AtOnce)
	quiet := false // a failure of the store was logged
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		// While nothing can be sent, not each waiting entry is tried: all would be stored again and again.
		if s.Numbers.unusableNow.Swap(false) && !pause(ctx, s.restAfter(s.Numbers.unusable.Load())) {
			return
		}
		bounded, cancel := s.bound(sending)
		e, err := s.claim(ctx)
		if err == nil {
			quiet = false
			done := make(chan struct{})
			under.Go(func() {
				defer close(done)
				defer func() { <-slots }()
				defer cancel()
				s.send(bounded, e)
			})
			if s.Numbers.unusable.Load() > 0 { // one attempt at a time shows whether this is over
				select {
				case <-done:
				case <-ctx.Done():
					return
				}
			}
			continue
		}
		cancel()
		<-slots
		if !errors.Is(err, userstore.ErrNotFound) && ctx.Err() == nil && !quiet {
			quiet = true
			s.Log.Warn(s.Words.Unread, "error", err)
		}
		if !pause(ctx, s.limits().Poll) {
			return
		}
	}
}

// Step sends all due entries one after the other, and returns how many it claimed.
func (s *Sender[T]) Step(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		bounded, cancel := s.bound(ctx)
		e, err := s.claim(ctx)
		if err == nil {
			s.send(bounded, e)
		}
		cancel()
		switch {
		case errors.Is(err, userstore.ErrNotFound):
			return n, s.countOnce(ctx)
		case err != nil:
			return n, err
		}
	}
}

// bound returns the context of a send. It ends after half of a lease, counted from a moment before
// the claim.
func (s *Sender[T]) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.limits().Lease/2)
}

func (s *Sender[T]) claim(ctx context.Context) (e Entry[T], err error) {
	now, err := s.Now(ctx)
	if err != nil {
		return e, err
	}
	e, err = s.Outbox.Claim(ctx, rand.Text(), now, now.Add(s.limits().Lease))
	e.At = now
	return e, err
}

// send sends one entry and stores the outcome. ctx is that of bound.
func (s *Sender[T]) send(ctx context.Context, e Entry[T]) {
	log := s.Log.With(e.About...).With("attempt", e.Attempts)
	o := s.Outbox.Send(ctx, e)
	switch o.Verdict {
	case Sent:
		s.Numbers.sent.Add(1)
		s.Numbers.unusable.Store(0)
		told := []any{"waited", e.At.Sub(e.Since).Round(time.Millisecond)}
		if o.Answer != "" {
			told = append([]any{"answer", o.Answer}, told...)
		}
		log.Info(s.Words.Sent, told...)
		s.note(ctx, log, func(ctx context.Context) error { return s.Outbox.Remove(ctx, e) })
		return
	case Dropped:
		log.Debug(s.Words.Dropped)
		s.note(ctx, log, func(ctx context.Context) error { return s.Outbox.Remove(ctx, e) })
		return
	case NotTried:
		s.note(ctx, log, func(ctx context.Context) error { return s.Outbox.Postpone(ctx, e, o.Due, o.Reason) })
		return
	case TooLate:
		s.giveUp(ctx, log, e, Ended, o.Reason)
		return
	}
	s.Numbers.failed.Add(1)
	if o.Unusable {
		s.Numbers.unusable.Add(1)
		s.Numbers.unusableNow.Store(true)
	} else {
		s.Numbers.unusable.Store(0)
	}
	next := e.At.Add(s.waitAfter(e.Attempts))
	switch {
	case o.Verdict == Rejected:
		s.giveUp(ctx, log, e, Refused, o.Reason)
	case !next.Before(e.Ends):
		s.giveUp(ctx, log, e, Ended, o.Reason)
	default:
		log.Warn(s.Words.Failed, "reason", o.Reason, "next", next)
		s.note(ctx, log, func(ctx context.Context) error { return s.Outbox.Postpone(ctx, e, next, o.Reason) })
	}
}

func (s *Sender[T]) giveUp(ctx context.Context, log *slog.Logger, e Entry[T], why, reason string) {
	ctx = audit.WithOrigin(ctx, audit.Origin{Actor: audit.Actor{Type: audit.BySystem}})
	s.note(ctx, log, func(ctx context.Context) error {
		err := s.Outbox.GiveUp(ctx, e, why, reason)
		if err == nil {
			s.Numbers.givenUp.Add(1)
			log.Error(s.Words.GivenUp, "event", string(s.Words.GivenUpEvent), "why", why, "reason", reason)
		}
		return err
	})
}

// note stores an outcome. If this fails, the entry is claimed again when the lease ends. For an
// entry that was accepted, this is the only case in which it is sent twice.
func (s *Sender[T]) note(ctx context.Context, log *slog.Logger, store func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := store(ctx); err != nil && !errors.Is(err, userstore.ErrNotFound) {
		log.Warn(s.Words.Unnoted, "error", err)
	}
}

// waitAfter returns the pause after a number of attempts, 20 % more or less.
func (s *Sender[T]) waitAfter(attempts int) time.Duration {
	return jitter(s.Waits[min(max(attempts, 1), len(s.Waits))-1])
}

// restAfter returns the pause before the next entry after nothing could be sent: Poll, doubled up to
// ten times as long.
func (s *Sender[T]) restAfter(times int64) time.Duration {
	poll := s.limits().Poll
	return min(poll<<min(max(times-1, 0), 4), 10*poll)
}

func jitter(d time.Duration) time.Duration { return d - d/5 + mathrand.N(max(d*2/5, 1)) }

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(jitter(d)):
		return true
	}
}

// count reads the numbers for metrics every ten seconds.
func (s *Sender[T]) count(ctx context.Context) {
	for {
		if err := s.countOnce(ctx); err != nil && ctx.Err() == nil {
			s.Log.Debug(s.Words.Uncounted, "error", err)
		}
		if !pause(ctx, countEvery) {
			return
		}
	}
}

func (s *Sender[T]) countOnce(ctx context.Context) error {
	state, err := s.Outbox.State(ctx)
	if err != nil {
		return err
	}
	s.Numbers.mu.Lock()
	defer s.Numbers.mu.Unlock()
	s.Numbers.state = state
	return nil
}

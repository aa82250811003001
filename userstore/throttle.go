package userstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/userstore/password"
)

// ErrRateLimited: a budget of attempts is used up; nothing was hashed. As *RateLimitedError.
var ErrRateLimited = errors.New("too many attempts")

// RateLimitedError is an ErrRateLimited that says how long to wait.
type RateLimitedError struct{ RetryAfter time.Duration }

func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("%s; the next one is let in after %s", ErrRateLimited, e.RetryAfter)
}
func (e *RateLimitedError) Is(target error) bool { return target == ErrRateLimited }

// Throttle lets only so many guesses through. Fill the fields, then use it from any number
// of goroutines; all that replicas must agree on is in the store.
//
// An attempt is counted before anything is hashed, and given back when it was right. So
// no number of guesses at once gets more through than one after the other,
// and a replica that dies takes no count with it. When only attempts that are under way
// stand in the way of another, it waits for them, for most logins are right.
//
// A known account is counted by its id, so that its email address, its username and every
// spelling of either share one budget; a name without an account, by its canonical form.
// Both are counted, refused and answered alike, so that one name tells nothing. Two do, to
// whoever spends a budget on it: that they are of one account.
type Throttle struct {
	Store  Attempts
	Secret func() ([]byte, error) // the key of every BudgetKey; the same on all replicas

	SignupsPerNetwork  int           // an hour; 0: any number
	FailuresPerNetwork int           // in 15 minutes, over all accounts; 0: any number
	FailuresPerBlock   int           // in 15 minutes, of networks that are not remembered, over all accounts; 0: any number
	Wait               time.Duration // for attempts that are under way; 0: the Hasher's 5 s
	AtOnce             int           // attempts that are being counted; 0: 2. As many as hashes run is enough.
	Log                *slog.Logger  // of refusals; nil: none

	none      bool // of NoThrottle
	mu        sync.Mutex
	waiting   []*waiter // first come, first woken
	turns     turns     // to count
	returns   returns   // attempts that are given back
	refusals  recorder
	intruders recorder // these are apart, so that none fills the other's room
	clients   recorder // that were not proved
	strays    recorder // clients that there are not
}

// NoThrottle counts nothing and lets every attempt through. It is for operators, who need no limit, and for tests of
// other things; a server takes it on purpose or not at all.
var NoThrottle = &Throttle{none: true}

// counts tells whether attempts are counted. An error says that the throttle was forgotten: then nothing may be tried.
func (t *Throttle) counts() (bool, error) {
	if t == nil {
		return false, errors.New("userstore: the throttle is missing; without one no secret is checked and nobody signs up")
	}
	return !t.none, nil
}

// Drain waits until what was refused so far is recorded and what is owed is given back, as far as
// the store takes it within a few seconds. Call it before the store is closed.
func (t *Throttle) Drain() {
	t.returns.drained(drainLimit)
	t.refusals.wait(drainLimit)
	t.intruders.wait(drainLimit)
	t.clients.wait(drainLimit)
	t.strays.wait(drainLimit)
}

// drainLimit bounds each part of Drain.
const drainLimit = 3 * time.Second

const (
	// mostWaiting bounds those who wait, as the Hasher's queue does.
	mostWaiting = password.DefaultQueue
)

// networkOf is the network that a request is counted by, of the address of its origin. One
// without an address is counted with all others that have none.
func networkOf(ctx context.Context) string { return network(audit.OriginOf(ctx).Address) }

// subject is what attempts at an account are counted by.
func subject(u User, known bool, name string) string {
	if known {
		return "id " + u.ID
	}
	return "name " + name
}

// keys makes the keys of budgets.
type budgetKeys []byte

func (t *Throttle) keys() (budgetKeys, error) {
	secret, err := t.Secret()
	if err == nil && len(secret) < 16 {
		err = errors.New("the secret of the budgets is too short")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return secret, nil
}

func (k budgetKeys) key(parts ...string) (key BudgetKey) {
	copy(key[:], mac.Sum(k, parts...))
	return key
}

// admit lets one check of a password through. ErrRateLimited (as *RateLimitedError),
// ErrOverloaded when attempts that are under way took too long, or the store's error: then
// nothing may be hashed. target is who the audit log tells of when the budget is the account's.
func (t *Throttle) admit(ctx context.Context, now func() time.Time, subject string, target audit.Target) (*held, error) {
	if counts, err := t.counts(); !counts {
		return nil, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	from := networkOf(ctx)
	r := Reserve{
		Attempt:  Attempt{Own: k.key("own", subject, from), Strangers: k.key("strangers", subject)},
		OwnLimit: ownLimit, StrangersLimit: strangersLimit,
	}
	t.countFailures(ctx, k, &r)
	if err := t.byDevice(ctx, subject, &r, now()); err != nil {
		return nil, err
	}
	return t.reserve(ctx, now, r, pendingFor, target, "guesses")
}

// countFailures has an attempt count, if it is wrong, against the budgets of the network that it comes
// from and of the block around it, where they are bounded.
func (t *Throttle) countFailures(ctx context.Context, k budgetKeys, r *Reserve) {
	if t.FailuresPerNetwork > 0 {
		r.Network, r.NetworkLimit = k.key("failures", networkOf(ctx)), failuresLimit(t.FailuresPerNetwork)
	}
	if t.FailuresPerBlock > 0 {
		r.Block, r.BlockLimit = k.key("block", block(audit.OriginOf(ctx).Address)), failuresLimit(t.FailuresPerBlock)
	}
}

// admitSignup lets one sign-up through. It counts from now on; give it back if nothing came of it.
func (t *Throttle) admitSignup(ctx context.Context, now func() time.Time) (*held, error) {
	return t.admitFrom(ctx, now, "signups")
}

// admitMail lets one request for a message through, of as many as there may be sign-ups.
func (t *Throttle) admitMail(ctx context.Context, now func() time.Time) (*held, error) {
	return t.admitFrom(ctx, now, "mail")
}

// admitFrom counts what the network of a request does.
func (t *Throttle) admitFrom(ctx context.Context, now func() time.Time, what string) (*held, error) {
	if counts, err := t.counts(); !counts || t.SignupsPerNetwork <= 0 {
		return nil, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	r := Reserve{Attempt: Attempt{Network: k.key(what, networkOf(ctx))}, NetworkLimit: signupsLimit(t.SignupsPerNetwork)}
	return t.reserve(ctx, now, r, 0, audit.Target{}, what)
}

func (t *Throttle) reserve(ctx context.Context, now func() time.Time, r Reserve, pending time.Duration, target audit.Target, what string) (*held, error) {
	r.ID = newAttemptID()
	wait := t.Wait
	if wait <= 0 {
		wait = password.DefaultWait
	}
	patience, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for try := 0; ; try++ {
		if !t.turns.take(patience, t.AtOnce) {
			return nil, ErrOverloaded
		}
		r.At = now()
		r.PendingUntil = r.At.Add(pending)
		err := t.Store.ReserveAttempt(ctx, r)
		t.turns.leave()
		switch {
		case err == nil:
			return &held{throttle: t, attempt: r.Attempt}, nil
		case !errors.Is(err, ErrConflict):
			t.owe(r.Attempt) // it may be there
			return nil, err
		case try == 0 && t.returns.owes(r.Attempt):
			t.returns.settled(patience, r.Attempt)
			continue
		}
		tallies, err := t.Store.Tallies(ctx, r)
		if err != nil {
			return nil, err
		}
		account, budget := r.StrangersLimit, r.Strangers
		if tallies.Remembered {
			account, budget = r.OwnLimit, r.Own
		}
		opens, reason := account.Opens(tallies.Account), "guesses_at_account"
		if target.Type == audit.OnClient {
			if reason = "guesses_at_client"; target.ID == "" {
				target = audit.Target{}
			}
		}
		if o := r.NetworkLimit.Opens(tallies.Network); o.After(opens) {
			opens, budget, target, reason = o, r.Network, audit.Target{}, what+"_from_network"
		}
		if o := r.BlockLimit.Opens(tallies.Block); o.After(opens) && !tallies.Remembered {
			opens, budget, target, reason = o, r.Block, audit.Target{}, "guesses_from_block"
		}
		if opens.After(r.At) {
			t.refusals.tell(ctx, t.Store, t.Log, budget, audit.New(ctx, r.At, audit.RateLimited, target).Failed(reason))
			return nil, &RateLimitedError{RetryAfter: opens.Sub(r.At)}
		}
		if !t.pause(patience, r.Attempt, try) {
			return nil, ErrOverloaded
		}
	}
}

// held is an attempt that was let in. nil is one that nobody counts.
type held struct {
	throttle *Throttle
	attempt  Attempt
	over     bool
}

// wrong settles it, with the event that tells of it, if any. When the store cannot be told, the attempt
// counts as wrong a little later.
func (h *held) wrong(ctx context.Context, events ...audit.Event) error {
	if h == nil || h.over {
		return nil
	}
	h.over = true
	defer h.throttle.wake(h.attempt)
	ctx, cancel := Uncancelled(ctx)
	defer cancel()
	return h.throttle.Store.SettleAttempt(ctx, h.attempt, events...)
}

// back gives it back, now or as soon as the store takes it: a failure of ours is nobody's guess.
func (h *held) back(ctx context.Context) {
	if h == nil || h.over {
		return
	}
	h.over = true
	h.throttle.owe(h.attempt).tryFor(ctx)
}

// returned notes that a login's own batch gave the attempt back.
func (h *held) returned() {
	if h != nil {
		h.over = true
		h.throttle.wake(h.attempt)
	}
}

// waiter waits for an attempt that is under way.
type waiter struct {
	attempt Attempt
	woken   chan struct{}
}

// pause waits until an attempt that a may be waiting for has ended here, or for a moment in which
// one may have elsewhere. false: a waited long enough, or too many wait.
func (t *Throttle) pause(ctx context.Context, a Attempt, try int) bool {
	w := &waiter{attempt: a, woken: make(chan struct{}, 1)}
	t.mu.Lock()
	full := len(t.waiting) >= mostWaiting
	if !full {
		t.waiting = append(t.waiting, w)
	}
	t.mu.Unlock()
	if full {
		return false
	}
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.waiting = slices.DeleteFunc(t.waiting, func(x *waiter) bool { return x == w })
	}()
	moment := time.Duration(10<<min(try, 4)) * time.Millisecond // 10 to 160 ms
	timer := time.NewTimer(moment/2 + rand.N(moment))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-w.woken:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// wake lets one of those try again whom a, now over, may have kept waiting.
func (t *Throttle) wake(a Attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.waiting, func(w *waiter) bool { return w.attempt.meets(a) })
	if i >= 0 {
		t.waiting[i].woken <- struct{}{} // has room for one, and leaves the list with it
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
}

// meets tells whether two attempts have a budget in common.
func (a Attempt) meets(b Attempt) bool {
	var none BudgetKey
	return a.Own != none && (a.Own == b.Own || a.Strangers == b.Strangers) || a.Network != none && a.Network == b.Network ||
		a.Block != none && a.Block == b.Block
}

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
	"github.com/signet-id/signet/internal/counts"
	"github.com/signet-id/signet/internal/mac"
	"github.com/signet-id/signet/userstore/password"
)

// ErrRateLimited: a budget of attempts is used up; nothing was hashed. Returned as
// *RateLimitedError.
var ErrRateLimited = errors.New("too many attempts")

// RateLimitedError is an ErrRateLimited that says how long to wait.
type RateLimitedError struct{ RetryAfter time.Duration }

func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("%s; the next one is let in after %s", ErrRateLimited, e.RetryAfter)
}
func (e *RateLimitedError) Is(target error) bool { return target == ErrRateLimited }

// Throttle bounds the number of guesses. Fill in the fields, then use it from any number of
// goroutines. The store holds everything that replicas must agree on.
//
// An attempt is counted before anything is hashed, and returned if it was right. Concurrent guesses
// therefore get no more through than consecutive ones, and the counts survive the death of a
// replica. When only pending attempts stand in the way of another, it waits for them, because most
// logins are right.
//
// A known account is counted by its id, so that its email address, its username and every spelling
// of either share one budget. A name without an account is counted by its canonical form. Both are
// counted, refused and answered alike, so one name reveals nothing. Two names can reveal that they
// belong to one account, at the cost of a budget.
type Throttle struct {
	Store  Attempts
	Secret func() ([]byte, error) // the key of every BudgetKey; the same on all replicas

	SignupsPerNetwork int // in an hour; a block has ten times as many; 0: any number
	// RegistrationsPerNetwork and Registrations bound clients that register themselves without a token:
	// of a network and of all networks, in an hour; a block has ten times as many as a network; 0: any
	// number.
	RegistrationsPerNetwork, Registrations int

	FailuresPerNetwork int // in 15 minutes, over all accounts; 0: any number
	// FailuresPerBlock bounds networks that are not remembered, in 15 minutes, over all accounts;
	// 0: any number.
	FailuresPerBlock int
	Wait             time.Duration // for pending attempts; 0: the Hasher's 5 s
	AtOnce           int           // attempts being counted at a time; 0: 2. The number of hash slots is enough.
	Log              *slog.Logger  // of refusals; nil: none

	Refused counts.Words // refusals by limit, for metrics

	none           bool // set in NoThrottle
	mu             sync.Mutex
	waiting        []*waiter // in order of arrival
	turns          turns     // to count attempts in the store
	returns        returns   // attempts to be returned
	refusals       recorder
	adminRefusals  recorder // separate recorders, so that none fills the room of another
	clientRefusals recorder // credentials that did not prove a client
	unknownClients recorder // ids that no client has
}

// NoThrottle counts nothing and lets every attempt through. It is for operators, who need no limit,
// and for tests of other things. A server has to choose it explicitly.
var NoThrottle = &Throttle{none: true}

// counts reports whether attempts are counted. The error says that the throttle is missing: then no
// attempt may be made.
func (t *Throttle) counts() (bool, error) {
	if t == nil {
		return false, errors.New("userstore: the throttle is missing; without one no secret is checked and nobody signs up")
	}
	return !t.none, nil
}

// Drain waits until the refusals so far are recorded and the attempts to be returned were tried,
// for a few seconds at most. Call it before the store is closed.
func (t *Throttle) Drain() {
	t.returns.waitUntilTried(drainLimit)
	t.refusals.waitUntilWritten(drainLimit)
	t.adminRefusals.waitUntilWritten(drainLimit)
	t.clientRefusals.waitUntilWritten(drainLimit)
	t.unknownClients.waitUntilWritten(drainLimit)
}

// drainLimit bounds each part of Drain.
const drainLimit = 3 * time.Second

const (
	// maxWaiting bounds the waiting attempts, as the Hasher's queue does.
	maxWaiting = password.DefaultQueue
)

// networkOf returns the network that the request of ctx is counted by. All requests without an
// address are counted together.
func networkOf(ctx context.Context) string { return network(audit.OriginOf(ctx).Address) }

// subject returns the name by which attempts at an account are counted.
func subject(u User, known bool, name string) string {
	if known {
		return "id " + u.ID
	}
	return "name " + name
}

// budgetKeys is the secret that budget keys are computed with.
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

// admit lets one check of a password through. ErrRateLimited (as *RateLimitedError), ErrOverloaded
// when pending attempts took too long, or the store's error: then nothing may be hashed. target is
// the target of the audit entry when the budget is the account's.
func (t *Throttle) admit(
	ctx context.Context, now func() time.Time, subject string, target audit.Target,
) (*reservation, error) {
	if counts, err := t.counts(); !counts {
		return nil, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	r := k.atAccount(ctx, subject)
	r.OwnLimit, r.StrangersLimit = ownLimit, strangersLimit
	t.countFailures(ctx, k, &r)
	known, err := t.byDevice(ctx, subject, &r, now())
	if err != nil {
		return nil, err
	}
	h, err := t.reserve(ctx, now, r, pendingFor, target, "guesses")
	if h != nil {
		h.knownDevice = known
	}
	return h, err
}

// atAccount returns an attempt at an account, without limits.
func (k budgetKeys) atAccount(ctx context.Context, subject string) Reserve {
	return Reserve{Attempt: Attempt{Own: k.key("own", subject, networkOf(ctx)), Strangers: k.key("strangers", subject)}}
}

// admitPasskey lets every proof by passkey through: it cannot be guessed, and never waits. The caller
// returns the attempt, by which network and browser are remembered after the login.
func (t *Throttle) admitPasskey(ctx context.Context, now func() time.Time, subject string) (*reservation, error) {
	if counts, err := t.counts(); !counts {
		return nil, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	r := k.atAccount(ctx, subject)
	known, err := t.byDevice(ctx, subject, &r, now())
	if err != nil {
		return nil, err
	}
	h, err := t.reserve(ctx, now, r, pendingFor, audit.Target{}, "passkeys")
	if h != nil {
		h.knownDevice = known
	}
	return h, err
}

// countFailures adds to r the budgets of its network and of the block around that, where they are
// bounded. The attempt counts against them if it is wrong.
func (t *Throttle) countFailures(ctx context.Context, k budgetKeys, r *Reserve) {
	if t.FailuresPerNetwork > 0 {
		r.Network, r.NetworkLimit = k.key("failures", networkOf(ctx)), failuresLimit(t.FailuresPerNetwork)
	}
	if t.FailuresPerBlock > 0 {
		r.Block, r.BlockLimit = k.key("block", block(audit.OriginOf(ctx).Address)), failuresLimit(t.FailuresPerBlock)
	}
}

// admitSignup lets one sign-up through. It counts at once; the caller returns it if the sign-up
// creates and reveals nothing.
func (t *Throttle) admitSignup(ctx context.Context, now func() time.Time) (*reservation, error) {
	return t.admitFrom(ctx, now, "signups", 1)
}

// admitMail lets one request for a message through. As many are allowed as sign-ups. It counts at
// once; the caller returns it if the request was not stored.
func (t *Throttle) admitMail(ctx context.Context, now func() time.Time) (*reservation, error) {
	return t.admitFrom(ctx, now, "mail", 1)
}

// admitFrom counts a request of the kind what against the budgets of its network and of the block
// around that: an owner of a whole block must not have the budget of each of its networks. There may
// be times as many of them as sign-ups.
func (t *Throttle) admitFrom(
	ctx context.Context, now func() time.Time, what string, times int,
) (*reservation, error) {
	if counts, err := t.counts(); !counts || t.SignupsPerNetwork <= 0 {
		return nil, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	n := times * t.SignupsPerNetwork
	r := Reserve{
		Attempt: Attempt{
			Network: k.key(what, networkOf(ctx)),
			Block:   k.key(what+" block", block(audit.OriginOf(ctx).Address)),
		},
		NetworkLimit: signupsLimit(n), BlockLimit: signupsLimit(networksOfBlock * n),
	}
	return t.reserve(ctx, now, r, 0, audit.Target{}, what)
}

// reasons are the audit log's words for a full budget in the place of an account's.
var reasons = map[string]string{
	registrations: registrations + "_in_all", userCodes: userCodes + "_from_session", userCodesInAll: userCodesInAll,
}

func (t *Throttle) reserve(
	ctx context.Context, now func() time.Time, r Reserve, pending time.Duration, target audit.Target, what string,
) (*reservation, error) {
	r.ID = newAttemptID()
	wait := t.Wait
	if wait <= 0 {
		wait = password.DefaultWait
	}
	waitCtx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for try := 0; ; try++ {
		if !t.turns.take(waitCtx, t.AtOnce) {
			return nil, ErrOverloaded
		}
		r.At = now()
		r.PendingUntil = r.At.Add(pending)
		err := t.Store.ReserveAttempt(ctx, r)
		t.turns.leave()
		switch {
		case err == nil:
			return &reservation{throttle: t, attempt: r.Attempt}, nil
		case !errors.Is(err, ErrConflict):
			t.giveBackSoon(r.Attempt) // it may be reserved
			return nil, err
		case try == 0 && t.returns.owes(r.Attempt):
			t.returns.waitForOwed(waitCtx, r.Attempt)
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
		if r, ok := reasons[what]; ok {
			reason = r
		}
		if target.Type == audit.OnClient {
			if reason = "guesses_at_client"; target.ID == "" {
				target = audit.Target{}
			}
		}
		if o := r.NetworkLimit.Opens(tallies.Network); o.After(opens) {
			opens, budget, target, reason = o, r.Network, audit.Target{}, what+"_from_network"
		}
		if o := r.BlockLimit.Opens(tallies.Block); o.After(opens) && !tallies.Remembered {
			opens, budget, target, reason = o, r.Block, audit.Target{}, what+"_from_block"
		}
		if opens.After(r.At) {
			t.Refused.Add(reason, 1)
			t.refusals.record(ctx, t.Store, t.Log, budget, audit.New(ctx, r.At, audit.RateLimited, target).Failed(reason))
			return nil, &RateLimitedError{RetryAfter: opens.Sub(r.At)}
		}
		if !t.pause(waitCtx, r.Attempt, try) {
			return nil, ErrOverloaded
		}
	}
}

// reservation is an attempt that was let through. nil is an attempt that is not counted.
type reservation struct {
	throttle    *Throttle
	attempt     Attempt
	knownDevice bool // a browser that is remembered for the account
	over        bool
}

// fail counts the attempt as wrong and stores the events with it. If the store fails, the attempt
// counts as wrong once its pending time is over.
func (h *reservation) fail(ctx context.Context, events ...audit.Event) error {
	if h == nil || h.over {
		return nil
	}
	h.over = true
	defer h.throttle.wake(h.attempt)
	ctx, cancel := Uncancelled(ctx)
	defer cancel()
	return h.throttle.Store.FailAttempt(ctx, h.attempt, events...)
}

// giveBack returns the attempt, now or as soon as the store takes it: a failure on our side is no
// guess.
func (h *reservation) giveBack(ctx context.Context) {
	if h == nil || h.over {
		return
	}
	h.over = true
	h.throttle.giveBackSoon(h.attempt).waitUntilTried(ctx)
}

// markReturned notes that the batch of a login returned the attempt.
func (h *reservation) markReturned() {
	if h != nil {
		h.over = true
		h.throttle.wake(h.attempt)
	}
}

// waiter waits for a pending attempt.
type waiter struct {
	attempt Attempt
	woken   chan struct{}
}

// pause waits until an attempt that a may be waiting for has ended in this replica, or for a moment
// in which one may have ended in another. It returns false when a waited long enough, or too many
// attempts wait.
func (t *Throttle) pause(ctx context.Context, a Attempt, try int) bool {
	w := &waiter{attempt: a, woken: make(chan struct{}, 1)}
	t.mu.Lock()
	full := len(t.waiting) >= maxWaiting
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
	delay := time.Duration(10<<min(try, 4)) * time.Millisecond // 10 to 160 ms
	timer := time.NewTimer(delay/2 + rand.N(delay))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-w.woken:
	case <-timer.C:
	}
	return ctx.Err() == nil
}

// wake wakes one waiter that a, which has ended, may have kept waiting.
func (t *Throttle) wake(a Attempt) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.waiting, func(w *waiter) bool { return w.attempt.meets(a) })
	if i >= 0 {
		t.waiting[i].woken <- struct{}{} // has room for one; the waiter leaves the list now
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
}

// meets reports whether two attempts share a budget.
func (a Attempt) meets(b Attempt) bool {
	var none BudgetKey
	return a.Own != none && (a.Own == b.Own || a.Strangers == b.Strangers) ||
		a.Network != none && a.Network == b.Network || a.Block != none && a.Block == b.Block
}

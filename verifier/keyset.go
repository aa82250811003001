package verifier

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// keySet is the issuer's published keys as this process knows them.
//
//	fresh        use them; nothing else happens
//	soon stale   use them, and fetch beside the request (from 70 to 90 % of max-age, at random,
//	             so that a thousand verifiers do not call at once)
//	stale        fetch, wait for it, then use what came; while the issuer fails, use the old
//	             ones and fetch beside
//	too old      (StaleLimit) fetch and wait; without an answer nothing is accepted
//
// A token with an unknown kid makes a fetch, too. All of these share one fetch at
// a time and one cooldown, so that no flood of tokens becomes a flood of fetches.
// A token that would be refused anyway hardly waits for them (grace).
//
// Each successful answer replaces everything known before: a withdrawn key is gone
// at once. Nothing but a later answer of the origin brings it back: an older copy
// from a cache on the way, told by its Date, is refused whole.
type keySet struct {
	source     *source
	now        func() time.Time
	log        *slog.Logger
	cooldown   time.Duration
	maxAge     time.Duration
	staleLimit time.Duration
	timeout    time.Duration
	skew       time.Duration
	random     func() float64 // in [0, 1)

	current atomic.Pointer[snapshot]

	mu          sync.Mutex
	flight      chan struct{} // closed when the fetch under way is over; nil: none is
	lastAttempt time.Time
	nextAttempt time.Time
	failing     bool                 // the last fetch failed
	withdrawn   map[string]time.Time // kid → date of the answer that no longer had it
}

// snapshot is one answer of the issuer; immutable.
type snapshot struct {
	keys      map[string][]jose.PublicKey // by kid
	etag      string
	date      time.Time
	asked     time.Time // when the fetch began: it speaks of keys published until then
	confirmed time.Time // when the issuer last said so
	refreshAt time.Time
	staleAt   time.Time
	deadAt    time.Time
}

func newKeySet(c Config, now func() time.Time, log *slog.Logger) *keySet {
	return &keySet{
		source:     newSource(c, now),
		now:        now,
		log:        log,
		cooldown:   orDefault(c.Cooldown, 10*time.Second),
		maxAge:     orDefault(c.MaxAge, time.Hour),
		staleLimit: orDefault(c.StaleLimit, 24*time.Hour),
		timeout:    orDefault(c.FetchTimeout, 5*time.Second),
		skew:       c.skew(),
		random:     rand.Float64,
		withdrawn:  map[string]time.Time{},
	}
}

// grace is how long a token that is refused anyway waits for the first keys, unless
// the last fetch failed.
const grace = 250 * time.Millisecond

// find answers the keys under kid for a token issued at issuedAt; none when the
// issuer has no such key. worthAFetch says that the token is otherwise acceptable.
// The error is an *Error: no usable key set, or none that can tell.
func (k *keySet) find(ctx context.Context, kid string, issuedAt time.Time, worthAFetch bool) ([]jose.PublicKey, error) {
	now := k.now()
	s := k.current.Load()
	if !worthAFetch {
		if !s.usable(now) {
			// A client that has nothing but an expired token shall learn so, and from an
			// issuer that is well at once; one that hangs holds nobody for long.
			if wait, failing := k.refresh(now); wait != nil && !failing {
				brief, cancel := context.WithTimeout(ctx, grace)
				defer cancel()
				_ = k.wait(brief, wait)
			}
			if s = k.current.Load(); !s.usable(k.now()) {
				return nil, k.unavailable(now)
			}
		}
		return s.keys[kid], nil
	}
	switch {
	case !s.usable(now) || reached(now, s.staleAt):
		if wait, failing := k.refresh(now); wait != nil && (!failing || !s.usable(now)) {
			if err := k.wait(ctx, wait); err != nil {
				return nil, err
			}
		}
		s = k.current.Load() // also without a wait: another caller's fetch may have ended meanwhile
		if !s.usable(k.now()) {
			return nil, k.unavailable(now)
		}
	case reached(now, s.refreshAt):
		k.refresh(now)
	}
	if keys := s.keys[kid]; len(keys) > 0 {
		return keys, nil
	}
	wait, _ := k.refresh(now)
	if wait != nil {
		if err := k.wait(ctx, wait); err != nil {
			return nil, err
		}
	}
	s, decided := k.decides(kid, issuedAt)
	if !decided {
		return nil, k.unavailable(k.now())
	}
	return s.keys[kid], nil
}

// decides answers the current snapshot, and whether it can tell if the issuer has
// kid. A snapshot that is older than the token cannot say that the token's key is
// nobody's. While the issuer answers, one from within the clock skew can: otherwise
// a flood of tokens would be told to come again. A withdrawn kid stays withdrawn
// until the issuer says otherwise.
func (k *keySet) decides(kid string, issuedAt time.Time) (*snapshot, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.current.Load()
	if len(s.keys[kid]) > 0 {
		return s, true
	}
	if _, withdrawn := k.withdrawn[kid]; withdrawn {
		return s, true
	}
	if !k.failing {
		issuedAt = issuedAt.Add(-k.skew)
	}
	return s, !s.asked.Before(issuedAt)
}

// reached tells whether at is past by the wall clock or by the monotonic one that
// time.Now adds: the latter stands still while a machine is suspended, the former
// can be set back, and neither shall make anything look young.
func reached(now, at time.Time) bool {
	return !now.Before(at) || !now.Round(0).Before(at)
}

// usable tells whether tokens may be accepted by s. A clock that was set back
// makes a snapshot of the future, which nothing is known about.
func (s *snapshot) usable(now time.Time) bool {
	return s != nil && !reached(now, s.deadAt) && !now.Round(0).Before(s.confirmed.Add(-time.Minute))
}

// refresh starts a fetch unless one is under way or the cooldown lasts, and
// answers what to wait for; nil when there is nothing. failing says that the
// fetch before it failed.
func (k *keySet) refresh(now time.Time) (wait <-chan struct{}, failing bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.flight != nil {
		return k.flight, k.failing
	}
	if !reached(now, k.nextAttempt) && !now.Before(k.lastAttempt) {
		return nil, k.failing
	}
	k.lastAttempt = now
	k.nextAttempt = now.Add(k.cooldown + time.Duration(k.random()/4*float64(k.cooldown)))
	k.flight = make(chan struct{})
	go k.fetch(k.current.Load(), now)
	return k.flight, k.failing
}

// fetch runs beside the requests and under its own deadline: the caller that
// started it may leave, others may be waiting.
func (k *keySet) fetch(known *snapshot, asked time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), k.timeout)
	defer cancel()
	etag := ""
	if known != nil {
		etag = known.etag
	}
	doc, err := k.source.fetch(ctx, etag)
	var keys []jose.PublicKey
	if err == nil && !doc.unchanged {
		var skipped []error
		keys, skipped, err = jose.ParseKeySet(doc.body)
		for _, s := range skipped {
			k.log.Warn("a key in the issuer's key set was skipped", "issuer", k.source.issuer, "reason", s.Error())
		}
	}

	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(k.flight)
	defer func() { k.flight = nil }()
	was := k.failing
	if err != nil {
		if !was {
			k.log.Error("the issuer's keys cannot be fetched; known keys are used until the stale limit", "issuer", k.source.issuer, "error", err.Error(), "stale_limit", k.staleLimit)
		}
		k.failing = true
		return
	}
	next := k.snapshot(doc)
	next.asked = asked
	switch {
	case doc.unchanged:
		next.keys, next.etag = known.keys, known.etag
		if next.date.Before(known.date) {
			next.date = known.date
		}
	case known != nil && k.isOlderCopy(doc, keys):
		if !was { // it confirms nothing: the same as no answer
			k.log.Warn("an outdated copy of the issuer's key set was ignored: it holds a key that was withdrawn since", "issuer", k.source.issuer)
		}
		k.failing = true
		return
	default:
		next.keys = make(map[string][]jose.PublicKey, len(keys))
		for _, key := range keys {
			if key.ID == "" {
				k.log.Warn("a key in the issuer's key set was skipped", "issuer", k.source.issuer, "reason", "it has no kid")
				continue
			}
			next.keys[key.ID] = append(next.keys[key.ID], key)
		}
		k.remember(known, next)
	}
	if was {
		k.log.Info("the issuer's keys can be fetched again", "issuer", k.source.issuer)
	}
	k.failing = false
	k.current.Store(next)
}

// snapshot sets the times of a new answer. They count from now, the end of the
// fetch, because only then is the answer known to be right.
func (k *keySet) snapshot(doc document) *snapshot {
	now := k.now()
	maxAge := doc.maxAge
	if maxAge < 0 {
		maxAge = 5 * time.Minute
	}
	maxAge = max(min(maxAge, k.maxAge), k.cooldown)
	return &snapshot{
		etag:      doc.etag,
		date:      doc.date,
		confirmed: now,
		refreshAt: now.Add(time.Duration((0.7 + k.random()/5) * float64(maxAge))),
		staleAt:   now.Add(maxAge),
		deadAt:    now.Add(max(k.staleLimit, maxAge)),
	}
}

// isOlderCopy tells an answer that lists a withdrawn key and was made no later
// than the answer that withdrew it.
func (k *keySet) isOlderCopy(doc document, keys []jose.PublicKey) bool {
	for _, key := range keys {
		if since, ok := k.withdrawn[key.ID]; ok && !doc.date.IsZero() && !since.IsZero() && !doc.date.After(since) {
			return true
		}
	}
	return false
}

// remember keeps what the new answer withdrew. An entry that has outlived the
// longest use of any copy protects from nothing any more.
func (k *keySet) remember(known, next *snapshot) {
	for kid := range next.keys {
		delete(k.withdrawn, kid)
	}
	for kid, since := range k.withdrawn {
		if next.date.Sub(since) > 30*24*time.Hour {
			delete(k.withdrawn, kid)
		}
	}
	if known == nil {
		return
	}
	for kid := range known.keys {
		if _, still := next.keys[kid]; !still {
			k.withdrawn[kid] = next.date
			k.log.Info("the issuer withdrew a key", "issuer", k.source.issuer, "kid", kid)
		}
	}
}

func (k *keySet) wait(ctx context.Context, flight <-chan struct{}) error {
	select {
	case <-flight:
		return nil
	case <-ctx.Done():
		return &Error{Code: CodeKeysUnavailable, Reason: "the caller did not wait for the issuer's keys", RetryAfter: time.Second, cause: ctx.Err()}
	}
}

func (k *keySet) unavailable(now time.Time) *Error {
	k.mu.Lock()
	defer k.mu.Unlock()
	retryAfter := max(k.nextAttempt.Sub(now), time.Second)
	if k.flight != nil {
		retryAfter = time.Second
	}
	return &Error{
		Code:       CodeKeysUnavailable,
		Reason:     "the issuer's keys could not be fetched, and there are none recent enough to go by",
		RetryAfter: retryAfter,
	}
}

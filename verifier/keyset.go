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

// keySet holds the issuer's published keys as this process knows them.
//
//	fresh        use the keys; nothing else happens
//	soon stale   use the keys, and fetch in the background (from 70 to 90 % of max-age, at random,
//	             so that a thousand verifiers do not call at once)
//	stale        fetch, wait, then use the new keys; while the issuer fails, use the old keys and
//	             fetch in the background
//	too old      (StaleLimit) fetch and wait; without an answer no token is accepted
//
// A token with an unknown kid starts a fetch, too. All of these share one fetch at a time and one
// cooldown, so that a flood of tokens does not become a flood of fetches. A token that would be
// refused anyway hardly waits for a fetch (grace).
//
// Each successful answer replaces all keys known before: a withdrawn key is gone at once. Only a
// later answer of the origin brings the key back. An older copy from a cache on the way, recognised
// by its Date, is refused as a whole.
//
// A bundle (bundle.go) stands for an answer that was made when the bundle was. While it holds, no
// request waits for a fetch.
type keySet struct {
	source     *source
	now        func() time.Time
	log        *slog.Logger
	cooldown   time.Duration
	maxAge     time.Duration
	staleLimit time.Duration
	timeout    time.Duration
	grace      time.Duration
	skew       time.Duration
	offline    bool           // nothing is fetched
	random     func() float64 // in [0, 1)

	current atomic.Pointer[snapshot]

	mu sync.Mutex
	attempts
	withdrawn map[string]time.Time // kid → date of the first answer without the key
	bundle    acceptedBundle       // the last one
}

// snapshot is one answer of the issuer; immutable.
type snapshot struct {
	keys      map[string][]jose.PublicKey // by kid
	etag      string
	date      time.Time
	asked     time.Time // when the fetch began: the answer has the keys published until then
	confirmed time.Time // when the issuer last confirmed these keys
	refreshAt time.Time
	staleAt   time.Time
	deadAt    time.Time
	bundled   bool // the answer is a bundle
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
		grace:      grace,
		skew:       c.skew(),
		offline:    c.Offline,
		random:     rand.Float64,
		withdrawn:  map[string]time.Time{},
	}
}

// grace is how long a token that would be refused anyway waits for the first keys, unless the last
// fetch failed.
const grace = 250 * time.Millisecond

// find returns the keys with this kid for a token issued at issuedAt, and no keys when the issuer
// has none. worthAFetch says that the token is acceptable apart from its signature. The error is an
// *Error: there is no usable key set, or none recent enough to decide.
func (k *keySet) find(ctx context.Context, kid string, issuedAt time.Time, worthAFetch bool) ([]jose.PublicKey, error) {
	now := k.now()
	s := k.current.Load()
	if !worthAFetch {
		if !s.usable(now) {
			// A client with an expired token should learn that the token expired. A healthy issuer
			// answers at once; an issuer that hangs must not hold the client for long.
			if wait, failing := k.refresh(now); wait != nil && !failing {
				brief, cancel := context.WithTimeout(ctx, k.grace)
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
		s = k.current.Load() // even without a wait: another caller's fetch may have ended meanwhile
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

// decides returns the current snapshot, and reports whether it can decide that the issuer has no
// key kid. A snapshot that is older than the token cannot. While the issuer answers, a snapshot
// within the clock skew can: otherwise a flood of tokens would all be sent away to try again. A
// withdrawn kid stays withdrawn until the issuer publishes it again.
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

// usable reports whether s may be used to accept tokens.
func (s *snapshot) usable(now time.Time) bool { return s != nil && lasts(now, s.confirmed, s.deadAt) }

// refresh starts a fetch, unless one is running or the cooldown is not over. It returns a channel
// that closes when the fetch ends, nil when no fetch is running. failing says that the fetch before
// failed.
func (k *keySet) refresh(now time.Time) (wait <-chan struct{}, failing bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.offline {
		return nil, k.failing
	}
	wait, start := k.begin(now, k.cooldown, k.random)
	if start {
		go k.fetch(k.current.Load(), now)
	}
	return wait, k.failing
}

// fetch runs in the background with a deadline of its own: the caller that started it may leave
// while other callers wait.
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
	defer k.end()
	wasFailing := k.failing
	if err != nil {
		if !wasFailing {
			k.log.Error("the issuer's keys cannot be fetched; known keys are used until the stale limit",
				"issuer", k.source.issuer, "error", err.Error(), "stale_limit", k.staleLimit)
		}
		k.failing = true
		return
	}
	current := k.current.Load() // known, unless a bundle came meanwhile
	if doc.unchanged && current != known {
		return // it confirms the keys before the bundle
	}
	next := k.snapshot(doc)
	next.asked = asked
	switch {
	case doc.unchanged:
		next.keys, next.etag = known.keys, known.etag
		if next.date.Before(known.date) {
			next.date = known.date
		}
	case current != nil && k.isOlderCopy(current, doc, keys):
		if !wasFailing { // an old copy confirms nothing, so it counts as no answer
			k.log.Warn("an outdated copy of the issuer's key set was ignored: it is older than the keys that are known",
				"issuer", k.source.issuer)
		}
		k.failing = true
		return
	default:
		next.keys = k.byKeyID(keys)
		k.remember(current, next)
	}
	if wasFailing {
		k.log.Info("the issuer's keys can be fetched again", "issuer", k.source.issuer)
	}
	k.failing = false
	k.current.Store(next)
}

// snapshot returns a snapshot with the times of a new answer. They count from now, the end of the
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
		deadAt:    now.Add(max(k.staleLimit, maxAge, k.bundle.expiry.Sub(now))),
	}
}

// byKeyID skips keys without kid: no token can name them.
func (k *keySet) byKeyID(keys []jose.PublicKey) map[string][]jose.PublicKey {
	named := make(map[string][]jose.PublicKey, len(keys))
	for _, key := range keys {
		if key.ID == "" {
			k.log.Warn("a key in the issuer's key set was skipped", "issuer", k.source.issuer, "reason", "it has no kid")
			continue
		}
		named[key.ID] = append(named[key.ID], key)
	}
	return named
}

// isOlderCopy reports whether an answer lists a withdrawn key and was made no later than the answer
// that withdrew the key, or whether it was made before the bundle that is in use.
func (k *keySet) isOlderCopy(current *snapshot, doc document, keys []jose.PublicKey) bool {
	if current.bundled && !doc.date.IsZero() && doc.date.Before(current.date.Add(-k.skew)) {
		return true
	}
	for _, key := range keys {
		if since, ok := k.withdrawn[key.ID]; ok && !doc.date.IsZero() && !since.IsZero() && !doc.date.After(since) {
			return true
		}
	}
	return false
}

// maxWithdrawn bounds what an issuer with new keys in every answer can make a verifier remember.
const maxWithdrawn = 10_000

// remember keeps the kids that the new answer withdrew. An entry older than the longest use of any
// copy no longer protects from anything and is dropped.
func (k *keySet) remember(known, next *snapshot) {
	for kid := range next.keys {
		delete(k.withdrawn, kid)
	}
	for kid, since := range k.withdrawn {
		if next.date.Sub(since) > 30*24*time.Hour || len(k.withdrawn) > maxWithdrawn {
			delete(k.withdrawn, kid)
		}
	}
	if known == nil {
		return
	}
	for kid := range known.keys {
		if _, published := next.keys[kid]; !published {
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
		return &Error{Code: CodeKeysUnavailable, Reason: "the caller did not wait for the issuer's keys",
			RetryAfter: time.Second, cause: ctx.Err()}
	}
}

func (k *keySet) unavailable(now time.Time) *Error {
	k.mu.Lock()
	defer k.mu.Unlock()
	retryAfter := max(k.nextAttempt.Sub(now), time.Second)
	if k.offline {
		retryAfter = max(k.cooldown, time.Second)
	}
	if k.flight != nil {
		retryAfter = time.Second
	}
	return &Error{
		Code:       CodeKeysUnavailable,
		Reason:     "the issuer's keys could not be fetched, and there are none recent enough to go by",
		RetryAfter: retryAfter,
	}
}

package keys

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// ErrNotReady means that this replica may not sign now (its view is too old, its clock is off, or
// it was never started); callers answer 503. Ready returns the reason.
var ErrNotReady = errors.New("the signing keys are not ready")

// The kinds of ErrNotReady that an operator fixes in different places. Ready distinguishes them;
// the error's text has the details, for the log.
var (
	ErrStale  = errors.New("the view of the signing keys is too old")
	ErrClock  = errors.New("the clock is off")
	ErrSealed = errors.New("the signing keys cannot be opened")
)

// notReady is an ErrNotReady of a kind. Its text is the cause's: the kind is for programs.
type notReady struct{ kind, cause error }

func (e *notReady) Error() string   { return ErrNotReady.Error() + ": " + e.cause.Error() }
func (e *notReady) Unwrap() []error { return []error{ErrNotReady, e.kind, e.cause} }

// Manager keeps one replica's view of the key set current and changes it. Fill the fields; then a
// server calls Start and Run, and a command calls one method: Timeline, Rotate, Revoke, Rewrap and
// Export read the store themselves.
type Manager struct {
	Store       Store
	Policy      Policy
	KEKs        []jose.KEK // any may open; the first seals a new ring, and what Rewrap reseals
	Now         func() time.Time
	DatabaseNow func(context.Context) (time.Time, error) // the clock that all replicas share
	Generate    func(alg string) (crypto.Signer, error)  // nil: GenerateKey
	Log         *slog.Logger                             // nil: silent
	TypesToSign []string                                 // the `typ` values that signers prepare

	// AlgorithmInUse names a client or resource that is registered for alg, and by which member;
	// empty: there is none.
	// Start calls it before it removes an algorithm; while it is nil, Start refuses to remove one.
	AlgorithmInUse func(ctx context.Context, alg string) (string, error)

	view  atomic.Pointer[view]
	polls atomic.Uint64
}

// view is the result of one poll of the store.
type view struct {
	set    *Set
	poll   uint64        // polls are counted as they begin
	readAt time.Time     // this replica's clock before the poll read anything, as Now gave it
	offset time.Duration // this replica's clock minus the database's
	off    bool          // by more than is allowed
}

// storeTimeout bounds each call of the store, so that a call that hangs does not keep a replica
// from noticing that the store is back.
const storeTimeout = 5 * time.Second

// Start makes the first keys or loads the existing ones, makes the factor secret of a store that has
// none, applies a changed configuration, and does one Step. After it the manager is ready or Start has failed.
func (m *Manager) Start(ctx context.Context) error {
	if err := m.Policy.Validate(); err != nil {
		return err
	}
	if err := m.checkClock(ctx, m.Policy); err != nil {
		return err
	}
	ring, err := m.load(ctx)
	if err != nil {
		return err
	}
	if err := m.checkAlgorithms(ctx, ring); err != nil {
		return err
	}
	changed, err := m.change(ctx, func(Ring) request {
		parameters := m.Policy.Parameters()
		return request{algorithms: m.Policy.Algorithms, parameters: &parameters, factorSecret: true}
	})
	if err != nil {
		return err
	}
	m.logChange(changed)
	if err := m.Step(ctx); err != nil {
		return err
	}
	if err := m.Ready(); err != nil {
		return err
	}
	m.logWaiting()
	return nil
}

// checkAlgorithms refuses to remove an algorithm that a client or resource needs.
func (m *Manager) checkAlgorithms(ctx context.Context, ring Ring) error {
	for _, alg := range ring.Algorithms {
		if slices.Contains(m.Policy.Algorithms, alg) {
			continue
		}
		if m.AlgorithmInUse == nil {
			return fmt.Errorf("keys.algorithms: %s cannot be taken away: nothing tells who is registered for it; keep it in the list", alg)
		}
		user, err := m.AlgorithmInUse(ctx, alg)
		if err != nil {
			return fmt.Errorf("look for clients and resources that use %s: %w", alg, err)
		}
		if user != "" {
			return fmt.Errorf("keys.algorithms: %s cannot be taken away while %s is registered for it; "+
				"register that for another algorithm first, or keep %s in the list", alg, user, alg)
		}
	}
	return nil
}

// logWaiting logs the algorithms that do not sign yet.
func (m *Manager) logWaiting() {
	v := m.view.Load()
	now := v.instant(m.now())
	for _, alg := range v.set.ring.Algorithms {
		if v.set.active(alg, now) != nil {
			continue
		}
		for _, k := range v.set.ring.Keys {
			if k.Algorithm == alg && k.State(now) == Pending {
				m.log().Info("an added signing algorithm waits until verifiers know its first key",
					"alg", alg, "signs_from", k.ActivateAt.UTC(), "meanwhile", v.set.Signer(alg, now).Algorithm())
				break
			}
		}
	}
}

// Run polls the store each second until ctx ends, and changes the ring when a change is due. The
// change may take long, because RSA keys are generated for it, so it runs beside the polls and the
// replica stays current meanwhile. Errors are logged once per outage.
func (m *Manager) Run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var changing chan error // of the change that is under way; nil: none
	var changeErr error     // of the last one
	var outage time.Time
	for {
		due := false
		select {
		case <-ctx.Done():
			if changing != nil {
				<-changing //nolint:errcheck // nothing is polled any more, so its error changes nothing
			}
			return
		case changeErr = <-changing:
			changing = nil
		case <-tick.C:
			due = changing == nil // a change that failed is tried again at the next tick
		}
		err := m.refresh(ctx)
		if err == nil && due {
			if due, err = m.due(); due {
				changing = make(chan error, 1)
				go func() { changing <- m.bringUpToDate(ctx) }()
			} else {
				changeErr = err
			}
		}
		if err == nil {
			err = changeErr
		}
		switch {
		case ctx.Err() != nil:
		case err != nil && outage.IsZero():
			outage = m.now()
			m.log().Error("the signing keys cannot be kept current", "error", err)
		case err == nil && changing == nil && !outage.IsZero():
			m.log().Info("the signing keys are current again", "after", m.now().Sub(outage).Round(time.Second))
			outage = time.Time{}
		}
	}
}

// Step makes one poll, and the change of the ring that is due after it. Steps may overlap: the one
// that began last decides.
func (m *Manager) Step(ctx context.Context) error {
	if err := m.refresh(ctx); err != nil {
		return err
	}
	if due, err := m.due(); err != nil || !due {
		return err
	}
	if err := m.bringUpToDate(ctx); err != nil {
		return err
	}
	return m.poll(ctx)
}

// refresh polls, and fails if this replica cannot use the result.
func (m *Manager) refresh(ctx context.Context) error {
	if err := m.poll(ctx); err != nil {
		return err
	}
	return m.view.Load().set.broken
}

// due reports whether the ring needs a change now.
func (m *Manager) due() (bool, error) {
	c, err := plan(m.view.Load().set.ring, m.Policy, m.instant(), request{})
	return err == nil && !c.empty(), err
}

// bringUpToDate makes the scheduled change.
func (m *Manager) bringUpToDate(ctx context.Context) error {
	changed, err := m.change(ctx, func(Ring) request { return request{} })
	if err != nil {
		return fmt.Errorf("bring the signing keys up to date: %w", err)
	}
	m.logChange(changed)
	return nil
}

// poll reads the database's clock and the ring and makes them this replica's view.
func (m *Manager) poll(ctx context.Context) error {
	// Everything that is read below is at least as new as this instant: a slow answer, or a process
	// that is frozen meanwhile, makes no view look younger.
	v := &view{poll: m.polls.Add(1), readAt: m.Now()}
	var err error
	if v.offset, err = m.clockOffset(ctx, m.Policy); err != nil {
		return err
	}
	before := m.view.Load()
	clockErr := m.Policy.clockError(v.offset)
	v.off = clockErr != nil
	if v.off && before != nil {
		off := *before // signs nothing from here on, even if the ring cannot be read
		off.offset, off.off = v.offset, true
		m.view.CompareAndSwap(before, &off)
	}

	version, err := m.version(ctx)
	if err != nil {
		return err
	}
	from := v.earlier(v.readAt.Round(0))
	switch {
	case before != nil && before.set.ring.Version == version && before.set.broken == nil &&
		!from.Before(before.set.builtAt):
		v.set = before.set
	default:
		ring, err := m.load(ctx)
		if err != nil {
			return err
		}
		var old *Set
		if before != nil {
			old = before.set
		}
		open := &opener{keks: m.KEKs, types: m.TypesToSign}
		if v.set, err = newSet(ring, from, open, old); err != nil {
			return err
		}
	}
	if v.set.ring.Version == 0 {
		return errEmpty
	}
	m.publish(v)
	return clockErr
}

// publish makes v the view unless a poll that began later was faster.
func (m *Manager) publish(v *view) {
	for {
		current := m.view.Load()
		if current != nil && current.poll > v.poll || m.view.CompareAndSwap(current, v) {
			return
		}
	}
}

// Ready returns nil if this replica may sign, and otherwise the reason why not.
func (m *Manager) Ready() error {
	v, now := m.view.Load(), m.Now()
	if err := m.mayUse(v, now, m.Policy.StaleLimit()); err != nil {
		return err
	}
	if err := m.Policy.clockError(v.offset); err != nil {
		return &notReady{ErrClock, err}
	}
	if v.set.broken != nil {
		return &notReady{ErrSealed, v.set.broken}
	}
	if len(v.set.Active(now)) == 0 {
		return fmt.Errorf("%w: no key is active", ErrNotReady)
	}
	return nil
}

// mayUse refuses a view that is older than limit, or from the future: then the clock was set back
// and the age is unknown until the next poll.
func (m *Manager) mayUse(v *view, now time.Time, limit time.Duration) error {
	if v == nil {
		return fmt.Errorf("%w: they were never loaded", ErrNotReady)
	}
	// The older of two ages counts, by the wall clock and by the monotonic one that time.Now adds:
	// setting the clock back makes no view look younger.
	wall := now.Round(0).Sub(v.readAt)
	age := max(wall, now.Sub(v.readAt))
	if age > limit || wall < -m.Policy.ClockLimit() {
		return &notReady{ErrStale, fmt.Errorf("they were last read from the store %v ago; at most %v is allowed", age.Round(time.Second), limit)}
	}
	return nil
}

// Signer returns the active signer of alg or, while alg has none, of the first algorithm that has
// an active key. ErrNotReady.
func (m *Manager) Signer(alg string) (*jose.Signer, error) {
	// The age is checked here and not when the view is made: a replica that was frozen must not
	// sign with its old view.
	v, now := m.view.Load(), m.Now()
	if err := m.mayUse(v, now, m.Policy.StaleLimit()); err != nil {
		return nil, err
	}
	if v.off {
		return nil, &notReady{ErrClock, m.Policy.clockError(v.offset)}
	}
	if signer := v.set.Signer(alg, now); signer != nil {
		return signer, nil
	}
	return nil, fmt.Errorf("%w: no %s key is active, or it could not be opened", ErrNotReady, alg)
}

// PublishedKey returns a key that is in the JWKS now: access tokens are accepted under it.
func (m *Manager) PublishedKey(kid string) (jose.PublicKey, bool) {
	v := m.view.Load()
	if v == nil {
		return jose.PublicKey{}, false
	}
	return v.set.Published(kid, m.publication(v))
}

// KnownKey returns a key that is or was published, even if it is revoked: refresh tokens are
// accepted under it, because their jti is what proves them.
func (m *Manager) KnownKey(kid string) (jose.PublicKey, bool) {
	v := m.view.Load()
	if v == nil {
		return jose.PublicKey{}, false
	}
	return v.set.Known(kid)
}

// RefreshJTI returns HMAC-SHA-256(refresh secret, grant ‖ generation) in base64url.
func (m *Manager) RefreshJTI(grant [16]byte, generation int64) (string, error) {
	v := m.view.Load()
	if v == nil || v.set.secret == nil {
		return "", fmt.Errorf("%w: there is no refresh secret", ErrNotReady)
	}
	return v.set.secret.jti(grant, generation), nil
}

// Secret returns a 256-bit key for a purpose: the same on every replica, and only in memory; the
// store has the sealed secret that it is derived from. ErrNotReady.
func (m *Manager) Secret(p Purpose) ([]byte, error) {
	v := m.view.Load()
	if v == nil || v.set.secret == nil {
		return nil, fmt.Errorf("%w: there is no refresh secret", ErrNotReady)
	}
	return v.set.secret.derived[p], nil
}

// BudgetSecret is Secret(Budgets).
func (m *Manager) BudgetSecret() ([]byte, error) { return m.Secret(Budgets) }

// RefreshAlgorithm returns the cheapest algorithm in force.
func (m *Manager) RefreshAlgorithm() string {
	v := m.view.Load()
	if v == nil {
		return ""
	}
	for _, now := range v.instants(m.now()) {
		if alg := v.set.Cheapest(now); alg != "" {
			return alg
		}
	}
	return ""
}

// ActiveAlgorithms returns, in order, the algorithms that have an active key, as discovery lists
// them.
func (m *Manager) ActiveAlgorithms() []string {
	v := m.view.Load()
	if v == nil {
		return nil
	}
	var active []string
	for _, now := range v.instants(m.now()) {
		for _, alg := range v.set.Active(now) {
			if !slices.Contains(active, alg) {
				active = append(active, alg)
			}
		}
	}
	return active
}

// JWKS returns a prebuilt document, the same bytes until the published keys change. ErrNotReady if
// the view is so old that another replica could sign with a key that the document does not hold.
func (m *Manager) JWKS() (*Document, error) {
	v := m.view.Load()
	if err := m.mayUse(v, m.Now(), m.Policy.JWKSLimit()); err != nil {
		return nil, err
	}
	return v.set.JWKS(m.publication(v))
}

// publication returns the instant for which keys are published: now, but no later than the stale
// limit after the last poll. Keys stay published for so much longer than their tokens live that a
// clock that jumps between two polls withdraws none too early; and to publish one for too long does
// no harm.
func (m *Manager) publication(v *view) time.Time {
	now := m.now()
	if latest := v.readAt.Round(0).Add(m.Policy.StaleLimit()); now.After(latest) {
		now = latest
	}
	return v.earlier(now)
}

// earlier returns the replica's time t or, if its clock is off, the database's time at t if that is
// earlier. Either clock may be the wrong one, and keys leave the set as time goes by: the keys
// published at the earlier instant are all the keys that either clock would publish.
func (v *view) earlier(t time.Time) time.Time {
	if v.off && v.offset > 0 {
		return t.Add(-v.offset)
	}
	return t
}

// instants returns the replica's time t and, if its clock is off, the database's time at t.
func (v *view) instants(t time.Time) []time.Time {
	if v.off {
		return []time.Time{t, t.Add(-v.offset)}
	}
	return []time.Time{t}
}

// instant returns the replica's time t or, if its clock is off, the database's time at t.
func (v *view) instant(t time.Time) time.Time {
	if v.off {
		return t.Add(-v.offset)
	}
	return t
}

// now returns the wall clock: with the monotonic reading that time.Now adds, a change of the clock
// would stay invisible.
func (m *Manager) now() time.Time { return m.Now().Round(0) }

// instant returns now as the store keeps it, to the microsecond.
func (m *Manager) instant() time.Time { return m.now().UTC().Truncate(time.Microsecond) }

func (m *Manager) log() *slog.Logger {
	if m.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return m.Log
}

func (m *Manager) logChange(r ringChange) {
	for _, k := range r.change.Insert {
		m.log().Info("signing key created", "kid", k.ID, "alg", k.Algorithm, "signs_from", k.ActivateAt.UTC())
	}
	for _, k := range r.change.Update {
		if old, _ := r.before.find(k.ID); old.Sealed != "" && k.Sealed == "" {
			m.log().Info("private half of a signing key wiped", "kid", k.ID, "alg", k.Algorithm)
		}
	}
	for _, kid := range r.change.Delete {
		m.log().Info("signing key deleted", "kid", kid)
	}
	if r.change.FactorSecret != "" && r.before.Version != 0 {
		m.log().Info("factor secret created: the store had none")
	}
	if r.change.Algorithms != nil {
		m.log().Info("signing algorithms stored", "algorithms", strings.Join(r.change.Algorithms, " "))
	}
}

package verifier

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Targets for errors.Is of UpdateBundle, and of New for Config.Bundle. With each of them the
// verifier goes on with the keys that it has.
var (
	ErrBundleInvalid    = errors.New("the bundle is not one of an issuer that is accepted here")
	ErrBundleTime       = errors.New("the bundle has expired, or was made in the future")
	ErrBundleUnverified = errors.New("the bundle is not signed by a key that is held here")
	ErrBundleOlder      = errors.New("the bundle is older than the keys that are held here")
)

// acceptedBundle is what is kept of the last bundle.
type acceptedBundle struct {
	sum              [sha256.Size]byte
	issuedAt, expiry time.Time
}

// UpdateBundle takes a later bundle, as a file that is copied to a place without network. The `iss`
// of the bundle picks the issuer. It is accepted when
//
//   - a key that the verifier holds signed it, one that is neither withdrawn nor known only from a
//     key set or bundle that is too old to be used. A bundle by other keys (after `signet keys
//     revoke --all`, or when the last bundle has expired) takes a new verifier with Config.Bundle;
//   - it is newer than the keys that the verifier holds, whether from a bundle or fetched, and lists
//     no key that was withdrawn since.
//
// The same bundle once more is no error and changes nothing. The error is ErrBundleInvalid,
// ErrBundleTime, ErrBundleUnverified or ErrBundleOlder.
func (v *Verifier) UpdateBundle(bundle []byte) error {
	b, err := parseBundle(bundle)
	if err != nil {
		return err
	}
	issuer := v.issuer(b.Issuer)
	if issuer == nil {
		return fmt.Errorf("%w: it is of issuer %.200q", ErrBundleInvalid, b.Issuer)
	}
	if err := issuer.allows(b); err != nil {
		return err
	}
	return issuer.keys.update(b)
}

// bundle is a bundle with the name by which it is known again.
type bundle struct {
	*jose.Bundle
	sum [sha256.Size]byte
}

func parseBundle(text []byte) (bundle, error) {
	b, err := jose.ParseBundle(text)
	if err != nil {
		return bundle{}, fmt.Errorf("%w: %w", ErrBundleInvalid, err)
	}
	return bundle{b, sha256.Sum256(bytes.TrimSpace(text))}, nil
}

// begin takes the bundle of the configuration. That a key of its own signed it proves only that it
// is whole: it is believed because of where it stands.
func (i *trusted) begin(text []byte) error {
	b, err := parseBundle(text)
	if err != nil {
		return err
	}
	if b.Issuer != i.identifier {
		return fmt.Errorf("%w: it is of issuer %.200q, not of %q", ErrBundleInvalid, b.Issuer, i.identifier)
	}
	if err := i.allows(b); err != nil {
		return err
	}
	if err := b.Verify(b.Keys); err != nil {
		return fmt.Errorf("%w: %w", ErrBundleInvalid, err)
	}
	k := i.keys
	if err := k.inTime(b); err != nil {
		if !k.offline { // the issuer will be asked
			k.log.Warn("the bundle of keys is not used", "issuer", i.identifier, "reason", err.Error())
			return nil
		}
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.adopt(b)
	return nil
}

func (i *trusted) allows(b bundle) error {
	if !slices.Contains(i.algorithms, b.Algorithm()) {
		return fmt.Errorf("%w: it is signed with %s, which is not one of Algorithms", ErrBundleInvalid, b.Algorithm())
	}
	return nil
}

func (k *keySet) inTime(b bundle) error {
	switch now := k.now(); {
	case reached(now, b.Expiry):
		return fmt.Errorf("%w: it has expired on %s", ErrBundleTime, b.Expiry.UTC().Format(time.RFC3339))
	case now.Add(k.skew).Before(b.IssuedAt):
		return fmt.Errorf("%w: it was made in the future, on %s; compare the clocks", ErrBundleTime,
			b.IssuedAt.UTC().Format(time.RFC3339))
	}
	return nil
}

func (k *keySet) update(b bundle) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b.sum == k.bundle.sum {
		return nil
	}
	current := k.current.Load()
	if !current.usable(k.now()) {
		return fmt.Errorf("%w: there is none that is still good; make a new verifier with it", ErrBundleUnverified)
	}
	if err := b.Verify(current.keys[b.KeyID()]); err != nil {
		return fmt.Errorf("%w: %w", ErrBundleUnverified, err)
	}
	if err := k.inTime(b); err != nil {
		return err
	}
	if !b.IssuedAt.After(current.madeAt()) || !b.IssuedAt.After(k.bundle.issuedAt) {
		return ErrBundleOlder
	}
	for _, key := range b.Keys {
		if _, withdrawn := k.withdrawn[key.ID]; withdrawn {
			return fmt.Errorf("%w: it lists the key %q, which was withdrawn", ErrBundleOlder, key.ID)
		}
	}
	k.adopt(b)
	return nil
}

// madeAt returns when the issuer made the answer.
func (s *snapshot) madeAt() time.Time {
	if s.date.IsZero() {
		return s.asked
	}
	return s.date
}

// adopt makes the bundle's keys the known ones until the bundle ends. The issuer is asked beside the
// first request, if it can be asked.
func (k *keySet) adopt(b bundle) {
	for _, skipped := range b.Skipped {
		k.log.Warn("a key in the issuer's bundle was skipped", "issuer", k.source.issuer, "reason", skipped.Error())
	}
	now := k.now()
	end := now.Add(b.Expiry.Sub(now)) // by the monotonic clock, too
	confirmed := b.IssuedAt
	if confirmed.After(now) { // the issuer's clock is ahead
		confirmed = now
	}
	next := &snapshot{
		keys: k.byKeyID(b.Keys), date: b.IssuedAt, asked: b.IssuedAt, confirmed: confirmed,
		refreshAt: now, staleAt: end, deadAt: end, bundled: true,
	}
	k.remember(k.current.Load(), next)
	k.bundle = acceptedBundle{sum: b.sum, issuedAt: b.IssuedAt, expiry: b.Expiry}
	k.current.Store(next)
}

package keys

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Set is one version of the key set, ready for use and immutable: every method answers for the
// instant that the caller names, without locks and without I/O.
type Set struct {
	ring    Ring
	known   map[string]*entry
	signing map[string][]*entry // by algorithm, the latest first: keys with a private half
	secret  *refreshSecret
	factors *factorKeys // nil: the ring has no factor secret, or it cannot be opened
	broken  error       // why a private half or a secret cannot be opened

	// The documents change at these instants, when keys leave the set: documents[i] holds until
	// removals[i]. They are made on first use.
	removals  []time.Time
	documents []atomic.Pointer[Document]
	builtAt   time.Time
}

type entry struct {
	Key
	public jose.PublicKey
	jwk    json.RawMessage
	signer *jose.Signer // nil: not needed any more, or it cannot be opened
}

// Document is a JWK set ready to be sent.
type Document struct {
	Body []byte
	ETag string // with its quotes
}

// opener opens sealed keys and the sealed secrets.
type opener struct {
	keks  []jose.KEK
	types []string // the `typ` values that signers prepare
}

// newSet prepares ring for the time from now on. Signers of before are reused: a key never changes
// under its kid. A nil opener leaves everything sealed.
func newSet(ring Ring, now time.Time, open *opener, before *Set) (*Set, error) {
	s := &Set{ring: ring, known: map[string]*entry{}, signing: map[string][]*entry{}, builtAt: now}
	for _, k := range ring.Keys {
		e, err := newEntry(k, before)
		if err != nil {
			return nil, err
		}
		s.known[k.ID] = e
		if k.State(now) != Removed && !slices.ContainsFunc(s.removals, k.RemoveAt.Equal) && !k.RemoveAt.IsZero() {
			s.removals = append(s.removals, k.RemoveAt)
		}
		// A key that has just retired is opened as well: a clock may be set back a little.
		if open != nil && k.Sealed != "" {
			if err := s.open(e, open, before); err != nil {
				s.broken = err
			}
			s.signing[k.Algorithm] = append(s.signing[k.Algorithm], e)
		}
	}
	for _, entries := range s.signing {
		slices.SortFunc(entries, func(a, b *entry) int { return b.ActivateAt.Compare(a.ActivateAt) })
	}
	slices.SortFunc(s.removals, time.Time.Compare)
	s.documents = make([]atomic.Pointer[Document], len(s.removals)+1)

	if open != nil {
		if err := s.openFactors(open, before); err != nil {
			s.broken = err
		}
		if err := s.openSecret(open, before); err != nil {
			s.broken = err
		}
	}
	return s, nil
}

func newEntry(k Key, before *Set) (*entry, error) {
	if before != nil {
		if old := before.known[k.ID]; old != nil && bytes.Equal(old.Public, k.Public) {
			return &entry{Key: k, public: old.public, jwk: old.jwk}, nil
		}
	}
	public, err := jose.ParsePublic(k.Public)
	if err == nil && (public.ID != k.ID || public.Algorithm != k.Algorithm) {
		err = errors.New("it belongs to another key")
	}
	if err != nil {
		return nil, fmt.Errorf("the public half of signing key %s in the store is damaged; restore it from a backup: %w", k.ID, err)
	}
	// Encode the JWK anew, so that no private member reaches a document, whatever the store's row
	// holds.
	jwk, err := jose.MarshalPublic(public)
	if err != nil {
		return nil, fmt.Errorf("publish signing key %s: %w", k.ID, err)
	}
	return &entry{Key: k, public: public, jwk: jwk}, nil
}

func (s *Set) open(e *entry, open *opener, before *Set) error {
	if before != nil {
		if old := before.known[e.ID]; old != nil && old.signer != nil {
			e.signer = old.signer
			return nil
		}
	}
	private, err := openKey(&e.Key, open.keks)
	if err != nil {
		return err
	}
	e.signer, err = jose.NewSigner(private, e.ID, e.Algorithm, open.types...)
	return err
}

func (s *Set) openSecret(open *opener, before *Set) error {
	if before != nil && before.secret != nil && before.ring.RefreshSecret == s.ring.RefreshSecret {
		s.secret = before.secret
		return nil
	}
	secret, err := unseal(s.ring.RefreshSecret, refreshSecretName, "refresh secret", open.keks)
	if err != nil {
		return err
	}
	s.secret = newSecret(secret)
	return nil
}

// active returns the key of alg that signs at now.
func (s *Set) active(alg string, now time.Time) *entry {
	for _, e := range s.signing[alg] {
		if e.State(now) == Active {
			return e
		}
	}
	return nil
}

// Signer returns the signer of alg's active key or, while alg has none, of the first algorithm in
// force that has one. It is nil if there is none, or if the key could not be opened: another key
// must not quietly take its place.
func (s *Set) Signer(alg string, now time.Time) *jose.Signer {
	if e := s.active(alg, now); e != nil {
		return e.signer
	}
	for _, alg := range s.ring.Algorithms {
		if e := s.active(alg, now); e != nil {
			return e.signer
		}
	}
	return nil
}

// Active returns, in their order, the algorithms in force that have an active key.
func (s *Set) Active(now time.Time) []string {
	var active []string
	for _, alg := range s.ring.Algorithms {
		if s.active(alg, now) != nil {
			active = append(active, alg)
		}
	}
	return active
}

// Cheapest returns the algorithm with an active key that costs least to sign and verify.
func (s *Set) Cheapest(now time.Time) string {
	for _, alg := range algorithms {
		if slices.Contains(s.ring.Algorithms, alg) && s.active(alg, now) != nil {
			return alg
		}
	}
	return ""
}

// Published returns a key that is in the JWKS at now.
func (s *Set) Published(kid string, now time.Time) (jose.PublicKey, bool) {
	if e := s.known[kid]; e != nil && e.State(now) != Removed {
		return e.public, true
	}
	return jose.PublicKey{}, false
}

// Known returns a key that the store still has, published or not, revoked or not.
func (s *Set) Known(kid string) (jose.PublicKey, bool) {
	if e := s.known[kid]; e != nil {
		return e.public, true
	}
	return jose.PublicKey{}, false
}

// JWKS returns the document of the keys that are published at now. Replicas with the same ring give
// the same bytes, and so the same ETag.
func (s *Set) JWKS(now time.Time) (*Document, error) {
	i := 0
	for i < len(s.removals) && reached(s.removals[i], now) {
		i++
	}
	if doc := s.documents[i].Load(); doc != nil {
		return doc, nil
	}
	at := s.builtAt
	if i > 0 {
		at = s.removals[i-1]
	}
	doc, err := s.document(at)
	if err == nil {
		s.documents[i].Store(doc) // racing callers all make the same document
	}
	return doc, err
}

func (s *Set) document(at time.Time) (*Document, error) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	// In the order of keys.algorithms, RS256 first unless configured otherwise: some clients give
	// up at the first key of a kind that they do not know.
	keys := slices.Clone(s.ring.Keys)
	slices.SortStableFunc(keys, func(a, b Key) int { return cmp.Compare(s.rank(a), s.rank(b)) })
	for _, k := range keys {
		if k.State(at) != Removed {
			set.Keys = append(set.Keys, s.known[k.ID].jwk)
		}
	}
	body, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("publish the signing keys: %w", err)
	}
	sum := sha256.Sum256(body)
	return &Document{Body: body, ETag: `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`}, nil
}

// rank returns the place of a key's algorithm among those in force; an algorithm that was removed
// comes last.
func (s *Set) rank(k Key) int {
	if i := slices.Index(s.ring.Algorithms, k.Algorithm); i >= 0 {
		return i
	}
	return len(s.ring.Algorithms)
}

package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/jose"
	"github.com/signet-id/signet/internal/strictjson"
	"github.com/signet-id/signet/userstore"
)

// ClientKeys fetches and remembers the key sets that clients publish at their jwks_uri. A key that
// is not in what is remembered makes it look again, as OIDC Core section 10.1.1 asks, but
// not more often than each Cooldown: assertions are made by strangers.
type ClientKeys struct {
	// Fetch answers the document at an https URL; how it keeps away from the inside of our own
	// network is its affair.
	Fetch func(ctx context.Context, url string) ([]byte, error)

	mu   sync.Mutex
	sets map[string]*clientKeySet
}

const (
	keySetFresh    = 10 * time.Minute // after that a key that is known is looked up anew
	keySetStale    = time.Hour        // so long it is believed when the client's server does not answer
	keySetCooldown = 10 * time.Second // between two looks
	mostKeySets    = 1024
)

// clientKeySet is one address. Its lock is held while it is fetched: whoever asks meanwhile for what is not known
// waits, and finds what was fetched. What is known and fresh is not waited for, or strangers, who can
// make up key ids, could keep a client waiting for its own slow server.
type clientKeySet struct {
	had atomic.Pointer[fetchedKeys] // nil: never fetched

	lock   chan struct{} // holds one: the right to fetch, and to touch what follows
	looked time.Time     // when it was last tried
	err    error         // of the last try
}

// fetchedKeys are what was found at an instant.
type fetchedKeys struct {
	keys []jose.PublicKey
	at   time.Time
}

// named are those under kid that were fetched less than age ago.
func (set *clientKeySet) named(kid string, now time.Time, age time.Duration) []jose.PublicKey {
	had := set.had.Load()
	if had == nil || now.Sub(had.at) >= age {
		return nil
	}
	return named(had.keys, kid)
}

// errKeySet: a client's keys could not be had. Nothing was decided.
var errKeySet = refuse(Unavailable, "The keys of this client could not be fetched from its jwks_uri: try again in a moment.")

// clientKeys are the keys of c that may have signed under kid; empty: under no name.
func (i *Issuer) clientKeys(ctx context.Context, c userstore.Client, kid string) ([]jose.PublicKey, error) {
	if len(c.JWKS) > 0 {
		keys, err := parseClientKeys(c.JWKS)
		if err != nil {
			return nil, errServer.because(fmt.Errorf("the registered jwks of client %s: %w", c.ID, err))
		}
		return named(keys, kid), nil
	}
	if c.JWKSURI == "" || i.ClientKeys == nil {
		return nil, unproved(assertionKeys, "the client has no keys")
	}
	keys, err := i.ClientKeys.find(ctx, c.JWKSURI, kid, i.now())
	if err != nil {
		if i.Log != nil {
			i.Log.WarnContext(ctx, "the keys of a client could not be fetched", "client_id", c.ID, "error", err)
		}
		return nil, errKeySet.because(err)
	}
	return keys, nil
}

// named are the keys of that name, and those without one.
func named(keys []jose.PublicKey, kid string) (out []jose.PublicKey) {
	for _, k := range keys {
		if kid == "" || k.ID == "" || k.ID == kid {
			k.ID = kid
			out = append(out, k)
		}
	}
	return out
}

// find answers the keys at url under kid. What is fresh and known is answered from memory.
func (ck *ClientKeys) find(ctx context.Context, url, kid string, now time.Time) ([]jose.PublicKey, error) {
	set := ck.set(url)
	if found := set.named(kid, now, keySetFresh); len(found) > 0 {
		return found, nil
	}
	select {
	case set.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-set.lock }()

	if found := set.named(kid, now, keySetFresh); len(found) > 0 { // by whoever was waited for
		return found, nil
	}
	if set.looked.IsZero() || now.Sub(set.looked) >= keySetCooldown || now.Before(set.looked) {
		set.look(ctx, ck.Fetch, url, now)
	}
	if found := set.named(kid, now, keySetStale); len(found) > 0 || set.err == nil {
		return found, nil
	}
	return nil, set.err
}

// look fetches the set. Others wait for it, so it does not end because one client hung up.
func (set *clientKeySet) look(ctx context.Context, fetch func(context.Context, string) ([]byte, error), url string, now time.Time) {
	set.looked = now
	kept, cancel := userstore.Uncancelled(ctx)
	defer cancel()
	body, err := fetch(kept, url)
	if err == nil {
		var keys []jose.PublicKey
		if keys, err = parseClientKeys(body); err == nil {
			set.had.Store(&fetchedKeys{keys, now})
		}
	}
	set.err = err
}

func (ck *ClientKeys) set(url string) *clientKeySet {
	ck.mu.Lock()
	defer ck.mu.Unlock()
	set := ck.sets[url]
	if set == nil {
		if ck.sets == nil || len(ck.sets) >= mostKeySets {
			ck.sets = map[string]*clientKeySet{}
		}
		set = &clientKeySet{lock: make(chan struct{}, 1)}
		ck.sets[url] = set
	}
	return set
}

// parseClientKeys reads a JWK set. An RSA key that names no algorithm is good for both of RSA's (RFC 7517
// section 4.4).
func parseClientKeys(document []byte) ([]jose.PublicKey, error) {
	keys, skipped, err := jose.ParseKeySet(document)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, errors.Join(append([]error{errors.New("the key set has no key that can be used")}, skipped...)...)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(document, &set) != nil || len(set.Keys) != len(keys) {
		return keys, nil // a set with keys that are not for us: each is what it says
	}
	for n, data := range set.Keys {
		free := keys[n].Algorithm == jose.RS256
		_ = strictjson.Object(data, func(name, _ []byte) { free = free && string(name) != "alg" })
		if free {
			also := keys[n]
			also.Algorithm = jose.PS256
			keys = append(keys, also)
		}
	}
	return keys, nil
}

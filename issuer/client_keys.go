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

// ClientKeys fetches and caches the key sets that clients publish at their jwks_uri. A key that is
// not in the cached set makes it fetch the set, as OIDC Core section 10.1.1 asks, but at most once
// per cooldown: strangers can send assertions.
type ClientKeys struct {
	// Fetch returns the document at an https URL. Fetch also has to keep away from our own network.
	Fetch func(ctx context.Context, url string) ([]byte, error)

	mu   sync.Mutex
	sets map[string]*clientKeySet
}

const (
	keySetFresh    = 10 * time.Minute // after that a known key is fetched anew
	keySetStale    = time.Hour        // so long a key is used while the client's server does not answer
	keySetCooldown = 10 * time.Second // between two fetches
	maxKeySets     = 1024
)

// clientKeySet is the key set at one address. Its lock is held during a fetch: a request for an
// unknown key waits, and then finds what was fetched. A request for a known, fresh key does not
// wait: otherwise strangers, who can make up key ids, could keep a client waiting for its own slow
// server.
type clientKeySet struct {
	fetched atomic.Pointer[fetchedKeys] // nil: never fetched

	lock    chan struct{} // holds one: the right to fetch, and to touch what follows
	triedAt time.Time     // when it was last tried
	err     error         // of the last try
}

// fetchedKeys are the keys of one fetch.
type fetchedKeys struct {
	keys []jose.PublicKey
	at   time.Time
}

// named returns the keys under kid if they were fetched less than age ago.
func (set *clientKeySet) named(kid string, now time.Time, age time.Duration) []jose.PublicKey {
	fetched := set.fetched.Load()
	if fetched == nil || now.Sub(fetched.at) >= age {
		return nil
	}
	return named(fetched.keys, kid)
}

// errKeySet means that a client's keys could not be fetched. Nothing was decided.
var errKeySet = refuse(Unavailable, "The keys of this client could not be fetched from its jwks_uri: try again in a moment.")

// clientKeys returns the keys of c that may have signed under kid; an empty kid matches every key.
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

// named returns the keys with that kid, and those without one.
func named(keys []jose.PublicKey, kid string) (out []jose.PublicKey) {
	for _, k := range keys {
		if kid == "" || k.ID == "" || k.ID == kid {
			k.ID = kid
			out = append(out, k)
		}
	}
	return out
}

// find returns the keys at url under kid. A fresh, known key comes from the cache.
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

	if found := set.named(kid, now, keySetFresh); len(found) > 0 { // fetched while this request waited
		return found, nil
	}
	if set.triedAt.IsZero() || now.Sub(set.triedAt) >= keySetCooldown || now.Before(set.triedAt) {
		set.fetch(ctx, ck.Fetch, url, now)
	}
	if found := set.named(kid, now, keySetStale); len(found) > 0 || set.err == nil {
		return found, nil
	}
	return nil, set.err
}

// fetch fetches the set. Other requests wait for it, so it does not end when one client hangs up.
func (set *clientKeySet) fetch(
	ctx context.Context, fetch func(context.Context, string) ([]byte, error), url string, now time.Time,
) {
	set.triedAt = now
	kept, cancel := userstore.Uncancelled(ctx)
	defer cancel()
	body, err := fetch(kept, url)
	if err == nil {
		var keys []jose.PublicKey
		if keys, err = parseClientKeys(body); err == nil {
			set.fetched.Store(&fetchedKeys{keys, now})
		}
	}
	set.err = err
}

func (ck *ClientKeys) set(url string) *clientKeySet {
	ck.mu.Lock()
	defer ck.mu.Unlock()
	set := ck.sets[url]
	if set == nil {
		if ck.sets == nil || len(ck.sets) >= maxKeySets {
			ck.sets = map[string]*clientKeySet{}
		}
		set = &clientKeySet{lock: make(chan struct{}, 1)}
		ck.sets[url] = set
	}
	return set
}

// parseClientKeys reads a JWK set. An RSA key that names no algorithm may verify both RS256 and
// PS256 (RFC 7517 section 4.4).
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
		return keys, nil // some keys were skipped, so indexes do not match: take each key's algorithm as it is
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

package verifier

import (
	"crypto/sha256"
	"sync"

	"github.com/signet-id/signet/internal/jose"
)

// cache remembers the newest tokens that were accepted, each by the SHA-256 of its bytes and by
// nothing else. It saves the parsing and the signature check. What may differ from one request to
// the next is never part of an entry: time, audience, scopes, roles and the issuer's keys are
// checked for each request, after the entry was found.
//
// Only what was accepted is remembered, so a flood of bad tokens neither fills nor empties it.
// Entries that were not used while as many others came are dropped: there are two halves, and when
// the young one is full it becomes the old one.
type cache struct {
	half int

	mu         sync.Mutex
	young, old map[tokenName]*presented
}

type tokenName [sha256.Size]byte

// newCache returns nil, a cache that remembers nothing, for size 0.
func newCache(size int) *cache {
	if size == 0 {
		return nil
	}
	return &cache{half: max(size/2, 1), young: map[tokenName]*presented{}}
}

// find returns the name of a token, and what is remembered of the token; nil: nothing.
func (c *cache) find(raw string) (tokenName, *presented) {
	if c == nil || len(raw) > jose.MaxTokenBytes {
		return tokenName{}, nil
	}
	var space [2 << 10]byte // most tokens fit, and need no copy elsewhere
	name := tokenName(sha256.Sum256(append(space[:0], raw...)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.young[name]; p != nil {
		return name, p
	}
	p := c.old[name]
	if p != nil {
		c.put(name, p)
	}
	return name, p
}

// remember adds a token that was accepted, signed with key.
func (c *cache) remember(name tokenName, p *presented, key jose.PublicKey) {
	if c == nil || p.jws == nil {
		return
	}
	entry := &presented{header: p.header, claims: p.claims, payload: p.payload, proven: key}
	separate(&entry.claims.Audience, &entry.claims.Scopes, &entry.claims.AMR, &entry.claims.Roles)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(name, entry)
}

func (c *cache) put(name tokenName, p *presented) {
	if len(c.young) >= c.half {
		c.young, c.old = make(map[tokenName]*presented, c.half), c.young
	}
	c.young[name] = p
	delete(c.old, name)
}

// separate gives each list an array that no other list shares, in one allocation.
func separate(lists ...*[]string) {
	n := 0
	for _, list := range lists {
		n += len(*list)
	}
	own := make([]string, 0, n)
	for _, list := range lists {
		if *list != nil {
			own = append(own, *list...)
			*list = own[len(own)-len(*list) : len(own) : len(own)]
		}
	}
}

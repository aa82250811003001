// Package tokencache remembers what the newest tokens with a right signature say, so that a token
// that comes again is neither parsed nor verified again.
package tokencache

import (
	"crypto/sha256"
	"sync"

	"github.com/signet-id/signet/internal/jose"
)

// Cache remembers the newest tokens whose signature was right, each by the SHA-256 of its bytes and
// by nothing else. It saves the parsing and the signature check. What may differ from one request
// to the next is never part of a value: the caller checks time, audience, scopes, sessions and
// whether the key is still published for each request, after Find. A nil Cache remembers nothing.
//
// Only what the caller believes is remembered, so a flood of forged tokens neither fills nor
// empties it. Entries that were not used while as many others came are dropped: there are two
// halves, and when the young one is full it becomes the old one.
type Cache[V any] struct {
	half int

	mu         sync.Mutex
	young, old map[Name]*V
}

// Name is the SHA-256 of a token. The zero Name is that of a token too long to be remembered.
type Name [sha256.Size]byte

// New returns a Cache of at most size tokens; for size 0 nil, which remembers nothing.
func New[V any](size int) *Cache[V] {
	if size == 0 {
		return nil
	}
	return &Cache[V]{half: max(size/2, 1), young: map[Name]*V{}}
}

// Find returns the name of a token, and what is remembered of the token; nil: nothing. The value is
// shared with all other callers.
func (c *Cache[V]) Find(raw string) (Name, *V) {
	if c == nil || len(raw) > jose.MaxTokenBytes {
		return Name{}, nil
	}
	var space [2 << 10]byte // most tokens fit, and need no copy elsewhere
	name := Name(sha256.Sum256(append(space[:0], raw...)))
	c.mu.Lock()
	defer c.mu.Unlock()
	if v := c.young[name]; v != nil {
		return name, v
	}
	v := c.old[name]
	if v != nil {
		c.put(name, v)
	}
	return name, v
}

// Remember keeps what a token says. Nobody may change the value afterwards.
func (c *Cache[V]) Remember(name Name, v *V) {
	if c == nil || name == (Name{}) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(name, v)
}

func (c *Cache[V]) put(name Name, v *V) {
	if len(c.young) >= c.half {
		c.young, c.old = make(map[Name]*V, c.half), c.young
	}
	c.young[name] = v
	delete(c.old, name)
}

// Len returns how many tokens are remembered.
func (c *Cache[V]) Len() int {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.young) + len(c.old)
}

// Package logos fetches the logos of clients, so that pages show them from our own origin: a logo at
// a client's address would tell the client who looks at a page, and when, and could become another
// picture after the client was registered.
//
// A logo is fetched when a browser first asks for it, never for the page itself, and kept in memory.
// Every replica keeps its own. Strangers choose the addresses and can ask for any registered logo, so
// everything is bounded: the size of a logo and its pixels, the bytes that are kept, the fetches at
// once, and how often an address that failed is tried again. What is kept least recently used goes
// first.
package logos

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// MaxBytes is the size of the largest logo.
const MaxBytes = 256 << 10

const (
	maxKept     = 16 << 20 // bytes of all logos
	maxAddrs    = 1024     // addresses that are known, those that failed included
	maxFetches  = 4        // at once
	fresh       = 24 * time.Hour
	afterFailed = 5 * time.Minute // until an address is tried again
)

// ErrBusy means that too many logos are fetched now.
var ErrBusy = errors.New("too many logos are fetched now")

// Image is a logo that browsers can show.
type Image struct {
	Body      []byte
	MediaType string
}

// Cache keeps logos. Make it with New.
type Cache struct {
	fetch   func(ctx context.Context, address string) ([]byte, error)
	now     func() time.Time
	fetches chan struct{}

	mu   sync.Mutex
	kept map[string]*logo // by address
	size int              // bytes of all images in kept
	uses uint64
}

// logo is what is known of one address.
type logo struct {
	lock chan struct{} // holds one: the right to fetch, and to touch what follows but use and size

	image Image // the last one; without a body there is none
	err   error // why there is none
	again time.Time

	use  uint64 // of the last caller; under Cache.mu
	size int    // of the image; under Cache.mu
}

// New returns a cache. fetch gets a document of at most MaxBytes at an https URL, and has to keep
// away from our own network.
func New(fetch func(ctx context.Context, address string) ([]byte, error), now func() time.Time) *Cache {
	return &Cache{fetch: fetch, now: now, fetches: make(chan struct{}, maxFetches), kept: map[string]*logo{}}
}

// Get returns the logo at an address. Callers who ask for one address at once wait for one fetch.
// ErrBusy; any other error says why there is no logo to show.
func (c *Cache) Get(ctx context.Context, address string) (Image, error) {
	l := c.at(address)
	select {
	case l.lock <- struct{}{}:
	case <-ctx.Done():
		return Image{}, ctx.Err()
	}
	defer func() { <-l.lock }()
	if now := c.now(); now.Before(l.again) && l.again.Sub(now) <= fresh {
		return l.image, l.err
	}
	select {
	case c.fetches <- struct{}{}:
		defer func() { <-c.fetches }()
	default:
		return Image{}, ErrBusy
	}
	// Others wait for this fetch, so it does not end when one browser hangs up.
	body, err := c.fetch(context.WithoutCancel(ctx), address)
	mediaType := ""
	if err == nil {
		mediaType, err = Check(body)
	}
	if err != nil {
		l.again = c.now().Add(afterFailed)
		if l.image.Body == nil { // else the one from before is shown on
			l.err = fmt.Errorf("logo: %w", err)
		}
		return l.image, l.err
	}
	l.image, l.err, l.again = Image{Body: body, MediaType: mediaType}, nil, c.now().Add(fresh)
	c.keep(address, l, len(body))
	return l.image, nil
}

// at returns what is known of an address.
func (c *Cache) at(address string) *logo {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.kept[address]
	if l == nil {
		l = &logo{lock: make(chan struct{}, 1)}
		c.kept[address] = l
	}
	c.uses++
	l.use = c.uses
	c.bound(l)
	return l
}

// keep counts an image that was fetched.
func (c *Cache) keep(address string, l *logo, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[address] != l {
		return // forgotten meanwhile
	}
	c.size += size - l.size
	l.size = size
	c.bound(l)
}

// bound forgets what was not used for the longest time, but never l.
func (c *Cache) bound(l *logo) {
	for len(c.kept) > maxAddrs || c.size > maxKept {
		oldest := ""
		for address, one := range c.kept {
			if one != l && (oldest == "" || one.use < c.kept[oldest].use) {
				oldest = address
			}
		}
		c.size -= c.kept[oldest].size
		delete(c.kept, oldest)
	}
}

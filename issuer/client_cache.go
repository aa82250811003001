package issuer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/signet-id/signet/userstore"
)

// ClientCache keeps clients for a moment, so that a client that requests many tokens is not read
// for each of them. A cached client is used for at most MaxAge, so a disabled client gets no token
// after that. No request is refused because of a cached client: a caller that finds the client
// disabled or the secret wrong reads the client from the store. That a client does not exist is not
// cached.
//
// However many requests ask at once, one reads. The others wait for it, or use a cached client that
// is still good: reading begins at half of MaxAge. A nil cache is an error; see NoClientCache.
type ClientCache struct {
	MaxAge time.Duration // zero: clients are read each time

	mu      sync.Mutex
	known   map[string]cachedClient
	reading map[string]*clientRead
}

// NoClientCache reads clients each time.
var NoClientCache = &ClientCache{}

type cachedClient struct {
	client userstore.Client
	at     time.Time // before it was read
}

type clientRead struct {
	done   chan struct{}
	client userstore.Client
	err    error
}

// maxCached bounds the cached clients; far more than are busy within a second.
const maxCached = 4096

type readClient func(ctx context.Context, id string) (userstore.Client, error)

// get returns a client. fresh reports whether the client was read since get was called.
func (cc *ClientCache) get(ctx context.Context, id string, now time.Time, read readClient) (c userstore.Client, fresh bool, err error) {
	switch {
	case cc == nil:
		return c, false, errors.New("issuer: the ClientCache is missing; NoClientCache reads each time")
	case cc.MaxAge <= 0:
		c, err = read(ctx, id)
		return c, true, err
	}
	cc.mu.Lock()
	known, good := cc.known[id]
	age := now.Sub(known.at)
	good = good && age >= 0 && age < cc.MaxAge
	under := cc.reading[id]
	switch {
	case good && (age < cc.MaxAge/2 || under != nil):
		cc.mu.Unlock()
		return known.client, false, nil
	case under != nil:
		cc.mu.Unlock()
		select {
		case <-under.done:
			return under.client, false, under.err
		case <-ctx.Done():
			return c, false, ctx.Err()
		}
	}
	under = &clientRead{done: make(chan struct{})}
	if cc.reading == nil {
		cc.reading = map[string]*clientRead{}
	}
	cc.reading[id] = under
	cc.mu.Unlock()

	under.err = errors.New("the read of a client was given up") // should read panic
	defer func() {
		cc.mu.Lock()
		delete(cc.reading, id)
		cc.mu.Unlock()
		close(under.done)
	}()
	// Other requests wait for this read, so it does not end when one client hangs up.
	kept, cancel := userstore.Uncancelled(ctx)
	defer cancel()
	under.client, under.err = read(kept, id)
	cc.keep(id, under.client, under.err, now)
	if good && under.err != nil && !errors.Is(under.err, userstore.ErrNotFound) {
		return known.client, false, nil // as good as it was a moment ago
	}
	return under.client, true, under.err
}

// reload reads the client whatever is cached.
func (cc *ClientCache) reload(
	ctx context.Context, id string, now time.Time, read readClient,
) (userstore.Client, error) {
	c, err := read(ctx, id)
	if cc.MaxAge > 0 {
		cc.keep(id, c, err, now)
	}
	return c, err
}

func (cc *ClientCache) keep(id string, c userstore.Client, err error, now time.Time) {
	cc.mu.Lock()
	defer cc.mu.Unlock()
	switch {
	case errors.Is(err, userstore.ErrNotFound), err == nil && c.ID == "":
		delete(cc.known, id) // strangers can name any number, of any length
	case err == nil:
		if cc.known == nil || len(cc.known) >= maxCached {
			cc.known = map[string]cachedClient{}
		}
		if !now.Before(cc.known[id].at) {
			cc.known[id] = cachedClient{c, now}
		}
	}
}

package issuer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signet-id/signet/userstore"
)

// RequestObjects fetches the request objects that clients keep at addresses of their own (OIDC Core
// section 6.2). Only addresses that are registered for the client are fetched.
//
// An address with a fragment names one version of its document, so that it is kept for a moment;
// without one, each request fetches the document. One document is fetched once at a time, and one
// that could not be fetched not again for a while: strangers can send requests.
type RequestObjects struct {
	// Fetch returns the document at an https URL. Fetch also has to keep away from our own network.
	Fetch func(ctx context.Context, url string) ([]byte, error)

	mu   sync.Mutex
	kept map[string]*objectAt // by the address without its fragment
}

const (
	objectFresh    = time.Minute      // so long a version is kept
	objectCooldown = 10 * time.Second // after a failure
	maxObjectsKept = 1024
)

// objectAt is the document at one address.
type objectAt struct {
	lock chan struct{} // holds one: the right to fetch, and to touch what follows

	fragment string
	body     []byte
	err      error
	at       time.Time // of the last try; zero: none
}

var (
	errNoReference = refuse(RequestURINotSupported, "No request_uris are registered for this client: send the parameters themselves.")
	errTwoObjects  = refuse(InvalidRequest, "Send request or request_uri, not both.")
	errUnlisted    = refuse(InvalidRequestURI, "The request_uri is not one that is registered for this client.")
	errNotFetched  = refuse(InvalidRequestURI, "The request object could not be fetched from its request_uri.")
)

// withReference returns r with the request object that its request_uri leads to, as if it had been
// sent itself. If there is none, the request gets the refusal.
func (i *Issuer) withReference(ctx context.Context, c userstore.Client, r AuthorizationRequest) (AuthorizationRequest, error) {
	switch {
	case r.RequestURI == "" || slices.Contains(r.Repeated, "request_uri"):
		return r, nil
	case i.RequestObjects == nil || len(c.RequestURIs) == 0:
		r.refused = errNoReference
		return r, nil
	case r.Request != "":
		r.refused = errTwoObjects
		return r, nil
	case !listed(c.RequestURIs, r.RequestURI):
		r.refused = errUnlisted
		return r, nil
	}
	body, err := i.RequestObjects.get(ctx, r.RequestURI, i.now())
	switch {
	case err == nil:
		r.Request, r.RequestURI = strings.TrimSpace(string(body)), ""
	case ctx.Err() != nil:
		return r, failed(ctx.Err())
	default:
		r.refused = errNotFetched.because(err)
	}
	return r, nil
}

// listed reports whether uri is one of the registered ones, byte for byte but for the fragment, which
// changes with the version of the document (OIDC Core section 6.2).
func listed(registered []string, uri string) bool {
	uri, _, _ = strings.Cut(uri, "#")
	return slices.ContainsFunc(registered, func(one string) bool {
		one, _, _ = strings.Cut(one, "#")
		return one == uri
	})
}

// get returns the document at uri.
func (ro *RequestObjects) get(ctx context.Context, uri string, now time.Time) ([]byte, error) {
	address, fragment, _ := strings.Cut(uri, "#")
	o := ro.at(address)
	select {
	case o.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-o.lock }()

	age := now.Sub(o.at)
	switch known := !o.at.IsZero() && age >= 0; {
	case known && o.err != nil && age < objectCooldown:
		return nil, o.err
	case known && o.err == nil && fragment != "" && o.fragment == fragment && age < objectFresh:
		return o.body, nil
	}
	// Other requests wait for this one, so it does not end when one browser hangs up.
	kept, cancel := userstore.Uncancelled(ctx)
	defer cancel()
	o.body, o.err = ro.Fetch(kept, address)
	if o.err == nil && len(o.body) == 0 {
		o.err = errors.New("the document is empty")
	}
	o.fragment, o.at = fragment, now
	return o.body, o.err
}

func (ro *RequestObjects) at(address string) *objectAt {
	ro.mu.Lock()
	defer ro.mu.Unlock()
	o := ro.kept[address]
	if o == nil {
		if ro.kept == nil || len(ro.kept) >= maxObjectsKept {
			ro.kept = map[string]*objectAt{}
		}
		o = &objectAt{lock: make(chan struct{}, 1)}
		ro.kept[address] = o
	}
	return o
}

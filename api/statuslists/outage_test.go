package statuslists_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/api/apitest"
	"github.com/signet-id/signet/userstore"
)

// deadlines is a store that asks how long a request waits for a status list.
type deadlines struct {
	apitest.Store
	latest time.Duration // of the last read; negative: it waits forever
}

func (d *deadlines) RevokedPlaces(ctx context.Context, first, last int64) (userstore.StatusPlaces, error) {
	d.latest = -1
	if at, ok := ctx.Deadline(); ok {
		d.latest = time.Until(at)
	}
	return d.Store.RevokedPlaces(ctx, first, last)
}

// A store that hangs holds up no request for a list forever: verifiers wait for five seconds.
func TestARequestForAListHasADeadline(t *testing.T) {
	s, d := through(t, func(db apitest.Store) *deadlines { return &deadlines{Store: db} })
	s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "")
	if d.latest <= 0 || d.latest > 2*time.Second {
		t.Errorf("the store has %v (-1ns: forever)", d.latest)
	}
}

// failing is a store whose status lists cannot be read for a while.
type failing struct {
	apitest.Store
	down atomic.Bool
}

func (f *failing) fault() error {
	if f.down.Load() {
		return userstore.ErrUnavailable
	}
	return nil
}

func (f *failing) StatusChanges(ctx context.Context, now time.Time, size int64) (userstore.StatusChanges, error) {
	if err := f.fault(); err != nil {
		return userstore.StatusChanges{}, err
	}
	return f.Store.StatusChanges(ctx, now, size)
}

func (f *failing) RevokedPlaces(ctx context.Context, first, last int64) (userstore.StatusPlaces, error) {
	if err := f.fault(); err != nil {
		return userstore.StatusPlaces{}, err
	}
	return f.Store.RevokedPlaces(ctx, first, last)
}

// While the store fails, the last list is served until it expires, and then 503.
func TestTheListWhileTheStoreFails(t *testing.T) {
	s, f := through(t, func(db apitest.Store) *failing { return &failing{Store: db} })
	f.down.Store(true)
	unavailable := func() {
		t.Helper()
		res := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(503, "temporarily_unavailable")
		if res.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	unavailable() // before there was one
	f.down.Store(false)
	tokens := s.Login(s.SignUp("alice"))
	v := resourceServer(s)
	must(t, verify(v, tokens.Access))
	tag := listOf(s, tokens.Access).raw.Header.Get("ETag")

	f.down.Store(true)
	for range 9 {
		s.Clock.Move(time.Minute)
		must(t, s.Replicas[0].Keys.Step(t.Context()))
		if got := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "").Header.Get("ETag"); got != tag {
			t.Error("another list than the last one")
		}
	}
	s.Clock.Move(57 * time.Second)
	res := s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "")
	if got := res.Header.Get("Cache-Control"); got != "public, max-age=3" {
		t.Errorf("three seconds before its end: %s", got)
	}
	s.Clock.Move(3 * time.Second)
	unavailable()
	f.down.Store(false)
	s.Do(apitest.Request{Path: "/oauth2/status/0"}).Want(200, "")
}

package issuer

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/userstore"
)

func TestAdmissionBoundsTheRequestsBeingSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(1, time.Second)
		var leaves []func()
		for range placesPerSlot {
			leave, err := a.enter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}
		refusedAfter := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			_, err := a.enter(t.Context())
			var e *Error
			if !errors.As(err, &e) || e.Code != Overloaded || time.Since(began) != want {
				t.Errorf("%v after %s, want a refusal after %s", err, time.Since(began), want)
			}
		}
		refusedAfter(time.Second)
		if s := a.Stats(); s.Inside != placesPerSlot || s.Waiting != 0 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}

		// A waiting request is admitted as soon as another one leaves.
		entered := make(chan time.Duration)
		began := time.Now()
		go func() {
			if _, err := a.enter(t.Context()); err == nil {
				entered <- time.Since(began)
			}
		}()
		time.Sleep(300 * time.Millisecond)
		leaves[0]()
		if after := <-entered; after != 300*time.Millisecond {
			t.Errorf("let in after %s", after)
		}

		// The queue is bounded: one request too many is refused at once.
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range placesPerSlot * waitersPerPlace {
			group.Go(func() { _, _ = a.enter(ctx) })
		}
		synctest.Wait()
		refusedAfter(0)
		cancel() // requests whose client hung up wait no longer
		group.Wait()
		if s := a.Stats(); s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestNoAdmissionAdmitsEveryRequest(t *testing.T) {
	for range 1000 { // more than any number of places
		if _, err := NoAdmission.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// However many requests ask at once, one reads; a request for a client that is still good does not
// wait.
func TestClientCacheReadsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := &ClientCache{MaxAge: time.Second}
		var reads atomic.Int64
		var down atomic.Bool
		read := func(ctx context.Context, id string) (userstore.Client, error) {
			reads.Add(1)
			time.Sleep(100 * time.Millisecond)
			if ctx.Err() != nil {
				t.Error("the read ended with the request that began it")
			}
			if down.Load() {
				return userstore.Client{}, userstore.ErrUnavailable
			}
			return userstore.Client{ID: id}, nil
		}
		herd := func(wantReads int64, slowest time.Duration, want error) {
			t.Helper()
			before := reads.Load()
			var group sync.WaitGroup
			var longest atomic.Int64
			for n := range 200 {
				group.Go(func() {
					began := time.Now()
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if n == 0 {
						time.AfterFunc(time.Millisecond, cancel)
					}
					if _, _, err := cache.get(ctx, "c", began, read); !errors.Is(err, want) && !errors.Is(err, context.Canceled) {
						t.Errorf("got %v, want %v", err, want)
					}
					for took := int64(time.Since(began)); ; {
						old := longest.Load()
						if took <= old || longest.CompareAndSwap(old, took) {
							break
						}
					}
				})
			}
			group.Wait()
			if n := reads.Load() - before; n != wantReads || time.Duration(longest.Load()) != slowest {
				t.Errorf("%d reads and %s, want %d and %s", n, time.Duration(longest.Load()), wantReads, slowest)
			}
		}
		herd(1, 100*time.Millisecond, nil) // nothing is cached
		herd(0, 0, nil)                    // the client is cached
		time.Sleep(450 * time.Millisecond)
		herd(1, 100*time.Millisecond, nil) // past half of MaxAge: one reads, the others use the cached client
		down.Store(true)
		time.Sleep(450 * time.Millisecond)
		herd(1, 100*time.Millisecond, nil) // the store is down, but the cached client is good for a while
		time.Sleep(time.Second)
		herd(1, 100*time.Millisecond, userstore.ErrUnavailable)
	})
}

// Strangers can name unknown clients without end, and at length: none of them is kept, and none
// displaces a known client.
func TestClientCacheKeepsNoUnknownClients(t *testing.T) {
	cache := &ClientCache{MaxAge: time.Second}
	now := time.Now()
	read := func(_ context.Context, id string) (userstore.Client, error) {
		if id != "c" {
			return userstore.Client{}, nil
		}
		return userstore.Client{ID: id}, nil
	}
	for n := range maxCached + 1 {
		for _, id := range []string{"c", strconv.Itoa(n)} {
			if c, _, err := cache.get(t.Context(), id, now, read); err != nil || c.ID != "" && c.ID != id {
				t.Fatalf("client %s: got %q, %v", id, c.ID, err)
			}
		}
	}
	if c, err := cache.reload(t.Context(), "nobody", now, read); c.ID != "" || err != nil {
		t.Errorf("got %q, %v", c.ID, err)
	}
	if _, fresh, _ := cache.get(t.Context(), "c", now, read); fresh || len(cache.known) != 1 {
		t.Errorf("%d clients are remembered, want the one that there is", len(cache.known))
	}
}

func TestCustomClaimsThatAreRefused(t *testing.T) {
	in := []string{InIDToken}
	for says, c := range map[string]CustomClaim{
		"name of 1 to 128":          {From: "email", In: in},
		"visible ASCII":             {Name: "a b", From: "email", In: in},
		"iss means something":       {Name: "iss", Value: "x", In: in},
		"sub means something":       {Name: "sub", From: "email", In: in},
		"cnf means something":       {Name: "cnf", Value: "x", In: in},
		"email can only come from":  {Name: "email", From: "preferred_username", In: in},
		"roles can only come from":  {Name: "roles", Value: []string{"admin"}, In: in},
		"in every access token":     {Name: "roles", From: "roles", In: []string{InAccessToken}},
		"needs either from":         {Name: "x", In: in},
		"x needs either":            {Name: "x", From: "email", Value: "y", In: in},
		"cannot come from password": {Name: "x", From: "password", In: in},
		"is nowhere":                {Name: "x", From: "email"},
		"cannot be in refresh":      {Name: "x", From: "email", In: []string{"refresh"}},
		"a scope that is no scope":  {Name: "x", From: "email", In: in, Scope: "a b"},
	} {
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want something with %q", c, err, says)
		}
	}
	for _, c := range []CustomClaim{
		{Name: "email", From: "email", In: []string{InAccessToken, InIDToken}},
		{Name: "https://a.test/x", Value: true, In: in, Scope: "a"},
		{Name: "staff", From: "is_staff", In: in}, {Name: "updated_at", From: "updated_at", In: in},
	} {
		if err := c.Check(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

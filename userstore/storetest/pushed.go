package storetest

import (
	"bytes"
	"crypto/rand"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// roomy are limits that no test reaches.
var roomy = userstore.PushedLimits{OfClient: 1000, InAll: 100000}

func (f *fixture) newPushed(clientID string) userstore.PushedRequest {
	p := userstore.PushedRequest{ClientID: clientID, Request: []byte(`{"a":"é\\"}`), ExpiresAt: f.now.Add(time.Minute)}
	_, _ = rand.Read(p.ID[:])
	return p
}

func (f *fixture) pushed(t *testing.T, clientID string) userstore.PushedRequest {
	t.Helper()
	p := f.newPushed(clientID)
	must(t, f.SavePushedRequest(t.Context(), p, roomy, f.now))
	return p
}

func (f *fixture) use(p userstore.PushedRequest) userstore.PushedUse {
	u := userstore.PushedUse{ID: p.ID, ClientID: p.ClientID, Now: f.now, Known: f.now.Add(time.Hour)}
	_, _ = rand.Read(u.Code[:])
	return u
}

func pushedRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	c, other := f.client(t, nil), f.client(t, nil)
	p := f.pushed(t, c.ID)
	got, err := f.PushedRequest(ctx, p.ID, c.ID, stored(p.ExpiresAt).Add(-time.Microsecond))
	must(t, err)
	want := p
	want.ExpiresAt = stored(p.ExpiresAt)
	equal(t, "pushed request", got, want)

	_, err = f.PushedRequest(ctx, p.ID, c.ID, p.ExpiresAt)
	is(t, err, userstore.ErrNotFound)
	_, err = f.PushedRequest(ctx, p.ID, other.ID, f.now)
	is(t, err, userstore.ErrNotFound)
	_, err = f.PushedRequest(ctx, f.newPushed(c.ID).ID, c.ID, f.now)
	is(t, err, userstore.ErrNotFound)
	_, err = f.PushedRequest(ctx, p.ID, c.ID+"\x00", f.now)
	is(t, err, userstore.ErrNotFound)

	// Used once, for one code, whoever asks and however often.
	use := f.use(p)
	foreign := use
	foreign.ClientID = other.ID
	is(t, f.UsePushedRequest(ctx, foreign), userstore.ErrConflict)
	for range 2 {
		must(t, f.UsePushedRequest(ctx, use))
	}
	is(t, f.UsePushedRequest(ctx, f.use(p)), userstore.ErrConflict)
	_, err = f.PushedRequest(ctx, p.ID, c.ID, f.now)
	is(t, err, userstore.ErrExists)
	_, err = f.PushedRequest(ctx, p.ID, c.ID, f.now.Add(24*time.Hour)) // while it is known
	is(t, err, userstore.ErrExists)

	// One that was removed in between is used once, too.
	gone := f.newPushed(c.ID)
	must(t, f.UsePushedRequest(ctx, f.use(gone)))
	is(t, f.UsePushedRequest(ctx, f.use(gone)), userstore.ErrConflict)

	nobody := f.newPushed("nobody")
	is(t, f.SavePushedRequest(ctx, nobody, roomy, f.now), userstore.ErrConflict)
	is(t, f.UsePushedRequest(ctx, f.use(nobody)), userstore.ErrConflict)
	nobody.ClientID = "a\x00b"
	is(t, f.SavePushedRequest(ctx, nobody, roomy, f.now), userstore.ErrInvalid)
	is(t, f.UsePushedRequest(ctx, f.use(nobody)), userstore.ErrConflict)
	long := f.newPushed(c.ID)
	long.Request = bytes.Repeat([]byte("x"), 60<<10)
	must(t, f.SavePushedRequest(ctx, long, roomy, f.now))
}

func pushedEnd(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.client(t, nil)
	p := f.pushed(t, c.ID)
	must(t, f.SetClientActive(ctx, c.ID, false, f.now))
	is(t, f.SavePushedRequest(ctx, f.newPushed(c.ID), roomy, f.now), userstore.ErrConflict)
	must(t, f.SetClientActive(ctx, c.ID, true, f.now))
	_, err := f.PushedRequest(ctx, p.ID, c.ID, f.now)
	is(t, err, userstore.ErrNotFound)
	is(t, f.UsePushedRequest(ctx, f.use(p)), userstore.ErrConflict)

	p = f.pushed(t, c.ID)
	must(t, f.DeleteClient(ctx, c.ID))
	_, err = f.PushedRequest(ctx, p.ID, c.ID, f.now)
	is(t, err, userstore.ErrNotFound)
	must(t, f.CreateClient(ctx, userstore.Client{ID: c.ID, Name: "again", CreatedAt: f.now}))
	_, err = f.PushedRequest(ctx, p.ID, c.ID, f.now)
	is(t, err, userstore.ErrNotFound)
}

func pushedBounds(t *testing.T, f *fixture) {
	ctx := t.Context()
	a, b := f.client(t, nil), f.client(t, nil)
	limits := userstore.PushedLimits{OfClient: 3, InAll: 4}
	save := func(c userstore.Client) (userstore.PushedRequest, error) {
		p := f.newPushed(c.ID)
		return p, f.SavePushedRequest(ctx, p, limits, f.now)
	}
	first, err := save(a)
	must(t, err)
	for range 2 {
		_, err = save(a)
		must(t, err)
	}
	_, err = save(a)
	is(t, err, userstore.ErrConflict)
	_, err = save(b)
	must(t, err)
	_, err = save(b)
	is(t, err, userstore.ErrConflict)
	must(t, f.UsePushedRequest(ctx, f.use(first)))
	_, err = save(b)
	must(t, err)
	_, err = save(a)
	is(t, err, userstore.ErrConflict)
	late := f.newPushed(a.ID) // the others have expired
	must(t, f.SavePushedRequest(ctx, late, limits, f.now.Add(time.Minute)))

	// Unused ones are removed when they have expired, used ones when they need not be known.
	n, err := f.RemoveExpiredCodes(ctx, f.now.Add(time.Minute-time.Microsecond), 100)
	must(t, err)
	equal(t, "removed before they expired", n, 0)
	n, err = f.RemoveExpiredCodes(ctx, f.now.Add(time.Minute), 3)
	must(t, err)
	equal(t, "removed in a batch", n, 3)
	n, err = f.RemoveExpiredCodes(ctx, f.now.Add(time.Hour-time.Microsecond), 100)
	must(t, err)
	equal(t, "removed later", n, 2)
	_, err = f.PushedRequest(ctx, first.ID, a.ID, f.now)
	is(t, err, userstore.ErrExists)
	n, err = f.RemoveExpiredCodes(ctx, f.now.Add(time.Hour), 100)
	must(t, err)
	equal(t, "removed with the one that was used", n, 1)
}

func racePushed(t *testing.T, f *fixture) {
	ctx := t.Context()
	for range 5 {
		c := f.client(t, nil)
		limits := userstore.PushedLimits{OfClient: 3, InAll: 100000}
		equal(t, "requests of one client", winners(t, 8, userstore.ErrConflict, func(int) error {
			return f.SavePushedRequest(ctx, f.newPushed(c.ID), limits, f.now)
		}), 3)
		p, gone := f.pushed(t, f.client(t, nil).ID), f.newPushed(c.ID)
		for _, p := range []userstore.PushedRequest{p, gone} {
			equal(t, "uses of one request", winners(t, 8, userstore.ErrConflict, func(int) error {
				return f.UsePushedRequest(ctx, f.use(p))
			}), 1)
		}
	}
}

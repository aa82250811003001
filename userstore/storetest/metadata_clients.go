package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/registration"
)

// described is a client as its metadata document describes it, without a row.
func (f *fixture) described() userstore.Client {
	return userstore.Client{
		ID: "https://app.test/" + id(), Name: "App", AuthMethod: userstore.AuthNone, Kind: userstore.KindMetadata,
		GrantTypes: []string{userstore.GrantAuthorizationCode}, DocumentAt: stored(f.now.Add(-time.Minute)),
		ClientMetadata: userstore.ClientMetadata{RedirectURIs: []string{"https://app.test/cb"}},
	}
}

// firstConsent is the code of the first consent of a client.
func (f *fixture) firstConsent(ctx context.Context, s userstore.BrowserSession, c userstore.Client) userstore.Code {
	code := f.newCode(s, c)
	code.NewClient = registration.RowOf(ctx, c, f.now)
	return code
}

func rowWithConsent(t *testing.T, f *fixture) {
	ctx := t.Context()
	c, s := f.described(), f.session(t, f.user(t))
	granted := audit.New(ctx, f.now, audit.ConsentGranted, audit.Target{Type: audit.OnClient, ID: c.ID})
	created := func() (n int) {
		t.Helper()
		entries, err := f.ListEvents(ctx, userstore.EventQuery{Limit: 10, TargetID: c.ID, Name: audit.ClientCreated})
		must(t, err)
		return len(entries)
	}
	missing := func() {
		t.Helper()
		_, err := f.ClientByID(ctx, c.ID)
		is(t, err, userstore.ErrNotFound)
		equal(t, "audit entries", created(), 0)
	}

	// A code whose conditions fail makes nothing.
	ended := f.firstConsent(ctx, s, c)
	ended.BrowserSession = id()
	is(t, f.allow(ctx, ended, granted), userstore.ErrConflict)
	missing()
	without := f.newCode(s, c)
	is(t, f.allow(ctx, without, granted), userstore.ErrConflict)
	missing()
	other := f.firstConsent(ctx, s, c)
	other.ClientID = f.described().ID
	is(t, f.allow(ctx, other), userstore.ErrInvalid)
	missing()

	// Of many first consents at once, one makes the row, and all are stored.
	var all sync.WaitGroup
	for range 8 {
		code := f.firstConsent(ctx, f.session(t, f.user(t)), c)
		all.Go(func() {
			if err := f.allow(ctx, code); err != nil {
				t.Errorf("a first consent: %v", err)
			}
		})
	}
	all.Wait()
	got, err := f.ClientByID(ctx, c.ID)
	must(t, err)
	want := c
	want.CreatedAt, want.UpdatedAt, want.Version = stored(f.now), stored(f.now), 1
	equal(t, "client", got, want)
	equal(t, "audit entries", created(), 1)

	// Again, once for all.
	code := f.firstConsent(ctx, s, c)
	for range 2 {
		must(t, f.allow(ctx, code))
	}
	equal(t, "audit entries", created(), 1)

	// The document of a later fetch is stored as any change.
	got.DocumentAt, got.Name = stored(f.now.Add(time.Hour)), "Renamed"
	must(t, f.UpdateClient(ctx, got))
	got.Version++
	read, err := f.ClientByID(ctx, c.ID)
	must(t, err)
	equal(t, "client", read, got)

	// A disabled row is not made anew, and refuses.
	must(t, f.SetClientActive(ctx, c.ID, false, f.now))
	is(t, f.allow(ctx, f.firstConsent(ctx, s, c)), userstore.ErrConflict)
	must(t, f.DeleteClient(ctx, c.ID))
	_, err = f.CodeByHash(ctx, code.Hash)
	is(t, err, userstore.ErrNotFound)
	again := f.firstConsent(ctx, s, c)
	must(t, f.allow(ctx, again))
	_, err = f.CodeByHash(ctx, again.Hash)
	must(t, err)
	_, err = f.CodeByHash(ctx, code.Hash) // nothing of before comes back
	is(t, err, userstore.ErrNotFound)
}

func withoutRow(t *testing.T, f *fixture) {
	ctx := t.Context()
	c, s := f.described(), f.session(t, f.user(t))
	push := func(clientID string) userstore.PushedRequest {
		p := f.newPushed(clientID)
		p.NoRow = true
		return p
	}
	wait := func(clientID string) userstore.DeviceAuthorization {
		d := f.newDevice(clientID)
		d.NoRow = true
		return d
	}
	p, d := push(c.ID), wait(c.ID)
	must(t, f.SavePushedRequest(ctx, p, roomy, f.now))
	must(t, f.SaveDevice(ctx, d, roomyDevices))

	// All clients without a row share one bound.
	is(t, f.SavePushedRequest(ctx, push(f.described().ID), userstore.PushedLimits{OfClient: 1, InAll: 1000}, f.now), userstore.ErrConflict)
	is(t, f.SaveDevice(ctx, wait(f.described().ID), userstore.DeviceLimits{OfClient: 1, InAll: 1000}), userstore.ErrConflict)

	read := func() {
		t.Helper()
		_, err := f.PushedRequest(ctx, p.ID, c.ID, f.now)
		must(t, err)
		_, err = f.PushedRequest(ctx, p.ID, f.described().ID, f.now)
		is(t, err, userstore.ErrNotFound)
		got, err := f.DeviceByUserCode(ctx, d.UserCode)
		must(t, err)
		equal(t, "the client of the device", got.ClientID, c.ID)
		early, err := f.PollDevice(ctx, poll(d, f.now))
		must(t, err)
		_ = early
	}
	read()

	// Somebody else makes the row: what waits goes on.
	must(t, f.allow(ctx, f.firstConsent(ctx, f.session(t, f.user(t)), c)))
	read()
	use := f.use(p)
	use.NoRow = true
	for range 2 {
		must(t, f.UsePushedRequest(ctx, use))
	}
	_, err := f.PushedRequest(ctx, p.ID, c.ID, f.now)
	is(t, err, userstore.ErrExists)
	code := f.codeOf(d, s, "r")
	code.NewClient = registration.RowOf(ctx, c, f.now)
	must(t, f.allow(ctx, code))
	equal(t, "state", f.stateOf(t, d), userstore.DeviceAllowed)

	// With a row, and deleted with it.
	p, d = push(c.ID), wait(c.ID)
	must(t, f.SavePushedRequest(ctx, p, roomy, f.now))
	must(t, f.SaveDevice(ctx, d, roomyDevices))
	must(t, f.SetClientActive(ctx, c.ID, false, f.now))
	is(t, f.SavePushedRequest(ctx, push(c.ID), roomy, f.now), userstore.ErrConflict)
	is(t, f.SaveDevice(ctx, wait(c.ID), roomyDevices), userstore.ErrConflict)
	must(t, f.DeleteClient(ctx, c.ID))
	_, err = f.PushedRequest(ctx, p.ID, c.ID, f.now)
	is(t, err, userstore.ErrNotFound)
	_, err = f.DeviceByID(ctx, d.ID)
	is(t, err, userstore.ErrNotFound)

	// Used without a row, whose request was removed meanwhile.
	use = f.use(push(c.ID))
	use.NoRow = true
	must(t, f.UsePushedRequest(ctx, use))
	use.Code = f.use(p).Code
	is(t, f.UsePushedRequest(ctx, use), userstore.ErrConflict)
}

package storetest

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// roomyDevices are limits that no test reaches.
var roomyDevices = userstore.DeviceLimits{OfClient: 1000, InAll: 100000}

func (f *fixture) newDevice(clientID string) userstore.DeviceAuthorization {
	d := userstore.DeviceAuthorization{
		ID: id(), ClientID: clientID, Scopes: []string{"openid", "email"}, Resources: []string{"https://api.test"},
		Address: "203.0.113.7", UserAgent: "tv/1", CreatedAt: f.now, ExpiresAt: f.now.Add(10 * time.Minute),
		KnownUntil: f.now.Add(20 * time.Minute), Interval: 5 * time.Second,
	}
	rand.Read(d.CodeHash[:])
	rand.Read(d.UserCode[:])
	return d
}

// device saves a device authorization.
func (f *fixture) device(t *testing.T, clientID string) userstore.DeviceAuthorization {
	t.Helper()
	d := f.newDevice(clientID)
	must(t, f.SaveDevice(t.Context(), d, roomyDevices))
	return d
}

// codeOf returns the code that answers d.
func (f *fixture) codeOf(d userstore.DeviceAuthorization, s userstore.BrowserSession, by string) userstore.Code {
	code := f.newCode(s, userstore.Client{ID: d.ClientID})
	code.Hash, code.RedirectURI, code.CodeChallenge, code.Nonce = d.CodeHash, "", "", ""
	code.Answers = userstore.DeviceAnswer{ID: d.ID, By: by}
	return code
}

// allow saves the code that answers d, with a consent.
func (f *fixture) allow(ctx context.Context, code userstore.Code, events ...audit.Event) error {
	return f.SaveCode(ctx, code, &userstore.Consent{Allowed: []userstore.Allowance{{Scopes: code.Scopes}}}, time.Time{}, events...)
}

func (f *fixture) stateOf(t *testing.T, d userstore.DeviceAuthorization) userstore.DeviceState {
	t.Helper()
	got, err := f.DeviceByID(t.Context(), d.ID)
	must(t, err)
	return got.State
}

func deviceRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.client(t, nil)
	d := f.device(t, c.ID)
	want := d
	want.CreatedAt, want.ExpiresAt, want.KnownUntil = stored(d.CreatedAt), stored(d.ExpiresAt), stored(d.KnownUntil)
	read := func(d userstore.DeviceAuthorization) (all [3]userstore.DeviceAuthorization, errs [3]error) {
		all[0], errs[0] = f.DeviceByCode(ctx, d.CodeHash)
		all[1], errs[1] = f.DeviceByUserCode(ctx, d.UserCode)
		all[2], errs[2] = f.DeviceByID(ctx, d.ID)
		return all, errs
	}
	found, errs := read(d)
	for n, got := range found {
		must(t, errs[n])
		equal(t, "device authorization", got, want)
	}
	gone := func(d userstore.DeviceAuthorization) {
		t.Helper()
		_, errs := read(d)
		for _, err := range errs {
			is(t, err, userstore.ErrNotFound)
		}
		_, err := f.PollDevice(ctx, poll(d, f.now))
		is(t, err, userstore.ErrConflict)
		is(t, f.DenyDevice(ctx, userstore.DeviceAnswer{ID: d.ID, By: "r"}, f.now), userstore.ErrConflict)
		is(t, f.allow(ctx, f.codeOf(d, f.session(t, f.user(t)), "r")), userstore.ErrConflict)
		_, err = f.CodeByHash(ctx, d.CodeHash)
		is(t, err, userstore.ErrNotFound)
	}
	gone(f.newDevice(c.ID))
	_, err := f.DeviceByID(ctx, d.ID+"\x00")
	is(t, err, userstore.ErrNotFound)

	// Nothing is stored beside what has one of its codes.
	for _, change := range []func(n *userstore.DeviceAuthorization){
		func(n *userstore.DeviceAuthorization) { n.ID = d.ID },
		func(n *userstore.DeviceAuthorization) { n.CodeHash = d.CodeHash },
		func(n *userstore.DeviceAuthorization) { n.UserCode = d.UserCode },
	} {
		second := f.newDevice(c.ID)
		change(&second)
		is(t, f.SaveDevice(ctx, second, roomyDevices), userstore.ErrConflict)
	}
	found, errs = read(d)
	must(t, errs[0])
	equal(t, "device authorization", found[0], want)

	is(t, f.SaveDevice(ctx, f.newDevice("nobody"), roomyDevices), userstore.ErrConflict)
	must(t, f.SetClientActive(ctx, c.ID, false, f.now))
	gone(d)
	is(t, f.SaveDevice(ctx, f.newDevice(c.ID), roomyDevices), userstore.ErrConflict)
	must(t, f.SetClientActive(ctx, c.ID, true, f.now))
	gone(d)

	d = f.device(t, c.ID)
	must(t, f.DeleteClient(ctx, c.ID))
	gone(d)
	must(t, f.CreateClient(ctx, userstore.Client{ID: c.ID, Name: "again", CreatedAt: f.now}))
	gone(d)
}

func answerDevice(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	s := f.session(t, u)
	other := f.session(t, f.user(t))

	// Each condition alone: nothing is stored, and the device waits on.
	d := f.device(t, c.ID)
	event := func() audit.Event { return audit.New(ctx, f.now, audit.DeviceAllowed, audit.User(u.ID)) }
	for name, change := range map[string]func(code *userstore.Code){
		"another device":             func(code *userstore.Code) { code.Answers.ID = f.device(t, c.ID).ID },
		"no device":                  func(code *userstore.Code) { code.Answers.ID = "none" },
		"another code":               func(code *userstore.Code) { rand.Read(code.Hash[:]) },
		"another client":             func(code *userstore.Code) { code.ClientID = f.client(t, nil).ID },
		"expired":                    func(code *userstore.Code) { code.CreatedAt = d.ExpiresAt },
		"another user's session":     func(code *userstore.Code) { code.BrowserSession = other.ID },
		"a session that ended":       func(code *userstore.Code) { code.BrowserSession = "none" },
		"an id that nobody can have": func(code *userstore.Code) { code.Answers.ID = "none\xff" },
	} {
		code := f.codeOf(d, s, "r")
		change(&code)
		e := event()
		if err := f.allow(ctx, code, e); err == nil {
			t.Errorf("%s: allowed", name)
		}
		_, err := f.CodeByHash(ctx, code.Hash)
		is(t, err, userstore.ErrNotFound)
		equal(t, name, f.stateOf(t, d), userstore.DeviceWaiting)
	}
	is(t, f.DenyDevice(ctx, userstore.DeviceAnswer{ID: d.ID, By: "r"}, d.ExpiresAt), userstore.ErrConflict)
	is(t, f.DenyDevice(ctx, userstore.DeviceAnswer{ID: "none", By: "r"}, f.now), userstore.ErrConflict)
	is(t, f.DenyDevice(ctx, userstore.DeviceAnswer{ID: "none\x00", By: "r"}, f.now), userstore.ErrConflict)
	equal(t, "state", f.stateOf(t, d), userstore.DeviceWaiting)

	// Allowed: the same again is no error, and anything else is refused.
	code := f.codeOf(d, s, "r")
	for range 2 {
		must(t, f.allow(ctx, code, event()))
	}
	got, err := f.DeviceByCode(ctx, d.CodeHash)
	must(t, err)
	equal(t, "state", got.State, userstore.DeviceAllowed)
	equal(t, "answered by", got.AnsweredBy, "r")
	is(t, f.allow(ctx, f.codeOf(d, other, "r")), userstore.ErrConflict)
	is(t, f.DenyDevice(ctx, userstore.DeviceAnswer{ID: d.ID, By: "r"}, f.now), userstore.ErrConflict)
	_, err = f.PollDevice(ctx, poll(d, f.now))
	is(t, err, userstore.ErrConflict)
	v, err := f.CodeByHash(ctx, d.CodeHash)
	must(t, err)
	equal(t, "user", v.Code.UserID, u.ID)
	f.redeemed(t, code)
	is(t, f.RedeemCode(ctx, f.redeem(code)), userstore.ErrConflict)
	is(t, f.allow(ctx, code, event()), userstore.ErrExists)

	// Allowed without a consent to store: by one that is there, or of a first-party client.
	first := f.codeOf(f.device(t, c.ID), s, "r")
	must(t, f.SaveCode(ctx, first, nil, time.Time{}))
	f.redeemed(t, first)
	standing := f.codeOf(f.device(t, c.ID), s, "r")
	standing.ByConsent = true
	must(t, f.SaveCode(ctx, standing, nil, time.Time{}))
	f.redeemed(t, standing)

	// Denied, once.
	d = f.device(t, c.ID)
	must(t, f.DenyDevice(ctx, userstore.DeviceAnswer{ID: d.ID, By: "no"}, f.now))
	is(t, f.DenyDevice(ctx, userstore.DeviceAnswer{ID: d.ID, By: "no"}, f.now), userstore.ErrConflict)
	is(t, f.allow(ctx, f.codeOf(d, s, "no")), userstore.ErrConflict)
	got, err = f.DeviceByUserCode(ctx, d.UserCode)
	must(t, err)
	equal(t, "state", got.State, userstore.DeviceDenied)
	equal(t, "answered by", got.AnsweredBy, "no")
	_, err = f.CodeByHash(ctx, d.CodeHash)
	is(t, err, userstore.ErrNotFound)
	is(t, f.RedeemCode(ctx, f.redeem(f.codeOf(d, s, "no"))), userstore.ErrConflict)
}

func poll(d userstore.DeviceAuthorization, at time.Time) userstore.DevicePoll {
	return userstore.DevicePoll{CodeHash: d.CodeHash, Now: at, Slack: time.Second, Step: 5 * time.Second, Longest: 20 * time.Second}
}

func pollDevice(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.client(t, nil)
	d := f.device(t, c.ID)
	// Each row is a poll: when, in microseconds after the request, whether it is early, and the
	// interval in seconds from then on.
	const second = 1000000
	for n, row := range []struct {
		at       int64
		early    bool
		interval int
	}{
		{0, false, 5}, // the first may come at once
		{4 * second, false, 5},
		{8*second - 1, true, 10},
		{17*second - 2, true, 15}, // 10 s since the last poll, less one second and a microsecond
		{31*second - 1, false, 15},
		{45*second - 1, false, 15},
		{46 * second, true, 20},
		{47 * second, true, 20}, // the longest: from here on an early poll does not count
		{48 * second, true, 20},
		{65*second - 1, true, 20},
		{65 * second, false, 20},
		{66 * second, true, 20},
		{84 * second, false, 20},
		{599 * second, false, 20},
	} {
		early, err := f.PollDevice(ctx, poll(d, f.now.Add(time.Duration(row.at)*time.Microsecond)))
		must(t, err)
		got, err := f.DeviceByID(ctx, d.ID)
		must(t, err)
		if early != row.early || got.Interval != time.Duration(row.interval)*time.Second {
			t.Fatalf("poll %d: early %v, interval %s; want %+v", n, early, got.Interval, row)
		}
	}
	_, err := f.PollDevice(ctx, poll(d, d.ExpiresAt))
	is(t, err, userstore.ErrConflict)
	d = f.device(t, c.ID)
	must(t, f.DenyDevice(ctx, userstore.DeviceAnswer{ID: d.ID, By: "r"}, f.now))
	_, err = f.PollDevice(ctx, poll(d, f.now))
	is(t, err, userstore.ErrConflict)
}

func deviceBounds(t *testing.T, f *fixture) {
	ctx := t.Context()
	a, b := f.client(t, nil), f.client(t, nil)
	limits := userstore.DeviceLimits{OfClient: 3, InAll: 4}
	save := func(c userstore.Client, after time.Duration) error {
		d := f.newDevice(c.ID)
		d.CreatedAt, d.ExpiresAt, d.KnownUntil = f.now.Add(after), f.now.Add(after+time.Minute), f.now.Add(after+2*time.Minute)
		return f.SaveDevice(ctx, d, limits)
	}
	for range 3 {
		must(t, save(a, 0))
	}
	is(t, save(a, 0), userstore.ErrConflict)
	must(t, save(b, 0))
	is(t, save(b, 0), userstore.ErrConflict)
	is(t, save(a, time.Minute-time.Microsecond), userstore.ErrConflict)
	must(t, save(a, time.Minute)) // the others have expired

	for _, row := range []struct {
		at          time.Duration
		limit, want int
	}{
		{2*time.Minute - time.Microsecond, 100, 0}, {2 * time.Minute, 3, 3}, {2 * time.Minute, 100, 1},
		{3*time.Minute - time.Microsecond, 100, 0}, {3 * time.Minute, 100, 1},
	} {
		n, err := f.RemoveExpiredCodes(ctx, f.now.Add(row.at), row.limit)
		must(t, err)
		equal(t, "removed after "+row.at.String(), n, row.want)
	}
}

func hostileDevices(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.client(t, nil)
	for _, s := range hostile {
		d := f.newDevice(c.ID)
		d.Scopes, d.Resources = []string{"openid", s}, []string{s}
		d.Address, d.UserAgent = s, s
		must(t, f.SaveDevice(ctx, d, roomyDevices))
		got, err := f.DeviceByCode(ctx, d.CodeHash)
		must(t, err)
		equal(t, "scopes", got.Scopes, d.Scopes)
		equal(t, "resources", got.Resources, d.Resources)
	}
	for _, id := range []string{"a\x00b", "\xff"} {
		d := f.newDevice(c.ID)
		d.ID = id
		is(t, f.SaveDevice(ctx, d, roomyDevices), userstore.ErrInvalid)
		d = f.newDevice(id)
		is(t, f.SaveDevice(ctx, d, roomyDevices), userstore.ErrInvalid)
	}
}

package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func appRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	equal(t, "nothing", f.factors(t, u), userstore.SecondFactors{})
	_, err := f.SecondFactors(ctx, id())
	is(t, err, userstore.ErrNotFound)

	// A setup counts for nothing before it is confirmed, and a newer one takes its place.
	first, a := f.newApp(u), f.newApp(u)
	for range 2 { // the second time is a lost answer
		must(t, f.BeginApp(ctx, first, 0))
	}
	want := userstore.SecondFactors{Waiting: new(storedApp(first, f.now))}
	equal(t, "a setup that waits", f.factors(t, u), want)
	must(t, f.BeginApp(ctx, a, 0))
	want.Waiting = new(storedApp(a, f.now))
	equal(t, "a second setup", f.factors(t, u), want)
	before := u
	f.read(t, &u)
	equal(t, "the user while a setup waits", u, before)
	f.unchanged(t, "the setup before", u, userstore.ErrConflict, func() error {
		c := newFactorChange(f, u)
		c.ConfirmApp, c.Counter = first.ID, appCounter
		return f.ChangeFactors(ctx, c)
	})

	later := f.now.Add(time.Minute + 987*time.Nanosecond)
	f.changeFactors(t, &u, func(c *factorChange) { c.ConfirmApp, c.Counter, c.At = a.ID, appCounter, later })
	a.LastCounter = appCounter
	want = userstore.SecondFactors{App: new(storedApp(a, later)), Version: 1}
	equal(t, "confirmed", f.factors(t, u), want)
	before.SecondFactor, before.FactorVersion = true, 1
	equal(t, "the user with an app", u, before)

	// Another setup leaves the app as it is until it is confirmed.
	b := f.newApp(u)
	b.LastCounter = 0
	must(t, f.BeginApp(ctx, b, 1))
	want.Waiting = new(storedApp(b, f.now))
	equal(t, "a setup beside the app", f.factors(t, u), want)
	must(t, f.UseFactor(ctx, u.ID, 1, factorUse{App: a.ID, Counter: appCounter + 1, At: later}))
	want.App.LastCounter, want.App.LastUsedAt = appCounter+1, stored(later)
	equal(t, "a use beside the setup", f.factors(t, u), want)
	f.changeFactors(t, &u, func(c *factorChange) { c.ConfirmApp, c.Counter, c.At = b.ID, 5, later })
	b.LastCounter = 5
	equal(t, "another app", f.factors(t, u), userstore.SecondFactors{App: new(storedApp(b, later)), Version: 2})

	// Every way in which a user is read shows that there is a second factor.
	f.app(t, &u)
	g := f.newGrant(u)
	step := secondStep{FactorVersion: 3, Proved: true}
	must(t, f.StartGrant(ctx, userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash, Second: step}))
	s := f.session(t, u, func(s *newLogin) { s.Second = step })
	_, bySession, err := f.BrowserSession(ctx, s.Hash, f.now, time.Time{})
	must(t, err)
	byLogin, _, err := f.UserForLogin(ctx, userstore.Login{EmailKey: u.EmailKey})
	must(t, err)
	byView, _, _, err := f.LoginView(ctx, userstore.Login{EmailKey: u.EmailKey}, userstore.FirstPartyClientID)
	must(t, err)
	view, err := f.GrantByID(ctx, g.ID)
	must(t, err)
	for i, got := range []userstore.User{bySession, byLogin, byView, view.User} {
		if !got.SecondFactor || got.FactorVersion != 3 {
			t.Errorf("read %d: %v, %d", i, got.SecondFactor, got.FactorVersion)
		}
	}
	// An edit of the user leaves them.
	f.read(t, &u)
	u.SecondFactor, u.FactorVersion, u.Claims.Name = false, 0, "New"
	must(t, f.UpdateUser(ctx, u))
	f.read(t, &u)
	equal(t, "after an edit", []any{u.SecondFactor, u.FactorVersion, u.Claims.Name}, []any{true, int64(3), "New"})
}

func beginAppRefused(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, off := f.user(t), f.user(t)
	f.app(t, &u)
	must(t, f.BeginApp(ctx, f.newApp(u), u.FactorVersion))
	must(t, f.SetActive(ctx, off.ID, false, f.now))
	for name, test := range map[string]struct {
		user    userstore.User
		version int64
		change  func(*userstore.AuthenticatorApp)
	}{
		"an older version": {u, u.FactorVersion - 1, nil},
		"a newer version":  {u, u.FactorVersion + 1, nil},
		"any version":      {u, userstore.AnyFactorVersion, nil},
		"a disabled user":  {off, off.FactorVersion, nil},
		"an unknown user":  {u, u.FactorVersion, func(a *userstore.AuthenticatorApp) { a.UserID = id() }},
		"no user":          {u, u.FactorVersion, func(a *userstore.AuthenticatorApp) { a.UserID = "\x00" }},
	} {
		f.unchanged(t, name, test.user, userstore.ErrConflict, func() error {
			a := f.newApp(test.user)
			if test.change != nil {
				test.change(&a)
			}
			return f.BeginApp(ctx, a, test.version)
		})
	}
}

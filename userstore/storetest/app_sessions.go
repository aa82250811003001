package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// listener makes a client that wants to hear of logouts.
func (f *fixture) listener(t *testing.T) userstore.Client {
	t.Helper()
	return f.client(t, func(c *userstore.Client) { c.BackchannelLogoutURI = "https://app.test/logout" })
}

// login logs in at a client from a browser session, and returns the grant.
func (f *fixture) login(t *testing.T, s userstore.BrowserSession, c userstore.Client, scopes ...string) userstore.Grant {
	t.Helper()
	return f.redeemed(t, f.code(t, s, c, func(c *userstore.Code) { c.Scopes = scopes }))
}

// due claims all ended app sessions that are due at now, and returns them by their sid.
func (f *fixture) due(t *testing.T, now time.Time) map[string]userstore.EndedAppSession {
	t.Helper()
	all := map[string]userstore.EndedAppSession{}
	for {
		e, err := f.ClaimEndedAppSession(t.Context(), id(), now, now.Add(time.Minute), 1000)
		if errors.Is(err, userstore.ErrNotFound) {
			return all
		}
		must(t, err)
		all[e.SessionID] = e
	}
}

// told checks that the apps of exactly these grants have to be told of their end now.
func (f *fixture) told(t *testing.T, what string, grants ...userstore.Grant) {
	t.Helper()
	var got, want []string
	for sid, e := range f.due(t, f.now) {
		got = append(got, sid)
		if !e.Heard {
			t.Errorf("%s: nobody hears of %s", what, sid)
		}
		must(t, f.ForgetAppSession(t.Context(), sid))
	}
	for _, g := range grants {
		want = append(want, g.SessionID)
	}
	slices.Sort(got)
	slices.Sort(want)
	equal(t, what, got, want)
}

func appRoundTripOfSession(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	c, deaf := f.listener(t), f.client(t, nil)
	s, other := f.session(t, u), f.session(t, u)
	first := f.redeemed(t, f.code(t, s, c, func(c *userstore.Code) { c.Subject = "pairwise" }))
	f.now = f.now.Add(time.Second)
	second := f.login(t, s, c, "openid")
	f.login(t, s, deaf, "openid")
	f.login(t, other, c, "openid")
	of := func(g userstore.Grant) userstore.AppSession {
		return userstore.AppSession{SessionID: g.SessionID, UserID: u.ID, ClientID: c.ID, BrowserSession: s.ID,
			CreatedAt: stored(g.CreatedAt)}
	}
	pairwise := of(first)
	pairwise.Subject = "pairwise"
	list, err := f.ListAppSessions(ctx, s.ID)
	must(t, err)
	equal(t, "app sessions", list, []userstore.AppSession{of(second), pairwise})
	for _, none := range []string{"", id(), "\x00"} {
		list, err := f.ListAppSessions(ctx, none)
		must(t, err)
		equal(t, "app sessions of no browser session", len(list), 0)
	}
	state, err := f.AppSessionsState(ctx)
	must(t, err)
	equal(t, "nothing waits", state, userstore.AppSessionsState{})
	must(t, f.ForgetAppSession(ctx, first.SessionID)) // only an ended one is forgotten
	_, err = f.ClaimEndedAppSession(ctx, id(), f.now, f.now.Add(time.Minute), 2)
	is(t, err, userstore.ErrNotFound)

	ended := f.now.Add(time.Second)
	must(t, f.EndSession(ctx, s.ID, ended))
	list, err = f.ListAppSessions(ctx, s.ID)
	must(t, err)
	equal(t, "app sessions that live", len(list), 0)
	state, err = f.AppSessionsState(ctx)
	must(t, err)
	equal(t, "what waits", state, userstore.AppSessionsState{Waiting: 2, Oldest: stored(ended)})

	// A lease, a failure, a second attempt, and the app was told.
	until := ended.Add(time.Minute)
	e, err := f.ClaimEndedAppSession(ctx, "a lease", ended, until, 1)
	must(t, err)
	want := userstore.EndedAppSession{AppSession: pairwise, Heard: true, Lease: "a lease", DueAt: stored(until), Attempts: 1}
	if e.SessionID == second.SessionID {
		want.AppSession, second, first = of(second), first, second
	}
	want.EndedAt = stored(ended)
	equal(t, "claimed", e, want)
	_, err = f.ClaimEndedAppSession(ctx, "more at once", ended, until, 1)
	is(t, err, userstore.ErrNotFound)
	for _, wrong := range [][2]string{{id(), "a lease"}, {first.SessionID, "another lease"}, {first.SessionID, ""}, {"\x00", "a lease"}} {
		is(t, f.PostponeAppSession(ctx, wrong[0], wrong[1], ended, time.Time{}, "no"), userstore.ErrNotFound)
		is(t, f.GiveUpAppSession(ctx, wrong[0], wrong[1]), userstore.ErrNotFound)
	}
	due := ended.Add(time.Hour)
	must(t, f.PostponeAppSession(ctx, first.SessionID, "a lease", due, time.Time{}, "no answer in time"))
	is(t, f.PostponeAppSession(ctx, first.SessionID, "a lease", due, time.Time{}, "again"), userstore.ErrNotFound)
	e, err = f.ClaimEndedAppSession(ctx, id(), ended, until, 1)
	must(t, err)
	equal(t, "the other one", e.SessionID, second.SessionID)
	must(t, f.ForgetAppSession(ctx, second.SessionID))
	must(t, f.ForgetAppSession(ctx, second.SessionID))
	_, err = f.ClaimEndedAppSession(ctx, id(), due.Add(-time.Microsecond), due, 1)
	is(t, err, userstore.ErrNotFound)
	e, err = f.ClaimEndedAppSession(ctx, "b", due, due.Add(time.Minute), 1)
	must(t, err)
	equal(t, "attempts and reason", [2]any{e.Attempts, e.Reason}, [2]any{2, "no answer in time"})
	is(t, f.GiveUpAppSession(ctx, first.SessionID, "a lease", f.event(id())), userstore.ErrNotFound)
	target := id()
	must(t, f.GiveUpAppSession(ctx, first.SessionID, "b", f.event(target)))
	equal(t, "entries", f.storedEntries(t, target), 1)
	is(t, f.GiveUpAppSession(ctx, first.SessionID, "b", f.event(target)), userstore.ErrNotFound)
	equal(t, "entries of what is gone", f.storedEntries(t, target), 1)

	for _, wrong := range []struct {
		lease string
		until time.Time
	}{{id(), f.now}, {id(), f.now.Add(-time.Second)}, {"", f.now.Add(time.Second)}, {"\x00", f.now.Add(time.Second)}} {
		_, err = f.ClaimEndedAppSession(ctx, wrong.lease, f.now, wrong.until, 1)
		is(t, err, userstore.ErrInvalid)
	}
}

// A slow or dead app does not take the places of others.
func appSessionsInTurn(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	slow, other := f.listener(t), f.listener(t)
	s := f.session(t, u)
	for range 5 {
		f.login(t, s, slow, "openid")
	}
	must(t, f.EndSession(ctx, s.ID, f.now))
	f.now = f.now.Add(time.Second)
	s = f.session(t, u)
	late := f.login(t, s, other, "openid")
	must(t, f.EndSession(ctx, s.ID, f.now))
	claim := func(now time.Time) userstore.EndedAppSession {
		t.Helper()
		e, err := f.ClaimEndedAppSession(ctx, id(), now, now.Add(time.Minute), 2)
		must(t, err)
		return e
	}
	idle := func(what string, now time.Time) {
		t.Helper()
		if e, err := f.ClaimEndedAppSession(ctx, id(), now, now.Add(time.Minute), 2); !errors.Is(err, userstore.ErrNotFound) {
			t.Errorf("%s: %+v, %v", what, e, err)
		}
	}
	one, two := claim(f.now), claim(f.now)
	equal(t, "the first two", [2]string{one.ClientID, two.ClientID}, [2]string{slow.ID, slow.ID})
	equal(t, "the next client's", claim(f.now).SessionID, late.SessionID)
	must(t, f.ForgetAppSession(ctx, late.SessionID))
	idle("two of one client are under way", f.now)

	// No answer: the rest waits a minute, and what waits longer already stays.
	due, rest := f.now.Add(5*time.Second), f.now.Add(time.Minute)
	must(t, f.PostponeAppSession(ctx, one.SessionID, one.Lease, due, rest, "no answer"))
	idle("the rest of a client whose server does not answer", rest.Add(-time.Microsecond))
	three := claim(rest)
	if three.SessionID == one.SessionID || three.Attempts != 1 {
		t.Errorf("what was tried less often comes first: %+v", three)
	}
	must(t, f.PostponeAppSession(ctx, two.SessionID, two.Lease, rest.Add(time.Hour), time.Time{}, "no answer"))
	equal(t, "due at once again", len(f.due(t, rest)), 3)

	// What a killed worker held is taken by the next.
	equal(t, "after the lease", len(f.due(t, rest.Add(time.Minute))), 4)
}

// hostileAppSessions looks for and stores any text.
func hostileAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	for n, s := range hostile {
		if len(s) > 1000 {
			continue
		}
		c := f.client(t, func(c *userstore.Client) { c.ID, c.BackchannelLogoutURI = fmt.Sprint("c", n, s), s })
		u := f.user(t)
		g := f.grant(t, u, func(g *userstore.Grant) { g.ClientID, g.SessionID, g.BrowserSession = c.ID, fmt.Sprint(n, s), s })
		must(t, f.RevokeGrant(ctx, g.ID, f.now))
		e, err := f.ClaimEndedAppSession(ctx, "l"+s, f.now, f.now.Add(time.Minute), 1)
		must(t, err)
		equal(t, "claimed", [4]string{e.SessionID, e.ClientID, e.BrowserSession, e.Lease}, [4]string{g.SessionID, c.ID, s, "l" + s})
		must(t, f.PostponeAppSession(ctx, e.SessionID, e.Lease, f.now, f.now, s))
		e, err = f.ClaimEndedAppSession(ctx, "l"+s, f.now, f.now.Add(time.Minute), 1)
		must(t, err)
		must(t, f.GiveUpAppSession(ctx, e.SessionID, "l"+s))
	}
}

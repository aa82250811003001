package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/outbox"
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

// Each operation that ends sessions of a user tells the apps of exactly these.
func endedAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	type world struct {
		u     userstore.User
		c     userstore.Client
		s     userstore.BrowserSession
		token string // that resets the password
		// Of browser session s: one, one that holds offline_access, one whose grant ended long ago with
		// its access token, and one that its client gave back.
		g, offline, over, given userstore.Grant
		elsewhere               userstore.Grant // of another browser session of the user
		direct                  userstore.Grant // of no browser session
		ofOther                 userstore.Grant // of s at another client
		begun                   userstore.Grant // of s, with tokens from the authorization endpoint
	}
	all := func(w world) []userstore.Grant {
		return []userstore.Grant{w.g, w.offline, w.over, w.given, w.elsewhere, w.direct, w.ofOther, w.begun}
	}
	ofBrowser := func(w world) []userstore.Grant {
		return []userstore.Grant{w.g, w.offline, w.over, w.given, w.ofOther, w.begun}
	}
	without := func(grants []userstore.Grant, but userstore.Grant) []userstore.Grant {
		return slices.DeleteFunc(grants, func(g userstore.Grant) bool { return g.ID == but.ID })
	}
	none := func(world) []userstore.Grant { return nil }
	one := func(w world) []userstore.Grant { return []userstore.Grant{w.g} }
	replacedBy := func(u userstore.User, w world, id string) error {
		next := f.newSession(u)
		if id != "" {
			next.ID = id
		}
		return f.StartSession(ctx, userstore.StartSession{Session: next, Replaces: w.s.Hash, PasswordHash: u.PasswordHash})
	}
	for _, test := range []struct {
		name string
		end  func(world) error
		want func(world) []userstore.Grant
	}{
		{"the browser logs out", func(w world) error { return f.EndSession(ctx, w.s.ID, f.now) }, ofBrowser},
		{"the user ends the browser session from elsewhere", func(w world) error {
			return f.RevokeBrowserSession(ctx, w.u.ID, w.s.ID, f.now)
		}, ofBrowser},
		{"a stranger wants to", func(w world) error {
			is(t, f.RevokeBrowserSession(ctx, f.user(t).ID, w.s.ID, f.now), userstore.ErrNotFound)
			return f.EndSession(ctx, "", f.now)
		}, none},
		{"another user logs in in that browser", func(w world) error { return replacedBy(f.user(t), w, "") }, ofBrowser},
		{"the same user logs in as if for the first time", func(w world) error { return replacedBy(w.u, w, "") }, ofBrowser},
		{"the same user proves the password again", func(w world) error { return replacedBy(w.u, w, w.s.ID) }, none},
		{"a grant is revoked after a replay", func(w world) error { return f.RevokeGrant(ctx, w.g.ID, f.now) }, one},
		{"the client gives its tokens back", func(w world) error { return f.RevokeByClient(ctx, w.g.ID, f.now) }, none},
		{"a session is ended by its id", func(w world) error {
			is(t, f.RevokeSession(ctx, f.user(t).ID, w.g.SessionID, f.now), userstore.ErrNotFound)
			return f.RevokeSession(ctx, w.u.ID, w.g.SessionID, f.now)
		}, one},
		{"everything is ended", func(w world) error {
			_, err := f.RevokeUserGrants(ctx, w.u.ID, "", f.now)
			return err
		}, all},
		{"everything but the grant that asked", func(w world) error {
			_, err := f.RevokeUserGrants(ctx, w.u.ID, w.g.SessionID, f.now)
			return err
		}, func(w world) []userstore.Grant { return without(all(w), w.g) }},
		{"everything but the browser session that asked, whose grants end", func(w world) error {
			_, err := f.RevokeUserGrants(ctx, w.u.ID, w.s.ID, f.now)
			return err
		}, all},
		{"the user is disabled", func(w world) error { return f.SetActive(ctx, w.u.ID, false, f.now) }, all},
		{"an edit disables the user", func(w world) error {
			w.u.IsActive, w.u.UpdatedAt = false, f.now
			return f.UpdateUser(ctx, w.u)
		}, all},
		{"an edit of something else", func(w world) error { return f.UpdateUser(ctx, w.u) }, none},
		{"an operator sets a password", func(w world) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, NewHash: id(), At: f.now})
		}, all},
		{"the user changes the password", func(w world) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, OldHash: w.u.PasswordHash, NewHash: id(),
				KeepSession: w.g.SessionID, At: f.now})
		}, func(w world) []userstore.Grant { return without(all(w), w.g) }},
		{"a wrong password changes nothing", func(w world) error {
			is(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, OldHash: "wrong", NewHash: id(), At: f.now}),
				userstore.ErrConflict)
			return nil
		}, none},
		{"a password that ends nothing", func(w world) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: w.u.ID, NewHash: id(),
				KeepSession: userstore.KeepAll, At: f.now})
		}, none},
		{"the password is reset by mail", func(w world) error {
			return f.RedeemToken(ctx, userstore.Redemption{ID: w.token, Kind: outbox.ResetPassword, NewHash: id(), At: f.now})
		}, all},
		{"the second factors change", func(w world) error {
			p := f.newPasskey(w.u)
			c := newFactorChange(f, w.u)
			c.AddPasskey, c.PasskeyHandle, c.KeepSession = &p, "handle-"+w.u.ID, w.g.SessionID
			return f.ChangeFactors(ctx, c)
		}, func(w world) []userstore.Grant { return without(all(w), w.g) }},
		{"the consent is taken back", func(w world) error { return f.RevokeConsent(ctx, w.u.ID, w.c.ID, f.now) },
			func(w world) []userstore.Grant { return without(all(w), w.ofOther) }},
		{"the account is deleted", func(w world) error { return f.DeleteUser(ctx, w.u.ID, f.event(id())) }, all},
		{"the account is deleted, and no entry says when", func(w world) error { return f.DeleteUser(ctx, w.u.ID) }, all},
		{"the grants expire", func(w world) error {
			_, err := f.RemoveExpired(ctx, f.now.Add(90*24*time.Hour), 1000)
			return err
		}, none},
		{"the client is disabled", func(w world) error { return f.SetClientActive(ctx, w.c.ID, false, f.now) }, none},
	} {
		u := f.user(t)
		w := world{u: u, c: f.listener(t), s: f.session(t, u)}
		must(t, f.SaveCode(ctx, f.newCode(w.s, w.c), &userstore.Consent{Allowed: []userstore.Allowance{{}}}, time.Time{}))
		w.g, w.offline = f.login(t, w.s, w.c, "openid"), f.login(t, w.s, w.c, "openid", "offline_access")
		w.given = f.login(t, w.s, w.c, "openid")
		must(t, f.RevokeByClient(ctx, w.given.ID, f.now))
		over := f.redeem(f.code(t, w.s, w.c))
		over.Grant.ExpiresAt, over.Grant.Generation = f.now.Add(-time.Hour), 0
		must(t, f.RedeemCode(ctx, over))
		_, err := f.RemoveExpired(ctx, f.now, 1000)
		must(t, err)
		_, err = f.RemoveExpiredAppSessions(ctx, f.now, 1000)
		must(t, err)
		w.over = over.Grant
		w.elsewhere = f.login(t, f.session(t, u), w.c, "openid")
		w.direct = f.grant(t, u, func(g *userstore.Grant) { g.ClientID = w.c.ID })
		begun := f.beginning(w.s, w.c)
		must(t, f.SaveCode(ctx, begun, nil, time.Time{}))
		w.begun = begun.Begins.Grant
		w.ofOther = f.login(t, w.s, f.listener(t), "openid")
		w.token = f.issue(t, u).ID
		bystander := f.user(t)
		f.login(t, f.session(t, bystander), w.c, "openid")
		f.read(t, &w.u)
		f.told(t, test.name+": before")

		must(t, test.end(w))
		f.told(t, test.name, test.want(w)...)
		f.told(t, test.name+": once")
	}
}

// An app is not told if there is nobody to hear, whatever became of its client after the session ended.
func unheardAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	for name, change := range map[string]func(c userstore.Client) error{
		"disabled": func(c userstore.Client) error { return f.SetClientActive(ctx, c.ID, false, f.now) },
		"disabled and enabled": func(c userstore.Client) error {
			return errors.Join(f.SetClientActive(ctx, c.ID, false, f.now), f.SetClientActive(ctx, c.ID, true, f.now))
		},
		"without an address": func(c userstore.Client) error {
			c.BackchannelLogoutURI = ""
			return f.UpdateClient(ctx, c)
		},
		"deleted":               func(c userstore.Client) error { return f.DeleteClient(ctx, c.ID) },
		"deleted and made anew": func(c userstore.Client) error { return errors.Join(f.DeleteClient(ctx, c.ID), f.CreateClient(ctx, c)) },
	} {
		for _, before := range []bool{true, false} {
			u, c := f.user(t), f.listener(t)
			s := f.session(t, u)
			g := f.login(t, s, c, "openid")
			if before {
				must(t, change(c))
			}
			must(t, f.EndSession(ctx, s.ID, f.now))
			if !before {
				must(t, change(c))
			}
			for sid, e := range f.due(t, f.now) {
				if sid != g.SessionID || e.Heard || strings.HasPrefix(name, "deleted") {
					t.Errorf("%s: %+v", name, e)
				}
				must(t, f.ForgetAppSession(ctx, sid))
			}
		}
	}
}

func boundedAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, bystander, c := f.user(t), f.user(t), f.listener(t)
	theirs := f.login(t, f.session(t, bystander), c, "openid")
	minute := func() { f.now = f.now.Add(time.Minute) }
	// A hidden frame renews its login again and again.
	s, quiet := f.session(t, u), f.session(t, u)
	kept := f.login(t, quiet, c, "openid")
	var last []userstore.Grant
	for range userstore.MaxAppSessionsPerBrowser + 3 {
		minute()
		last = append(last, f.login(t, s, c, "openid"))
	}
	must(t, f.EndSession(ctx, s.ID, f.now))
	f.told(t, "of one browser session, the newest", last[3:]...)
	must(t, f.EndSession(ctx, quiet.ID, f.now))
	f.told(t, "of a quiet one", kept)

	// At one client, those that wait included, and of no browser session.
	last = nil
	for n := range userstore.MaxAppSessionsPerClient + 2 {
		minute()
		g := f.grant(t, u, func(g *userstore.Grant) { g.ClientID = c.ID })
		if last = append(last, g); n == 0 {
			must(t, f.RevokeGrant(ctx, g.ID, f.now))
		}
	}
	other := f.listener(t)
	more := f.grant(t, u, func(g *userstore.Grant) { g.ClientID = other.ID })
	f.told(t, "the oldest of one client, though it waits")
	must(t, f.SetActive(ctx, u.ID, false, f.now))
	f.told(t, "at one client, the newest", append(last[2:], more)...)

	// In all.
	u = f.user(t)
	last = nil
	clients := make([]userstore.Client, userstore.MaxAppSessionsPerUser/userstore.MaxAppSessionsPerClient+1)
	for n := range clients {
		clients[n] = f.listener(t)
	}
	for n := range userstore.MaxAppSessionsPerUser + 2 {
		minute()
		last = append(last, f.grant(t, u, func(g *userstore.Grant) { g.ClientID = clients[n%len(clients)].ID }))
	}
	must(t, f.SetActive(ctx, u.ID, false, f.now))
	f.told(t, "in all, the newest", last[2:]...)
	must(t, f.SetActive(ctx, bystander.ID, false, f.now))
	f.told(t, "of a bystander", theirs)
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

func removeExpiredAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.listener(t)
	s := f.session(t, u)
	f.login(t, s, c, "openid") // of a browser session that is stored
	waiting := f.grant(t, u, func(g *userstore.Grant) { g.ClientID = c.ID })
	must(t, f.RevokeGrant(ctx, waiting.ID, f.now))
	for range 3 {
		f.grant(t, u, func(g *userstore.Grant) { g.ClientID = c.ID })
	}
	ends := f.now.Add(30 * 24 * time.Hour)
	for _, step := range []struct {
		now  time.Time
		want int
	}{{ends.Add(-time.Second), 0}, {ends.Add(time.Second), 2}, {ends.Add(time.Second), 1}, {ends.Add(time.Second), 0}} {
		n, err := f.RemoveExpiredAppSessions(ctx, step.now, 2)
		must(t, err)
		equal(t, "removed", n, step.want)
	}
	_, err := f.RemoveExpiredCodes(ctx, ends.Add(time.Second), 100) // the browser session
	must(t, err)
	n, err := f.RemoveExpiredAppSessions(ctx, ends.Add(time.Second), 100)
	must(t, err)
	equal(t, "removed with its browser session", n, 1)
	f.told(t, "what waits stays", waiting)
}

// raceAppSessions claims with many workers at once, and with codes that are redeemed while the
// browser logs out. Each app session is claimed by one worker, and none is left that nobody tells.
func raceAppSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	var grants []userstore.Grant
	var mu sync.Mutex
	for range 4 {
		s := f.session(t, u)
		var codes []userstore.Code
		for range 4 {
			c := f.listener(t)
			codes = append(codes, f.code(t, s, c), f.code(t, s, c), f.code(t, s, c))
		}
		var all sync.WaitGroup
		for mine := range slices.Chunk(codes, 3) {
			all.Go(func() {
				for _, code := range mine {
					r := f.redeem(code)
					err := f.RedeemCode(ctx, r)
					if err == nil {
						mu.Lock()
						grants = append(grants, r.Grant)
						mu.Unlock()
						continue
					}
					isAsync(t, err, userstore.ErrConflict)
				}
			})
		}
		for range 2 {
			all.Go(func() {
				if err := f.EndSession(ctx, s.ID, f.now); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	claimed := map[string]int{}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for {
				e, err := f.ClaimEndedAppSession(ctx, id(), f.now, f.now.Add(time.Minute), 1000)
				if errors.Is(err, userstore.ErrNotFound) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				claimed[e.SessionID]++
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	for _, g := range grants {
		if claimed[g.SessionID] != 1 {
			t.Errorf("the app of %s is told %d times", g.SessionID, claimed[g.SessionID])
		}
	}
	equal(t, "claimed", len(claimed), len(grants))
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

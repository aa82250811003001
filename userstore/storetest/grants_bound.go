package storetest

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// deleted checks that grants are deleted.
func (f *fixture) deleted(t *testing.T, gs ...userstore.Grant) {
	t.Helper()
	for _, g := range gs {
		_, err := f.GrantByID(t.Context(), g.ID)
		is(t, err, userstore.ErrNotFound)
		_, err = f.AdvanceGrant(t.Context(), f.advance(g))
		is(t, err, userstore.ErrConflict)
	}
}

// stored checks that grants are kept.
func (f *fixture) stored(t *testing.T, gs ...userstore.Grant) {
	t.Helper()
	for _, g := range gs {
		if _, err := f.GrantByID(t.Context(), g.ID); err != nil {
			t.Fatalf("the grant created at %s, generation %d: %v", g.CreatedAt, g.Generation, err)
		}
	}
}

// endedAndRecorded checks that the audit log has one entry for each of these sessions of a user,
// that it made room for another, and for no other session.
func (f *fixture) endedAndRecorded(t *testing.T, u userstore.User, gs ...userstore.Grant) {
	t.Helper()
	var got, want []string
	for before := (*audit.Event)(nil); ; {
		page, err := f.ListEvents(t.Context(), userstore.EventQuery{TargetID: u.ID, Name: audit.SessionRevoked,
			Before: before, Limit: 500})
		must(t, err)
		for _, e := range page {
			if e.Reason != audit.TooMany {
				continue
			}
			got = append(got, e.SessionID+" "+e.ClientID)
			equal(t, "the event", e, audit.Event{ID: e.SessionID, At: e.At, Name: audit.SessionRevoked,
				Outcome: audit.Success, Reason: audit.TooMany,
				Actor: audit.Actor{Type: audit.BySystem}, Target: audit.User(u.ID), ClientID: e.ClientID,
				SessionID: e.SessionID})
		}
		if len(page) < 500 {
			break
		}
		before = &page[len(page)-1]
	}
	for _, g := range gs {
		want = append(want, g.SessionID+" "+g.ClientID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the audit log has entries of %d ended sessions, want %d:\n%v\n%v", len(got), len(want), got, want)
	}
}

// boundedGrants fills one client of a user with grants of every kind, and checks which make room.
func boundedGrants(t *testing.T, f *fixture) {
	const most = userstore.MaxGrantsPerClient
	u, stranger := f.user(t), f.user(t)
	c, other := f.client(t, nil), f.client(t, nil)
	of := func(c userstore.Client, minutes int, change ...func(*userstore.Grant)) userstore.Grant {
		t.Helper()
		at := f.now.Add(time.Duration(minutes) * time.Minute)
		g := f.newGrant(u)
		g.ClientID, g.CreatedAt, g.RotatedAt = c.ID, at, at
		for _, edit := range change {
			edit(&g)
		}
		must(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash,
			IdleSince: f.now.Add(-24 * time.Hour)}))
		return g
	}
	refreshed := func(g userstore.Grant, minutes int) userstore.Grant {
		t.Helper()
		a := f.advance(g)
		a.Now, a.IdleSince = f.now.Add(time.Duration(minutes)*time.Minute), time.Time{}
		v, err := f.AdvanceGrant(t.Context(), a)
		must(t, err)
		return v.Grant
	}
	noRefresh := func(g *userstore.Grant) { g.Generation, g.ExpiresAt = 0, f.now.Add(24*time.Hour) }

	// Neither expired nor revoked ones, nor those of others, take a live one's place.
	elsewhere := of(other, -1000)
	theirs := f.grant(t, stranger, func(g *userstore.Grant) { g.ClientID, g.CreatedAt = c.ID, f.now.Add(-time.Hour) })
	expired := of(c, -2, func(g *userstore.Grant) { g.ExpiresAt = f.now.Add(-90 * time.Minute) })
	revoked := of(c, -1)
	must(t, f.RevokeGrant(t.Context(), revoked.ID, f.now))

	idle := refreshed(of(c, -48*60), -25*60) // idle since its last refresh
	early := refreshed(of(c, 0), 5)
	late := refreshed(of(c, 1), 4) // created after early, refreshed before it
	silent, lastSilent := of(c, 200, noRefresh), of(c, 201, noRefresh)
	unused, lastUnused := of(c, 100), of(c, 101)
	for n := range most - 7 {
		refreshed(of(c, 2), 10+n)
	}
	kept := []userstore.Grant{elsewhere, theirs, expired, revoked}
	f.stored(t, append(kept, idle, early, late, silent, lastSilent, unused, lastUnused)...)
	f.endedAndRecorded(t, u)

	refused := f.newGrant(u)
	refused.ClientID = c.ID
	is(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: refused, PasswordHash: "another"}),
		userstore.ErrConflict)
	f.stored(t, append(kept, idle, silent)...) // a refused login ends nothing

	for _, ends := range []userstore.Grant{idle, silent, lastSilent, unused, lastUnused} {
		f.stored(t, ends)
		refreshed(of(c, 300), 400) // each new one is refreshed at once, and so kept longer
		f.deleted(t, ends)
	}
	// Of grants that were all refreshed, the one refreshed longest ago ends.
	refreshed(of(c, 300), 400)
	f.deleted(t, late)
	f.stored(t, append(kept, early)...)
	f.endedAndRecorded(t, u, unused, lastUnused, late)

	// The new grant stays, although its clock is behind all others. If it is not refreshed, it is
	// the first to make room.
	behind := of(c, -60)
	f.deleted(t, early)
	f.stored(t, behind)
	next := of(c, -50)
	f.deleted(t, behind)
	f.stored(t, append(kept, next)...)
	f.endedAndRecorded(t, u, unused, lastUnused, late, early, behind)

	list, err := f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "live grants", len(list), most+1) // and the one of the other client
}

// boundedByClient: a thousand logins through one client end no session of another client, and none
// of the same client that is refreshed.
func boundedByClient(t *testing.T, f *fixture) {
	u, script, app := f.user(t), f.client(t, nil), f.client(t, nil)
	quiet := f.grant(t, u, func(g *userstore.Grant) { g.ClientID = app.ID }) // never refreshed, and at another client
	kept := f.live(t, f.grant(t, u, func(g *userstore.Grant) { g.ClientID = app.ID }))
	own := f.live(t, f.grant(t, u, func(g *userstore.Grant) { g.ClientID = script.ID }))
	var made []userstore.Grant
	for n := range 1000 {
		made = append(made, f.grant(t, u, func(g *userstore.Grant) {
			g.ClientID, g.CreatedAt = script.ID, f.now.Add(time.Duration(n)*time.Second)
			g.RotatedAt = g.CreatedAt
		}))
	}
	f.stored(t, quiet, kept, own)
	f.live(t, kept)
	f.live(t, own)
	list, err := f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "live grants", len(list), userstore.MaxGrantsPerClient+2)
	f.endedAndRecorded(t, u, made[:1000-(userstore.MaxGrantsPerClient-1)]...)
}

func boundedInAll(t *testing.T, f *fixture) {
	const clients = userstore.MaxGrantsPerUser/userstore.MaxGrantsPerClient + 1
	u := f.user(t)
	var registered []userstore.Client
	for range clients {
		registered = append(registered, f.client(t, nil))
	}
	at := func(c userstore.Client, hours int) userstore.Grant {
		return f.grant(t, u, func(g *userstore.Grant) {
			g.ClientID, g.CreatedAt = c.ID, f.now.Add(time.Duration(hours)*time.Hour)
			g.RotatedAt, g.ExpiresAt = g.CreatedAt, g.CreatedAt.Add(30*time.Minute)
		})
	}
	// A login sorts the user's live grants, which takes long in a thousand logins. So the grants before
	// have expired by the clock of each of these logins. They all live by the clock of the next two.
	var made []userstore.Grant
	for n := range userstore.MaxGrantsPerUser - 1 {
		made = append(made, at(registered[n%(clients-1)], n))
	}
	made = append(made, at(registered[(userstore.MaxGrantsPerUser-1)%(clients-1)], 0))
	f.stored(t, made...)
	made[0] = f.live(t, made[0])
	made[len(made)-1] = f.live(t, made[len(made)-1]) // by its own clock it is as old as the first
	last := at(registered[clients-1], 0)
	f.stored(t, last, made[0])
	f.deleted(t, made[1])
	f.stored(t, made[2:]...)
	f.endedAndRecorded(t, u, made[1])
}

// boundedRevoked: repeated login and logout leaves a bounded number of revoked rows, the youngest.
func boundedRevoked(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	minute := func(n int) func(*userstore.Grant) {
		return func(g *userstore.Grant) { g.CreatedAt = f.now.Add(time.Duration(n) * time.Minute) }
	}
	revokedOfOther := f.grant(t, other)
	must(t, f.RevokeGrant(t.Context(), revokedOfOther.ID, f.now))
	first := f.grant(t, u, minute(1000))
	must(t, f.RevokeGrant(t.Context(), first.ID, f.now))
	for n := range userstore.MaxRevokedPerUser {
		must(t, f.RevokeGrant(t.Context(), f.grant(t, u, minute(1001+n)).ID, f.now))
	}
	f.stored(t, first)
	last := f.grant(t, u, minute(2000))
	f.deleted(t, first)
	f.live(t, last)
	v, err := f.GrantByID(t.Context(), revokedOfOther.ID)
	must(t, err)
	equal(t, "another user's revoked at", v.Grant.RevokedAt, stored(f.now))
	f.endedAndRecorded(t, u)
}

// raceBounds: while all sessions are refreshed, the audit log records the sessions that end,
// whichever they are.
func raceBounds(t *testing.T, f *fixture) {
	u, c := f.user(t), f.client(t, nil)
	var made []userstore.Grant
	for n := range userstore.MaxGrantsPerClient {
		made = append(made, f.grant(t, u, func(g *userstore.Grant) {
			g.ClientID, g.CreatedAt = c.ID, f.now.Add(time.Duration(n)*time.Millisecond)
			g.RotatedAt = g.CreatedAt
		}))
	}
	var all sync.WaitGroup
	before := slices.Clone(made)
	all.Go(func() {
		for _, g := range before { // in the order in which they would make room
			_, _ = f.AdvanceGrant(t.Context(), f.advance(g))
		}
	})
	for n := range 10 {
		g := f.newGrant(u)
		g.ClientID, g.CreatedAt = c.ID, f.now.Add(time.Duration(n)*time.Second)
		g.RotatedAt = g.CreatedAt
		made = append(made, g)
		must(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash}))
	}
	all.Wait()
	left, err := f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "live grants", len(left), userstore.MaxGrantsPerClient)
	ended := slices.DeleteFunc(made, func(g userstore.Grant) bool {
		return slices.ContainsFunc(left, func(l userstore.Grant) bool { return l.ID == g.ID })
	})
	f.endedAndRecorded(t, u, ended...)
}

package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

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

package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func boundedSessions(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	at := func(n int) func(*userstore.StartSession) {
		return func(s *userstore.StartSession) {
			s.Session.CreatedAt = f.now.Add(time.Duration(n) * time.Minute)
			s.Session.LastUsedAt = s.Session.CreatedAt
		}
	}
	theirs := f.session(t, other, at(-10))
	// takes no other session's place
	f.session(t, u, at(-2), func(s *userstore.StartSession) { s.Session.ExpiresAt = f.now.Add(-time.Minute) })
	var all []userstore.BrowserSession
	for n := range userstore.MaxBrowserSessionsPerUser {
		all = append(all, f.session(t, u, at(n)))
	}
	g, offline := f.browserGrant(t, all[0], "openid"), f.browserGrant(t, all[0], "offline_access")
	is(t, f.StartSession(ctx, userstore.StartSession{Session: f.newSession(u), PasswordHash: "wrong"}),
		userstore.ErrConflict)
	f.sessionExists(t, all[0], true) // a refused login ends nothing
	must(t, f.TouchSession(ctx, all[1].Hash, all[1].CreatedAt.Add(time.Second)))
	next := f.session(t, u, at(100))
	f.sessionExists(t, all[0], false)
	f.sessionExists(t, all[1], true)
	f.live(t, g) // the app's user has not logged out
	f.live(t, offline)
	behind := f.session(t, u, at(-1)) // by a clock that is behind all others
	f.sessionExists(t, behind, true)
	f.sessionExists(t, all[1], true) // was used since its login
	f.sessionExists(t, all[2], false)
	f.sessionExists(t, all[3], true)
	events, err := f.ListEvents(ctx, userstore.EventQuery{Name: audit.SessionRevoked, TargetID: u.ID, Limit: 10})
	must(t, err)
	var ended []string
	for _, e := range events {
		ended = append(ended, e.SessionID)
		equal(t, "the reason", e.Reason, audit.TooMany)
	}
	slices.Sort(ended)
	want := []string{all[0].ID, all[2].ID}
	slices.Sort(want)
	equal(t, "entries", fmt.Sprint(ended), fmt.Sprint(want))
	f.sessionExists(t, next, true)
	f.sessionExists(t, theirs, true)
	list, err := f.ListBrowserSessions(ctx, u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "sessions", len(list), userstore.MaxBrowserSessionsPerUser)
	equal(t, "the newest first", list[0].ID, next.ID)
}

// idleSessionsTakeNoPlace: people close their browser without logging out. Such a session was used,
// is not live any more, and is kept until its absolute limit.
func idleSessionsTakeNoPlace(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	idleSince := f.now.Add(-24 * time.Hour)
	at := func(created time.Time, used bool) func(*userstore.StartSession) {
		return func(s *userstore.StartSession) {
			s.Session.CreatedAt, s.Session.LastUsedAt, s.IdleSince = created, created, idleSince
			if used {
				s.Session.LastUsedAt = created.Add(time.Hour)
			}
		}
	}
	theirs := f.session(t, other, at(idleSince.Add(-2*time.Hour), true))
	var idle []userstore.BrowserSession
	for n := range userstore.MaxBrowserSessionsPerUser - 2 {
		idle = append(idle, f.session(t, u, at(idleSince.Add(-time.Duration(n+2)*time.Hour), true)))
	}
	g := f.browserGrant(t, idle[0], "openid")
	live := f.session(t, u, at(f.now.Add(-time.Hour), false)) // not used again yet
	f.session(t, u, at(f.now.Add(-time.Minute), true))
	f.sessionExists(t, idle[0], true) // there is room
	is(t, f.StartSession(t.Context(), userstore.StartSession{Session: f.newSession(u), PasswordHash: "wrong",
		IdleSince: idleSince}), userstore.ErrConflict)
	f.sessionExists(t, idle[0], true) // a refused login ends nothing
	next := f.session(t, u, at(f.now, false))
	f.sessionExists(t, live, true)
	f.sessionExists(t, next, true)
	f.sessionExists(t, idle[0], false)
	f.sessionExists(t, theirs, true)
	f.live(t, g)
	events, err := f.ListEvents(t.Context(), userstore.EventQuery{Name: audit.SessionRevoked,
		TargetID: u.ID, Limit: 10})
	must(t, err)
	equal(t, "entries about sessions that had ended by themselves", len(events), 0)
}

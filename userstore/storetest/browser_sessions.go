package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func userForLogin(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.newUser()
	u.Username, u.UsernameKey = "Bea", "bea-"+u.ID
	must(t, f.CreateUser(ctx, u))
	want, err := f.UserByID(ctx, u.ID)
	must(t, err)
	for _, l := range []userstore.Login{{EmailKey: u.EmailKey}, {UsernameKey: u.UsernameKey}} {
		got, known, err := f.UserForLogin(ctx, l)
		must(t, err)
		equal(t, "known", known, true)
		equal(t, "user, with the password's hash", got, want)
	}
	for _, l := range []userstore.Login{{}, {EmailKey: "nobody@x.test"}, {UsernameKey: "BEA"}, {EmailKey: "a\x00"},
		{UsernameKey: "\xff"}} {
		got, known, err := f.UserForLogin(ctx, l)
		must(t, err)
		equal(t, "known", known, false)
		equal(t, "user", got, userstore.User{})
	}
	must(t, f.SetActive(ctx, u.ID, false, f.now))
	got, known, err := f.UserForLogin(ctx, userstore.Login{EmailKey: u.EmailKey})
	must(t, err)
	if !known || got.IsActive {
		t.Errorf("a disabled one is returned as it is: %v %+v", known, got)
	}
}

func sessionRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	s := f.newSession(u)
	s.AuthTime, s.LastUsedAt, s.AMR, s.ACR, s.UserAgent, s.Address = f.now.Add(-time.Second), f.now.Add(time.Second),
		[]string{"pwd", "otp"}, `a"c'r`, "M\x00ozilla\xff", string(make([]byte, 1<<20))
	must(t, f.StartSession(ctx, userstore.StartSession{Session: s, PasswordHash: u.PasswordHash, Rehash: "better"}))
	want := s
	want.UserAgent, want.Address = "Mozilla", ""
	want.AuthTime, want.CreatedAt, want.LastUsedAt, want.ExpiresAt = stored(s.AuthTime), stored(s.CreatedAt),
		stored(s.LastUsedAt), stored(s.ExpiresAt)
	live := want
	live.PasswordMark = userstore.User{ID: u.ID, PasswordHash: "better"}.PasswordMark()
	got, user, err := f.BrowserSession(ctx, s.Hash, f.now, time.Time{})
	must(t, err)
	equal(t, "session", got, live)
	full, err := f.UserByID(ctx, u.ID)
	must(t, err)
	equal(t, "hash", full.PasswordHash, "better")
	equal(t, "last login", full.LastLoginAt, stored(f.now))
	full.PasswordHash = ""
	equal(t, "user", user, full)
	list, err := f.ListBrowserSessions(ctx, u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "list", list, []userstore.BrowserSession{want})

	must(t, f.TouchSession(ctx, s.Hash, f.now.Add(time.Hour)))
	must(t, f.TouchSession(ctx, s.Hash, f.now)) // by a replica whose clock is behind
	got, _, err = f.BrowserSession(ctx, s.Hash, f.now, time.Time{})
	must(t, err)
	want.LastUsedAt = stored(f.now.Add(time.Hour))
	live.LastUsedAt = want.LastUsedAt
	equal(t, "after a use", got, live)
	must(t, f.TouchSession(ctx, sessionHash(), f.now))

	for name, read := range map[string]struct{ now, idleSince time.Time }{
		"at its limit":        {now: s.ExpiresAt},
		"after its limit":     {now: s.ExpiresAt.Add(time.Hour)},
		"idle to the instant": {now: f.now, idleSince: want.LastUsedAt},
		"idle":                {now: f.now, idleSince: want.LastUsedAt.Add(time.Second)},
	} {
		if _, _, err := f.BrowserSession(ctx, s.Hash, read.now, read.idleSince); err == nil {
			t.Errorf("%s: it is live", name)
		} else {
			is(t, err, userstore.ErrNotFound)
		}
		list, err := f.ListBrowserSessions(ctx, u.ID, read.now, read.idleSince)
		must(t, err)
		equal(t, name, len(list), 0)
	}
	_, _, err = f.BrowserSession(ctx, s.Hash, stored(s.ExpiresAt).Add(-time.Microsecond),
		want.LastUsedAt.Add(-time.Microsecond))
	must(t, err)
	altered := s.Hash
	altered[31] ^= 1
	for _, h := range []userstore.SessionHash{{}, altered} {
		_, _, err = f.BrowserSession(ctx, h, f.now, time.Time{})
		is(t, err, userstore.ErrNotFound)
	}
	must(t, f.SetActive(ctx, u.ID, false, f.now))
	f.sessionExists(t, s, false)
}

func startSession(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, off := f.user(t), f.user(t)
	must(t, f.SetActive(ctx, off.ID, false, f.now))
	current := f.session(t, u)
	for name, change := range map[string]func(*userstore.StartSession){
		"another hash": func(s *userstore.StartSession) { s.PasswordHash = "other" },
		"no hash":      func(s *userstore.StartSession) { s.PasswordHash = "" },
		"unknown user": func(s *userstore.StartSession) { s.Session.UserID = id() },
		"disabled user": func(s *userstore.StartSession) {
			s.Session.UserID, s.PasswordHash = off.ID, off.PasswordHash
		},
		"a hash to better": func(s *userstore.StartSession) { s.PasswordHash, s.Rehash = "other", "better" },
		"an id in use": func(s *userstore.StartSession) {
			s.Session.ID, s.Replaces = current.ID, userstore.SessionHash{}
		},
	} {
		r := f.reserve()
		must(t, f.ReserveAttempt(ctx, r))
		s := userstore.StartSession{Session: f.newSession(u), Replaces: current.Hash, PasswordHash: u.PasswordHash,
			Attempt: r.Attempt, Remember: f.now.Add(time.Hour), Device: budget()}
		s.Session.CreatedAt = f.now.Add(time.Hour)
		change(&s)
		if err := f.StartSession(ctx, s); err == nil {
			t.Fatalf("%s: started", name)
		} else {
			is(t, err, userstore.ErrConflict)
		}
		f.sessionExists(t, s.Session, false)
		f.sessionExists(t, current, true) // the session to replace stays
		tallies := f.tallies(t, r)
		equal(t, name+": the attempt", tallies.Account.Pending, 1)
		equal(t, name+": remembered", tallies.Remembered, false)
		byDevice := r
		byDevice.Own = s.Device
		equal(t, name+": device remembered", f.tallies(t, byDevice).Remembered, false)
	}
	got, err := f.UserByID(ctx, u.ID)
	must(t, err)
	equal(t, "hash", got.PasswordHash, u.PasswordHash)
	equal(t, "last login", got.LastLoginAt, stored(f.now))
	is(t, f.StartSession(ctx, userstore.StartSession{Session: userstore.BrowserSession{UserID: u.ID},
		PasswordHash: u.PasswordHash}), userstore.ErrInvalid)

	// A login returns its attempt, and network and browser are remembered.
	r := f.reserve()
	must(t, f.ReserveAttempt(ctx, r))
	device := budget()
	f.session(t, u, func(s *userstore.StartSession) {
		s.Attempt, s.Remember, s.Device = r.Attempt, f.now.Add(90*24*time.Hour), device
	})
	equal(t, "tallies", f.tallies(t, r), userstore.Tallies{Remembered: true})
	r.Own = device
	equal(t, "by the browser", f.tallies(t, r), userstore.Tallies{Remembered: true})
	r = f.reserve()
	must(t, f.ReserveAttempt(ctx, r))
	f.session(t, u, func(s *userstore.StartSession) { s.Attempt, s.Remember = r.Attempt, f.now.Add(time.Hour) })
	equal(t, "without a browser's cookie", f.tallies(t, r), userstore.Tallies{Remembered: true})
}

// browserGrant starts a grant from a browser session.
func (f *fixture) browserGrant(t *testing.T, s userstore.BrowserSession, scopes ...string) userstore.Grant {
	t.Helper()
	c, err := f.ClientByID(t.Context(), userstore.FirstPartyClientID)
	must(t, err)
	return f.redeemed(t, f.code(t, s, c, func(c *userstore.Code) { c.Scopes = scopes }))
}

func replaceSession(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	first := f.session(t, u)
	g, offline := f.browserGrant(t, first, "openid"), f.browserGrant(t, first, "openid", "offline_access")
	c, err := f.ClientByID(ctx, userstore.FirstPartyClientID)
	must(t, err)
	code := f.code(t, first, c)

	// The same user enters the password again: session, grants and codes go on.
	second := f.session(t, u, func(s *userstore.StartSession) { s.Replaces, s.Session.ID = first.Hash, first.ID })
	f.sessionExists(t, first, false)
	f.sessionExists(t, second, true)
	g, offline = f.live(t, g), f.live(t, offline)
	f.live(t, f.redeemed(t, code))
	code = f.code(t, second, c)

	// Another user in the same browser: the first user's session ends, and the new one lives.
	elsewhere := f.session(t, u)
	kept := f.browserGrant(t, elsewhere, "openid")
	theirs := f.session(t, other, func(s *userstore.StartSession) { s.Replaces = second.Hash })
	f.sessionExists(t, second, false)
	f.sessionExists(t, theirs, true)
	f.sessionExists(t, elsewhere, true)
	f.dead(t, g)
	f.live(t, offline)
	f.void(t, code)
	f.live(t, kept)

	// The same user with another session id: as logout and login.
	g = f.browserGrant(t, elsewhere, "openid")
	third := f.session(t, u, func(s *userstore.StartSession) { s.Replaces = elsewhere.Hash })
	f.sessionExists(t, elsewhere, false)
	f.sessionExists(t, third, true)
	f.dead(t, g)
	f.session(t, u, func(s *userstore.StartSession) { s.Replaces = sessionHash() }) // a session that has ended already
	f.sessionExists(t, third, true)
}

func endSession(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	for name, end := range map[string]func(s userstore.BrowserSession) error{
		"ended":   func(s userstore.BrowserSession) error { return f.EndSession(ctx, s.ID, f.now) },
		"revoked": func(s userstore.BrowserSession) error { return f.RevokeBrowserSession(ctx, u.ID, s.ID, f.now) },
	} {
		s, elsewhere, theirs := f.session(t, u), f.session(t, u), f.session(t, other)
		var ends, stays []userstore.Grant
		for _, scopes := range [][]string{{"openid"}, nil, {"openid", "offline"}, {"xoffline_access"},
			{"offline_accessx"}, {"OFFLINE_ACCESS"}, {"offline access"},
			{`offline_access"`}, {`"offline_access`}, {`x"offline_access`}, {`x,"offline_access`}, {`["offline_access`},
			{"x,offline_access"}, {`\"offline_access`}} {
			ends = append(ends, f.browserGrant(t, s, scopes...))
		}
		for _, scopes := range [][]string{{"offline_access"}, {"openid", "offline_access"},
			{"offline_access", "openid"}, {`a"`, "offline_access", `\`}, {"[", "offline_access"}} {
			stays = append(stays, f.browserGrant(t, s, scopes...))
		}
		stays = append(stays, f.browserGrant(t, elsewhere, "openid"), f.browserGrant(t, theirs, "openid"),
			f.grant(t, u))
		revoked := f.browserGrant(t, s, "openid")
		must(t, f.RevokeGrant(ctx, revoked.ID, f.now.Add(-time.Hour)))

		must(t, end(s))
		f.sessionExists(t, s, false)
		f.sessionExists(t, elsewhere, true)
		f.sessionExists(t, theirs, true)
		for _, g := range ends {
			f.dead(t, g)
		}
		for _, g := range stays {
			f.live(t, g)
		}
		v, err := f.GrantByID(ctx, revoked.ID)
		must(t, err)
		equal(t, name+": revoked at, the first time", v.Grant.RevokedAt, stored(f.now.Add(-time.Hour)))
		v, err = f.GrantByID(ctx, ends[0].ID)
		must(t, err)
		equal(t, name+": revoked at", v.Grant.RevokedAt, stored(f.now))
	}
	s, theirs := f.session(t, u), f.session(t, other)
	g := f.browserGrant(t, theirs, "openid")
	for _, unknown := range []string{"", id(), theirs.ID, "a\x00", "%", "\xff"} {
		is(t, f.RevokeBrowserSession(ctx, u.ID, unknown, f.now), userstore.ErrNotFound)
	}
	for _, unknown := range []string{"", id(), "a\x00", "%", "\xff"} {
		must(t, f.EndSession(ctx, unknown, f.now))
		is(t, f.RevokeBrowserSession(ctx, unknown, s.ID, f.now), userstore.ErrNotFound)
		list, err := f.ListBrowserSessions(ctx, unknown, f.now, time.Time{})
		must(t, err)
		equal(t, "sessions of nobody", len(list), 0)
	}
	f.sessionExists(t, s, true)
	f.sessionExists(t, theirs, true)
	f.live(t, g)
	must(t, f.EndSession(ctx, s.ID, f.now))
	must(t, f.EndSession(ctx, s.ID, f.now)) // the second time is no error
	is(t, f.RevokeBrowserSession(ctx, u.ID, s.ID, f.now), userstore.ErrNotFound)
}

// endAll: every operation that ends a user's grants ends the browser sessions, except the current
// one.
func endAll(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, op := range []struct {
		name  string
		keeps bool
		end   func(u userstore.User, keep string) error
	}{
		{"password", true, func(u userstore.User, keep string) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash, NewHash: "new",
				KeepSession: keep, At: f.now})
		}},
		{"everywhere", true, func(u userstore.User, keep string) error {
			_, err := f.RevokeUserGrants(ctx, u.ID, keep, f.now)
			return err
		}},
		{"disabled", false, func(u userstore.User, _ string) error {
			must(t, f.SetActive(ctx, u.ID, false, f.now))
			return f.SetActive(ctx, u.ID, true, f.now)
		}},
		{"deleted", false, func(u userstore.User, _ string) error { return f.DeleteUser(ctx, u.ID) }},
	} {
		for _, keep := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, keep %v", op.name, keep), func(t *testing.T) {
				u, other := f.user(t), f.user(t)
				s, elsewhere, theirs := f.session(t, u), f.session(t, u), f.session(t, other)
				g, second, direct := f.browserGrant(t, s, "openid"), f.browserGrant(t, s, "openid", "offline_access"),
					f.grant(t, u)
				kept := ""
				if keep {
					kept = g.SessionID
				}
				must(t, op.end(u, kept))
				f.sessionExists(t, s, keep && op.keeps)
				f.sessionExists(t, elsewhere, false)
				f.sessionExists(t, theirs, true)
				if keep && op.keeps {
					f.live(t, g)
				} else {
					f.dead(t, g)
				}
				f.dead(t, second)
				f.dead(t, direct)
			})
		}
	}
	// A grant from no browser, or from another user's, keeps no session; and a refusal ends none.
	u, other := f.user(t), f.user(t)
	s, theirs := f.session(t, u), f.session(t, other)
	is(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: "wrong", NewHash: "new", At: f.now}),
		userstore.ErrConflict)
	f.sessionExists(t, s, true)
	_, err := f.RevokeUserGrants(ctx, u.ID, f.browserGrant(t, theirs, "openid").SessionID, f.now)
	must(t, err)
	f.sessionExists(t, s, false)
	s = f.session(t, u)
	direct := f.grant(t, u)
	must(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash, NewHash: "new",
		KeepSession: direct.SessionID, At: f.now}))
	f.sessionExists(t, s, false)
	f.live(t, direct)
	f.sessionExists(t, theirs, true)
}

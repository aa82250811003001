package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// trust logs u in with a second factor, in a browser that is trusted from now on.
func (f *fixture) trust(t *testing.T, u userstore.User, change ...func(*newLogin)) userstore.TrustedBrowser {
	t.Helper()
	want := userstore.TrustedBrowser{Hash: sessionHash(), ID: id(), UserID: u.ID,
		EndsAt: f.now.Add(30 * 24 * time.Hour)}
	f.session(t, u, func(s *newLogin) {
		s.Second = secondStep{FactorVersion: u.FactorVersion, Proved: true,
			Trust: &newTrust{Hash: want.Hash, ID: want.ID, EndsAt: want.EndsAt}}
		for _, c := range change {
			c(s)
		}
		want.CreatedAt, want.LastUsedAt = stored(s.Session.CreatedAt), stored(s.Session.CreatedAt)
		want.UserAgent, want.Address, want.EndsAt = s.Session.UserAgent, s.Session.Address,
			stored(s.Second.Trust.EndsAt)
	})
	return want
}

// skip logs u in at the pages by a trusted browser, a minute later.
func (f *fixture) skip(t *testing.T, u userstore.User, b userstore.TrustedBrowser) error {
	t.Helper()
	s := f.newSession(u)
	s.CreatedAt = f.now.Add(time.Minute)
	return f.StartSession(t.Context(), newLogin{Session: s, PasswordHash: u.PasswordHash, Second: secondStep{
		FactorVersion: u.FactorVersion, Proved: true, Use: factorUse{Trusted: b.Hash, At: s.CreatedAt}}})
}

// trusted checks whether a browser is trusted, by each read and by a login.
func (f *fixture) trusted(t *testing.T, what string, u userstore.User, b userstore.TrustedBrowser, want bool) {
	t.Helper()
	got, err := f.TrustedBrowser(t.Context(), b.Hash, f.now)
	list, listErr := f.ListTrustedBrowsers(t.Context(), u.ID, f.now)
	must(t, listErr)
	listed := false
	for _, l := range list {
		listed = listed || l == got
	}
	f.read(t, &u)
	use := f.UseFactor(t.Context(), u.ID, u.FactorVersion, factorUse{Trusted: b.Hash, At: f.now})
	if want {
		must(t, errors.Join(err, use))
		equal(t, what+": listed", listed, true)
		return
	}
	equal(t, what+": listed", listed, false)
	is(t, err, userstore.ErrNotFound)
	if use == nil || !errors.Is(use, userstore.ErrSpent) && !errors.Is(use, userstore.ErrConflict) {
		t.Errorf("%s: a login may skip the second factor: %v", what, use)
	}
}

func trustRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	f.app(t, &u)
	f.app(t, &other)
	first := f.trust(t, u, func(s *newLogin) {
		s.Session.UserAgent, s.Session.Address = "Firefox", "2001:db8::9"
		s.Second.Trust.EndsAt = f.now.Add(time.Hour)
	})
	second := f.trust(t, u, func(s *newLogin) { s.Session.CreatedAt = f.now.Add(time.Second) })
	theirs := f.trust(t, other)
	for _, b := range []userstore.TrustedBrowser{first, second, theirs} {
		got, err := f.TrustedBrowser(ctx, b.Hash, f.now)
		must(t, err)
		equal(t, "the browser", got, b)
	}
	list := func(at time.Time, want ...userstore.TrustedBrowser) {
		t.Helper()
		got, err := f.ListTrustedBrowsers(ctx, u.ID, at)
		must(t, err)
		equal(t, "the list, newest first", got, want)
	}
	list(f.now, second, first)

	// A login that skips the second factor is a use.
	must(t, f.skip(t, u, first))
	first.LastUsedAt = stored(f.now.Add(time.Minute))
	list(f.now, second, first)
	f.unchanged(t, "another user's browser", u, userstore.ErrSpent, func() error { return f.skip(t, u, theirs) })
	altered := first
	altered.Hash[31] ^= 1
	for _, wrong := range []userstore.TrustedBrowser{altered, {Hash: userstore.SessionHash{1}}} {
		f.unchanged(t, "an unknown browser", u, userstore.ErrSpent, func() error { return f.skip(t, u, wrong) })
		_, err := f.TrustedBrowser(ctx, wrong.Hash, f.now)
		is(t, err, userstore.ErrNotFound)
	}
	_, err := f.TrustedBrowser(ctx, userstore.SessionHash{}, f.now)
	is(t, err, userstore.ErrNotFound)

	// It ends to the instant.
	now := f.now
	defer func() { f.now = now }()
	f.now = first.EndsAt.Add(-time.Microsecond)
	f.trusted(t, "before its end", u, first, true)
	first.LastUsedAt = f.now
	f.now = first.EndsAt
	f.trusted(t, "at its end", u, first, false)
	list(f.now, second)

	// A browser that has a hash or an id of another is not trusted, and is not let in.
	f.now = now
	for _, taken := range []newTrust{{Hash: second.Hash, ID: id()}, {Hash: sessionHash(), ID: second.ID}} {
		taken.EndsAt = f.now.Add(time.Hour)
		f.unchanged(t, "a name that is taken", u, userstore.ErrConflict, func() error {
			return f.StartSession(ctx, newLogin{Session: f.newSession(u), PasswordHash: u.PasswordHash,
				Second: secondStep{FactorVersion: u.FactorVersion, Proved: true, Trust: &taken}})
		})
	}
}

// endedTrust: whatever changes who may get into the account ends the trust in its browsers.
func endedTrust(t *testing.T, f *fixture) {
	ctx := t.Context()
	for name, test := range map[string]struct {
		act   func(u *userstore.User) error
		stays bool
	}{
		"nothing":      {func(*userstore.User) error { return nil }, true},
		"another name": {func(u *userstore.User) error { u.Claims.Name = "New"; return f.UpdateUser(ctx, *u) }, true},
		"a login":      {func(u *userstore.User) error { return f.skip(t, *u, f.trust(t, *u)) }, true},
		"a use of what is used once": {func(u *userstore.User) error {
			return f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Handles: []usedOnce{{ID: id(), EndsAt: f.now}}})
		}, true},
		"a setup that waits": {func(u *userstore.User) error { return f.BeginApp(ctx, f.newApp(*u), u.FactorVersion) },
			true},
		"a new password": {func(u *userstore.User) error {
			return f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, NewHash: id(), At: f.now,
				KeepSession: userstore.KeepAll})
		}, false},
		"a reset": {func(u *userstore.User) error {
			token := f.issue(t, *u)
			r := userstore.Redemption{ID: token.ID, Kind: token.Kind, NewHash: id(), At: f.now}
			return f.RedeemToken(ctx, f.proving(*u, r,
				factorUse{App: f.factors(t, *u).App.ID, Counter: appCounter + 9}))
		}, false},
		"an app":             {func(u *userstore.User) error { f.app(t, u); return nil }, false},
		"a passkey":          {func(u *userstore.User) error { f.passkey(t, u); return nil }, false},
		"new recovery codes": {func(u *userstore.User) error { f.recoveryCodes(t, u, 3); return nil }, false},
		"no factor": {func(u *userstore.User) error {
			f.changeFactors(t, u, func(c *factorChange) { c.RemoveAll = true })
			return nil
		}, false},
		"signing out everywhere": {func(u *userstore.User) error {
			_, err := f.RevokeUserGrants(ctx, u.ID, "", f.now)
			return err
		}, false},
		"disabling": {func(u *userstore.User) error { return f.SetActive(ctx, u.ID, false, f.now) }, false},
		"disabling, and enabling": {func(u *userstore.User) error {
			return errors.Join(f.SetActive(ctx, u.ID, false, f.now), f.SetActive(ctx, u.ID, true, f.now))
		}, false},
		"another address by an admin": {func(u *userstore.User) error {
			u.Email, u.EmailKey = "x"+u.Email, "x"+u.EmailKey
			return f.UpdateUser(ctx, *u)
		}, false},
		"a change of address": {func(u *userstore.User) error {
			*u, _ = f.changed(t, *u, "t"+id())
			return nil
		}, false},
		"its undoing": {func(u *userstore.User) error {
			f.now = f.now.Add(time.Second) // the factor is from before the change
			var undo string
			*u, undo = f.changed(t, *u, "t"+id())
			use := factorUse{App: f.factors(t, *u).App.ID, Counter: appCounter + 9}
			return f.UndoAddressChange(ctx, f.proving(*u, f.newUndoing(undo), use))
		}, false},
		"deleting": {func(u *userstore.User) error {
			return errors.Join(f.DeleteUser(ctx, u.ID), f.CreateUser(ctx, *u))
		}, false},
	} {
		u, bystander := f.user(t), f.user(t)
		f.app(t, &u)
		f.app(t, &bystander)
		b, theirs := f.trust(t, u), f.trust(t, bystander)
		f.read(t, &u) // with its last login
		must(t, test.act(&u))
		f.trusted(t, name, u, b, test.stays)
		f.trusted(t, name+": a bystander's", bystander, theirs, true)
	}
}

func endTrust(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	f.app(t, &u)
	f.app(t, &other)
	a, b, c, theirs := f.trust(t, u), f.trust(t, u), f.trust(t, u), f.trust(t, other)
	must(t, f.EndTrust(ctx, u.ID, a.ID, f.event(u.ID)))
	f.trusted(t, "ended", u, a, false)
	f.trusted(t, "another", u, b, true)
	for _, unknown := range []string{a.ID, theirs.ID, id(), u.ID} {
		f.unchanged(t, "an unknown one", u, userstore.ErrNotFound, func() error {
			return f.EndTrust(ctx, u.ID, unknown, f.event(u.ID))
		})
	}
	is(t, f.EndTrust(ctx, id(), b.ID), userstore.ErrNotFound)
	is(t, f.EndTrust(ctx, id(), ""), userstore.ErrNotFound)
	f.trusted(t, "another user's", other, theirs, true)
	for range 2 { // the second time there is none
		must(t, f.EndTrust(ctx, u.ID, "", f.event(u.ID)))
		f.trusted(t, "all", u, b, false)
		f.trusted(t, "all", u, c, false)
	}
	f.trusted(t, "another user's", other, theirs, true)
	equal(t, "entries", f.storedEntries(t, u.ID), 3)
}

// boundedTrust: of a user's browsers the newest MaxTrustedBrowsers are trusted.
func boundedTrust(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	f.app(t, &u)
	f.app(t, &other)
	theirs := f.trust(t, other)
	at := func(n int) func(*newLogin) {
		return func(s *newLogin) { s.Session.CreatedAt = f.now.Add(time.Duration(n) * time.Second) }
	}
	var all []userstore.TrustedBrowser
	for n := range userstore.MaxTrustedBrowsers {
		all = append(all, f.trust(t, u, at(n)))
	}
	f.trusted(t, "within the bound", u, all[0], true)
	next := f.trust(t, u, at(100))
	f.trusted(t, "the oldest", u, all[0], false)
	f.trusted(t, "the second", u, all[1], true)
	f.trusted(t, "the newest", u, next, true)
	f.trusted(t, "of another user", other, theirs, true)
	list, err := f.ListTrustedBrowsers(t.Context(), u.ID, f.now)
	must(t, err)
	equal(t, "browsers", len(list), userstore.MaxTrustedBrowsers)

	// A refused login trusts none, and takes no place.
	f.unchanged(t, "a refused login", u, userstore.ErrConflict, func() error {
		return f.StartSession(t.Context(), newLogin{Session: f.newSession(u), PasswordHash: "other", Second: secondStep{
			FactorVersion: u.FactorVersion, Proved: true,
			Trust: &newTrust{Hash: sessionHash(), ID: id(), EndsAt: f.now.Add(time.Hour)}}})
	})
}

package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

type (
	factorChange = userstore.FactorChange
	factorUse    = userstore.FactorUse
	renamed      = userstore.PasskeyRename
	secondStep   = userstore.SecondStep
	newLogin     = userstore.StartSession
	newTrust     = userstore.NewTrust
	usedOnce     = userstore.Handle
)

// random returns n random bytes that do not begin with zeros only.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	b[0] |= 1
	return b
}

func (f *fixture) newApp(u userstore.User) userstore.AuthenticatorApp {
	return userstore.AuthenticatorApp{ID: id(), UserID: u.ID, Sealed: append([]byte{0, 0xff}, random(40)...), Algorithm: "SHA256",
		Digits: 8, Period: 60, LastCounter: 7, CreatedAt: f.now}
}

func (f *fixture) newPasskey(u userstore.User) userstore.Passkey {
	return userstore.Passkey{ID: id(), UserID: u.ID, CredentialID: append([]byte{0}, random(31)...), PublicKey: random(77),
		AAGUID: random(16), Transports: []string{"internal", "hybrid"}, SignCount: 5, BackupEligible: true, Name: "Phone",
		CreatedAt: f.now}
}

// newFactorChange starts a change of what u has, which ends no session.
func newFactorChange(f *fixture, u userstore.User) factorChange {
	return factorChange{UserID: u.ID, Version: u.FactorVersion, PasswordHash: u.PasswordHash, At: f.now,
		KeepSession: userstore.KeepAll}
}

// changeFactors changes what u has, and reads u again.
func (f *fixture) changeFactors(t *testing.T, u *userstore.User, change func(*factorChange)) {
	t.Helper()
	c := newFactorChange(f, *u)
	change(&c)
	must(t, f.ChangeFactors(t.Context(), c))
	f.read(t, u)
}

func (f *fixture) read(t *testing.T, u *userstore.User) {
	t.Helper()
	var err error
	*u, err = f.UserByID(t.Context(), u.ID)
	must(t, err)
}

// appCounter is the time step of the code that confirmed the apps of app.
const appCounter = 100

// app gives u an authenticator app.
func (f *fixture) app(t *testing.T, u *userstore.User) userstore.AuthenticatorApp {
	t.Helper()
	a := f.newApp(*u)
	must(t, f.BeginApp(t.Context(), a, u.FactorVersion))
	f.changeFactors(t, u, func(c *factorChange) { c.ConfirmApp, c.Counter = a.ID, appCounter })
	return a
}

// passkey gives u a passkey.
func (f *fixture) passkey(t *testing.T, u *userstore.User) userstore.Passkey {
	t.Helper()
	p := f.newPasskey(*u)
	f.changeFactors(t, u, func(c *factorChange) { c.AddPasskey, c.PasskeyHandle = &p, "handle-"+u.ID })
	return p
}

// recoveryCodes gives u n recovery codes, and returns their MACs.
func (f *fixture) recoveryCodes(t *testing.T, u *userstore.User, n int) [][]byte {
	t.Helper()
	macs := make([][]byte, n)
	for i := range macs {
		macs[i] = random(32)
	}
	f.changeFactors(t, u, func(c *factorChange) { c.RecoveryCodes = macs })
	return macs
}

func (f *fixture) factors(t *testing.T, u userstore.User) userstore.SecondFactors {
	t.Helper()
	s, err := f.SecondFactors(t.Context(), u.ID)
	must(t, err)
	return s
}

// factorRows is what operations on second factors change of a user.
type factorRows struct {
	user     userstore.User
	factors  userstore.SecondFactors
	trusted  []userstore.TrustedBrowser
	grants   []userstore.Grant
	sessions []userstore.BrowserSession
}

func (f *fixture) factorRows(t *testing.T, u userstore.User) (r factorRows) {
	t.Helper()
	var errs [4]error
	r.factors = f.factors(t, u)
	r.user, errs[0] = f.UserByID(t.Context(), u.ID)
	r.trusted, errs[1] = f.ListTrustedBrowsers(t.Context(), u.ID, f.now)
	r.sessions, errs[2] = f.ListBrowserSessions(t.Context(), u.ID, f.now, time.Time{})
	r.grants, errs[3] = f.ListGrants(t.Context(), u.ID, f.now, time.Time{})
	must(t, errors.Join(errs[:]...))
	return r
}

// unchanged runs an operation on u that has to be refused with want, and checks that it changed
// nothing.
func (f *fixture) unchanged(t *testing.T, what string, u userstore.User, want error, op func() error) {
	t.Helper()
	before := f.factorRows(t, u)
	err := op()
	if !errors.Is(err, want) {
		t.Fatalf("%s: error %v, want %v", what, err, want)
	}
	is(t, err, want)
	equal(t, what, f.factorRows(t, u), before)
}

func storedApp(a userstore.AuthenticatorApp, created time.Time) userstore.AuthenticatorApp {
	a.CreatedAt = stored(created)
	return a
}

func storedPasskey(p userstore.Passkey) userstore.Passkey {
	p.CreatedAt = stored(p.CreatedAt)
	return p
}

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

func passkeyRoundTrip(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	theirs := f.passkey(t, &other)

	first := f.newPasskey(u)
	first.SignCount, first.BackedUp, first.BackupEligible, first.Transports, first.AAGUID = 1<<32-1, false, false, nil, nil
	second := f.newPasskey(u)
	second.SignCount, second.BackedUp, second.CreatedAt = 0, true, f.now.Add(-time.Hour)
	second.CredentialID = append(slices.Clone(first.CredentialID), 0) // differs in its length only
	f.changeFactors(t, &u, func(c *factorChange) { c.AddPasskey, c.PasskeyHandle = &first, "handle'\\" })
	f.changeFactors(t, &u, func(c *factorChange) { c.AddPasskey, c.PasskeyHandle = &second, "another" })
	got := f.factors(t, u)
	if len(got.Passkeys) == 2 && len(got.Passkeys[1].AAGUID) == 0 {
		got.Passkeys[1].AAGUID = nil
	}
	equal(t, "passkeys, oldest first", got, userstore.SecondFactors{Version: 2, PasskeyHandle: "handle'\\",
		Passkeys: []userstore.Passkey{storedPasskey(second), storedPasskey(first)}})
	equal(t, "the user has a second factor", u.SecondFactor, true)
	equal(t, "of another user", f.factors(t, other).Passkeys, []userstore.Passkey{storedPasskey(theirs)})

	p, owner, handle, err := f.PasskeyOwner(ctx, second.CredentialID)
	must(t, err)
	equal(t, "the passkey", p, storedPasskey(second))
	equal(t, "its owner", owner, u)
	equal(t, "the handle", handle, "handle'\\")
	prefix := first.CredentialID[:31]
	for _, unknown := range [][]byte{nil, {}, {0}, prefix, append(slices.Clone(first.CredentialID), 1), random(5000), random(2 << 20)} {
		_, _, _, err := f.PasskeyOwner(ctx, unknown)
		is(t, err, userstore.ErrNotFound)
	}

	// A use moves the counter and says whether the passkey is backed up by now.
	later := f.now.Add(time.Hour)
	must(t, f.UseFactor(ctx, other.ID, other.FactorVersion, factorUse{Passkey: theirs.ID, SignCount: 1<<32 - 1, BackedUp: true, At: later}))
	theirs.SignCount, theirs.BackedUp, theirs.LastUsedAt = 1<<32-1, true, stored(later)
	equal(t, "after a use", f.factors(t, other).Passkeys, []userstore.Passkey{storedPasskey(theirs)})

	// Names.
	for _, name := range append(hostile, "") {
		must(t, f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: theirs.ID, Before: theirs.Name, After: name}))
		theirs.Name = name
		equal(t, "a name", f.factors(t, other).Passkeys, []userstore.Passkey{storedPasskey(theirs)})
	}
	for _, name := range unknownStrings {
		f.unchanged(t, "an unstorable name", other, userstore.ErrInvalid, func() error {
			return f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: theirs.ID, Before: theirs.Name, After: name})
		})
	}
	for _, unknown := range append(append(slices.Clone(hostile), unknownStrings...), first.ID, u.ID, "") {
		f.unchanged(t, "an unknown passkey", other, userstore.ErrNotFound, func() error {
			return f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: unknown, Before: theirs.Name, After: "x"})
		})
		f.unchanged(t, "another user's", other, userstore.ErrNotFound, func() error {
			return f.RenamePasskey(ctx, renamed{UserID: unknown, ID: theirs.ID, Before: theirs.Name, After: "x"})
		})
	}
	// A name that the passkey does not have any more is not taken for the one before; the same change
	// once more is, for the answer to the first one may be lost.
	f.unchanged(t, "another name before", other, userstore.ErrNotFound, func() error {
		return f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: theirs.ID, Before: theirs.Name + "x", After: "y"})
	})
	for range 2 {
		must(t, f.RenamePasskey(ctx, renamed{UserID: other.ID, ID: theirs.ID, Before: theirs.Name, After: "the last"}))
	}
	theirs.Name = "the last"
	equal(t, "the name", f.factors(t, other).Passkeys, []userstore.Passkey{storedPasskey(theirs)})
}

// Whatever a string holds comes back, or is refused before the driver.
func hostileFactors(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, s := range hostile {
		u := userstore.User{ID: "f" + s, EmailKey: "f" + s, PasswordHash: s, IsActive: true}
		must(t, f.CreateUser(ctx, u))
		a := f.newApp(u)
		a.ID, a.Algorithm, a.Sealed = "a"+s, s, []byte(s)
		must(t, f.BeginApp(ctx, a, 0))
		p := f.newPasskey(u)
		p.ID, p.Name, p.Transports, p.CredentialID, p.PublicKey, p.AAGUID = "p"+s, s, []string{s, s + s}, []byte("c"+s), []byte(s), []byte(s)
		c := newFactorChange(f, u)
		c.ConfirmApp, c.Counter, c.AddPasskey, c.PasskeyHandle = a.ID, appCounter, &p, s
		c.RecoveryCodes = [][]byte{[]byte(s), []byte(s + s)}
		c.Use.Handles = []usedOnce{{ID: "h" + s, EndsAt: f.now}}
		must(t, f.ChangeFactors(ctx, c))
		a.LastCounter = appCounter
		want := userstore.SecondFactors{App: new(storedApp(a, f.now)), Passkeys: []userstore.Passkey{storedPasskey(p)},
			RecoveryCodes: 2, RecoverySince: stored(f.now), PasskeyHandle: s, Version: 1}
		equal(t, "what comes back", f.factors(t, u), want)
		must(t, f.UseFactor(ctx, u.ID, 1, factorUse{App: a.ID, Counter: appCounter + 1, Passkey: p.ID, SignCount: 6,
			Recovery: [][]byte{[]byte("other"), []byte(s)}}))
		is(t, f.UseFactor(ctx, u.ID, 1, factorUse{Handles: c.Use.Handles}), userstore.ErrSpent)
		b := f.newSession(u)
		b.Proved = []userstore.ProvedFactor{{Method: s, At: stored(f.now)}, {Method: s + s}}
		trust := newTrust{Hash: sessionHash(), ID: "t" + s, EndsAt: f.now.Add(time.Hour)}
		must(t, f.StartSession(ctx, newLogin{Session: b, PasswordHash: s,
			Second: secondStep{FactorVersion: 1, Proved: true, Trust: &trust}}))
		session, _, err := f.BrowserSession(ctx, b.Hash, f.now, time.Time{})
		must(t, err)
		equal(t, "proofs", session.Proved, b.Proved)
		must(t, f.EndTrust(ctx, u.ID, "t"+s))
		must(t, f.DeleteUser(ctx, u.ID))
	}

	u := f.user(t)
	app := f.app(t, &u)
	passkey := f.passkey(t, &u)
	f.recoveryCodes(t, &u, 2)
	waiting := f.newApp(u)
	must(t, f.BeginApp(ctx, waiting, u.FactorVersion))
	type added = userstore.Passkey
	conflict, invalid := userstore.ErrConflict, userstore.ErrInvalid
	for _, s := range unknownStrings {
		for name, test := range map[string]struct {
			want error
			op   func(c *factorChange, p *added)
		}{
			"user":      {conflict, func(c *factorChange, p *added) { c.UserID, p.UserID = s, s }},
			"password":  {conflict, func(c *factorChange, _ *added) { c.PasswordHash = s }},
			"app":       {conflict, func(c *factorChange, _ *added) { c.ConfirmApp = s }},
			"passkey":   {conflict, func(c *factorChange, _ *added) { c.RemovePasskeys = []string{s} }},
			"session":   {conflict, func(c *factorChange, _ *added) { c.KeepSession = s }},
			"name":      {invalid, func(_ *factorChange, p *added) { p.Name = s }},
			"id":        {invalid, func(_ *factorChange, p *added) { p.ID = s }},
			"transport": {invalid, func(_ *factorChange, p *added) { p.Transports = []string{"usb", s} }},
			"handle":    {invalid, func(c *factorChange, _ *added) { c.PasskeyHandle = s }},
			"spent": {invalid, func(c *factorChange, _ *added) {
				c.Use.Handles = []usedOnce{{ID: s}}
			}},
		} {
			f.unchanged(t, name, u, test.want, func() error {
				p, c := f.newPasskey(u), newFactorChange(f, u)
				c.AddPasskey, c.PasskeyHandle = &p, "handle"
				test.op(&c, &p)
				return f.ChangeFactors(ctx, c)
			})
		}
		for name, change := range map[string]func(*userstore.AuthenticatorApp){
			"app id":    func(a *userstore.AuthenticatorApp) { a.ID = s },
			"algorithm": func(a *userstore.AuthenticatorApp) { a.Algorithm = s },
		} {
			f.unchanged(t, name, u, userstore.ErrInvalid, func() error {
				a := f.newApp(u)
				change(&a)
				return f.BeginApp(ctx, a, u.FactorVersion)
			})
		}
		for _, use := range []factorUse{{App: s, Counter: appCounter + 1}, {Passkey: s, SignCount: 9}, {Handles: []usedOnce{{ID: s}}}} {
			f.unchanged(t, "a use", u, userstore.ErrConflict, func() error { return f.UseFactor(ctx, u.ID, u.FactorVersion, use) })
			f.unchanged(t, "a login", u, userstore.ErrInvalid, func() error {
				return f.StartSession(ctx, newLogin{Session: f.newSession(u), PasswordHash: u.PasswordHash,
					Second: secondStep{FactorVersion: u.FactorVersion, Proved: true, Use: use}})
			})
		}
		for name, change := range map[string]func(*newLogin){
			"method": func(n *newLogin) { n.Session.Proved = []userstore.ProvedFactor{{Method: s}} },
			"trust": func(n *newLogin) {
				n.Second.Trust = &newTrust{Hash: sessionHash(), ID: s, EndsAt: f.now.Add(time.Hour)}
			},
		} {
			f.unchanged(t, name, u, userstore.ErrInvalid, func() error {
				n := newLogin{Session: f.newSession(u), PasswordHash: u.PasswordHash,
					Second: secondStep{FactorVersion: u.FactorVersion, Proved: true}}
				change(&n)
				return f.StartSession(ctx, n)
			})
		}
	}
	for _, s := range append(slices.Clone(hostile), unknownStrings...) {
		_, err := f.SecondFactors(ctx, s)
		is(t, err, userstore.ErrNotFound)
		list, err := f.ListTrustedBrowsers(ctx, s, f.now)
		must(t, err)
		equal(t, "trusted browsers", len(list), 0)
		is(t, f.CountWrongCode(ctx, s, 5), userstore.ErrConflict)
		must(t, f.UncountWrongCode(ctx, s))
		is(t, f.EndTrust(ctx, s, ""), userstore.ErrNotFound)
		is(t, f.EndTrust(ctx, u.ID, s), userstore.ErrNotFound)
		is(t, f.UseFactor(ctx, s, u.FactorVersion, factorUse{App: app.ID, Counter: appCounter + 1}), userstore.ErrConflict)
		if texts := strings.ToValidUTF8(s, ""); texts == s && !strings.Contains(s, "\x00") && len(s) < 1<<20 {
			is(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{App: s, Counter: appCounter + 1}), userstore.ErrSpent)
			is(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Passkey: s, SignCount: 9}), userstore.ErrSpent)
		}
	}
	got := f.factors(t, u)
	equal(t, "what is left after all", []any{got.App.LastCounter, got.Waiting.ID, len(got.Passkeys), got.Passkeys[0].ID, got.RecoveryCodes},
		[]any{int64(appCounter), waiting.ID, 1, passkey.ID, 2})
}

func changeFactorsRefused(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, off, other := f.user(t), f.user(t), f.user(t)
	app, passkey := f.app(t, &u), f.passkey(t, &u)
	codes := f.recoveryCodes(t, &u, 3)
	step := secondStep{FactorVersion: u.FactorVersion, Proved: true,
		Trust: &newTrust{Hash: sessionHash(), ID: id(), EndsAt: f.now.Add(time.Hour)}}
	f.session(t, u, func(s *newLogin) { s.Second = step })
	must(t, f.StartGrant(ctx, userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash, Second: step}))
	waiting := f.newApp(u)
	must(t, f.BeginApp(ctx, waiting, u.FactorVersion))
	must(t, f.CountWrongCode(ctx, u.ID, 5))
	f.app(t, &off)
	must(t, f.SetActive(ctx, off.ID, false, f.now))
	theirApp, theirPasskey := f.app(t, &other), f.passkey(t, &other)
	theirs := f.newApp(other)
	must(t, f.BeginApp(ctx, theirs, other.FactorVersion))
	spent := usedOnce{ID: id(), EndsAt: f.now.Add(time.Hour)}
	must(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Handles: []usedOnce{spent}}))
	f.read(t, &u)
	fresh := usedOnce{ID: id(), EndsAt: f.now.Add(time.Hour)}

	add := func(p userstore.Passkey) func(*factorChange) {
		return func(c *factorChange) { c.AddPasskey, c.PasskeyHandle = &p, "handle" }
	}
	edited := func(change func(*userstore.Passkey)) func(*factorChange) {
		p := f.newPasskey(u)
		change(&p)
		return add(p)
	}
	// Each is refused beside parts that could be done: those are undone.
	type passkeyOf = userstore.Passkey
	conflict, spentError, exists, invalid := userstore.ErrConflict, userstore.ErrSpent, userstore.ErrExists, userstore.ErrInvalid
	for name, test := range map[string]struct {
		want   error
		change func(*factorChange)
	}{
		"an unknown user": {conflict, func(c *factorChange) { c.UserID = id() }},
		"an unknown user, operator": {conflict, func(c *factorChange) {
			c.UserID, c.Version, c.PasswordHash = id(), userstore.AnyFactorVersion, ""
		}},
		"a disabled user": {conflict, func(c *factorChange) {
			c.UserID, c.Version, c.PasswordHash, c.ConfirmApp, c.RemoveApp = off.ID, off.FactorVersion, off.PasswordHash, "", true
		}},
		"an older version":         {conflict, func(c *factorChange) { c.Version-- }},
		"a newer version":          {conflict, func(c *factorChange) { c.Version++ }},
		"another password":         {conflict, func(c *factorChange) { c.PasswordHash = other.PasswordHash }},
		"an unknown setup":         {conflict, func(c *factorChange) { c.ConfirmApp, c.Counter = id(), 500 }},
		"a setup of another user":  {conflict, func(c *factorChange) { c.ConfirmApp, c.Counter = theirs.ID, 500 }},
		"a confirmed setup":        {conflict, func(c *factorChange) { c.ConfirmApp, c.Counter = app.ID, 500 }},
		"an old code of the setup": {conflict, func(c *factorChange) { c.ConfirmApp, c.Counter = waiting.ID, waiting.LastCounter }},
		"an app that is gone": {conflict, func(c *factorChange) {
			c.RemoveAll, c.RemoveApp = true, true
		}},
		"an unknown passkey":         {conflict, func(c *factorChange) { c.RemovePasskeys = []string{passkey.ID, id()} }},
		"a passkey of another user":  {conflict, func(c *factorChange) { c.RemovePasskeys = []string{theirPasskey.ID} }},
		"one passkey twice":          {conflict, func(c *factorChange) { c.RemovePasskeys = []string{passkey.ID, passkey.ID} }},
		"one code twice":             {conflict, func(c *factorChange) { c.RecoveryCodes = [][]byte{{1}, {2}, {1}} }},
		"a credential of this user":  {exists, edited(func(p *passkeyOf) { p.CredentialID = passkey.CredentialID })},
		"a credential of another":    {exists, edited(func(p *passkeyOf) { p.CredentialID = theirPasskey.CredentialID })},
		"an id that is taken":        {exists, edited(func(p *passkeyOf) { p.ID = theirPasskey.ID })},
		"no credential":              {invalid, edited(func(p *passkeyOf) { p.CredentialID = nil })},
		"a long credential":          {invalid, edited(func(p *passkeyOf) { p.CredentialID = random(1025) })},
		"no key":                     {invalid, edited(func(p *passkeyOf) { p.PublicKey = nil })},
		"a key of a megabyte":        {invalid, edited(func(p *passkeyOf) { p.PublicKey = random(1<<20 + 1) })},
		"a passkey for another user": {invalid, edited(func(p *passkeyOf) { p.UserID = other.ID })},
		"a used handle":              {spentError, func(c *factorChange) { c.Use.Handles = []usedOnce{fresh, spent} }},
		"a handle twice":             {spentError, func(c *factorChange) { c.Use.Handles = []usedOnce{fresh, fresh} }},
		"a used code":                {spentError, func(c *factorChange) { c.Use.App, c.Use.Counter = app.ID, appCounter }},
		"an app of another user":     {spentError, func(c *factorChange) { c.Use.App, c.Use.Counter = theirApp.ID, appCounter+1 }},
		"the setup's code":           {spentError, func(c *factorChange) { c.Use.App, c.Use.Counter = waiting.ID, 500 }},
		"a wrong recovery code":      {spentError, func(c *factorChange) { c.Use.Recovery = [][]byte{random(32)} }},
		"no form of a recovery code": {spentError, func(c *factorChange) { c.Use.Recovery = [][]byte{} }},
		"an old signature counter":   {spentError, func(c *factorChange) { c.Use.Passkey, c.Use.SignCount = passkey.ID, passkey.SignCount }},
		"a counter that went to 0":   {spentError, func(c *factorChange) { c.Use.Passkey, c.Use.SignCount = passkey.ID, 0 }},
		"another user's passkey":     {spentError, func(c *factorChange) { c.Use.Passkey, c.Use.SignCount = theirPasskey.ID, 500 }},
		"an untrusted browser":       {spentError, func(c *factorChange) { c.Use.Trusted = sessionHash() }},
	} {
		want := [2]factorRows{f.factorRows(t, off), f.factorRows(t, other)}
		f.unchanged(t, name, u, test.want, func() error {
			c := newFactorChange(f, u)
			c.KeepSession = ""
			if !strings.Contains(name, "setup") {
				c.ConfirmApp, c.Counter = waiting.ID, 400
			}
			c.RecoveryCodes = [][]byte{{9}, {8}}
			c.Use.At = f.now
			test.change(&c)
			return f.ChangeFactors(ctx, c, f.event(u.ID))
		})
		equal(t, name+": other users", [2]factorRows{f.factorRows(t, off), f.factorRows(t, other)}, want)
	}
	equal(t, "entries of refused changes", f.storedEntries(t, u.ID), 0)

	// What was spent beside a refusal is unspent, and so are the recovery codes.
	must(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Handles: []usedOnce{fresh}, Recovery: codes[:1]}))

	// The first passkey needs a handle.
	bare := f.user(t)
	f.unchanged(t, "no handle", bare, userstore.ErrInvalid, func() error {
		p, c := f.newPasskey(bare), newFactorChange(f, bare)
		c.AddPasskey = &p
		return f.ChangeFactors(ctx, c)
	})
}

// An operator may change what a disabled user has, whatever the version.
func changeFactorsOfDisabled(t *testing.T, f *fixture) {
	u := f.user(t)
	f.app(t, &u)
	f.passkey(t, &u)
	f.recoveryCodes(t, &u, 3)
	must(t, f.CountWrongCode(t.Context(), u.ID, 5))
	must(t, f.BeginApp(t.Context(), f.newApp(u), u.FactorVersion))
	must(t, f.SetActive(t.Context(), u.ID, false, f.now))
	must(t, f.ChangeFactors(t.Context(), factorChange{UserID: u.ID, Version: userstore.AnyFactorVersion, At: f.now,
		RemoveAll: true, KeepSession: userstore.KeepAll}))
	f.read(t, &u)
	equal(t, "a second factor", u.SecondFactor, false)
	equal(t, "what is left", f.factors(t, u), userstore.SecondFactors{Version: 4, PasskeyHandle: "handle-" + u.ID})
}

// Recovery codes are there only beside a second factor, and each change counts.
func recount(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, bystander := f.user(t), f.user(t)
	f.app(t, &bystander)
	f.recoveryCodes(t, &bystander, 4)
	theirs := f.factorRows(t, bystander)
	check := func(what string, version int64, second bool, codes int) {
		t.Helper()
		got := f.factors(t, u)
		equal(t, what, []any{u.FactorVersion, got.Version, u.SecondFactor, got.RecoveryCodes}, []any{version, version, second, codes})
		equal(t, what+": a bystander's", f.factorRows(t, bystander), theirs)
	}
	f.recoveryCodes(t, &u, 3)
	check("codes alone do not stay", 1, false, 0)
	f.app(t, &u)
	check("an app", 2, true, 0)
	first := f.recoveryCodes(t, &u, 10)
	check("codes", 3, true, 10)
	p := f.passkey(t, &u)
	check("a passkey", 4, true, 10)
	f.changeFactors(t, &u, func(c *factorChange) { c.RemoveApp = true })
	check("the passkey alone", 5, true, 10)
	equal(t, "no app", f.factors(t, u).App == nil, true)
	next := f.recoveryCodes(t, &u, 2)
	check("new codes", 6, true, 2)
	is(t, f.UseFactor(ctx, u.ID, 6, factorUse{Recovery: first[:1]}), userstore.ErrSpent)
	must(t, f.UseFactor(ctx, u.ID, 6, factorUse{Recovery: next[:1]}))
	f.read(t, &u)
	check("a used code", 6, true, 1)
	q := f.passkey(t, &u)
	f.changeFactors(t, &u, func(c *factorChange) { c.RemovePasskeys = []string{p.ID} })
	check("one passkey of two", 8, true, 1)
	a := f.newApp(u)
	must(t, f.BeginApp(ctx, a, 8))
	f.changeFactors(t, &u, func(c *factorChange) { c.RemovePasskeys = []string{q.ID} })
	check("none but a setup that waits", 9, false, 0)
	f.changeFactors(t, &u, func(c *factorChange) {
		c.ConfirmApp, c.Counter, c.RecoveryCodes = a.ID, 9, [][]byte{{1}, {2}}
	})
	check("the setup, with codes", 10, true, 2)
	f.changeFactors(t, &u, func(c *factorChange) { c.RecoveryCodes = [][]byte{} })
	check("an empty list of codes", 11, true, 0)

	// The last factor is replaced in one step, and the codes stay.
	f.recoveryCodes(t, &u, 2)
	p = f.newPasskey(u)
	f.changeFactors(t, &u, func(c *factorChange) { c.RemoveApp, c.AddPasskey, c.PasskeyHandle = true, &p, "other" })
	check("an app by a passkey", 13, true, 2)
	equal(t, "the handle", f.factors(t, u).PasskeyHandle, "handle-"+u.ID)
}

// boundedPasskeys: a user has MaxPasskeys at most, and a removal makes room.
func boundedPasskeys(t *testing.T, f *fixture) {
	u := f.user(t)
	var all []userstore.Passkey
	for range userstore.MaxPasskeys {
		all = append(all, f.passkey(t, &u))
	}
	add := func(change func(*factorChange)) error {
		p, c := f.newPasskey(u), newFactorChange(f, u)
		c.AddPasskey, c.PasskeyHandle = &p, "handle"
		if change != nil {
			change(&c)
		}
		return f.ChangeFactors(t.Context(), c)
	}
	f.unchanged(t, "one more", u, userstore.ErrExists, func() error {
		err := add(nil)
		existsIn(t, err, "passkeys")
		return err
	})
	f.unchanged(t, "a stored one", u, userstore.ErrExists, func() error {
		err := add(func(c *factorChange) {
			c.AddPasskey.CredentialID, c.RemovePasskeys = all[1].CredentialID, []string{all[0].ID}
		})
		existsIn(t, err, "credential")
		return err
	})
	must(t, add(func(c *factorChange) { c.RemovePasskeys = []string{all[0].ID} }))
	equal(t, "passkeys", len(f.factors(t, u).Passkeys), userstore.MaxPasskeys)
}

// A change ends sessions and grants as KeepSession says, and every trusted browser.
func changeFactorsEnds(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, keep := range []string{"none", "grant", "grant of a browser", "browser", "all"} {
		u, bystander := f.user(t), f.user(t)
		g, other, theirs := f.grant(t, u), f.grant(t, u), f.grant(t, bystander)
		s, elsewhere, theirSession := f.session(t, u), f.session(t, u), f.session(t, bystander)
		ofBrowser := f.browserGrant(t, s, "openid")
		p := f.passkey(t, &u)
		hash := sessionHash()
		trusted := f.session(t, u, func(n *newLogin) {
			n.Second = secondStep{FactorVersion: u.FactorVersion, Proved: true,
				Trust: &newTrust{Hash: hash, ID: id(), EndsAt: f.now.Add(time.Hour)}}
		})
		_, err := f.TrustedBrowser(ctx, hash, f.now)
		must(t, err)
		keeps := map[string]string{"none": "", "grant": g.SessionID, "grant of a browser": ofBrowser.SessionID, "browser": s.ID, "all": userstore.KeepAll}[keep]
		f.changeFactors(t, &u, func(c *factorChange) { c.RemovePasskeys, c.KeepSession = []string{p.ID}, keeps })
		for _, row := range []struct {
			g    userstore.Grant
			live bool
		}{
			{g, keep == "grant" || keep == "all"}, {other, keep == "all"}, {theirs, true},
			{ofBrowser, keep == "grant of a browser" || keep == "all"},
		} {
			if row.live {
				f.live(t, row.g)
			} else {
				f.dead(t, row.g)
			}
		}
		f.sessionExists(t, s, keep == "browser" || keep == "grant of a browser" || keep == "all")
		f.sessionExists(t, elsewhere, keep == "all")
		f.sessionExists(t, trusted, keep == "all")
		f.sessionExists(t, theirSession, true)
		_, err = f.TrustedBrowser(ctx, hash, f.now)
		is(t, err, userstore.ErrNotFound)
	}
}

// Each kind of use happens once, and a use of several is whole or not at all.
func useFactor(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, off := f.user(t), f.user(t)
	app, passkey := f.app(t, &u), f.passkey(t, &u)
	silent := f.newPasskey(u)
	silent.SignCount = 0
	f.changeFactors(t, &u, func(c *factorChange) { c.AddPasskey = &silent })
	codes := f.recoveryCodes(t, &u, 4)
	hash := sessionHash()
	f.session(t, u, func(n *newLogin) {
		n.Second = secondStep{FactorVersion: u.FactorVersion, Proved: true,
			Trust: &newTrust{Hash: hash, ID: id(), EndsAt: f.now.Add(time.Hour)}}
	})
	offApp := f.app(t, &off)
	must(t, f.SetActive(ctx, off.ID, false, f.now))
	handle := func() usedOnce { return usedOnce{ID: id(), EndsAt: f.now.Add(time.Minute)} }
	kept := handle()
	use := func(u userstore.User, version int64, use factorUse) error {
		use.At = f.now
		return f.UseFactor(ctx, u.ID, version, use, f.event(u.ID))
	}
	for name, test := range map[string]struct {
		user    userstore.User
		version int64
		use     factorUse
	}{
		"an older version": {u, u.FactorVersion - 1, factorUse{App: app.ID, Counter: appCounter + 1}},
		"a newer version":  {u, u.FactorVersion + 1, factorUse{App: app.ID, Counter: appCounter + 1}},
		"any version":      {u, userstore.AnyFactorVersion, factorUse{App: app.ID, Counter: appCounter + 1}},
		"a disabled user":  {off, off.FactorVersion, factorUse{App: offApp.ID, Counter: appCounter + 1}},
	} {
		f.unchanged(t, name, test.user, userstore.ErrConflict, func() error { return use(test.user, test.version, test.use) })
	}
	if err := use(u, u.FactorVersion, factorUse{}); err == nil {
		t.Error("a use of nothing")
	}
	equal(t, "entries of refused uses", f.storedEntries(t, u.ID)+f.storedEntries(t, off.ID), 0)

	once := func(what string, one, next factorUse) {
		t.Helper()
		must(t, use(u, u.FactorVersion, one))
		one.Handles = append(one.Handles, kept) // a part that could be done
		f.unchanged(t, what, u, userstore.ErrSpent, func() error { return use(u, u.FactorVersion, one) })
		must(t, use(u, u.FactorVersion, next))
	}
	once("a code of the app", factorUse{App: app.ID, Counter: 200}, factorUse{App: app.ID, Counter: 201})
	f.unchanged(t, "a code of before", u, userstore.ErrSpent, func() error {
		return use(u, u.FactorVersion, factorUse{App: app.ID, Counter: 199})
	})
	once("a recovery code, in two forms", factorUse{Recovery: [][]byte{random(32), codes[0]}}, factorUse{Recovery: codes[1:2]})
	for name, test := range map[string]struct {
		user string
		macs [][]byte
		want bool
	}{
		"unused":               {u.ID, codes[2:3], true},
		"unused, in two forms": {u.ID, [][]byte{random(32), codes[3]}, true},
		"used":                 {u.ID, codes[:2], false},
		"wrong":                {u.ID, [][]byte{random(32), codes[2][:31], nil}, false},
		"none":                 {u.ID, nil, false},
		"of another user":      {off.ID, codes[2:3], false},
		"of no user":           {"\x00", codes[2:3], false},
	} {
		got, err := f.HasRecoveryCode(ctx, test.user, test.macs)
		must(t, err)
		equal(t, "a recovery code, "+name, got, test.want)
	}
	once("a signature counter", factorUse{Passkey: passkey.ID, SignCount: 1 << 31}, factorUse{Passkey: passkey.ID, SignCount: 1<<31 + 1})
	must(t, use(u, u.FactorVersion, factorUse{Passkey: silent.ID})) // does not count: the challenge is used once
	must(t, use(u, u.FactorVersion, factorUse{Passkey: silent.ID}))
	must(t, use(u, u.FactorVersion, factorUse{Passkey: silent.ID, SignCount: 1}))
	f.unchanged(t, "a counter that went to 0", u, userstore.ErrSpent, func() error {
		return use(u, u.FactorVersion, factorUse{Passkey: silent.ID})
	})
	h := handle()
	once("a handle", factorUse{Handles: []usedOnce{h}}, factorUse{Handles: []usedOnce{handle(), handle()}})
	is(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Trusted: sessionHash(), At: f.now}), userstore.ErrSpent)
	must(t, use(u, u.FactorVersion, factorUse{Trusted: hash}))
	must(t, use(u, u.FactorVersion, factorUse{Trusted: hash}))

	// All kinds at once: one that was used undoes the others.
	all := factorUse{App: app.ID, Counter: 300, Recovery: codes[2:3], Passkey: passkey.ID, SignCount: 1<<31 + 5,
		Trusted: hash, Handles: []usedOnce{handle()}}
	for i, spent := range []func(*factorUse){
		func(u *factorUse) { u.Counter = 201 },
		func(u *factorUse) { u.Recovery = codes[:1] },
		func(u *factorUse) { u.SignCount = 1<<31 + 1 },
		func(u *factorUse) { u.Trusted = sessionHash() },
		func(u *factorUse) { u.Handles = append(slices.Clone(u.Handles), h) },
	} {
		wrong := all
		spent(&wrong)
		f.unchanged(t, fmt.Sprintf("all but part %d", i), u, userstore.ErrSpent, func() error { return use(u, u.FactorVersion, wrong) })
	}
	must(t, use(u, u.FactorVersion, all))
	equal(t, "recovery codes that are left", f.factors(t, u).RecoveryCodes, 1)
	must(t, use(u, u.FactorVersion, factorUse{Handles: []usedOnce{kept}}))
}

// Wrong codes are counted up to a bound, and taken back by a right one.
func wrongCodes(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, other := f.user(t), f.user(t)
	app := f.app(t, &u)
	codes := f.recoveryCodes(t, &u, 2)
	wrong := func(want int) {
		t.Helper()
		equal(t, "wrong codes", f.factors(t, u).WrongCodes, want)
	}
	for range 3 {
		must(t, f.CountWrongCode(ctx, u.ID, 3))
	}
	f.unchanged(t, "a fourth", u, userstore.ErrConflict, func() error { return f.CountWrongCode(ctx, u.ID, 3) })
	wrong(3)
	must(t, f.CountWrongCode(ctx, other.ID, 3))
	must(t, f.UncountWrongCode(ctx, u.ID))
	wrong(2)
	must(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Recovery: codes[:1]}))
	wrong(2)
	is(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{App: app.ID, Counter: appCounter}), userstore.ErrSpent)
	wrong(2)
	must(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{App: app.ID, Counter: appCounter + 1}))
	wrong(0)
	for range 2 {
		must(t, f.UncountWrongCode(ctx, u.ID)) // never below none
	}
	wrong(0)
	must(t, f.CountWrongCode(ctx, u.ID, 3))
	f.passkey(t, &u)
	wrong(1)
	f.changeFactors(t, &u, func(c *factorChange) { c.RemoveApp = true })
	wrong(0)
	must(t, f.CountWrongCode(ctx, u.ID, 3))
	f.app(t, &u)
	wrong(0)
	equal(t, "of another user", f.factors(t, other).WrongCodes, 1)
}

// What was used once is remembered until it ends, and is then removed in batches, as are browsers
// whose trust ended.
func removeHandles(t *testing.T, f *fixture) {
	ctx := t.Context()
	u := f.user(t)
	f.passkey(t, &u)
	ends := f.now.Add(time.Minute)
	var handles []usedOnce
	var trusted []userstore.SessionHash
	for i := range 5 {
		handles = append(handles, usedOnce{ID: id(), EndsAt: ends.Add(time.Duration(i) * time.Second)})
		hash := sessionHash()
		trusted = append(trusted, hash)
		f.session(t, u, func(n *newLogin) {
			n.Second = secondStep{FactorVersion: u.FactorVersion, Proved: true,
				Use:   factorUse{Handles: handles[i : i+1]},
				Trust: &newTrust{Hash: hash, ID: id(), EndsAt: handles[i].EndsAt}}
		})
	}
	remove := func(at time.Time, limit, want int) {
		t.Helper()
		n, err := f.RemoveSpentHandles(ctx, at, limit)
		must(t, err)
		equal(t, "removed", n, want)
	}
	use := func(i int) error {
		return f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Handles: handles[i : i+1]})
	}
	remove(stored(ends).Add(-time.Microsecond), 10, 0)
	remove(stored(ends), 10, 2)
	for i := 1; i < 5; i++ {
		is(t, use(i), userstore.ErrSpent)
		_, err := f.TrustedBrowser(ctx, trusted[i], f.now)
		must(t, err)
	}
	remove(ends.Add(time.Hour), 3, 6) // the oldest of each
	is(t, use(4), userstore.ErrSpent)
	_, err := f.TrustedBrowser(ctx, trusted[4], f.now)
	must(t, err)
	remove(ends.Add(time.Hour), 3, 2)
	remove(ends.Add(time.Hour), 3, 0)
	must(t, use(4))
}

// Deleting a user takes everything along.
func deleteWithFactors(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, bystander := f.user(t), f.user(t)
	f.app(t, &u)
	p := f.passkey(t, &u)
	codes := f.recoveryCodes(t, &u, 3)
	f.app(t, &bystander)
	theirs := f.factorRows(t, bystander)
	hash := sessionHash()
	f.session(t, u, func(n *newLogin) {
		n.Second = secondStep{FactorVersion: u.FactorVersion, Proved: true,
			Trust: &newTrust{Hash: hash, ID: id(), EndsAt: f.now.Add(time.Hour)}}
	})
	must(t, f.BeginApp(ctx, f.newApp(u), u.FactorVersion))
	must(t, f.DeleteUser(ctx, u.ID))
	_, _, _, err := f.PasskeyOwner(ctx, p.CredentialID)
	is(t, err, userstore.ErrNotFound)
	_, err = f.TrustedBrowser(ctx, hash, f.now)
	is(t, err, userstore.ErrNotFound)

	// A user of the same id inherits nothing, and the credential is free.
	next := f.newUser()
	next.ID = u.ID
	must(t, f.CreateUser(ctx, next))
	equal(t, "of the next one", f.factorRows(t, next), factorRows{user: f.factorRows(t, next).user})
	equal(t, "a second factor", f.factorRows(t, next).user.SecondFactor, false)
	_, err = f.TrustedBrowser(ctx, hash, f.now)
	is(t, err, userstore.ErrNotFound)
	next, err = f.UserByID(ctx, next.ID)
	must(t, err)
	f.changeFactors(t, &next, func(c *factorChange) { c.AddPasskey, c.PasskeyHandle = &p, "handle" })
	is(t, f.UseFactor(ctx, next.ID, next.FactorVersion, factorUse{Recovery: codes}), userstore.ErrSpent)
	equal(t, "a bystander's", f.factorRows(t, bystander), theirs)
}

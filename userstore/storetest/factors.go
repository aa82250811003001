package storetest

import (
	"crypto/rand"
	"errors"
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
	return userstore.AuthenticatorApp{ID: id(), UserID: u.ID, Sealed: append([]byte{0, 0xff}, random(40)...),
		Algorithm: "SHA256",
		Digits:    8, Period: 60, LastCounter: 7, CreatedAt: f.now}
}

func (f *fixture) newPasskey(u userstore.User) userstore.Passkey {
	return userstore.Passkey{ID: id(), UserID: u.ID, CredentialID: append([]byte{0}, random(31)...),
		PublicKey: random(77),
		AAGUID:    random(16), Transports: []string{"internal", "hybrid"}, SignCount: 5, BackupEligible: true,
		Name:      "Phone",
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

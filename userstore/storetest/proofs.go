package storetest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// proofsAfterChange: a change of factors or of the password by a session keeps that session's proofs
// good. The proofs of all other sessions, and those that were void before, stay as they are.
func proofsAfterChange(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, bob := f.user(t), f.user(t)
	f.app(t, &u)
	f.app(t, &bob)
	for bob.FactorVersion < u.FactorVersion+10 { // 1 and 11: no version is a part of another
		f.changeFactors(t, &bob, func(c *factorChange) { c.RecoveryCodes = [][]byte{random(32)} })
	}
	version, mark := u.FactorVersion, u.PasswordMark()
	proofs := func(u userstore.User) []userstore.ProvedFactor {
		return []userstore.ProvedFactor{
			{Method: userstore.ByPassword, At: stored(f.now.Add(-time.Hour)), FactorVersion: version - 1, PasswordMark: []byte{1, 2}},
			{Method: userstore.ByApp, At: stored(f.now), FactorVersion: version, PasswordMark: u.PasswordMark()},
			{Method: userstore.ByPasskey, At: stored(f.now), FactorVersion: version, PasswordMark: u.PasswordMark()},
			{Method: userstore.BySyncedPasskey, At: stored(f.now), FactorVersion: version + 10, PasswordMark: random(16)},
			{Method: fmt.Sprintf(`"factors":%d,"password":`, version)}, // of nothing, and looks like what is stored
		}
	}
	session := func(u userstore.User) userstore.BrowserSession {
		s := f.newSession(u)
		s.Proved = proofs(u)
		must(t, f.StartSession(ctx, newLogin{Session: s, PasswordHash: u.PasswordHash,
			Second: secondStep{FactorVersion: u.FactorVersion, Proved: true}}))
		return s
	}
	read := func(s userstore.BrowserSession) userstore.BrowserSession {
		got, user, err := f.BrowserSession(ctx, s.Hash, f.now, time.Time{})
		must(t, err)
		equal(t, "hash of the password", user.PasswordHash, "")
		return got
	}
	own, other, bobs := session(u), session(u), session(bob)
	equal(t, "mark of the password", read(own).PasswordMark, mark)
	is := func(what string, s userstore.BrowserSession, current int64) {
		t.Helper()
		want := slices.Clone(s.Proved)
		want[1].FactorVersion, want[2].FactorVersion = current, current
		equal(t, what, read(s).Proved, want)
	}

	codes := func(by string) func(*factorChange) {
		return func(c *factorChange) { c.RecoveryCodes, c.BySession = [][]byte{random(32)}, by }
	}
	f.changeFactors(t, &u, codes(own.ID))
	equal(t, "version", u.FactorVersion, version+1)
	is("own session", own, version+1)
	is("another session", other, version)
	is("bob's session", bobs, version)

	// A change that another session makes, or that is made in no session.
	f.changeFactors(t, &u, codes(""))
	is("own session, after a change in no session", own, version+1)
	f.changeFactors(t, &u, codes(other.ID))
	is("own session, after another's change", own, version+1)
	is("a session whose proofs were void", other, version)

	// A change that does not happen, and one that claims a session of another user.
	stale := newFactorChange(f, u)
	stale.Version, stale.BySession, stale.RecoveryCodes = version+1, own.ID, [][]byte{random(32)}
	f.unchanged(t, "a stale version", u, userstore.ErrConflict, func() error { return f.ChangeFactors(ctx, stale) })
	is("own session, after a stale change", own, version+1)
	f.changeFactors(t, &u, codes(bobs.ID))
	is("bob's session, after a change by u", bobs, version)

	// The version that an operator does not read.
	f.changeFactors(t, &u, func(c *factorChange) {
		c.Version, c.BySession, c.RecoveryCodes = userstore.AnyFactorVersion, own.ID, [][]byte{random(32)}
	})
	is("own session, after a change of any version", own, version+1)
}

func passwordOfProofs(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, bob := f.user(t), f.user(t)
	proofs := []userstore.ProvedFactor{
		{Method: userstore.ByPassword, At: stored(f.now), FactorVersion: 3, PasswordMark: u.PasswordMark()},
		{Method: userstore.ByApp, At: stored(f.now), PasswordMark: random(16)},
		{Method: `,"password":"` + base64.StdEncoding.EncodeToString(u.PasswordMark()) + `"`},
	}
	session := func(u userstore.User) userstore.BrowserSession {
		return f.session(t, u, func(s *newLogin) { s.Session.Proved = proofs })
	}
	own, other, bobs := session(u), session(u), session(bob)
	is := func(what string, s userstore.BrowserSession, mark []byte) {
		t.Helper()
		got, _, err := f.BrowserSession(ctx, s.Hash, f.now, time.Time{})
		must(t, err)
		want := slices.Clone(proofs)
		want[0].PasswordMark = mark
		equal(t, what, got.Proved, want)
	}
	before := u.PasswordMark()
	set := func(c userstore.PasswordChange) error {
		c.UserID, c.At, c.KeepSession = u.ID, f.now, userstore.KeepAll
		return f.SetPassword(ctx, c)
	}
	wrong := userstore.PasswordChange{OldHash: "another", NewHash: "new", BySession: own.ID}
	if err := set(wrong); !errors.Is(err, userstore.ErrConflict) {
		t.Fatal(err)
	}
	is("a refused change", own, before)
	must(t, set(userstore.PasswordChange{OldHash: u.PasswordHash, NewHash: "2", BySession: own.ID}))
	f.read(t, &u)
	is("own session", own, u.PasswordMark())
	is("another session", other, before)
	is("bob's session", bobs, before)
	mark := u.PasswordMark()
	must(t, set(userstore.PasswordChange{OldHash: "2", NewHash: "3", BySession: bobs.ID}))
	must(t, set(userstore.PasswordChange{OldHash: "3", NewHash: "4"}))
	must(t, set(userstore.PasswordChange{NewHash: "5", BySession: own.ID})) // by an operator
	is("own session, after changes elsewhere", own, mark)
	is("bob's session, after changes by u", bobs, before)
}

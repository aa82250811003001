package storetest

import (
	"testing"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// endAccess: everything that lets anybody into one account ends, and nothing of another.
func endAccess(t *testing.T, f *fixture) {
	ctx := t.Context()
	c := f.listener(t)
	type account struct {
		user    userstore.User
		grant   userstore.Grant
		session userstore.BrowserSession
		trusted userstore.TrustedBrowser
		token   userstore.OneTimeToken
	}
	account1, account2 := account{user: f.user(t)}, account{user: f.user(t)}
	for _, a := range []*account{&account1, &account2} {
		f.app(t, &a.user)
		f.passkey(t, &a.user)
		f.recoveryCodes(t, &a.user, 10)
		a.trusted = f.trust(t, a.user)
		a.session = f.session(t, a.user, func(s *userstore.StartSession) {
			s.Second = secondStep{FactorVersion: a.user.FactorVersion, Proved: true}
		})
		a.grant = f.login(t, a.session, c, "openid", "offline_access")
		a.token = f.issue(t, a.user)
	}
	waiting := f.newApp(account1.user)
	f.read(t, &account1.user)
	must(t, f.BeginApp(ctx, waiting, account1.user.FactorVersion))

	for range 2 { // the second one is an answer that was lost
		must(t, f.EndAccess(ctx, account1.user.ID, f.now))
	}
	f.told(t, "the apps of the account", account1.grant)
	f.dead(t, account1.grant)
	f.live(t, account2.grant)
	f.sessionExists(t, account1.session, false)
	f.sessionExists(t, account2.session, true)
	f.trusted(t, "the account", account1.user, account1.trusted, false)
	f.trusted(t, "the other", account2.user, account2.trusted, true)
	_, _, err := f.OneTimeToken(ctx, account1.token.ID, f.now)
	is(t, err, userstore.ErrNotFound)
	equal(t, "the token of the other account is live", f.isLive(t, account2.token.ID), true)

	for _, row := range []struct {
		what  string
		a     account
		codes int
	}{{"the account", account1, 0}, {"the other", account2, 10}} {
		have, err := f.SecondFactors(ctx, row.a.user.ID)
		must(t, err)
		after, err := f.UserByID(ctx, row.a.user.ID)
		must(t, err)
		equal(t, row.what+": app, passkeys, setup, codes",
			[]any{have.App != nil, len(have.Passkeys), have.Waiting != nil, have.RecoveryCodes},
			[]any{true, 1, false, row.codes})
		equal(t, row.what+": password and second factor",
			[]any{after.PasswordHash, after.SecondFactor}, []any{row.a.user.PasswordHash, true})
	}
	is(t, f.EndAccess(ctx, id(), f.now), userstore.ErrNotFound)
	is(t, f.EndAccess(ctx, "\x00", f.now), userstore.ErrNotFound)
}

// endAccessUndone: nothing that was mailed brings a factor back.
func endAccessUndone(t *testing.T, f *fixture) {
	u := f.user(t)
	f.app(t, &u)
	_, token := f.added(t, &u)
	must(t, f.EndAccess(t.Context(), u.ID, f.now))
	_, _, err := f.OneTimeToken(t.Context(), token, f.now)
	is(t, err, userstore.ErrNotFound)
}

// forgetWaiting: what waits for a next step is gone, and accounts stay.
func forgetWaiting(t *testing.T, f *fixture) {
	ctx := t.Context()
	u, c := f.user(t), f.client(t, nil)
	s := f.session(t, u)
	code := f.code(t, s, c)
	pushed := f.pushed(t, c.ID)
	f.save(t, f.newSignup("waiting@example.test"))
	f.registrationToken(t, 3)
	equal(t, "messages that wait", len(f.waits(t, "waiting@example.test")), 1)

	e := audit.New(ctx, f.now, audit.StoreRecovered, audit.Target{})
	e.ID = id()
	for range 2 {
		must(t, f.ForgetWaiting(ctx, e))
	}
	equal(t, "messages that wait", len(f.waits(t, "waiting@example.test")), 0)
	_, err := f.CodeByHash(ctx, code.Hash)
	is(t, err, userstore.ErrNotFound)
	_, err = f.PushedRequest(ctx, pushed.ID, c.ID, f.now)
	is(t, err, userstore.ErrNotFound)
	tokens, err := f.ListRegistrationTokens(ctx, nil, 10)
	must(t, err)
	equal(t, "initial access tokens", len(tokens), 0)
	_, err = f.UserByID(ctx, u.ID)
	must(t, err)
	f.sessionExists(t, s, true)
	events, err := f.ListEvents(ctx, userstore.EventQuery{Name: audit.StoreRecovered, Limit: 10})
	must(t, err)
	equal(t, "audit entries", len(events), 1)
}

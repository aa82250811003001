package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

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
	conflict, spentError, exists, invalid := userstore.ErrConflict, userstore.ErrSpent, userstore.ErrExists,
		userstore.ErrInvalid
	for name, test := range map[string]struct {
		want   error
		change func(*factorChange)
	}{
		"an unknown user": {conflict, func(c *factorChange) { c.UserID = id() }},
		"an unknown user, operator": {conflict, func(c *factorChange) {
			c.UserID, c.Version, c.PasswordHash = id(), userstore.AnyFactorVersion, ""
		}},
		"a disabled user": {conflict, func(c *factorChange) {
			c.UserID, c.Version, c.PasswordHash, c.ConfirmApp, c.RemoveApp = off.ID, off.FactorVersion,
				off.PasswordHash, "", true
		}},
		"an older version":        {conflict, func(c *factorChange) { c.Version-- }},
		"a newer version":         {conflict, func(c *factorChange) { c.Version++ }},
		"another password":        {conflict, func(c *factorChange) { c.PasswordHash = other.PasswordHash }},
		"an unknown setup":        {conflict, func(c *factorChange) { c.ConfirmApp, c.Counter = id(), 500 }},
		"a setup of another user": {conflict, func(c *factorChange) { c.ConfirmApp, c.Counter = theirs.ID, 500 }},
		"a confirmed setup":       {conflict, func(c *factorChange) { c.ConfirmApp, c.Counter = app.ID, 500 }},
		"an old code of the setup": {conflict, func(c *factorChange) {
			c.ConfirmApp, c.Counter = waiting.ID, waiting.LastCounter
		}},
		"an app that is gone": {conflict, func(c *factorChange) {
			c.RemoveAll, c.RemoveApp = true, true
		}},
		"an unknown passkey": {conflict, func(c *factorChange) {
			c.RemovePasskeys = []string{passkey.ID, id()}
		}},
		"a passkey of another user": {conflict, func(c *factorChange) {
			c.RemovePasskeys = []string{theirPasskey.ID}
		}},
		"one passkey twice": {conflict, func(c *factorChange) {
			c.RemovePasskeys = []string{passkey.ID, passkey.ID}
		}},
		"one code twice":            {conflict, func(c *factorChange) { c.RecoveryCodes = [][]byte{{1}, {2}, {1}} }},
		"a credential of this user": {exists, edited(func(p *passkeyOf) { p.CredentialID = passkey.CredentialID })},
		"a credential of another": {exists, edited(func(p *passkeyOf) {
			p.CredentialID = theirPasskey.CredentialID
		})},
		"an id that is taken":        {exists, edited(func(p *passkeyOf) { p.ID = theirPasskey.ID })},
		"no credential":              {invalid, edited(func(p *passkeyOf) { p.CredentialID = nil })},
		"a long credential":          {invalid, edited(func(p *passkeyOf) { p.CredentialID = random(1025) })},
		"no key":                     {invalid, edited(func(p *passkeyOf) { p.PublicKey = nil })},
		"a key of a megabyte":        {invalid, edited(func(p *passkeyOf) { p.PublicKey = random(1<<20 + 1) })},
		"a passkey for another user": {invalid, edited(func(p *passkeyOf) { p.UserID = other.ID })},
		"a used handle":              {spentError, func(c *factorChange) { c.Use.Handles = []usedOnce{fresh, spent} }},
		"a handle twice":             {spentError, func(c *factorChange) { c.Use.Handles = []usedOnce{fresh, fresh} }},
		"a used code": {spentError, func(c *factorChange) {
			c.Use.App, c.Use.Counter = app.ID, appCounter
		}},
		"an app of another user": {spentError, func(c *factorChange) {
			c.Use.App, c.Use.Counter = theirApp.ID, appCounter+1
		}},
		"the setup's code": {spentError, func(c *factorChange) {
			c.Use.App, c.Use.Counter = waiting.ID, 500
		}},
		"a wrong recovery code":      {spentError, func(c *factorChange) { c.Use.Recovery = [][]byte{random(32)} }},
		"no form of a recovery code": {spentError, func(c *factorChange) { c.Use.Recovery = [][]byte{} }},
		"an old signature counter": {spentError, func(c *factorChange) {
			c.Use.Passkey, c.Use.SignCount = passkey.ID, passkey.SignCount
		}},
		"a counter that went to 0": {spentError, func(c *factorChange) {
			c.Use.Passkey, c.Use.SignCount = passkey.ID, 0
		}},
		"another user's passkey": {spentError, func(c *factorChange) {
			c.Use.Passkey, c.Use.SignCount = theirPasskey.ID, 500
		}},
		"an untrusted browser": {spentError, func(c *factorChange) { c.Use.Trusted = sessionHash() }},
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
		equal(t, what, []any{u.FactorVersion, got.Version, u.SecondFactor, got.RecoveryCodes},
			[]any{version, version, second, codes})
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
		keeps := map[string]string{"none": "", "grant": g.SessionID, "grant of a browser": ofBrowser.SessionID,
			"browser": s.ID, "all": userstore.KeepAll}[keep]
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

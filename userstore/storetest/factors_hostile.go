package storetest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

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
		p.ID, p.Name, p.Transports, p.CredentialID, p.PublicKey, p.AAGUID = "p"+s, s, []string{s, s + s}, []byte("c"+s),
			[]byte(s), []byte(s)
		c := newFactorChange(f, u)
		c.ConfirmApp, c.Counter, c.AddPasskey, c.PasskeyHandle = a.ID, appCounter, &p, s
		c.RecoveryCodes = [][]byte{[]byte(s), []byte(s + s)}
		c.Use.Handles = []usedOnce{{ID: "h" + s, EndsAt: f.now}}
		must(t, f.ChangeFactors(ctx, c))
		a.LastCounter = appCounter
		want := userstore.SecondFactors{App: new(storedApp(a, f.now)), Passkeys: []userstore.Passkey{storedPasskey(p)},
			RecoveryCodes: 2, PasskeyHandle: s, Version: 1}
		equal(t, "what comes back", f.factors(t, u), want)
		must(t, f.UseFactor(ctx, u.ID, 1, factorUse{App: a.ID, Counter: appCounter + 1, Passkey: p.ID, SignCount: 6,
			Recovery: [][]byte{[]byte("other"), []byte(s)}}))
		is(t, f.UseFactor(ctx, u.ID, 1, factorUse{Handles: c.Use.Handles}), userstore.ErrSpent)
		b := f.newSession(u)
		b.Proved = []userstore.ProvedFactor{{Factor: s, At: stored(f.now)}, {Factor: s + s}}
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
		for _, use := range []factorUse{{App: s, Counter: appCounter + 1}, {Passkey: s, SignCount: 9},
			{Handles: []usedOnce{{ID: s}}}} {
			f.unchanged(t, "a use", u, userstore.ErrConflict, func() error {
				return f.UseFactor(ctx, u.ID, u.FactorVersion, use)
			})
			f.unchanged(t, "a login", u, userstore.ErrInvalid, func() error {
				return f.StartSession(ctx, newLogin{Session: f.newSession(u), PasswordHash: u.PasswordHash,
					Second: secondStep{FactorVersion: u.FactorVersion, Proved: true, Use: use}})
			})
		}
		for name, change := range map[string]func(*newLogin){
			"method": func(n *newLogin) { n.Session.Proved = []userstore.ProvedFactor{{Factor: s}} },
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
		is(t, f.UseFactor(ctx, s, u.FactorVersion, factorUse{App: app.ID, Counter: appCounter + 1}),
			userstore.ErrConflict)
		if texts := strings.ToValidUTF8(s, ""); texts == s && !strings.Contains(s, "\x00") && len(s) < 1<<20 {
			is(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{App: s, Counter: appCounter + 1}),
				userstore.ErrSpent)
			is(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Passkey: s, SignCount: 9}), userstore.ErrSpent)
		}
	}
	got := f.factors(t, u)
	equal(t, "what is left after all", []any{got.App.LastCounter, got.Waiting.ID, len(got.Passkeys),
		got.Passkeys[0].ID, got.RecoveryCodes},
		[]any{int64(appCounter), waiting.ID, 1, passkey.ID, 2})
}

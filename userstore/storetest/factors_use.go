package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

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
		f.unchanged(t, name, test.user, userstore.ErrConflict, func() error {
			return use(test.user, test.version, test.use)
		})
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
	once("a recovery code, in two forms", factorUse{Recovery: [][]byte{random(32), codes[0]}},
		factorUse{Recovery: codes[1:2]})
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
	once("a signature counter", factorUse{Passkey: passkey.ID, SignCount: 1 << 31},
		factorUse{Passkey: passkey.ID, SignCount: 1<<31 + 1})
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
		f.unchanged(t, fmt.Sprintf("all but part %d", i), u, userstore.ErrSpent, func() error {
			return use(u, u.FactorVersion, wrong)
		})
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

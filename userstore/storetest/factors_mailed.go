package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// proving adds the proof of a second factor of u to a redemption.
func (f *fixture) proving(u userstore.User, r userstore.Redemption, use factorUse) userstore.Redemption {
	use.At = r.At
	r.UserID, r.Second = u.ID, secondStep{FactorVersion: u.FactorVersion, Proved: true, Use: use}
	return r
}

// mailedFactors: a token sets a new password of an account with a second factor only together with
// that factor, whatever kind it is. What is refused spends nothing.
func mailedFactors(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, kind := range []outbox.Kind{outbox.ResetPassword, outbox.Invite, outbox.VerifyEmail} {
		u, other := f.user(t), f.user(t)
		a := f.app(t, &u)
		theirs := f.app(t, &other)
		macs := f.recoveryCodes(t, &u, 2)
		// proved
		must(t, f.RedeemToken(ctx, userstore.Redemption{ID: f.issue(t, u).ID, Kind: outbox.ResetPassword, At: f.now}))
		f.read(t, &u)
		trusted := f.trust(t, u)
		f.read(t, &u)
		token := f.issue(t, u, func(o *userstore.OneTimeToken) { o.Kind, o.At = kind, o.At.Add(time.Second) })
		r := userstore.Redemption{ID: token.ID, Kind: kind, NewHash: "hash-" + id(), At: stored(f.now.Add(time.Second))}
		code := factorUse{App: a.ID, Counter: appCounter + 1}
		refused := func(what string, want error, r userstore.Redemption) {
			t.Helper()
			f.unchanged(t, string(kind)+": "+what, u, want, func() error {
				return f.RedeemToken(ctx, r, f.event(u.ID))
			})
			equal(t, what+": the token", f.isLive(t, token.ID), true)
		}
		refused("without a factor", userstore.ErrConflict, r)
		without := r
		without.Unproved = true
		refused("as if the address were not proved", userstore.ErrConflict, without)
		old := f.proving(u, r, code)
		old.Second.FactorVersion--
		refused("of another factor version", userstore.ErrConflict, old)
		refused("as another user", userstore.ErrConflict,
			f.proving(other, r, factorUse{App: theirs.ID, Counter: appCounter + 1}))
		refused("with another's factor", userstore.ErrSpent,
			f.proving(u, r, factorUse{App: theirs.ID, Counter: appCounter + 1}))
		refused("with a used code", userstore.ErrSpent, f.proving(u, r, factorUse{App: a.ID, Counter: appCounter}))
		refused("with an unknown recovery code", userstore.ErrSpent,
			f.proving(u, r, factorUse{Recovery: [][]byte{random(32)}}))
		refused("with a trusted browser", userstore.ErrInvalid, f.proving(u, r, factorUse{Trusted: trusted.Hash}))
		refused("with nothing", userstore.ErrInvalid, f.proving(u, r, factorUse{}))
		anybodys := f.proving(u, r, code)
		anybodys.UserID = ""
		refused("of nobody", userstore.ErrInvalid, anybodys)
		claimed := f.proving(u, r, code)
		claimed.Second.Proved = false
		refused("with a proof that is not said", userstore.ErrInvalid, claimed)

		use := code
		if kind == outbox.Invite {
			use = factorUse{Recovery: [][]byte{random(32), macs[0]}}
		}
		must(t, f.RedeemToken(ctx, f.proving(u, r, use), f.event(u.ID)))
		f.read(t, &u)
		rows := f.factorRows(t, u)
		equal(t, "the user", []any{u.PasswordHash, u.SecondFactor}, []any{r.NewHash, true})
		equal(t, "what is left", []any{len(rows.sessions), len(rows.trusted), f.isLive(t, token.ID)},
			[]any{0, 0, false})
		f.unchanged(t, "twice", u, userstore.ErrConflict, func() error {
			return f.RedeemToken(ctx, f.proving(u, r, factorUse{App: a.ID, Counter: appCounter + 2}))
		})
	}
}

// added gives u a passkey with a token that removes it, and returns both.
func (f *fixture) added(t *testing.T, u *userstore.User) (p userstore.Passkey, token string) {
	t.Helper()
	p, token = f.newPasskey(*u), id()
	f.changeFactors(t, u, func(c *factorChange) {
		c.AddPasskey, c.PasskeyHandle, c.UndoID, c.UndoEndsAt = &p, "handle-"+u.ID, token, f.now.Add(7*24*time.Hour)
	})
	return p, token
}

func (f *fixture) removing(token string) userstore.Redemption {
	return userstore.Redemption{ID: token, Kind: outbox.FactorAdded, NewHash: "hash-" + id(), At: stored(f.now)}
}

// addedFactors: the link of a message removes the factor that the message is about and what came
// since. It asks for a factor from before, where the account had one, and for no other.
func addedFactors(t *testing.T, f *fixture) {
	ctx := t.Context()
	start := f.now
	defer func() { f.now = start }()
	for _, own := range []bool{false, true} { // whether the account had a factor before
		f.now = start
		u := f.user(t)
		var mine userstore.AuthenticatorApp
		var macs [][]byte
		if own {
			mine = f.app(t, &u)
			macs = f.recoveryCodes(t, &u, 2)
			f.now = f.now.Add(time.Minute)
		}
		first, firstToken := f.added(t, &u)
		if !own {
			macs = f.recoveryCodes(t, &u, 2) // with the first factor
		}
		got, _, err := f.OneTimeToken(ctx, firstToken, f.now)
		must(t, err)
		equal(t, "the token", got, userstore.OneTimeToken{ID: firstToken, Kind: outbox.FactorAdded,
			UserID: u.ID, Address: u.Email,
			AddressKey: u.EmailKey, At: stored(f.now), EndsAt: stored(f.now.Add(7 * 24 * time.Hour)),
			SecondFactor: own, Live: true})
		f.now = f.now.Add(time.Minute)
		second, secondToken := f.added(t, &u)
		f.now = f.now.Add(time.Minute)
		// ends the tokens of other kinds
		must(t, f.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, NewHash: id(), At: f.now}))
		f.read(t, &u)
		u, undo := f.changed(t, u, "c"+id())
		f.trust(t, u)
		f.read(t, &u)
		f.now = f.now.Add(time.Minute)
		refused := func(what string, want error, r userstore.Redemption) {
			t.Helper()
			f.unchanged(t, what, u, want, func() error { return f.RemoveAddedFactor(ctx, r, f.event(u.ID)) })
			equal(t, what+": the token", f.isLive(t, firstToken), true)
		}
		refused("unknown", userstore.ErrConflict, f.removing(id()))
		wrong := f.removing(firstToken)
		wrong.NewHash = ""
		refused("without a password", userstore.ErrInvalid, wrong)
		wrong.Kind, wrong.NewHash = outbox.UndoEmail, "x"
		refused("as another kind", userstore.ErrInvalid, wrong)
		is(t, f.RedeemToken(ctx, userstore.Redemption{ID: firstToken, Kind: outbox.FactorAdded, NewHash: "x",
			At: f.now}), userstore.ErrInvalid)
		is(t, f.UndoAddressChange(ctx, userstore.Redemption{ID: firstToken, Kind: outbox.UndoEmail, NewHash: "x",
			At: f.now}), userstore.ErrConflict)
		refused("with the factor that it is about", userstore.ErrSpent,
			f.proving(u, f.removing(firstToken), factorUse{Passkey: first.ID, SignCount: first.SignCount + 1}))
		refused("with one from after", userstore.ErrSpent,
			f.proving(u, f.removing(firstToken), factorUse{Passkey: second.ID, SignCount: second.SignCount + 1}))
		r := f.removing(firstToken)
		if own {
			refused("without the factor from before", userstore.ErrConflict, r)
			r = f.proving(u, r, factorUse{Recovery: [][]byte{macs[1]}})
		} else {
			refused("with a recovery code that came with it", userstore.ErrSpent,
				f.proving(u, r, factorUse{Recovery: [][]byte{macs[1]}}))
			// The link of a later message needs the first factor, and removes only the second.
			f.unchanged(t, "a later one alone", u, userstore.ErrConflict,
				func() error { return f.RemoveAddedFactor(ctx, f.removing(secondToken)) })
		}
		must(t, f.RemoveAddedFactor(ctx, r, f.event(u.ID)))
		f.read(t, &u)
		rows := f.factorRows(t, u)
		equal(t, "the user", []any{u.PasswordHash, u.SecondFactor}, []any{r.NewHash, own})
		equal(t, "sessions and passkeys", []any{len(rows.sessions), len(rows.factors.Passkeys)}, []any{0, 0})
		equal(t, "tokens", []any{f.isLive(t, firstToken), f.isLive(t, secondToken), f.isLive(t, undo)},
			[]any{false, false, true})
		if own {
			equal(t, "what is left", []any{rows.factors.App.ID, rows.factors.RecoveryCodes}, []any{mine.ID, 1})
		}
		f.unchanged(t, "twice", u, userstore.ErrConflict, func() error { return f.RemoveAddedFactor(ctx, r) })
		// The address was changed by whoever had that factor: its owner gets it back without it.
		undoing := f.newUndoing(undo)
		if own {
			f.unchanged(t, "the undo without a factor", u, userstore.ErrConflict, func() error {
				return f.UndoAddressChange(ctx, undoing)
			})
			undoing = f.proving(u, undoing, factorUse{App: mine.ID, Counter: appCounter + 1})
		}
		must(t, f.UndoAddressChange(ctx, undoing))
	}

	// Without a second factor there is nothing to undo.
	u := f.user(t)
	_, token := f.added(t, &u)
	f.now = f.now.Add(time.Minute)
	f.changeFactors(t, &u, func(c *factorChange) { c.RemoveAll = true })
	f.unchanged(t, "after the factor was removed", u, userstore.ErrConflict,
		func() error { return f.RemoveAddedFactor(ctx, f.removing(token)) })
}

// undoneWithFactors: a mailbox alone takes no account by the undoing of a change of address if the
// account had a second factor at the change, also if the factor is another one by now.
func undoneWithFactors(t *testing.T, f *fixture) {
	ctx := t.Context()
	start := f.now
	defer func() { f.now = start }()
	u := f.user(t)
	f.app(t, &u)
	f.now = f.now.Add(time.Minute)
	u, undo := f.changed(t, u, "d"+id())
	f.now = f.now.Add(time.Minute)
	other := f.newApp(u)
	must(t, f.BeginApp(ctx, other, u.FactorVersion))
	token := id()
	f.changeFactors(t, &u, func(c *factorChange) {
		c.ConfirmApp, c.Counter, c.UndoID, c.UndoEndsAt = other.ID, appCounter, token, f.now.Add(7*24*time.Hour)
	})
	f.now = f.now.Add(time.Minute)
	refused := func(what string, want error, op func() error) {
		t.Helper()
		f.unchanged(t, what, u, want, op)
		equal(t, what, []any{f.isLive(t, undo), f.isLive(t, token)}, []any{true, true})
	}
	use := factorUse{App: other.ID, Counter: appCounter + 1}
	refused("the undo alone", userstore.ErrConflict, func() error {
		return f.UndoAddressChange(ctx, f.newUndoing(undo))
	})
	refused("the undo with the new app", userstore.ErrSpent,
		func() error { return f.UndoAddressChange(ctx, f.proving(u, f.newUndoing(undo), use)) })
	refused("the link about the new app alone", userstore.ErrConflict,
		func() error { return f.RemoveAddedFactor(ctx, f.removing(token)) })

	// The message about a factor that came after the change went to the address that the undo takes
	// away: its link ends with it.
	v := f.user(t)
	v, undo = f.changed(t, v, "e"+id())
	f.now = f.now.Add(time.Minute)
	_, token = f.added(t, &v)
	must(t, f.UndoAddressChange(ctx, f.newUndoing(undo)))
	f.read(t, &v)
	equal(t, "what is left of the new address", []any{v.SecondFactor, f.isLive(t, token)}, []any{false, false})
}

package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// held is what the undoing of a token asks for: the ids of the app and of the passkeys, and the number
// of recovery codes.
func (f *fixture) held(t *testing.T, token string) (ids []string, codes int) {
	t.Helper()
	s, err := f.HeldFactors(t.Context(), token)
	must(t, err)
	if s.App != nil {
		ids = append(ids, s.App.ID)
	}
	for _, p := range s.Passkeys {
		ids = append(ids, p.ID)
	}
	return ids, s.RecoveryCodes
}

// retirement is an account of an owner with an app, a passkey and recovery codes, and what a thief who
// once has a recent proof does with it.
type retirement struct {
	*fixture
	t    *testing.T
	u    userstore.User
	app  userstore.AuthenticatorApp
	key  userstore.Passkey
	macs [][]byte

	links []string // of messages, oldest first
}

func (f *fixture) retirement(t *testing.T) *retirement {
	r := &retirement{fixture: f, t: t, u: f.user(t)}
	r.app, r.key = f.app(t, &r.u), f.passkey(t, &r.u)
	r.macs = f.recoveryCodes(t, &r.u, 3)
	r.later()
	return r
}

// later moves the clock, so that no two acts have one time.
func (r *retirement) later() { r.now = r.now.Add(time.Minute) }

func (r *retirement) add() {
	r.t.Helper()
	_, token := r.added(r.t, &r.u)
	r.links = append(r.links, token)
	r.later()
}

func (r *retirement) replaceApp() {
	r.t.Helper()
	next, token := r.newApp(r.u), id()
	must(r.t, r.BeginApp(r.t.Context(), next, r.u.FactorVersion))
	r.changeFactors(r.t, &r.u, func(c *factorChange) {
		c.ConfirmApp, c.Counter, c.UndoID, c.UndoEndsAt = next.ID, appCounter, token, r.now.Add(7*24*time.Hour)
	})
	r.links = append(r.links, token)
	r.later()
}

func (r *retirement) move() {
	r.t.Helper()
	var token string
	r.u, token = r.changed(r.t, r.u, "f"+id())
	r.links = append(r.links, token)
	r.later()
}

func (r *retirement) removeApp() {
	r.t.Helper()
	r.changeFactors(r.t, &r.u, func(c *factorChange) { c.RemoveApp = true })
	r.later()
}

// removePasskeys removes all passkeys, the owner's included.
func (r *retirement) removePasskeys() {
	r.t.Helper()
	var ids []string
	for _, p := range r.factors(r.t, r.u).Passkeys {
		ids = append(ids, p.ID)
	}
	r.changeFactors(r.t, &r.u, func(c *factorChange) { c.RemovePasskeys = ids })
	r.later()
}

func (r *retirement) newCodes() {
	r.t.Helper()
	r.fixture.recoveryCodes(r.t, &r.u, 5)
	r.later()
}

// undo redeems a link with the proof use; none: an empty one.
func (r *retirement) undo(link string, use factorUse) error {
	token, _, err := r.OneTimeToken(r.t.Context(), link, r.now)
	must(r.t, err)
	q := userstore.Redemption{ID: link, Kind: token.Kind, NewHash: "hash-" + id(), At: stored(r.now)}
	if !use.Empty() {
		q = r.proving(r.u, q, use)
	}
	if token.Kind == "undo_email" {
		err = r.UndoAddressChange(r.t.Context(), q, r.event(r.u.ID))
	} else {
		err = r.RemoveAddedFactor(r.t.Context(), q, r.event(r.u.ID))
	}
	r.read(r.t, &r.u)
	return err
}

// retiredFactors: what a thief with a stolen recent proof removes or replaces is still what the owner
// shows at the links of the messages, the oldest first, and comes back with them. Nothing else finds it.
func retiredFactors(t *testing.T, f *fixture) {
	start := f.now
	defer func() { f.now = start }()
	type steps = []func(*retirement)
	add, move, replace, remove, keys, codes := (*retirement).add, (*retirement).move, (*retirement).replaceApp,
		(*retirement).removeApp, (*retirement).removePasskeys, (*retirement).newCodes
	for _, row := range []struct {
		name  string
		thief steps
	}{
		{"one is added, and those of before are removed", steps{add, remove, keys}},
		{"the app is replaced", steps{replace, keys, codes}},
		{"the app is replaced twice", steps{replace, replace, keys, codes}},
		{"the address is changed, and all are removed", steps{move, remove, keys}},
		{"and others are added", steps{move, remove, keys, add, replace}},
		{"one is added, those of before are removed, and the address is changed", steps{add, remove, keys, move}},
		{"and the added one is removed, too", steps{add, remove, keys, add, move, keys}},
		{"and another one is added", steps{add, remove, keys, move, keys, add, codes}},
		{"recovery codes are replaced", steps{add, codes, codes, remove, keys}},
	} {
		for _, shown := range []string{"app", "passkey", "recovery code"} {
			f.now = start
			r := f.retirement(t)
			for _, step := range row.thief {
				step(r)
			}
			what := row.name + ", with the " + shown
			use := map[string]factorUse{
				"app": {App: r.app.ID, Counter: appCounter + 1}, "passkey": {Passkey: r.key.ID, SignCount: r.key.SignCount + 1},
				"recovery code": {Recovery: [][]byte{random(32), r.macs[1]}},
			}[shown]
			// No login takes it, nor does another use.
			if have := r.factors(t, r.u); have.App == nil || have.App.ID != r.app.ID {
				f.unchanged(t, what+": a use", r.u, userstore.ErrSpent, func() error {
					return f.UseFactor(t.Context(), r.u.ID, r.u.FactorVersion, factorUse{App: r.app.ID, Counter: appCounter + 1})
				})
			}
			if _, _, _, err := f.PasskeyOwner(t.Context(), r.key.CredentialID); err == nil {
				t.Errorf("%s: the passkey still logs in", what)
			}
			ids, codes := f.held(t, r.links[0])
			equal(t, what+": asked for", []any{slices.Contains(ids, r.app.ID), slices.Contains(ids, r.key.ID), len(ids), codes},
				[]any{true, true, 2, 3})
			known, err := f.HeldRecoveryCode(t.Context(), r.links[0], [][]byte{random(32), r.macs[2]})
			must(t, err)
			equal(t, what+": a code of before", known, true)

			f.unchanged(t, what+": the mailbox alone", r.u, userstore.ErrConflict,
				func() error { return r.undo(r.links[0], factorUse{}) })
			f.unchanged(t, what+": a used code", r.u, userstore.ErrSpent,
				func() error { return r.undo(r.links[0], factorUse{App: r.app.ID, Counter: appCounter}) })
			must(t, r.undo(r.links[0], use))
			got := r.factors(t, r.u)
			left := 3
			if shown == "recovery code" {
				left = 2
			}
			if got.App == nil || len(got.Passkeys) != 1 {
				t.Fatalf("%s: %+v", what, got)
			}
			equal(t, what, []any{got.App.ID, got.Passkeys[0].ID, got.RecoveryCodes, r.u.SecondFactor},
				[]any{r.app.ID, r.key.ID, left, true})
			f.unchanged(t, what+": twice", r.u, userstore.ErrConflict,
				func() error { return r.undo(r.links[0], factorUse{App: r.app.ID, Counter: appCounter + 2}) })

			// The link of a later change of address still works, with the same factors.
			for i, link := range r.links[1:] {
				if token, _, err := f.OneTimeToken(t.Context(), link, f.now); err == nil && token.Live {
					must(t, r.undo(link, factorUse{App: r.app.ID, Counter: int64(appCounter + 3 + i)}))
				}
			}
			equal(t, what+": in the end", r.factors(t, r.u).App.ID, r.app.ID)
		}
	}

	// A factor that its owner removed before the act is not asked for, nor does it come back.
	f.now = start
	r := f.retirement(t)
	r.move() // only for a link that is live
	r.removeApp()
	r.add()
	ids, _ := f.held(t, r.links[1])
	equal(t, "asked for", ids, []string{r.key.ID})
	f.unchanged(t, "with one of before that", r.u, userstore.ErrSpent,
		func() error { return r.undo(r.links[1], factorUse{App: r.app.ID, Counter: appCounter + 1}) })
	must(t, r.undo(r.links[1], factorUse{Passkey: r.key.ID, SignCount: r.key.SignCount + 1}))
	equal(t, "an app", r.factors(t, r.u).App == nil, true)
	ids, _ = f.held(t, r.links[0])
	equal(t, "the older link still asks for both", len(ids), 2)

	// A recovery code that was used is gone.
	f.now = start
	r = f.retirement(t)
	must(t, f.UseFactor(t.Context(), r.u.ID, r.u.FactorVersion, factorUse{Recovery: r.macs[:1]}))
	r.add()
	must(t, f.UseFactor(t.Context(), r.u.ID, r.u.FactorVersion, factorUse{Recovery: r.macs[1:2]}))
	r.newCodes()
	for i, want := range []bool{false, false, true} {
		known, err := f.HeldRecoveryCode(t.Context(), r.links[0], r.macs[i:i+1])
		must(t, err)
		equal(t, "a code of before", known, want)
	}
}

// forgottenFactors: what ends the retirement of a factor for good.
func forgottenFactors(t *testing.T, f *fixture) {
	start := f.now
	defer func() { f.now = start }()
	for name, end := range map[string]func(*retirement){
		"an operator removes all": func(r *retirement) {
			r.changeFactors(t, &r.u, func(c *factorChange) { c.PasswordHash, c.RemoveAll = "", true })
		},
		"an operator removes one": func(r *retirement) {
			p := r.factors(t, r.u).Passkeys[0].ID
			r.changeFactors(t, &r.u, func(c *factorChange) { c.PasswordHash, c.Final, c.RemovePasskeys = "", true, []string{p} })
		},
		"the first proof of the address": func(r *retirement) {
			token := r.issue(t, r.u)
			must(t, r.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: token.Kind, NewHash: "x", At: r.now,
				Unproved: true}))
		},
	} {
		f.now = start
		r := f.retirement(t)
		r.add()
		r.removeApp()
		r.newCodes()
		end(r)
		f.read(t, &r.u)
		s, err := f.HeldFactors(t.Context(), r.links[0])
		must(t, err)
		equal(t, name, []any{s.App == nil, s.RecoveryCodes}, []any{true, 0})
		if r.undo(r.links[0], factorUse{App: r.app.ID, Counter: appCounter + 1}) == nil {
			t.Errorf("%s: an app that is gone for good undoes an act", name)
		}
		equal(t, name+": the app", f.factors(t, r.u).App == nil, true)
	}

	// Without a link there is nothing to bring back, and with the last link it ends.
	f.now = start
	r := f.retirement(t)
	r.removeApp()
	r.add()
	ids, _ := f.held(t, r.links[0])
	equal(t, "of an act after it", ids, []string{r.key.ID})
	r.removePasskeys()
	r.newCodes()
	for _, at := range []time.Duration{7*24*time.Hour - time.Minute, 7*24*time.Hour + 5*time.Minute} {
		_, err := f.RemoveSpentHandles(t.Context(), start.Add(at), 100)
		must(t, err)
		ids, _ := f.held(t, r.links[0])
		equal(t, "after "+at.String(), len(ids), map[bool]int{true: 1}[at < 7*24*time.Hour])
	}

	// Nobody else stores a passkey that may come back, and its user may store it anew.
	f.now = start
	r = f.retirement(t)
	other := f.user(t)
	r.add()
	r.removePasskeys()
	taken := f.newPasskey(other)
	taken.CredentialID = r.key.CredentialID
	f.unchanged(t, "a retired credential", other, userstore.ErrExists, func() error {
		c := newFactorChange(f, other)
		c.AddPasskey, c.PasskeyHandle = &taken, "handle"
		return f.ChangeFactors(t.Context(), c)
	})
	again := f.newPasskey(r.u)
	again.CredentialID = r.key.CredentialID
	r.changeFactors(t, &r.u, func(c *factorChange) { c.AddPasskey = &again })
	r.later()
	must(t, r.undo(r.links[0], factorUse{App: r.app.ID, Counter: appCounter + 1}))
	got := f.factors(t, r.u).Passkeys
	equal(t, "the passkey", []any{len(got), got[0].ID}, []any{1, r.key.ID})

	// Deleting the user takes them along.
	r = f.retirement(t)
	r.add()
	r.removePasskeys()
	must(t, f.DeleteUser(t.Context(), r.u.ID))
	taken.CredentialID = r.key.CredentialID
	f.changeFactors(t, &other, func(c *factorChange) { c.AddPasskey, c.PasskeyHandle = &taken, "handle" })
}

// raceRetired: the owner undoes an act while the thief removes and replaces factors.
// Whichever comes first, the link works, and the owner's factors are there afterwards.
func raceRetired(t *testing.T, f *fixture) {
	start := f.now
	defer func() { f.now = start }()
	for range 6 {
		f.now = start
		r := f.retirement(t)
		r.add()
		setup := f.newApp(r.u)
		must(t, f.BeginApp(t.Context(), setup, r.u.FactorVersion))
		changes := []func(*factorChange){
			func(c *factorChange) { c.RemoveApp = true },
			func(c *factorChange) { c.RemovePasskeys = []string{r.key.ID} },
			func(c *factorChange) { c.ConfirmApp, c.Counter = setup.ID, appCounter },
			func(c *factorChange) { c.RecoveryCodes = [][]byte{random(32)} },
		}
		u := r.u
		var won []error
		errs := make([]error, len(changes)+2)
		together(len(errs), func(i int) {
			if i >= len(changes) {
				errs[i] = f.RemoveAddedFactor(t.Context(),
					f.proving(u, f.removing(r.links[0]), factorUse{App: r.app.ID, Counter: appCounter + 1}))
				return
			}
			c := newFactorChange(f, u)
			c.PasswordHash, c.Version = "", userstore.AnyFactorVersion
			changes[i](&c)
			errs[i] = f.ChangeFactors(t.Context(), c)
		})
		for _, err := range errs[len(changes):] {
			if err == nil {
				won = append(won, err)
			} else {
				is(t, err, userstore.ErrConflict) // the factor version moved, or the link is used
			}
		}
		f.read(t, &r.u)
		if len(won) == 0 { // the owner tries once more
			must(t, r.undo(r.links[0], factorUse{App: r.app.ID, Counter: appCounter + 1}))
			got := f.factors(t, r.u)
			if got.App == nil || got.App.ID != r.app.ID || len(got.Passkeys) != 1 || got.Passkeys[0].ID != r.key.ID ||
				got.RecoveryCodes != 3 {
				t.Errorf("after the undoing: %+v", got)
			}
		}
		if len(won) > 1 {
			t.Error("the link undid the act twice")
		}
	}
}

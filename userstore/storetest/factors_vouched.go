package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// imported returns a user who came with an authenticator app and two recovery codes.
func (f *fixture) imported(t *testing.T, verified bool) userstore.User {
	t.Helper()
	u := f.newUser()
	u.EmailVerified = verified
	first := userstore.FirstFactors{App: f.newApp(u), RecoveryCodes: [][]byte{random(32), random(32)}}
	taken, err := f.CreateUsers(t.Context(), []userstore.User{u}, map[int]userstore.FirstFactors{0: first})
	must(t, err)
	equal(t, "taken", len(taken), 0)
	f.read(t, &u)
	return u
}

// moved gives u another address that is not proved. vouched: an operator does.
func (f *fixture) moved(t *testing.T, u *userstore.User, vouched bool) {
	t.Helper()
	u.Email, u.EmailKey, u.EmailVerified, u.FactorsVouched = "m"+u.Email, "m"+u.EmailKey, false, vouched
	must(t, f.UpdateUser(t.Context(), *u))
	f.read(t, u)
}

// prove proves the address of u by the mailbox, and keeps the password.
func (f *fixture) prove(t *testing.T, u *userstore.User) {
	t.Helper()
	token := f.issue(t, *u, func(o *userstore.OneTimeToken) { o.Kind = outbox.VerifyEmail })
	must(t, f.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: token.Kind, At: f.now}))
	f.read(t, u)
}

// vouchedFactors: whose second factors go with a new password by the mailbox alone, at an address that
// is not proved (P-03), and who has to show one (P-04). docs/decisions/second-factor-gate.md has the
// same rows.
func vouchedFactors(t *testing.T, f *fixture) {
	app := func(u *userstore.User) { f.app(t, u) }
	for _, row := range []struct {
		name string
		user func() userstore.User
		then []func(*userstore.User)
		kept bool
	}{
		{"set up at an address that was never proved", nil, []func(*userstore.User){app}, false},
		{"imported with an address that is not proved", func() userstore.User { return f.imported(t, false) }, nil, true},
		{"imported with a proved address", func() userstore.User { return f.imported(t, true) }, nil, true},
		{"set up at a proved address", nil, []func(*userstore.User){func(u *userstore.User) { f.prove(t, u) }, app}, true},
		{"there when an operator changed the address", nil, []func(*userstore.User){
			func(u *userstore.User) { f.prove(t, u) }, app, func(u *userstore.User) { f.moved(t, u, true) },
		}, true},
		{"and when it was changed once more", nil, []func(*userstore.User){
			func(u *userstore.User) { f.prove(t, u) }, app,
			func(u *userstore.User) { f.moved(t, u, true) }, func(u *userstore.User) { f.moved(t, u, true) },
		}, true},
		{"of a stranger's account, whose address an operator changed", nil, []func(*userstore.User){
			app, func(u *userstore.User) { f.moved(t, u, true) },
		}, false},
		{"imported, and an operator changed the address", func() userstore.User { return f.imported(t, false) },
			[]func(*userstore.User){func(u *userstore.User) { f.moved(t, u, true) }}, true},
		{"there when the account changed its own address", nil, []func(*userstore.User){
			func(u *userstore.User) { f.prove(t, u) }, app, func(u *userstore.User) { f.moved(t, u, false) },
		}, false},
		{"imported, and the account changed its own address", func() userstore.User { return f.imported(t, false) },
			[]func(*userstore.User){func(u *userstore.User) { f.moved(t, u, false) }}, false},
		{"and an operator did so later", func() userstore.User { return f.imported(t, false) }, []func(*userstore.User){
			func(u *userstore.User) { f.moved(t, u, false) }, func(u *userstore.User) { f.moved(t, u, true) },
		}, false},
		{"set up after an operator changed the address", nil, []func(*userstore.User){
			func(u *userstore.User) { f.prove(t, u) }, func(u *userstore.User) { f.moved(t, u, true) }, app,
		}, false},
		{"after the last of those that were there is gone", func() userstore.User { return f.imported(t, false) },
			[]func(*userstore.User){
				func(u *userstore.User) { f.changeFactors(t, u, func(c *factorChange) { c.RemoveApp = true }) }, app,
			}, false},
		{"in the place of one that was there", func() userstore.User { return f.imported(t, false) },
			[]func(*userstore.User){app}, true},
		{"where an operator took the proof away", func() userstore.User { return f.imported(t, true) },
			[]func(*userstore.User){func(u *userstore.User) {
				u.EmailVerified, u.FactorsVouched = false, true
				must(t, f.UpdateUser(t.Context(), *u))
				f.read(t, u)
			}}, false},
		{"imported, proved, and moved by the account", func() userstore.User { return f.imported(t, false) },
			[]func(*userstore.User){
				func(u *userstore.User) { f.prove(t, u) }, func(u *userstore.User) { f.moved(t, u, false) },
			}, false},
		{"imported, and edited in other ways", func() userstore.User { return f.imported(t, false) },
			[]func(*userstore.User){func(u *userstore.User) {
				u.Claims.Nickname, u.FactorsVouched = "n", false
				must(t, f.UpdateUser(t.Context(), *u))
				f.read(t, u)
			}}, true},
	} {
		for _, kind := range []outbox.Kind{outbox.VerifyEmail, outbox.ResetPassword, outbox.Invite} {
			var u userstore.User
			if row.user != nil {
				u = row.user()
			} else {
				u = f.user(t)
			}
			for _, step := range row.then {
				step(&u)
			}
			what := row.name + ", " + string(kind)
			if u.FactorsVouched && (u.EmailVerified || !u.SecondFactor) {
				t.Errorf("%s: vouched for without need: %+v", what, u)
			}
			token := f.issue(t, u, func(o *userstore.OneTimeToken) { o.Kind, o.At = kind, o.At.Add(time.Second) })
			r := userstore.Redemption{ID: token.ID, Kind: kind, NewHash: "hash-" + id(), At: stored(f.now.Add(time.Second)),
				Unproved: true}
			if !row.kept {
				must(t, f.RedeemToken(t.Context(), r))
				f.read(t, &u)
				equal(t, what, []any{u.SecondFactor, u.EmailVerified, u.FactorsVouched, f.factors(t, u).App == nil},
					[]any{false, true, false, true})
				continue
			}
			f.unchanged(t, what, u, userstore.ErrConflict, func() error { return f.RedeemToken(t.Context(), r) })
			have := f.factors(t, u)
			r.Unproved = false
			use := factorUse{App: have.App.ID, Counter: have.App.LastCounter + 1}
			must(t, f.RedeemToken(t.Context(), f.proving(u, r, use)))
			f.read(t, &u)
			equal(t, what, []any{u.SecondFactor, u.EmailVerified, u.FactorsVouched, f.factors(t, u).App.ID},
				[]any{true, true, false, have.App.ID})
		}
	}
}

// raceVouched: an operator changes the address while the account sets up its first factor. If the
// factor was there before, it is vouched for; if not, it is not.
func raceVouched(t *testing.T, f *fixture) {
	for range 10 {
		u := f.user(t)
		f.prove(t, &u)
		p := f.newPasskey(u)
		c := newFactorChange(f, u)
		c.AddPasskey, c.PasskeyHandle = &p, "handle-"+u.ID
		to := u
		to.Email, to.EmailKey, to.EmailVerified, to.FactorsVouched = "r"+u.Email, "r"+u.EmailKey, false, true
		var moved, added error
		together(2, func(i int) {
			if i == 0 {
				moved = f.UpdateUser(t.Context(), to)
			} else {
				added = f.ChangeFactors(t.Context(), c)
			}
		})
		must(t, moved)
		must(t, added)
		f.read(t, &u)
		equal(t, "the user", []any{u.Email, u.SecondFactor}, []any{to.Email, true})

		// Whichever was first: the one state or the other, and the redemption agrees with it.
		token := f.issue(t, u)
		r := userstore.Redemption{ID: token.ID, Kind: token.Kind, NewHash: "x", At: f.now, Unproved: true}
		err := f.RedeemToken(t.Context(), r)
		if u.FactorsVouched {
			is(t, err, userstore.ErrConflict)
		} else {
			must(t, err)
		}
	}
}

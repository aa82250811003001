package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// logins are the operations that make a grant or a session of a login.
var logins = []struct {
	name  string
	start func(f *fixture, t *testing.T, u userstore.User, l login) error
}{
	{"a grant", func(f *fixture, t *testing.T, u userstore.User, l login) error {
		g := f.newGrant(u)
		g.CreatedAt = l.at
		return f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: l.hash,
			Rehash: l.rehash, Second: l.step,
			Attempt: l.attempt, Remember: l.at.Add(time.Hour), Events: l.events})
	}},
	{"a session", func(f *fixture, t *testing.T, u userstore.User, l login) error {
		s := f.newSession(u)
		s.CreatedAt = l.at
		return f.StartSession(t.Context(), newLogin{Session: s, PasswordHash: l.hash, Rehash: l.rehash, Second: l.step,
			Attempt: l.attempt, Remember: l.at.Add(time.Hour), Replaces: l.replaces}, l.events...)
	}},
}

type login struct {
	at           time.Time
	hash, rehash string
	step         secondStep
	attempt      userstore.Attempt
	replaces     userstore.SessionHash
	events       []audit.Event
}

// secondFactorGate: the store lets no login through that forgets the second step, whoever asks.
func secondFactorGate(t *testing.T, f *fixture) {
	ctx := t.Context()
	for _, kind := range logins {
		u, off, plain := f.user(t), f.user(t), f.user(t)
		app, passkey := f.app(t, &u), f.passkey(t, &u)
		codes := f.recoveryCodes(t, &u, 3)
		f.app(t, &off)
		must(t, f.SetActive(ctx, off.ID, false, f.now))
		proved := secondStep{FactorVersion: u.FactorVersion, Proved: true}
		current := f.session(t, u, func(s *newLogin) { s.Second = proved })
		spent, fresh := usedOnce{ID: id(), EndsAt: f.now.Add(time.Hour)},
			usedOnce{ID: id(), EndsAt: f.now.Add(time.Hour)}
		must(t, f.UseFactor(ctx, u.ID, u.FactorVersion, factorUse{Handles: []usedOnce{spent}}))
		f.read(t, &u)

		// start attempts a login an hour later, and checks what is left of the attempt.
		start := func(what string, u userstore.User, want error, change func(*login)) {
			t.Helper()
			r := f.reserve()
			must(t, f.ReserveAttempt(ctx, r))
			l := login{at: f.now.Add(time.Hour), hash: u.PasswordHash, rehash: u.PasswordHash + "+",
				step: secondStep{FactorVersion: u.FactorVersion, Proved: true}, attempt: r.Attempt, events: TwoEvents()}
			if u.ID == current.UserID {
				l.replaces = current.Hash
			}
			change(&l)
			what = kind.name + ": " + what
			if want == nil {
				must(t, kind.start(f, t, u, l))
				equal(t, what+": the attempt", f.tallies(t, r), userstore.Tallies{Remembered: true})
				equal(t, what+": entries", StoredEntries(t, f, l.events), 2)
				return
			}
			f.unchanged(t, what, u, want, func() error { return kind.start(f, t, u, l) })
			tallies := f.tallies(t, r)
			equal(t, what+": the attempt", []any{tallies.Account.Pending, tallies.Network.Pending, tallies.Remembered},
				[]any{1, 1, false})
			equal(t, what+": entries", StoredEntries(t, f, l.events), 0)
		}
		step := func(s secondStep) func(*login) {
			return func(l *login) { l.step = s }
		}
		use := func(use factorUse) func(*login) {
			return func(l *login) {
				l.step.Use = use
				l.step.Use.At = l.at
				l.step.Use.Handles = append([]usedOnce{fresh}, use.Handles...)
				l.step.Trust = &newTrust{Hash: sessionHash(), ID: id(), EndsAt: f.now.Add(24 * time.Hour)}
			}
		}
		v := u.FactorVersion
		conflict := userstore.ErrConflict
		start("a login that knows of no factor", u, conflict, step(secondStep{}))
		start("a login that proved none", u, conflict, step(secondStep{FactorVersion: v}))
		start("a login that trusts the browser for later", u, conflict, step(secondStep{FactorVersion: v,
			Trust: &newTrust{Hash: sessionHash(), ID: id(), EndsAt: f.now.Add(time.Hour)}}))
		start("a use that is not said to prove", u, conflict, step(secondStep{FactorVersion: v,
			Use: factorUse{App: app.ID, Counter: 500}}))
		start("a proof of an older version", u, conflict, step(secondStep{FactorVersion: v - 1, Proved: true}))
		start("a proof of no version", u, conflict, step(secondStep{Proved: true}))
		start("a proof of any version", u, conflict,
			step(secondStep{FactorVersion: userstore.AnyFactorVersion, Proved: true}))
		start("a use with an older version", u, conflict, step(secondStep{FactorVersion: v - 1, Proved: true,
			Use: factorUse{App: app.ID, Counter: 500}}))
		start("a use with another password", u, conflict, func(l *login) {
			l.hash = "other"
			l.step.Use = factorUse{App: app.ID, Counter: 500}
		})
		start("a use of a disabled user", off, conflict, func(l *login) {
			l.step.Use = factorUse{Handles: []usedOnce{fresh}}
		})
		start("the first code again", u, userstore.ErrSpent, use(factorUse{App: app.ID, Counter: appCounter}))
		start("an unknown app", u, userstore.ErrSpent, use(factorUse{App: id(), Counter: 500}))
		start("a wrong recovery code", u, userstore.ErrSpent, use(factorUse{Recovery: [][]byte{random(32)}}))
		start("a passkey's counter again", u, userstore.ErrSpent,
			use(factorUse{Passkey: passkey.ID, SignCount: passkey.SignCount}))
		start("an untrusted browser", u, userstore.ErrSpent, use(factorUse{Trusted: sessionHash()}))
		start("a handle again", u, userstore.ErrSpent, use(factorUse{Handles: []usedOnce{spent}}))
		start("a good code with a handle again", u, userstore.ErrSpent, use(factorUse{App: app.ID, Counter: 500,
			Recovery: codes[:1], Passkey: passkey.ID, SignCount: 500, Handles: []usedOnce{spent}}))
		f.sessionExists(t, current, true)

		// All of it, once.
		must(t, f.CountWrongCode(ctx, u.ID, 5))
		all := factorUse{App: app.ID, Counter: 500, Recovery: codes[:1], Passkey: passkey.ID,
			SignCount: 500, BackedUp: true}
		start("everything", u, nil, use(all))
		f.read(t, &u)
		equal(t, kind.name+": the user", []any{u.LastLoginAt, u.PasswordHash[len(u.PasswordHash)-1:], u.FactorVersion},
			[]any{stored(f.now.Add(time.Hour)), "+", v})
		got := f.factors(t, u)
		equal(t, kind.name+": what was spent", []any{got.App.LastCounter, got.App.LastUsedAt,
			got.RecoveryCodes, got.WrongCodes,
			got.Passkeys[0].SignCount, got.Passkeys[0].BackedUp, got.Passkeys[0].LastUsedAt},
			[]any{int64(500), u.LastLoginAt, 2, 0, uint32(500), true, u.LastLoginAt})
		f.sessionExists(t, current, kind.name == "a grant")
		all.Counter, all.SignCount, all.Recovery = 501, 501, codes[1:2]
		start("everything, with the handle again", u, userstore.ErrSpent, use(all))
		fresh.ID = id()
		start("everything anew", u, nil, use(all))
		f.read(t, &u)

		// Without a second factor nothing is to be proved, but the version has to be right.
		start("a version that is not there", plain, conflict, step(secondStep{FactorVersion: 1}))
		start("one factor", plain, nil, func(l *login) { l.step.Proved = false })
		f.read(t, &plain)
		start("one factor, and a handle", plain, nil, step(secondStep{Use: factorUse{
			Handles: []usedOnce{{ID: id(), EndsAt: f.now.Add(time.Hour)}}}}))
		f.changeFactors(t, &u, func(c *factorChange) { c.RemoveAll = true })
		start("a proof of what is gone", u, conflict, step(proved))
		start("one factor that is left, read before", u, conflict, step(secondStep{}))
		start("one factor that is left", u, nil, func(l *login) { l.step.Proved = false })
	}
}

// A session's proofs come back, and the strength that was computed of them.
func provedRoundTrip(t *testing.T, f *fixture) {
	u := f.user(t)
	s := f.newSession(u)
	s.Proved = []userstore.ProvedFactor{{Factor: userstore.FactorPassword, At: f.now.Add(-time.Hour)},
		{Factor: userstore.FactorSyncedPasskey, At: f.now}, {Factor: userstore.FactorApp}}
	must(t, f.StartSession(t.Context(), newLogin{Session: s, PasswordHash: u.PasswordHash}))
	got, _, err := f.BrowserSession(t.Context(), s.Hash, f.now, time.Time{})
	must(t, err)
	want := slices.Clone(s.Proved)
	for i := range want[:2] {
		want[i].At = stored(want[i].At)
	}
	equal(t, "proofs", got.Proved, want)
	list, err := f.ListBrowserSessions(t.Context(), u.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "proofs in the list", list[0].Proved, want)

	// A session that says only that it began with a password, as all did before second factors.
	for _, amr := range [][]string{{"pwd"}, {"otp"}, {"pwd", "otp"}, nil} {
		before := f.session(t, u, func(s *newLogin) { s.Session.AMR, s.Session.AuthTime = amr, f.now.Add(-time.Hour) })
		got, _, err = f.BrowserSession(t.Context(), before.Hash, f.now, time.Time{})
		must(t, err)
		want = nil
		if slices.Equal(amr, []string{"pwd"}) {
			want = []userstore.ProvedFactor{{Factor: userstore.FactorPassword, At: stored(f.now.Add(-time.Hour))}}
		}
		equal(t, fmt.Sprint("proofs of ", amr), got.Proved, want)
	}
}

// redeemedFactors: an account's first proof of its address with a new password removes every second
// factor, as another person may have made the account (P-03). Other redemptions leave them.
func redeemedFactors(t *testing.T, f *fixture) {
	ctx := t.Context()
	for name, test := range map[string]struct {
		change  func(*userstore.Redemption)
		removes bool
	}{
		"a reset": {func(*userstore.Redemption) {}, false},
		"a proof": {func(r *userstore.Redemption) { r.NewHash = "" }, false},
		"a first proof": {func(r *userstore.Redemption) {
			r.NewHash, r.Unproved = "", true
		}, false},
		"a first proof with a new password": {func(r *userstore.Redemption) { r.Unproved = true }, true},
		"a refused one with a new password": {func(r *userstore.Redemption) { r.Unproved, r.ID = true, id() }, false},
		"an ended one with the new password": {func(r *userstore.Redemption) {
			r.Unproved, r.At = true, f.now.Add(2*time.Hour)
		}, false},
	} {
		u, bystander := f.user(t), f.user(t)
		f.app(t, &u)
		p := f.passkey(t, &u)
		f.recoveryCodes(t, &u, 3)
		must(t, f.BeginApp(ctx, f.newApp(u), u.FactorVersion))
		must(t, f.CountWrongCode(ctx, u.ID, 9))
		f.app(t, &bystander)
		before, theirs := f.factors(t, u), f.factorRows(t, bystander)
		token := f.issue(t, u)
		r := userstore.Redemption{ID: token.ID, Kind: token.Kind, NewHash: "hash-" + id(), At: f.now}
		test.change(&r)
		if err := f.RedeemToken(ctx, r, f.event(u.ID)); err != nil {
			is(t, err, userstore.ErrConflict)
		}
		if test.removes {
			before = userstore.SecondFactors{Version: before.Version + 1}
		}
		equal(t, name, f.factors(t, u), before)
		f.read(t, &u)
		equal(t, name+": the user", []any{u.SecondFactor, u.FactorVersion}, []any{!test.removes, before.Version})
		_, _, _, err := f.PasskeyOwner(ctx, p.CredentialID)
		is(t, err, map[bool]error{true: userstore.ErrNotFound}[test.removes])
		equal(t, name+": a bystander's", f.factorRows(t, bystander), theirs)
	}
}

// undoneFactors: whoever undoes a change of address gets rid of the factors that came since, also of
// an app whose setup had begun before (P-11).
func undoneFactors(t *testing.T, f *fixture) {
	ctx := t.Context()
	now := f.now
	defer func() { f.now = now }()
	for _, own := range []bool{true, false} { // whether the owner had a factor before
		f.now = now
		u := f.user(t)
		var mine userstore.Passkey
		if own {
			mine = f.passkey(t, &u)
			f.recoveryCodes(t, &u, 2)
		}
		setup := f.newApp(u)
		must(t, f.BeginApp(ctx, setup, u.FactorVersion))
		f.now = now.Add(time.Minute)
		u, undo := f.changed(t, u, "a"+id())
		f.now = now.Add(2 * time.Minute)
		f.changeFactors(t, &u, func(c *factorChange) { c.ConfirmApp, c.Counter = setup.ID, appCounter })
		f.passkey(t, &u)
		f.recoveryCodes(t, &u, 5)
		must(t, f.BeginApp(ctx, f.newApp(u), u.FactorVersion))
		before := f.factors(t, u)
		refused := f.newUndoing(id())
		f.unchanged(t, "a refused one", u, userstore.ErrConflict, func() error {
			return f.UndoAddressChange(ctx, refused)
		})
		f.now = now.Add(3 * time.Minute)
		undoing := f.newUndoing(undo)
		if own {
			f.unchanged(t, "without the own factor", u, userstore.ErrConflict, func() error {
				return f.UndoAddressChange(ctx, undoing)
			})
			undoing = f.proving(u, undoing, factorUse{Passkey: mine.ID, SignCount: mine.SignCount + 1})
			mine.SignCount, mine.LastUsedAt = mine.SignCount+1, stored(f.now)
		}
		must(t, f.UndoAddressChange(ctx, undoing))
		want := userstore.SecondFactors{Version: before.Version + 1, PasskeyHandle: before.PasskeyHandle,
			WrongCodes: before.WrongCodes}
		if own {
			mine.CreatedAt = now
			want.Passkeys, want.RecoveryCodes = []userstore.Passkey{storedPasskey(mine)}, 2 // those of before
		}
		equal(t, fmt.Sprint("own factor: ", own), f.factors(t, u), want)
		f.read(t, &u)
		equal(t, "a second factor", u.SecondFactor, own)
	}
}

// addressKeepsFactors: whoever has the mailbox only, or the password only, does not get rid of the
// second factor (P-04).
func addressKeepsFactors(t *testing.T, f *fixture) {
	u := f.user(t)
	f.app(t, &u)
	f.recoveryCodes(t, &u, 2)
	before := f.factors(t, u)
	u, _ = f.changed(t, u, "b"+id())
	equal(t, "after a change of address", f.factors(t, u), before)
	reset := f.issue(t, u, func(o *userstore.OneTimeToken) { o.Kind = outbox.ResetPassword })
	r := userstore.Redemption{ID: reset.ID, Kind: reset.Kind, NewHash: id(), At: f.now}
	f.unchanged(t, "a reset without the factor", u, userstore.ErrConflict, func() error {
		return f.RedeemToken(t.Context(), r)
	})
	must(t, f.RedeemToken(t.Context(), f.proving(u, r, factorUse{App: before.App.ID, Counter: appCounter + 1})))
	before.App.LastCounter, before.App.LastUsedAt = appCounter+1, stored(f.now)
	must(t, f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, NewHash: id(), At: f.now}))
	must(t, errors.Join(f.SetActive(t.Context(), u.ID, false, f.now), f.SetActive(t.Context(), u.ID, true, f.now)))
	equal(t, "after all", f.factors(t, u), before)
	f.read(t, &u)
	equal(t, "the user", []any{u.SecondFactor, u.FactorVersion}, []any{true, before.Version})
}

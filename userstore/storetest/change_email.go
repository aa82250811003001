package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// beginning holds the arguments of BeginAddressChange.
type beginning struct {
	request userstore.MailRequest
	message outbox.Message
	token   userstore.OneTimeToken
	proved  string
}

// newBeginning makes a change of u's address to name@x.test, whose budget is name.
func (f *fixture) newBeginning(u userstore.User, name string) (b beginning) {
	at, ends := stored(f.now), stored(f.now.Add(time.Hour))
	b.request = userstore.MailRequest{ID: id(), Kind: outbox.ChangeEmail, At: at, EndsAt: ends}
	copy(b.request.Budget[:], name)
	b.message = outbox.Message{ID: b.request.ID, Kind: outbox.ChangeEmail, UserID: u.ID, To: name + "@X.test", At: at,
		EndsAt: ends}
	b.token = userstore.OneTimeToken{ID: b.request.ID, Kind: outbox.ChangeEmail, UserID: u.ID, Address: b.message.To,
		AddressKey: name + "@x.test", At: at, EndsAt: ends}
	b.proved = u.PasswordHash
	return b
}

func (f *fixture) begin(t *testing.T, b beginning, events ...audit.Event) error {
	t.Helper()
	limits := []userstore.Limit{{Free: 1, Window: time.Minute}}
	return f.BeginAddressChange(t.Context(), b.request, limits, b.message, b.token, b.proved, events...)
}

// begun begins a change of u's address and returns its token.
func (f *fixture) begun(t *testing.T, u userstore.User, name string) userstore.OneTimeToken {
	t.Helper()
	b := f.newBeginning(u, name)
	must(t, f.begin(t, b))
	return b.token
}

// newChange confirms the change of a token at the present address of u.
func (f *fixture) newChange(u userstore.User, token string) userstore.AddressChange {
	return userstore.AddressChange{ID: token, From: u.Email, FromKey: u.EmailKey, UndoID: id(), At: stored(f.now),
		UndoEndsAt: stored(f.now.Add(7 * 24 * time.Hour))}
}

// changed changes the address of u, and returns the user and the token that undoes the change.
func (f *fixture) changed(t *testing.T, u userstore.User, name string) (userstore.User, string) {
	t.Helper()
	c := f.newChange(u, f.begun(t, u, name).ID)
	must(t, f.ConfirmAddressChange(t.Context(), c))
	u, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	return u, c.UndoID
}

func (f *fixture) newUndoing(token string) userstore.Redemption {
	return userstore.Redemption{ID: token, Kind: outbox.UndoEmail, NewHash: "hash-" + id(), At: stored(f.now)}
}

func (f *fixture) address(t *testing.T, userID string) string {
	t.Helper()
	u, err := f.UserByID(t.Context(), userID)
	must(t, err)
	return u.Email
}

func beginAddressChange(t *testing.T, f *fixture) {
	u, other, disabled := f.user(t), f.user(t), f.user(t)
	must(t, f.SetActive(t.Context(), disabled.ID, false, f.now))
	first := f.newBeginning(u, "first")
	for range 2 { // the second one is an answer that was lost
		must(t, f.begin(t, first))
	}
	equal(t, "messages", len(f.waits(t, first.message.To)), 1)
	got, owner, err := f.OneTimeToken(t.Context(), first.token.ID, f.now)
	must(t, err)
	want := first.token
	want.Live = true
	equal(t, "the token", got, want)
	equal(t, "its user", owner, u)

	// Beyond the budget nothing is sent, and the token before stays. What was asked for is counted
	// all the same.
	beyond := f.newBeginning(u, "first")
	must(t, f.begin(t, beyond))
	equal(t, "messages beyond the budget", len(f.waits(t, first.message.To)), 1)
	equal(t, "the token before", f.isLive(t, first.token.ID), true)
	_, _, err = f.OneTimeToken(t.Context(), beyond.token.ID, f.now)
	is(t, err, userstore.ErrNotFound)
	must(t, f.TryCode(t.Context(), beyond.request.ID, outbox.ChangeEmail, f.now, 1))
	is(t, f.TryCode(t.Context(), beyond.request.ID, outbox.ChangeEmail, f.now, 1), userstore.ErrConflict)

	// A newer one ends the older.
	newer := f.begun(t, u, "second")
	equal(t, "the older one", f.isLive(t, first.token.ID), false)
	equal(t, "the newer one", f.isLive(t, newer.ID), true)

	// A taken address is stored like a free one, and its token is of no use.
	taken := f.newBeginning(u, "taken")
	taken.token.Address, taken.token.AddressKey = other.Email, other.EmailKey
	must(t, f.begin(t, taken))
	equal(t, "of a taken address", f.isLive(t, taken.token.ID), false)
	is(t, f.ConfirmAddressChange(t.Context(), f.newChange(u, taken.token.ID)), userstore.ErrConflict)
	equal(t, "messages to a taken address", len(f.waits(t, taken.message.To)), 1) // dropped when it is composed

	for name, b := range map[string]beginning{
		"another password": func() beginning { b := f.newBeginning(u, "third"); b.proved = "other"; return b }(),
		"a disabled user":  f.newBeginning(disabled, "third"),
		"nobody":           f.newBeginning(f.newUser(), "third"),
	} {
		if err := f.begin(t, b, f.event(id())); !errors.Is(err, userstore.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
		equal(t, "messages of what was refused", len(f.waits(t, b.message.To)), 0)
		is(t, f.TryCode(t.Context(), b.request.ID, outbox.ChangeEmail, f.now, 1), userstore.ErrConflict)
	}
	wrong := f.newBeginning(u, "third")
	wrong.token.ID = id()
	is(t, f.begin(t, wrong), userstore.ErrInvalid)

	// Withdrawn, it does not come back.
	last := f.newBeginning(u, "fourth")
	must(t, f.begin(t, last))
	must(t, f.WithdrawAddressChange(t.Context(), u.ID, f.now))
	is(t, f.WithdrawAddressChange(t.Context(), u.ID, f.now), userstore.ErrNotFound)
	must(t, f.begin(t, last))
	equal(t, "withdrawn, and the first answer was lost", f.isLive(t, last.token.ID), false)
	is(t, f.ConfirmAddressChange(t.Context(), f.newChange(u, last.token.ID)), userstore.ErrConflict)
	ended := f.begun(t, u, "fifth")
	is(t, f.WithdrawAddressChange(t.Context(), u.ID, ended.EndsAt), userstore.ErrNotFound)
}

func confirmAddressChange(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	g := f.grant(t, u)
	u, err := f.UserByID(t.Context(), u.ID) // with its last login
	must(t, err)
	reset := f.issue(t, u)
	token := f.begun(t, u, "confirmed")
	equal(t, "another token of the user", f.isLive(t, reset.ID), true)
	c := f.newChange(u, token.ID)
	for name, change := range map[string]func(*userstore.AddressChange){
		"no token":          func(c *userstore.AddressChange) { c.ID = id() },
		"of another kind":   func(c *userstore.AddressChange) { c.ID = reset.ID },
		"ended":             func(c *userstore.AddressChange) { c.At = token.EndsAt },
		"another address":   func(c *userstore.AddressChange) { c.From = other.Email },
		"an impossible one": func(c *userstore.AddressChange) { c.ID = "\x00" },
	} {
		wrong := c
		change(&wrong)
		if err := f.ConfirmAddressChange(t.Context(), wrong, f.event(id())); !errors.Is(err, userstore.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	is(t, f.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: outbox.ChangeEmail, NewHash: "x",
		At: f.now}), userstore.ErrInvalid)
	is(t, f.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: outbox.VerifyEmail, NewHash: "x",
		At: f.now}), userstore.ErrConflict)
	after, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	equal(t, "after refusals", after, u)

	must(t, f.ConfirmAddressChange(t.Context(), c))
	is(t, f.ConfirmAddressChange(t.Context(), c), userstore.ErrConflict)
	after, err = f.UserByID(t.Context(), u.ID)
	must(t, err)
	want := u
	want.Email, want.EmailKey, want.EmailVerified, want.UpdatedAt, want.Version = token.Address, token.AddressKey,
		true, c.At, u.Version+1
	equal(t, "after the change", after, want)
	v, err := f.GrantByID(t.Context(), g.ID)
	must(t, err)
	equal(t, "a session was ended", v.Grant.RevokedAt.IsZero(), true)
	equal(t, "another token of the user", f.isLive(t, reset.ID), false)
	undo, _, err := f.OneTimeToken(t.Context(), c.UndoID, f.now)
	must(t, err)
	equal(t, "the token that undoes it", undo, userstore.OneTimeToken{ID: c.UndoID, Kind: outbox.UndoEmail,
		UserID:  u.ID,
		Address: u.Email, AddressKey: u.EmailKey, At: c.At, EndsAt: c.UndoEndsAt, Live: true})

	// An address that somebody has got since.
	late := f.begun(t, after, "late")
	holder := f.newUser()
	holder.EmailKey = late.AddressKey
	must(t, f.CreateUser(t.Context(), holder))
	equal(t, "live", f.isLive(t, late.ID), false)
	is(t, f.ConfirmAddressChange(t.Context(), f.newChange(after, late.ID), f.event(id())), userstore.ErrConflict)

	// Whatever ends the tokens of a user.
	for name, act := range map[string]func(u userstore.User) error{
		"a new password": func(u userstore.User) error {
			return f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, NewHash: id(), At: f.now})
		},
		"disabling, and enabling again": func(u userstore.User) error {
			return errors.Join(f.SetActive(t.Context(), u.ID, false, f.now),
				f.SetActive(t.Context(), u.ID, true, f.now))
		},
		"another address": func(u userstore.User) error {
			u.Email, u.EmailKey = "x"+u.Email, "x"+u.EmailKey
			return f.UpdateUser(t.Context(), u)
		},
		"signing out everywhere": func(u userstore.User) error {
			_, err := f.RevokeUserGrants(t.Context(), u.ID, "", f.now)
			return err
		},
	} {
		u, undo := f.changed(t, f.user(t), id())
		token := f.begun(t, u, id())
		must(t, act(u))
		now, err := f.UserByID(t.Context(), u.ID)
		must(t, err)
		if f.isLive(t, token.ID) {
			t.Errorf("%s does not end a change", name)
		}
		is(t, f.ConfirmAddressChange(t.Context(), f.newChange(now, token.ID)), userstore.ErrConflict)
		if !f.isLive(t, undo) {
			t.Errorf("%s ends an undoing", name)
		}
	}
}

func undoAddressChange(t *testing.T, f *fixture) {
	u := f.user(t)
	b, first := f.changed(t, u, id())
	before, since := f.client(t, nil), f.client(t, nil)
	early := f.session(t, u)
	for at, c := range map[time.Duration]userstore.Client{-time.Hour: before, time.Minute: since} {
		code := f.newCode(early, c)
		code.CreatedAt = f.now.Add(at)
		must(t, f.SaveCode(t.Context(), code, &userstore.Consent{Allowed: []userstore.Allowance{{}}}, time.Time{}))
	}
	c, second := f.changed(t, b, id()) // in the same microsecond
	d, third := f.changed(t, c, id())
	bystander := f.grant(t, f.user(t))
	reset := f.issue(t, d)
	r := f.newUndoing(second)
	for name, change := range map[string]func(*userstore.Redemption){
		"no token": func(r *userstore.Redemption) { r.ID = id() },
		"of another kind": func(r *userstore.Redemption) {
			r.ID = reset.ID
		},
		"ended": func(r *userstore.Redemption) { r.At = r.At.Add(7 * 24 * time.Hour) },
	} {
		wrong := r
		change(&wrong)
		if err := f.UndoAddressChange(t.Context(), wrong, f.event(id())); !errors.Is(err, userstore.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, wrong := range []userstore.Redemption{{ID: second, Kind: outbox.UndoEmail, At: r.At},
		{ID: second, Kind: outbox.ChangeEmail, NewHash: "x", At: r.At}} {
		is(t, f.UndoAddressChange(t.Context(), wrong), userstore.ErrInvalid)
	}
	is(t, f.ConfirmAddressChange(t.Context(), f.newChange(d, second)), userstore.ErrConflict)
	must(t, f.SetActive(t.Context(), d.ID, false, f.now))
	is(t, f.UndoAddressChange(t.Context(), r), userstore.ErrConflict)
	must(t, f.SetActive(t.Context(), d.ID, true, f.now))
	g, s := f.grant(t, d), f.session(t, d)
	d, err := f.UserByID(t.Context(), u.ID) // with its last login
	must(t, err)

	must(t, f.UndoAddressChange(t.Context(), r))
	is(t, f.UndoAddressChange(t.Context(), r), userstore.ErrConflict)
	after, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	want := d
	want.Email, want.EmailKey, want.EmailVerified, want.PasswordHash, want.Version = b.Email, b.EmailKey, true,
		r.NewHash, d.Version+1
	want.FactorVersion++ // the factors that were added since are gone
	equal(t, "after the undoing", after, want)
	f.dead(t, g)
	_, _, err = f.BrowserSession(t.Context(), s.Hash, f.now, time.Time{})
	is(t, err, userstore.ErrNotFound)
	_, err = f.ConsentOf(t.Context(), u.ID, before.ID)
	must(t, err)
	_, err = f.ConsentOf(t.Context(), u.ID, since.ID)
	is(t, err, userstore.ErrNotFound)
	v, err := f.GrantByID(t.Context(), bystander.ID)
	must(t, err)
	equal(t, "a bystander's", v.Grant.RevokedAt.IsZero(), true)
	for _, row := range []struct {
		name, token string
		live        bool
	}{{"the earlier one", first, true}, {"a later one", third, false}, {"another token", reset.ID, false}} {
		equal(t, row.name, f.isLive(t, row.token), row.live)
	}
	is(t, f.UndoAddressChange(t.Context(), f.newUndoing(third)), userstore.ErrConflict)
	must(t, f.UndoAddressChange(t.Context(), f.newUndoing(first)))
	equal(t, "the oldest address", f.address(t, u.ID), u.Email)
}

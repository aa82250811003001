package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// request is one for a message to an address of its own budget.
func (f *fixture) request(budget string) (userstore.MailRequest, outbox.Message) {
	r := userstore.MailRequest{ID: id(), Kind: outbox.ResetPassword, At: stored(f.now),
		EndsAt: stored(f.now.Add(time.Hour))}
	copy(r.Budget[:], budget)
	return r, outbox.Message{ID: r.ID, Kind: r.Kind, To: budget + "@example.test", At: r.At, EndsAt: r.EndsAt}
}

func newToken(f *fixture, u userstore.User) userstore.OneTimeToken {
	return userstore.OneTimeToken{ID: id(), Kind: outbox.ResetPassword, UserID: u.ID, AddressKey: u.EmailKey,
		At: stored(f.now), EndsAt: stored(f.now.Add(time.Hour))}
}

func (f *fixture) issue(
	t *testing.T, u userstore.User, change ...func(*userstore.OneTimeToken),
) userstore.OneTimeToken {
	t.Helper()
	token := newToken(f, u)
	for _, c := range change {
		c(&token)
	}
	must(t, f.IssueToken(t.Context(), token))
	return token
}

func (f *fixture) isLive(t *testing.T, id string) bool {
	t.Helper()
	token, _, err := f.OneTimeToken(t.Context(), id, f.now)
	must(t, err)
	return token.Live
}

func mailRequests(t *testing.T, f *fixture) {
	limits := []userstore.Limit{{Free: 1, Window: time.Minute}, {Free: 2, Window: time.Hour}}
	now := f.now
	ask := func(after time.Duration, budget string) userstore.MailRequest {
		t.Helper()
		f.now = now.Add(after)
		r, m := f.request(budget)
		for range 2 { // the second one is an answer that was lost
			must(t, f.RequestMail(t.Context(), r, limits, m))
		}
		return r
	}
	first := ask(0, "alice")
	equal(t, "the message", f.waits(t, "alice@example.test"), []outbox.Waiting{{Message: outbox.Message{
		ID: first.ID, Kind: first.Kind, To: "alice@example.test", At: first.At, EndsAt: first.EndsAt}}})
	ask(time.Second, "alice")
	ask(2*time.Second, "bob")
	ask(time.Minute, "alice")
	ask(2*time.Minute, "alice")
	equal(t, "messages within an hour", len(f.waits(t, "alice@example.test")), 2)
	equal(t, "of another budget", len(f.waits(t, "bob@example.test")), 1)
	last := ask(time.Hour, "alice")
	equal(t, "an hour later", len(f.waits(t, "alice@example.test")), 3)

	// A message that was sent does not come back when the request is made again.
	r, m := f.request("carol")
	must(t, f.RequestMail(t.Context(), r, limits, m))
	must(t, f.RemoveMessage(t.Context(), r.ID))
	must(t, f.RequestMail(t.Context(), r, limits, m))
	equal(t, "sent and gone", len(f.waits(t, "carol@example.test")), 0)
	m.ID = id()
	is(t, f.RequestMail(t.Context(), r, limits, m), userstore.ErrInvalid)

	// Tries are counted whether or not there is a message, each handle for itself.
	for _, r := range []userstore.MailRequest{first, last} {
		for range 2 {
			must(t, f.TryCode(t.Context(), r.ID, r.Kind, r.At, 2))
		}
		is(t, f.TryCode(t.Context(), r.ID, r.Kind, r.At, 2), userstore.ErrConflict)
		must(t, f.ReturnTry(t.Context(), r.ID))
		must(t, f.TryCode(t.Context(), r.ID, r.Kind, r.At, 2))
		is(t, f.TryCode(t.Context(), r.ID, r.Kind, r.At, 2), userstore.ErrConflict)
	}
	is(t, f.TryCode(t.Context(), r.ID, outbox.VerifyEmail, r.At, 2), userstore.ErrConflict)
	is(t, f.TryCode(t.Context(), r.ID, r.Kind, r.EndsAt, 2), userstore.ErrConflict)
	is(t, f.TryCode(t.Context(), id(), r.Kind, r.At, 2), userstore.ErrConflict)
	must(t, f.ReturnTry(t.Context(), id()))

	// Requests count for a day, and go then.
	n, err := f.RemoveExpiredTokens(t.Context(), first.At.Add(24*time.Hour-time.Microsecond), 100)
	must(t, err)
	equal(t, "removed too early", n, 0)
	n, err = f.RemoveExpiredTokens(t.Context(), first.At.Add(48*time.Hour), 4)
	must(t, err)
	equal(t, "removed", n, 4)
}

func oneTimeTokens(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	token := f.issue(t, u)
	got, owner, err := f.OneTimeToken(t.Context(), token.ID, f.now)
	must(t, err)
	want := token
	want.Address, want.Live = u.Email, true
	equal(t, "the token", got, want)
	equal(t, "its user", owner, u)
	must(t, f.IssueToken(t.Context(), token)) // composed once more
	_, _, err = f.OneTimeToken(t.Context(), id(), f.now)
	is(t, err, userstore.ErrNotFound)
	for _, at := range []time.Time{token.EndsAt, token.EndsAt.Add(time.Hour)} {
		got, _, err = f.OneTimeToken(t.Context(), token.ID, at)
		must(t, err)
		equal(t, "ended", got.Live, false)
	}

	// A newer one ends the older; another kind and another user are left alone.
	verify := f.issue(t, u, func(o *userstore.OneTimeToken) { o.Kind = outbox.VerifyEmail })
	others := f.issue(t, other)
	newer := f.issue(t, u, func(o *userstore.OneTimeToken) { o.At = o.At.Add(time.Second) })
	for _, row := range []struct {
		id   string
		live bool
	}{{token.ID, false}, {newer.ID, true}, {verify.ID, true}, {others.ID, true}} {
		equal(t, "live", f.isLive(t, row.id), row.live)
	}
	late := newToken(f, u) // a message that was asked for before the newer one, and is composed after it
	is(t, f.IssueToken(t.Context(), late), userstore.ErrConflict)
	equal(t, "the newer one still", f.isLive(t, newer.ID), true)

	// None for whom it may not be sent to.
	for _, change := range []func(*userstore.OneTimeToken){
		func(o *userstore.OneTimeToken) { o.UserID = id() },
		func(o *userstore.OneTimeToken) { o.AddressKey = other.EmailKey },
		func(o *userstore.OneTimeToken) { o.EndsAt = f.now },
	} {
		wrong := newToken(f, f.user(t))
		change(&wrong)
		is(t, f.IssueToken(t.Context(), wrong), userstore.ErrConflict)
	}

	// Expired ones go in batches.
	n, err := f.RemoveExpiredTokens(t.Context(), token.EndsAt.Add(-time.Microsecond), 100)
	must(t, err)
	equal(t, "removed too early", n, 1) // the one that ended when it began
}

// Whatever happens to the account ends its tokens, also one whose message is composed once more.
func endedTokens(t *testing.T, f *fixture) {
	for name, act := range map[string]func(u userstore.User) error{
		"a new password": func(u userstore.User) error {
			return f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, NewHash: id(), At: f.now})
		},
		"disabling, and enabling again": func(u userstore.User) error {
			return errors.Join(f.SetActive(t.Context(), u.ID, false, f.now),
				f.SetActive(t.Context(), u.ID, true, f.now))
		},
		"disabling by an edit, and enabling": func(u userstore.User) error {
			u.IsActive = false
			err := f.UpdateUser(t.Context(), u)
			u.Version, u.IsActive = u.Version+1, true
			return errors.Join(err, f.UpdateUser(t.Context(), u))
		},
		"another address, and the first one again": func(u userstore.User) error {
			was := u
			u.Email, u.EmailKey = "x"+u.Email, "x"+u.EmailKey
			err := f.UpdateUser(t.Context(), u)
			was.Version++
			return errors.Join(err, f.UpdateUser(t.Context(), was))
		},
		"signing out everywhere": func(u userstore.User) error {
			_, err := f.RevokeUserGrants(t.Context(), u.ID, "", f.now)
			return err
		},
		"a reset": func(u userstore.User) error {
			reset := f.issue(t, u, func(o *userstore.OneTimeToken) {
				o.Kind = outbox.ResetPassword
				o.At = o.At.Add(time.Second)
			})
			return f.RedeemToken(t.Context(), userstore.Redemption{ID: reset.ID, Kind: reset.Kind,
				NewHash: id(), At: f.now})
		},
	} {
		u := f.user(t)
		var tokens []userstore.OneTimeToken
		for _, kind := range []outbox.Kind{outbox.ResetPassword, outbox.VerifyEmail} {
			tokens = append(tokens, f.issue(t, u, func(o *userstore.OneTimeToken) { o.Kind = kind }))
		}
		must(t, act(u))
		for _, token := range tokens {
			is(t, f.IssueToken(t.Context(), token), userstore.ErrConflict)
			if f.isLive(t, token.ID) {
				t.Errorf("%s does not end %s", name, token.Kind)
			}
			is(t, f.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: token.Kind, NewHash: id(),
				At: f.now}), userstore.ErrConflict)
			is(t, f.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: token.Kind, At: f.now}),
				userstore.ErrConflict)
		}
	}
	// What else is edited does not.
	u := f.user(t)
	token := f.issue(t, u)
	u.Claims.Name = "New"
	must(t, f.UpdateUser(t.Context(), u))
	equal(t, "after another name", f.isLive(t, token.ID), true)
	must(t, f.DeleteUser(t.Context(), u.ID))
	_, _, err := f.OneTimeToken(t.Context(), token.ID, f.now)
	is(t, err, userstore.ErrNotFound)
}

func redeemTokens(t *testing.T, f *fixture) {
	u, bystander := f.user(t), f.user(t)
	g, others := f.grant(t, u), f.grant(t, bystander)
	reset, verify := f.issue(t, u), f.issue(t, u, func(o *userstore.OneTimeToken) { o.Kind = outbox.VerifyEmail })
	before, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	r := userstore.Redemption{ID: reset.ID, Kind: reset.Kind, NewHash: "hash-" + id(), At: stored(f.now)}
	for _, change := range []func(*userstore.Redemption){
		func(r *userstore.Redemption) { r.ID = id() },
		func(r *userstore.Redemption) { r.Kind = outbox.VerifyEmail },
		func(r *userstore.Redemption) { r.At = reset.EndsAt },
	} {
		wrong := r
		change(&wrong)
		is(t, f.RedeemToken(t.Context(), wrong, f.event(id())), userstore.ErrConflict)
	}
	after, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	equal(t, "after refusals", after, before)

	// A proof of the address keeps password and sessions.
	must(t, f.RedeemToken(t.Context(), userstore.Redemption{ID: verify.ID, Kind: verify.Kind, At: stored(f.now)}))
	is(t, f.RedeemToken(t.Context(), userstore.Redemption{ID: verify.ID, Kind: verify.Kind, At: stored(f.now)}),
		userstore.ErrConflict)
	after, err = f.UserByID(t.Context(), u.ID)
	must(t, err)
	want := before
	want.EmailVerified, want.UpdatedAt, want.Version = true, stored(f.now), before.Version+1
	equal(t, "after the proof", after, want)
	v, err := f.GrantByID(t.Context(), g.ID)
	must(t, err)
	equal(t, "revoked by the proof", v.Grant.RevokedAt.IsZero(), true)
	equal(t, "the reset is live still", f.isLive(t, reset.ID), true)

	// A reset ends them, once.
	must(t, f.RedeemToken(t.Context(), r, f.event(id())))
	is(t, f.RedeemToken(t.Context(), r), userstore.ErrConflict)
	after, err = f.UserByID(t.Context(), u.ID)
	must(t, err)
	want.PasswordHash, want.Version = r.NewHash, want.Version+1
	equal(t, "after the reset", after, want)
	v, err = f.GrantByID(t.Context(), g.ID)
	must(t, err)
	equal(t, "revoked by the reset", v.Grant.RevokedAt, r.At)
	v, err = f.GrantByID(t.Context(), others.ID)
	must(t, err)
	equal(t, "a bystander's", v.Grant.RevokedAt.IsZero(), true)
	must(t, f.IssueToken(t.Context(), f.again(reset))) // a new request, after the reset
}

// again is a token of the same user, a second later.
func (f *fixture) again(token userstore.OneTimeToken) userstore.OneTimeToken {
	token.ID, token.At = id(), token.At.Add(time.Second)
	return token
}

package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// openInvitations: an invitation is open while its message waits and while its token is live.
func openInvitations(t *testing.T, f *fixture) {
	until := func(users ...userstore.User) map[string]time.Time {
		t.Helper()
		var ids []string
		for _, u := range users {
			ids = append(ids, u.ID)
		}
		got, err := f.InvitedUntil(t.Context(), ids, f.now)
		must(t, err)
		return got
	}
	none := map[string]time.Time{}
	invite := func(u userstore.User, lasts time.Duration) outbox.Message {
		m := outbox.Message{ID: id(), Kind: outbox.Invite, UserID: u.ID, To: u.Email,
			At: stored(f.now), EndsAt: stored(f.now.Add(lasts))}
		f.send(t, m)
		return m
	}
	token := func(u userstore.User, m outbox.Message) userstore.OneTimeToken {
		return f.issue(t, u, func(o *userstore.OneTimeToken) {
			o.ID, o.Kind, o.At, o.EndsAt = m.ID, m.Kind, m.At, m.EndsAt
		})
	}
	without := func() userstore.User {
		u := f.newUser()
		u.PasswordHash = ""
		must(t, f.CreateUser(t.Context(), u))
		return u
	}
	ada, bob, carol := without(), without(), without()
	with := f.user(t)
	equal(t, "nobody", until(), none)
	equal(t, "no invitation", until(ada, bob, with), none)

	waiting := invite(ada, time.Hour)
	invite(with, time.Hour)
	other := outbox.Message{ID: id(), Kind: outbox.VerifyEmail, UserID: bob.ID, To: bob.Email, At: stored(f.now),
		EndsAt: stored(f.now.Add(time.Hour))}
	f.send(t, other)
	f.issue(t, bob, func(o *userstore.OneTimeToken) { o.Kind = outbox.VerifyEmail })
	invite(userstore.User{ID: carol.ID, Email: "another@example.test"}, time.Hour)
	equal(t, "a message that waits", until(ada, bob, carol, with), map[string]time.Time{ada.ID: waiting.EndsAt})

	sent := token(ada, waiting)
	equal(t, "a message with its token", until(ada), map[string]time.Time{ada.ID: waiting.EndsAt})
	must(t, f.RemoveMessage(t.Context(), waiting.ID))
	equal(t, "a token", until(ada, bob), map[string]time.Time{ada.ID: waiting.EndsAt})
	begun := f.now
	f.now = sent.EndsAt
	equal(t, "a token that has ended", until(ada), none)
	f.now = begun.Add(time.Minute)

	newer := invite(ada, 2*time.Hour)
	equal(t, "the newer one", until(ada), map[string]time.Time{ada.ID: newer.EndsAt})
	token(ada, newer)
	must(t, f.RemoveMessage(t.Context(), newer.ID))
	equal(t, "the newer one, sent", until(ada), map[string]time.Time{ada.ID: newer.EndsAt})
	must(t, f.SetActive(t.Context(), ada.ID, false, stored(f.now), f.event(id())))
	invite(ada, time.Hour)
	equal(t, "disabled", until(ada), none)

	m := invite(bob, time.Hour)
	must(t, f.RedeemToken(t.Context(),
		userstore.Redemption{ID: token(bob, m).ID, Kind: outbox.Invite, NewHash: "hash", At: stored(f.now)}))
	equal(t, "used, while its message still waits", until(bob), none)

	// More users than one statement asks for, and ids that no account has.
	var many []userstore.User
	want := map[string]time.Time{}
	for n := range 120 {
		if n%40 != 39 {
			many = append(many, userstore.User{ID: id()})
			continue
		}
		u := without()
		many, want[u.ID] = append(many, u), invite(u, time.Hour).EndsAt
	}
	equal(t, "many", until(many...), want)
}

package storetest

import (
	"testing"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// userOperations are those on users, their one-time tokens and their addresses.
func userOperations() []Operation {
	return []Operation{
		{Name: "create a user", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, u user, _ grant) Prepared {
			fresh, taken := f.newUser(), f.newUser()
			taken.EmailKey = u.EmailKey
			return Prepared{
				func(e ...audit.Event) error { return f.CreateUser(t.Context(), fresh, e...) },
				func(e ...audit.Event) error { return f.CreateUser(t.Context(), taken, e...) },
				func() bool { return f.readUser(t, fresh.ID).ID != "" }}
		})},
		{Name: "create users", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, u user, _ grant) Prepared {
			fresh := []user{f.newUser(), f.newUser()}
			return Prepared{
				func(e ...audit.Event) error {
					_, err := f.CreateUsers(t.Context(), fresh, nil, e...)
					return err
				},
				func(e ...audit.Event) error {
					taken, err := f.CreateUsers(t.Context(), []user{u, u}, nil, e...)
					if err == nil && len(taken) == 2 {
						err = userstore.ErrExists
					}
					return err
				},
				func() bool { return f.readUser(t, fresh[0].ID).ID != "" && f.readUser(t, fresh[1].ID).ID != "" }}
		})},
		{Name: "update a user", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, u user, _ grant) Prepared {
			u.Claims.Name = "New"
			stale := u
			stale.Version--
			return Prepared{
				func(e ...audit.Event) error { return f.UpdateUser(t.Context(), u, e...) },
				func(e ...audit.Event) error { return f.UpdateUser(t.Context(), stale, e...) },
				func() bool { return f.readUser(t, u.ID).Claims.Name == "New" }}
		})},
		{Name: "update a user who becomes disabled", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, g grant,
		) Prepared {
			u.IsActive = false
			taken := u
			taken.EmailKey = f.user(t).EmailKey
			return Prepared{
				func(e ...audit.Event) error { return f.UpdateUser(t.Context(), u, e...) },
				func(e ...audit.Event) error { return f.UpdateUser(t.Context(), taken, e...) },
				func() bool { return !f.readUser(t, u.ID).IsActive && f.revoked(t, g) }}
		})},
		{Name: "set a password", Prepare: onUser(func(t *testing.T, f *fixture, u user, g grant) Prepared {
			hash := id()
			return Prepared{
				func(e ...audit.Event) error {
					return f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash,
						NewHash: hash, At: f.now}, e...)
				},
				func(e ...audit.Event) error {
					return f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, OldHash: "other",
						NewHash: id(), At: f.now}, e...)
				},
				func() bool { return f.readUser(t, u.ID).PasswordHash == hash && f.revoked(t, g) }}
		})},
		{Name: "redeem a one-time token", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, g grant,
		) Prepared {
			token, hash := f.issue(t, u), id()
			return Prepared{
				func(e ...audit.Event) error {
					return f.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: token.Kind,
						NewHash: hash, At: f.now}, e...)
				},
				func(e ...audit.Event) error {
					return f.RedeemToken(t.Context(), userstore.Redemption{ID: id(), Kind: token.Kind, NewHash: hash,
						At: f.now}, e...)
				},
				func() bool { return f.readUser(t, u.ID).PasswordHash == hash && f.revoked(t, g) }}
		})},
		operationProve(),
		{Name: "begin a change of address", Prepare: onUser(func(t *testing.T, f *fixture, u user, _ grant) Prepared {
			b, refused := f.newBeginning(u, id()), f.newBeginning(u, id())
			refused.proved = "other"
			return Prepared{
				func(e ...audit.Event) error { return f.begin(t, b, e...) },
				func(e ...audit.Event) error { return f.begin(t, refused, e...) },
				func() bool { return len(f.waits(t, b.message.To)) == 1 && f.isLive(t, b.token.ID) }}
		})},
		{Name: "confirm a change of address", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, _ grant,
		) Prepared {
			c := f.newChange(u, f.begun(t, u, id()).ID)
			refused := c
			refused.From = "other@x.test"
			return Prepared{
				func(e ...audit.Event) error { return f.ConfirmAddressChange(t.Context(), c, e...) },
				func(e ...audit.Event) error { return f.ConfirmAddressChange(t.Context(), refused, e...) },
				func() bool { return f.readUser(t, u.ID).Email != u.Email && f.isLive(t, c.UndoID) }}
		})},
		{Name: "undo a change of address", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, g grant,
		) Prepared {
			_, token := f.changed(t, u, id())
			r := f.newUndoing(token)
			return Prepared{
				func(e ...audit.Event) error { return f.UndoAddressChange(t.Context(), r, e...) },
				func(e ...audit.Event) error { return f.UndoAddressChange(t.Context(), f.newUndoing(id()), e...) },
				func() bool { return f.readUser(t, u.ID).Email == u.Email && f.revoked(t, g) }}
		})},
		{Name: "withdraw a change of address", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, u user, _ grant,
		) Prepared {
			token := f.begun(t, u, id())
			return Prepared{
				func(e ...audit.Event) error { return f.WithdrawAddressChange(t.Context(), u.ID, f.now, e...) },
				func(e ...audit.Event) error { return f.WithdrawAddressChange(t.Context(), id(), f.now, e...) },
				func() bool { return !f.isLive(t, token.ID) }}
		})},
		{Name: "disable a user", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, u user, g grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error { return f.SetActive(t.Context(), u.ID, false, f.now, e...) },
				func(e ...audit.Event) error { return f.SetActive(t.Context(), id(), false, f.now, e...) },
				func() bool { return !f.readUser(t, u.ID).IsActive && f.revoked(t, g) }}
		})},
		{Name: "enable a user", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, u user, _ grant) Prepared {
			must(t, f.SetActive(t.Context(), u.ID, false, f.now))
			return Prepared{
				func(e ...audit.Event) error { return f.SetActive(t.Context(), u.ID, true, f.now, e...) },
				func(e ...audit.Event) error { return f.SetActive(t.Context(), id(), true, f.now, e...) },
				func() bool { return f.readUser(t, u.ID).IsActive }}
		})},
		{Name: "delete a user", Once: true, Prepare: onUser(func(t *testing.T, f *fixture, u user, _ grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error { return f.DeleteUser(t.Context(), u.ID, e...) },
				func(e ...audit.Event) error { return f.DeleteUser(t.Context(), id(), e...) },
				func() bool { return f.readUser(t, u.ID).ID == "" }}
		})},
	}
}

package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func reservedAddresses(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	changed, undo := f.changed(t, u, id())
	email := func(err error) {
		t.Helper()
		is(t, err, userstore.ErrExists)
		exists := (*userstore.ExistsError)(nil)
		if !errors.As(err, &exists) || exists.Field != "email" {
			t.Errorf("%v", err)
		}
	}
	fresh, admin := f.newUser(), f.newUser()
	fresh.EmailKey, admin.EmailKey, admin.Roles = u.EmailKey, u.EmailKey, []string{userstore.RoleAdmin}
	email(f.CreateUser(t.Context(), fresh))
	email(f.CreateUser(t.Context(), admin, f.event(id())))
	_, err := f.UserByID(t.Context(), fresh.ID)
	is(t, err, userstore.ErrNotFound)
	free := f.newUser()
	taken, err := f.CreateUsers(t.Context(), []userstore.User{fresh, free}, nil)
	must(t, err)
	holder := changed
	holder.EmailKey = u.EmailKey
	equal(t, "taken", taken, map[int]userstore.User{0: holder})
	for _, roles := range [][]string{nil, {userstore.RoleAdmin}} {
		wrong := other
		wrong.EmailKey, wrong.Roles = u.EmailKey, roles
		email(f.UpdateUser(t.Context(), wrong, f.event(id())))
	}
	must(t, f.UpdateUser(t.Context(), other)) // which changes nothing
	other, err = f.UserByID(t.Context(), other.ID)
	must(t, err)
	b := f.newBeginning(other, id())
	b.token.Address, b.token.AddressKey = u.Email, u.EmailKey
	must(t, f.begin(t, b))
	equal(t, "a change to it", f.isLive(t, b.token.ID), false)
	is(t, f.ConfirmAddressChange(t.Context(), f.newChange(other, b.token.ID)), userstore.ErrConflict)

	// The account itself may have it.
	back := f.newBeginning(changed, id())
	back.token.Address, back.token.AddressKey = u.Email, u.EmailKey
	must(t, f.begin(t, back))
	for _, row := range []struct {
		user userstore.User
		key  string
		now  time.Time
		want bool
	}{
		{u, u.EmailKey, f.now, true}, {u, u.EmailKey, f.now.Add(7 * 24 * time.Hour), false}, {u, changed.EmailKey,
			f.now, false},
		{other, u.EmailKey, f.now, false}, {u, "\x00", f.now, false},
	} {
		got, err := f.AddressReserved(t.Context(), row.user.ID, row.key, row.now)
		must(t, err)
		equal(t, "reserved for the user", got, row.want)
	}
	must(t, f.ConfirmAddressChange(t.Context(), f.newChange(changed, back.token.ID)))
	must(t, f.UndoAddressChange(t.Context(), f.newUndoing(undo)))

	// Away and back: what came after the address cannot be undone, what came before can.
	away := f.user(t)
	b1, first := f.changed(t, away, id())
	b2, second := f.changed(t, b1, id())
	b3, third := f.changed(t, b2, id())
	returning := f.newBeginning(b3, id())
	returning.token.Address, returning.token.AddressKey = b1.Email, b1.EmailKey
	must(t, f.begin(t, returning))
	c := f.newChange(b3, returning.token.ID)
	c.UndoID = ""
	must(t, f.ConfirmAddressChange(t.Context(), c))
	equal(t, "back at", f.address(t, away.ID), b1.Email)
	for _, row := range []struct {
		token string
		live  bool
	}{{first, true}, {second, true}, {third, false}} {
		equal(t, "live after the return", f.isLive(t, row.token), row.live)
	}
	is(t, f.UndoAddressChange(t.Context(), f.newUndoing(third)), userstore.ErrConflict)
	must(t, f.UndoAddressChange(t.Context(), f.newUndoing(first)))

	// The same by an operator, whatever else the edit changes.
	for _, change := range []func(*userstore.User){
		func(*userstore.User) {},
		func(u *userstore.User) { u.Roles = []string{userstore.RoleAdmin} },
	} {
		moved := f.user(t)
		m1, first := f.changed(t, moved, id())
		m2, second := f.changed(t, m1, id())
		m2.Claims.Nickname = "edited"
		must(t, f.UpdateUser(t.Context(), m2))
		equal(t, "live after another edit", f.isLive(t, second), true)
		m2.Version, m2.Email, m2.EmailKey = m2.Version+1, moved.Email, moved.EmailKey
		change(&m2)
		must(t, f.UpdateUser(t.Context(), m2))
		equal(t, "the later one", f.isLive(t, second), false)
		equal(t, "the earlier one", f.isLive(t, first), true)
	}

	// After a week, after the undoing, and with the account, the reservation ends.
	w := f.user(t)
	f.changed(t, w, id())
	late := f.newUser()
	late.EmailKey, late.CreatedAt = w.EmailKey, f.now.Add(7*24*time.Hour)
	must(t, f.CreateUser(t.Context(), late))
	freed := f.newUser()
	freed.EmailKey = changed.EmailKey
	must(t, f.CreateUser(t.Context(), freed))
	gone := f.user(t)
	f.changed(t, gone, id())
	must(t, f.DeleteUser(t.Context(), gone.ID))
	heir := f.newUser()
	heir.EmailKey = gone.EmailKey
	must(t, f.CreateUser(t.Context(), heir))
}

package storetest

import (
	"fmt"
	"testing"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// Many confirm one change, and one does; sign-ups that wait for the address before do not get it
// (P-02, P-11).
func raceAddressChanges(t *testing.T, f *fixture) {
	for round := range 10 {
		u := f.user(t)
		token := f.begun(t, u, id())
		events := make([]audit.Event, 4)
		for i := range events {
			events[i] = f.event(u.ID)
		}
		equal(t, "winners", winners(t, 8, userstore.ErrConflict, func(i int) error {
			if i >= 4 {
				fresh := f.newUser()
				fresh.EmailKey = u.EmailKey
				isAsync(t, f.CreateUser(t.Context(), fresh), userstore.ErrExists)
				return userstore.ErrConflict
			}
			return f.ConfirmAddressChange(t.Context(), f.newChange(u, token.ID), events[i])
		}), 1)
		recorded, err := f.ListEvents(t.Context(), userstore.EventQuery{TargetID: u.ID, Limit: 10})
		must(t, err)
		equal(t, "events", len(recorded), 1)
		if _, err := f.UserByLogin(t.Context(), userstore.Login{EmailKey: u.EmailKey}); err == nil {
			t.Fatalf("round %d: somebody has the address before", round)
		}
	}
}

// Two undoings and the confirmation of a third change at once: the oldest address wins. Two
// accounts that want one address: one gets it.
func raceUndoings(t *testing.T, f *fixture) {
	for round := range 10 {
		u := f.user(t)
		b, first := f.changed(t, u, id())
		c, second := f.changed(t, b, id())
		token := f.begun(t, c, id())
		g := f.newGrant(c)
		var login error
		together(5, func(i int) {
			switch i {
			case 0, 1:
				if err := f.UndoAddressChange(t.Context(), f.newUndoing(first)); err != nil {
					isAsync(t, err, userstore.ErrConflict)
				}
			case 2:
				if err := f.UndoAddressChange(t.Context(), f.newUndoing(second)); err != nil {
					isAsync(t, err, userstore.ErrConflict)
				}
			case 3:
				if err := f.ConfirmAddressChange(t.Context(), f.newChange(c, token.ID)); err != nil {
					isAsync(t, err, userstore.ErrConflict)
				}
			default:
				login = f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: c.PasswordHash})
			}
		})
		if got := f.address(t, u.ID); got != u.Email {
			t.Fatalf("round %d: the address is %s, not the oldest", round, got)
		}
		if login == nil {
			v, err := f.GrantByID(t.Context(), g.ID)
			must(t, err)
			equal(t, "the grant lives", v.Grant.RevokedAt.IsZero(), false)
		}

		name := id()
		rivals := []userstore.User{f.user(t), f.user(t), f.user(t)}
		tokens := make([]userstore.OneTimeToken, len(rivals))
		for i, r := range rivals {
			b := f.newBeginning(r, fmt.Sprint(name, i))
			b.token.Address, b.token.AddressKey = name+"@x.test", name+"@x.test"
			must(t, f.begin(t, b))
			tokens[i] = b.token
		}
		equal(t, "accounts that got one address", winners(t, len(rivals), userstore.ErrConflict, func(i int) error {
			return f.ConfirmAddressChange(t.Context(), f.newChange(rivals[i], tokens[i].ID))
		}), 1)
	}
}

package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// admin creates a user with the role admin.
func (f *fixture) admin(t *testing.T, others ...string) userstore.User {
	t.Helper()
	u := f.user(t)
	u.Roles = append(others, userstore.RoleAdmin)
	must(t, f.UpdateUser(t.Context(), u))
	u.Version++
	return u
}

// waysToRemoveAdmin are the operations after which there is an admin less.
func (f *fixture) waysToRemoveAdmin() map[string]func(ctx context.Context, u userstore.User, e ...audit.Event) error {
	return map[string]func(ctx context.Context, u userstore.User, e ...audit.Event) error{
		"demote": func(ctx context.Context, u userstore.User, e ...audit.Event) error {
			u.Roles = []string{"editor", `"admin"`, `["admin"`, "Admin", "admin2"}
			return f.UpdateUser(ctx, u, e...)
		},
		"disable by an edit": func(ctx context.Context, u userstore.User, e ...audit.Event) error {
			u.IsActive = false
			return f.UpdateUser(ctx, u, e...)
		},
		"disable": func(ctx context.Context, u userstore.User, e ...audit.Event) error {
			return f.SetActive(ctx, u.ID, false, f.now, e...)
		},
		"delete": func(ctx context.Context, u userstore.User, e ...audit.Event) error {
			return f.DeleteUser(ctx, u.ID, e...)
		},
	}
}

func lastAdmin(t *testing.T, f *fixture) {
	ctx := t.Context()
	off := f.admin(t)
	// These are no enabled admins: they may be removed, and do not replace the last one.
	last := f.admin(t, "editor", "ü")
	must(t, f.SetActive(ctx, off.ID, false, f.now))
	off.IsActive = false
	off.Version++
	for i, roles := range [][]string{nil, {"editor"}, {"Admin"}, {"admin2", "2admin"},
		{`x"admin`, `"admin"`, `["admin"`, `,"admin`}} {
		u := f.newUser()
		u.Roles = roles
		must(t, f.CreateUser(ctx, u))
		if i%2 == 0 {
			must(t, f.DeleteUser(ctx, u.ID))
			continue
		}
		must(t, f.SetActive(ctx, u.ID, false, f.now))
		must(t, f.SetActive(ctx, u.ID, true, f.now))
	}
	g := f.grant(t, last)
	last, err := f.UserByID(ctx, last.ID)
	must(t, err)
	for name, op := range f.waysToRemoveAdmin() {
		e := TwoEvents()
		if err := op(ctx, last, e...); !errors.Is(err, userstore.ErrLastAdmin) {
			t.Fatalf("%s the last admin: %v", name, err)
		}
		is(t, op(ctx, last), userstore.ErrLastAdmin)
		equal(t, "entries", StoredEntries(t, f, e), 0)
		got, err := f.UserByID(ctx, last.ID)
		must(t, err)
		equal(t, "the last admin", got, last)
		g = f.live(t, g)
	}
	// A change that keeps the role is allowed, and other refusals keep their own errors.
	stale := last
	last.Claims.Name, last.Roles = "New", []string{"admin"}
	must(t, f.UpdateUser(ctx, last))
	stale.Roles = nil
	is(t, f.UpdateUser(ctx, stale), userstore.ErrConflict)
	stale.ID = id()
	is(t, f.UpdateUser(ctx, stale), userstore.ErrNotFound)
	must(t, f.SetActive(ctx, last.ID, true, f.now))
	last.Version++ // by the edit; enabling an enabled user changes nothing

	// With another admin, either may be removed.
	for name, op := range f.waysToRemoveAdmin() {
		next := f.admin(t)
		e := TwoEvents()
		must(t, op(ctx, last, e...))
		equal(t, name+": entries", StoredEntries(t, f, e), 2)
		last = next
	}
	// A user who is enabled again, or made admin again, counts.
	must(t, f.SetActive(ctx, off.ID, true, f.now))
	must(t, f.DeleteUser(ctx, last.ID))
	is(t, f.DeleteUser(ctx, off.ID), userstore.ErrLastAdmin)
}

// O-09: admins who remove each other at the same moment, each by any operation, leave one.
func raceAdmins(t *testing.T, f *fixture) {
	ways := f.waysToRemoveAdmin()
	admins := []userstore.User{f.admin(t)}
	for one, first := range ways {
		for other, second := range ways {
			for range 3 {
				admins = append(admins, f.admin(t), f.admin(t))
				var gone atomic.Int64
				together(len(admins), func(i int) {
					op := first
					if i%2 == 1 {
						op = second
					}
					if err := op(t.Context(), admins[i], f.event(admins[i].ID)); err == nil {
						gone.Add(1)
					} else if !errors.Is(err, userstore.ErrLastAdmin) {
						t.Errorf("%s and %s: %v", one, other, err)
					}
				})
				var left []userstore.User
				for _, a := range admins {
					u, err := f.UserByID(t.Context(), a.ID)
					entries := 1
					if err == nil && u.IsActive && u.HasRole(userstore.RoleAdmin) {
						left, entries = append(left, u), 0
					}
					equal(t, "entries", f.storedEntries(t, a.ID), entries)
				}
				if len(left) != 1 || gone.Load() != 2 {
					t.Fatalf("%s and %s: %d admins are left, %d were taken away", one, other, len(left), gone.Load())
				}
				admins = left
			}
		}
	}
}

// An edit by a caller who read the user before does not undo a disabling.
func disabledStays(t *testing.T, f *fixture) {
	u := f.user(t)
	must(t, f.SetActive(t.Context(), u.ID, false, f.now))
	u.Claims.Name = "New"
	is(t, f.UpdateUser(t.Context(), u), userstore.ErrConflict)
	u, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	equal(t, "active", u.IsActive, false)
	u.Claims.Name = "New"
	must(t, f.UpdateUser(t.Context(), u))
	u.Version++
	u.IsActive, u.UpdatedAt = true, f.now.Add(time.Hour)
	must(t, f.UpdateUser(t.Context(), u))
	g := f.grant(t, u)
	u, err = f.UserByID(t.Context(), u.ID)
	must(t, err)
	u.IsActive, u.UpdatedAt = false, f.now.Add(2*time.Hour)
	must(t, f.UpdateUser(t.Context(), u))
	v, err := f.GrantByID(t.Context(), g.ID)
	must(t, err)
	equal(t, "revoked at", v.Grant.RevokedAt, stored(f.now.Add(2*time.Hour)))
	f.dead(t, g)
	is(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash}),
		userstore.ErrConflict)
}

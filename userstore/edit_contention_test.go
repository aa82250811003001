package userstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// A program that adds a dozen roles to one user at once succeeds with all of them, on any replica.
func TestEditsAtOnceAllFindTheirTurn(t *testing.T) {
	eachThrottled(t, 2, func(t *testing.T, w *throttled) {
		u := w.register("alice@x.test", "alice")
		var want []string
		var all sync.WaitGroup
		for i := range 12 {
			role := fmt.Sprintf("role-%02d", i)
			want = append(want, role)
			all.Go(func() {
				_, err := w.replicas[i%2].EditByOperator(t.Context(), u.ID, func(u *userstore.User) error {
					u.Roles = append(u.Roles, role)
					return nil
				})
				if err != nil {
					t.Errorf("%s: %v", role, err)
				}
			})
		}
		all.Wait()
		u, err := w.replicas[0].Store.UserByID(t.Context(), u.ID)
		if err != nil || !slices.Equal(u.Roles, want) {
			t.Errorf("roles %q, %v", u.Roles, err)
		}
	})
}

// outrun is a store in which another writer is always faster.
type outrun struct{ userstore.Store }

func (outrun) UpdateUser(context.Context, userstore.User, ...audit.Event) error {
	return userstore.ErrConflict
}

// A cancelled edit ends, though other writers are still faster.
func TestAnEditWaitsNoLongerThanItsCaller(t *testing.T) {
	eachThrottled(t, 1, func(t *testing.T, w *throttled) {
		u, a := w.register("alice@x.test", "alice"), w.replicas[0]
		a.Store = outrun{a.Store}
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		runs := 0
		_, err := a.Edit(ctx, u.ID, func(u *userstore.User) error {
			if runs++; runs == 2 {
				leave()
			}
			u.Claims.Name = fmt.Sprint(runs)
			return nil
		})
		if !errors.Is(err, context.Canceled) && !errors.Is(err, userstore.ErrUnavailable) || runs != 2 {
			t.Errorf("after %d tries: %v", runs, err)
		}
	})
}

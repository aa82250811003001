package sqlstore_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// A search takes several statements. Whoever goes between two of them moves the others along the
// list, and none of these is left out or found twice.
func TestASearchLeavesNobodyOutWhileOthersGo(t *testing.T) {
	t.Parallel()
	sqltest.EachURL(t, func(t *testing.T, address string) {
		setup := open(t, address, sqlstore.Options{})
		users := searchedUsers(rand.New(rand.NewPCG(1, 2)), 40)
		for i := range users {
			users[i].Roles = []string{"editor"}
			if err := setup.CreateUser(t.Context(), users[i]); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(users, func(a, b userstore.User) int {
			if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
				return c
			}
			return strings.Compare(a.ID, b.ID)
		})
		indexNames(t, setup)
		for n, q := range []userstore.UserQuery{{Text: "e"}, {Role: "editor"}, {Role: "editor", Text: "@"}} {
			statements := 0
			for at := 0; at <= statements; at++ {
				gone := users[1+n] // one of the first five, between whom the first walk ends
				ran := 0
				db := open(t, address, sqlstore.Options{})
				sqlstore.Bounds(db, 5, 1000, 5)
				sqlstore.Patience(db, time.Hour)
				sqlstore.Interrupt(db, sqlstore.Interruption{Before: func(string) error {
					if ran++; ran == at+1 {
						return setup.DeleteUser(t.Context(), gone.ID)
					}
					return nil
				}, After: func(string) error { return nil }})
				q.Limit = 100
				found, err := db.ListUsers(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				statements = max(statements, ran-1)
				var want, got []string
				for _, u := range users {
					if u.ID != gone.ID && strings.Contains(u.EmailKey+" "+u.UsernameKey, q.Text) {
						want = append(want, u.ID)
					}
				}
				for _, u := range found.Users {
					if u.ID != gone.ID {
						got = append(got, u.ID)
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%+v, one goes before statement %d of %d: found %d of %d users",
						q, at+1, ran, len(got), len(want))
				}
				if at < ran {
					if err := setup.CreateUser(t.Context(), gone); err != nil {
						t.Fatal(err)
					}
				}
				db.Close()
			}
		}
	})
}

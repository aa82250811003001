package storetest

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func userMany(t *testing.T, f *fixture) {
	named := func() userstore.User {
		u := f.newUser()
		u.UsernameKey = strings.ToLower(id())
		u.Username = strings.ToUpper(u.UsernameKey)
		return u
	}
	there := named()
	must(t, f.CreateUser(t.Context(), there))

	var users []userstore.User
	for range 333 { // more than one statement looks for
		users = append(users, named())
	}
	full := users[7]
	full.Claims, full.Roles, full.IsActive, full.IsStaff, full.EmailVerified = fullClaims(), []string{"admin", "ü"},
		false, true, true
	full.LastLoginAt = f.now.Add(-time.Hour)
	users[7] = full
	users[3].EmailKey = there.EmailKey
	users[150].UsernameKey = there.UsernameKey
	users[200].ID = there.ID
	users[300].EmailKey = users[8].EmailKey // taken by an earlier user of the list
	users[301].UsernameKey = users[9].UsernameKey
	users[302].Username, users[302].UsernameKey = "", ""
	users[303].Username, users[303].UsernameKey = "", "" // users without a username do not conflict

	taken, err := f.CreateUsers(t.Context(), users, nil)
	must(t, err)
	holders := map[int]string{}
	for i, u := range taken {
		holders[i] = u.ID
	}
	equal(t, "taken", holders, map[int]string{3: there.ID, 150: there.ID, 200: there.ID,
		300: users[8].ID, 301: users[9].ID})
	for i, u := range users {
		got, err := f.UserByID(t.Context(), u.ID)
		if _, refused := taken[i]; refused {
			if i != 200 {
				is(t, err, userstore.ErrNotFound)
			}
			continue
		}
		must(t, err)
		u.Version, u.CreatedAt, u.UpdatedAt = 1, stored(u.CreatedAt), stored(u.UpdatedAt)
		if !u.LastLoginAt.IsZero() {
			u.LastLoginAt = stored(u.LastLoginAt)
		}
		equal(t, "one of many", got, u)
	}

	// The second time all of them exist, and no user is created twice.
	taken, err = f.CreateUsers(t.Context(), users, nil)
	must(t, err)
	equal(t, "taken the second time", len(taken), len(users))
	equal(t, "the holder of the second", taken[1].ID, users[1].ID)

	like, err := f.UsersLike(t.Context(), []userstore.User{users[0], named(),
		{ID: there.ID, EmailKey: users[1].EmailKey}, {EmailKey: users[1].EmailKey, UsernameKey: users[2].UsernameKey}})
	must(t, err)
	equal(t, "like", []string{like[0].ID, like[1].ID, like[2].ID, like[3].ID},
		[]string{users[0].ID, "", there.ID, users[1].ID})
	like, err = f.UsersLike(t.Context(), nil)
	must(t, err)
	equal(t, "like nobody", len(like), 0)
	taken, err = f.CreateUsers(t.Context(), nil, nil)
	must(t, err)
	equal(t, "none made", len(taken), 0)

	// One user who cannot be stored stops the whole operation.
	before, broken := named(), named()
	broken.PasswordHash = "a\x00b"
	_, err = f.CreateUsers(t.Context(), []userstore.User{before, broken}, nil)
	is(t, err, userstore.ErrInvalid)
	_, err = f.UserByID(t.Context(), before.ID)
	is(t, err, userstore.ErrNotFound)
}

// Imports of one file at once, from both ends: each name is created once, and each import reports
// it as created or as taken. They are so many and so long that they would hardly pass without
// waiting for each other.
func raceMany(t *testing.T, f *fixture) {
	const imports = 4
	var all [imports][]userstore.User
	for range 1000 {
		u := f.newUser()
		for i := range all {
			u.ID = id()
			if i%2 == 0 {
				all[i] = append(all[i], u)
			} else {
				all[i] = append([]userstore.User{u}, all[i]...)
			}
		}
	}
	made := make([]int, imports)
	together(imports, func(i int) {
		taken, err := f.CreateUsers(t.Context(), all[i], nil)
		// On a slow machine, an import may wait longer for its turn than a store lets it. Then it has
		// stored nothing, and is repeated.
		for began := time.Now(); errors.Is(err, userstore.ErrUnavailable) && time.Since(began) < time.Minute; {
			taken, err = f.CreateUsers(t.Context(), all[i], nil)
		}
		if err != nil {
			t.Error(err)
		}
		made[i] = len(all[i]) - len(taken)
	})
	sum := 0
	for _, n := range made {
		sum += n
	}
	equal(t, "made in all", sum, len(all[0]))
}

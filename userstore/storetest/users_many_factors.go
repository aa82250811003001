package storetest

import (
	"maps"
	"slices"
	"testing"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// New accounts get their second factors together with their rows. An account that was there already
// keeps what it has, also under its own id.
func userManyFactors(t *testing.T, f *fixture) {
	plain, guarded := f.user(t), f.user(t)
	f.app(t, &guarded)
	f.recoveryCodes(t, &guarded, 2)
	before := map[string]factorRows{plain.ID: f.factorRows(t, plain), guarded.ID: f.factorRows(t, guarded)}

	for _, withEvents := range []bool{false, true} {
		const size = 60
		var users []userstore.User
		var events []audit.Event
		first := map[int]userstore.FirstFactors{}
		for i := range size {
			u := f.newUser()
			switch i {
			case 4: // the same account once more
				u = plain
			case 8:
				u = guarded
			case 12: // its address only
				u.EmailKey = plain.EmailKey
			case 16: // an earlier one of the list
				u.EmailKey = users[1].EmailKey
			}
			if i%2 == 0 {
				app := f.newApp(u)
				app.LastCounter = int64(i) - 1
				codes := make([][]byte, i%3*11)
				for j := range codes {
					codes[j] = random(32)
				}
				if len(codes) > 1 {
					codes = append(codes, codes[0]) // twice in the list
				}
				first[i] = userstore.FirstFactors{App: app, RecoveryCodes: codes}
			}
			users = append(users, u)
			if withEvents {
				e := f.event(id())
				e.Name = audit.UserImported
				events = append(events, e)
			}
		}
		taken, err := f.CreateUsers(t.Context(), users, first, events...)
		must(t, err)
		equal(t, "taken", slices.Sorted(maps.Keys(taken)), []int{4, 8, 12, 16})
		for range 2 {
			for i, u := range users {
				if there, ok := before[u.ID]; ok {
					equal(t, "an account that was there", f.factorRows(t, u), there)
					continue
				}
				if i == 12 || i == 16 {
					continue
				}
				f.read(t, &u)
				got := f.factors(t, u)
				want, has := first[i]
				equal(t, "second_factor", u.SecondFactor, has)
				if !has {
					equal(t, "the factors of a user without one", got, userstore.SecondFactors{})
					continue
				}
				equal(t, "the app has its place", got.App != nil && got.Waiting == nil, true)
				want.App.CreatedAt = stored(want.App.CreatedAt)
				equal(t, "the app", *got.App, want.App)
				equal(t, "its codes", got.RecoveryCodes, i%3*11)
				equal(t, "the version of the user", u.FactorVersion, got.Version)
				for _, mac := range want.RecoveryCodes {
					known, err := f.HasRecoveryCode(t.Context(), u.ID, [][]byte{mac})
					must(t, err)
					equal(t, "a code", known, true)
				}
			}
			// The second time all of them exist and keep what they have, whatever the file says.
			again := map[int]userstore.FirstFactors{}
			for i, u := range users {
				again[i] = userstore.FirstFactors{App: f.newApp(u), RecoveryCodes: [][]byte{random(32)}}
			}
			all, err := f.CreateUsers(t.Context(), users, again)
			must(t, err)
			equal(t, "taken the second time", len(all), size)
		}
		// The factor of another user, or of none, stops the whole operation.
		fresh, other := f.newUser(), f.newUser()
		for _, wrong := range []map[int]userstore.FirstFactors{
			{0: {App: f.newApp(other)}}, {1: {App: f.newApp(fresh)}}, {-1: {App: f.newApp(fresh)}}, {0: {}},
		} {
			_, err = f.CreateUsers(t.Context(), []userstore.User{fresh}, wrong)
			is(t, err, userstore.ErrInvalid)
			_, err = f.UserByID(t.Context(), fresh.ID)
			is(t, err, userstore.ErrNotFound)
		}
		// So does an app whose id exists: no account is left without its factor.
		app := f.newApp(fresh)
		app.ID = first[0].App.ID
		_, err = f.CreateUsers(t.Context(), []userstore.User{fresh, other},
			map[int]userstore.FirstFactors{0: {App: app}})
		if err == nil {
			t.Error("an authenticator app was stored under the id of another")
		}
		for _, u := range []userstore.User{fresh, other} {
			_, err = f.UserByID(t.Context(), u.ID)
			is(t, err, userstore.ErrNotFound)
		}
	}
}

package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

// fullClaims sets every claim, so that a forgotten one is noticed.
func fullClaims() userstore.Claims {
	return userstore.Claims{
		Name: "Zoë <b>&amp; \"O'Hara\"", GivenName: "Zoë", FamilyName: "O'Hara", MiddleName: "\u2028", Nickname: "z",
		Profile: "https://x.test/z",
		Picture: "https://x.test/z.png", Website: "https://x.test", Gender: "–", Birthdate: "0000-02-29",
		Zoneinfo: "Asia/Kathmandu", Locale: "ne-NP",
		PhoneNumber: "+977 1 5550100", PhoneNumberVerified: true,
		Address: &userstore.Address{Formatted: "1\n2", StreetAddress: "日本語", Locality: "🙂", Region: `\`,
			PostalCode: "%_", Country: "NP"},
	}
}

func userRoundTrip(t *testing.T, f *fixture) {
	u := userstore.User{ID: id(), Email: "Zoë@Exämple.test", EmailKey: "zoë@xn--exmple-cua.test",
		Username: "Zoë", UsernameKey: "zoë",
		EmailVerified: true, PasswordHash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", Claims: fullClaims(),
		IsActive: true, IsStaff: true,
		Roles: []string{"admin", `a"b\c`, "ü"}, CreatedAt: f.now, UpdatedAt: f.now.Add(time.Second),
		LastLoginAt: f.now.Add(time.Hour)}
	must(t, f.CreateUser(t.Context(), u))
	want := u
	want.Version = 1
	want.CreatedAt, want.UpdatedAt, want.LastLoginAt = stored(u.CreatedAt), stored(u.UpdatedAt), stored(u.LastLoginAt)
	got, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	equal(t, "by id", got, want)
	got, err = f.UserByLogin(t.Context(), userstore.Login{EmailKey: u.EmailKey})
	must(t, err)
	equal(t, "by email", got, want)
	got, err = f.UserByLogin(t.Context(), userstore.Login{UsernameKey: u.UsernameKey})
	must(t, err)
	equal(t, "by username", got, want)

	plain := userstore.User{ID: id(), Email: "b@x.test", EmailKey: "b@x.test"} // everything else empty
	must(t, f.CreateUser(t.Context(), plain))
	got, err = f.UserByID(t.Context(), plain.ID)
	must(t, err)
	plain.Version = 1
	equal(t, "a bare user", got, plain)

	_, err = f.UserByID(t.Context(), id())
	is(t, err, userstore.ErrNotFound)
}

func userUnique(t *testing.T, f *fixture) {
	a := f.newUser()
	ann := strings.ToLower(id())
	a.Username, a.UsernameKey = "Ann", ann
	must(t, f.CreateUser(t.Context(), a))

	b := f.newUser()
	b.EmailKey = a.EmailKey
	existsIn(t, f.CreateUser(t.Context(), b), "email")
	b = f.newUser()
	b.UsernameKey = ann
	existsIn(t, f.CreateUser(t.Context(), b), "username")
	b = f.newUser()
	b.ID = a.ID
	existsIn(t, f.CreateUser(t.Context(), b), "id")

	for range 3 { // any number of users may have no username
		f.user(t)
	}

	b = f.user(t)
	b.EmailKey = a.EmailKey
	existsIn(t, f.UpdateUser(t.Context(), b), "email")
	b.EmailKey, b.UsernameKey = "free@x.test", ann
	existsIn(t, f.UpdateUser(t.Context(), b), "username")
	got, err := f.UserByID(t.Context(), b.ID)
	must(t, err)
	if got.EmailKey == "free@x.test" || got.Version != b.Version {
		t.Errorf("a refused update changed the row: %+v", got)
	}
}

func userByLogin(t *testing.T, f *fixture) {
	a := f.newUser()
	ann := strings.ToLower(id())
	a.Username, a.UsernameKey = strings.ToUpper(ann), ann
	must(t, f.CreateUser(t.Context(), a))
	for name, l := range map[string]userstore.Login{
		"email as shown":         {EmailKey: a.Email},
		"username as shown":      {UsernameKey: a.Username},
		"email as username":      {UsernameKey: a.EmailKey},
		"username as email":      {EmailKey: ann},
		"nothing":                {},
		"part of the email":      {EmailKey: a.EmailKey[1:]},
		"LIKE wildcards":         {EmailKey: "%"},
		"space at the end":       {UsernameKey: ann + " "},
		"another Unicode letter": {UsernameKey: "а" + ann[1:]},
	} {
		if _, err := f.UserByLogin(t.Context(), l); err == nil {
			t.Errorf("%s finds the user", name)
		} else {
			is(t, err, userstore.ErrNotFound)
		}
	}
}

func userUpdate(t *testing.T, f *fixture) {
	u := f.user(t)
	g := f.grant(t, u)
	u, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	if u.LastLoginAt != stored(f.now) {
		t.Errorf("last login %v", u.LastLoginAt)
	}

	edit := u
	edit.Email, edit.EmailKey, edit.EmailVerified = "New@x.test", "new@x.test", true
	edit.Username, edit.UsernameKey = "New", "new"
	edit.Claims, edit.Roles, edit.IsStaff = fullClaims(), []string{"admin"}, true
	edit.UpdatedAt = f.now.Add(time.Hour)
	// An update must ignore these fields, whatever they hold:
	edit.PasswordHash, edit.LastLoginAt, edit.CreatedAt = "other", time.Time{}, f.now.Add(time.Hour)
	must(t, f.UpdateUser(t.Context(), edit))

	want := edit
	want.PasswordHash, want.LastLoginAt, want.CreatedAt = u.PasswordHash, u.LastLoginAt, u.CreatedAt
	want.UpdatedAt = stored(edit.UpdatedAt)
	want.Version = u.Version + 1
	got, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	equal(t, "after the update", got, want)
	f.live(t, g)

	is(t, f.UpdateUser(t.Context(), edit), userstore.ErrConflict)
	edit.ID = id()
	is(t, f.UpdateUser(t.Context(), edit), userstore.ErrNotFound)
	got, err = f.UserByID(t.Context(), u.ID)
	must(t, err)
	equal(t, "after refused updates", got, want)
}

func userPages(t *testing.T, f *fixture) {
	var want []string
	for i := range 23 {
		u := f.newUser()
		u.ID = fmt.Sprintf("%02d", (i*7)%23)
		u.CreatedAt = f.now.Add(time.Duration(i/5) * time.Microsecond) // five share an instant
		must(t, f.CreateUser(t.Context(), u))
		want = append(want, fmt.Sprintf("%d %s", i/5, u.ID))
	}
	slices.Sort(want)
	for _, limit := range []int{1, 2, 5, 22, 23, 24, 1000} {
		var got []string
		for page, err := range userstore.UserPages(t.Context(), f, userstore.UserQuery{Limit: limit}) {
			must(t, err)
			if len(page.Users) > limit || len(page.Users) < limit && page.Next != nil {
				t.Fatalf("a page of %d for %d, and %v behind it", len(page.Users), limit, page.Next)
			}
			for _, u := range page.Users {
				got = append(got, fmt.Sprintf("%d %s", u.CreatedAt.Sub(stored(f.now)).Microseconds(), u.ID))
			}
		}
		equal(t, fmt.Sprintf("pages of %d", limit), got, want)
	}
	for _, limit := range []int{0, -1} {
		_, err := f.ListUsers(t.Context(), userstore.UserQuery{Limit: limit})
		is(t, err, userstore.ErrInvalid)
	}
}

func userPassword(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	mine, kept, theirs := f.grant(t, u), f.grant(t, u), f.grant(t, other)

	is(t, f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, OldHash: "not the stored hash",
		NewHash: "new", KeepSession: kept.SessionID, At: f.now}), userstore.ErrConflict)
	is(t, f.SetPassword(t.Context(), userstore.PasswordChange{UserID: id(), NewHash: "new", At: f.now}),
		userstore.ErrNotFound)
	mine = f.live(t, mine) // a refused change revokes nothing

	must(t, f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash, NewHash: "new",
		KeepSession: kept.SessionID, At: f.now}))
	got, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	if got.PasswordHash != "new" || got.Version != u.Version {
		t.Errorf("hash %q, version %d", got.PasswordHash, got.Version)
	}
	f.dead(t, mine)
	kept = f.live(t, kept)
	theirs = f.live(t, theirs)
	is(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash}),
		userstore.ErrConflict)

	// an operator needs no old password and keeps no session
	must(t, f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, NewHash: "newer", At: f.now}))
	f.dead(t, kept)
	f.live(t, theirs)
	// An empty stored hash is no password, and matches no old hash.
	must(t, f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, OldHash: "newer", At: f.now}))
	got, err = f.UserByID(t.Context(), u.ID)
	must(t, err)
	if got.PasswordHash != "" {
		t.Errorf("hash %q", got.PasswordHash)
	}
}

func userDisable(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	g, theirs := f.grant(t, u), f.grant(t, other)
	later := f.now.Add(time.Hour)

	must(t, f.SetActive(t.Context(), u.ID, false, later))
	got, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	if got.IsActive || got.UpdatedAt != stored(later) || got.Version != u.Version+1 {
		t.Errorf("%+v", got)
	}
	v, err := f.GrantByID(t.Context(), g.ID)
	must(t, err)
	if v.Grant.RevokedAt != stored(later) || v.User.IsActive {
		t.Errorf("%+v", v)
	}
	f.dead(t, g)
	theirs = f.live(t, theirs)
	is(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash}),
		userstore.ErrConflict)

	must(t, f.SetActive(t.Context(), u.ID, false, later)) // the second time is no error
	must(t, f.SetActive(t.Context(), u.ID, true, later))
	f.dead(t, g)
	f.live(t, f.grant(t, u))
	f.live(t, theirs)
	is(t, f.SetActive(t.Context(), id(), false, later), userstore.ErrNotFound)
	is(t, f.SetActive(t.Context(), id(), true, later), userstore.ErrNotFound)

	// Of several simultaneous calls one changes the user, and only this one has an entry.
	for n, active := range []bool{false, true} {
		together(8, func(int) {
			if err := f.SetActive(t.Context(), u.ID, active, later, f.event(u.ID)); err != nil {
				t.Error(err)
			}
		})
		equal(t, "entries", f.storedEntries(t, u.ID), n+1)
	}
}

func userDelete(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	g, theirs := f.grant(t, u), f.grant(t, other)
	must(t, f.DeleteUser(t.Context(), u.ID))
	_, err := f.UserByID(t.Context(), u.ID)
	is(t, err, userstore.ErrNotFound)
	_, err = f.GrantByID(t.Context(), g.ID)
	is(t, err, userstore.ErrNotFound)
	_, err = f.GrantBySession(t.Context(), g.SessionID)
	is(t, err, userstore.ErrNotFound)
	f.dead(t, g)
	must(t, f.RevokeGrant(t.Context(), g.ID, f.now)) // a deleted grant counts as revoked
	f.live(t, theirs)
	is(t, f.DeleteUser(t.Context(), u.ID), userstore.ErrNotFound)

	// T-25, U-31: the address is free again, and the next account with it inherits nothing.
	again := f.newUser()
	again.Email, again.EmailKey = u.Email, u.EmailKey
	must(t, f.CreateUser(t.Context(), again))
	f.dead(t, g)
	list, err := f.ListGrants(t.Context(), again.ID, f.now, time.Time{})
	must(t, err)
	equal(t, "sessions of the new account", len(list), 0)
}

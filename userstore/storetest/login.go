package storetest

import (
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func loginView(t *testing.T, f *fixture) {
	u := f.newUser()
	u.Username, u.UsernameKey, u.Claims, u.Roles = "Ann", "ann", fullClaims(), []string{"editor"}
	must(t, f.CreateUser(t.Context(), u))
	want, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	client, err := f.ClientByID(t.Context(), userstore.FirstPartyClientID)
	must(t, err)

	for _, l := range []userstore.Login{{EmailKey: u.EmailKey}, {UsernameKey: "ann"}} {
		got, known, c, err := f.LoginView(t.Context(), l, userstore.FirstPartyClientID)
		must(t, err)
		equal(t, "known", known, true)
		equal(t, "user", got, want)
		equal(t, "client", c, client)
	}
	f.user(t) // an empty username must not find a user without one
	for _, l := range []userstore.Login{{EmailKey: "nobody@x.test"}, {UsernameKey: "nobody"}, {},
		{EmailKey: "a\x00b"}} {
		got, known, c, err := f.LoginView(t.Context(), l, userstore.FirstPartyClientID)
		must(t, err)
		equal(t, "known", known, false)
		equal(t, "user", got, userstore.User{})
		equal(t, "client", c, client)
	}
	for _, unknown := range []string{"", "nope", "a\x00"} {
		_, _, _, err = f.LoginView(t.Context(), userstore.Login{EmailKey: u.EmailKey}, unknown)
		is(t, err, userstore.ErrNotFound)
	}
	must(t, f.SetActive(t.Context(), u.ID, false, f.now))
	must(t, f.SetClientActive(t.Context(), userstore.FirstPartyClientID, false, f.now))
	got, known, c, err := f.LoginView(t.Context(), userstore.Login{UsernameKey: "ann"}, userstore.FirstPartyClientID)
	must(t, err)
	if !known || got.IsActive || c.DisabledAt.IsZero() {
		t.Errorf("disabled ones are returned as they are: %v %+v %+v", known, got, c)
	}
}

func startGrant(t *testing.T, f *fixture) {
	u, off := f.user(t), f.user(t)
	must(t, f.SetActive(t.Context(), off.ID, false, f.now))
	closed := f.client(t, nil)
	must(t, f.SetClientActive(t.Context(), closed.ID, false, f.now))

	for name, change := range map[string]func(*userstore.StartGrant){
		"another hash": func(s *userstore.StartGrant) { s.PasswordHash = "other" },
		"no hash":      func(s *userstore.StartGrant) { s.PasswordHash = "" },
		"unknown user": func(s *userstore.StartGrant) { s.Grant.UserID = id() },
		"disabled user": func(s *userstore.StartGrant) {
			s.Grant.UserID, s.PasswordHash = off.ID, off.PasswordHash
		},
		"unknown client":         func(s *userstore.StartGrant) { s.Grant.ClientID = id() },
		"disabled client":        func(s *userstore.StartGrant) { s.Grant.ClientID = closed.ID },
		"disabled client, again": func(s *userstore.StartGrant) { s.Grant.ClientID, s.Rehash = closed.ID, "rehash" },
	} {
		s := userstore.StartGrant{Grant: f.newGrant(u), PasswordHash: u.PasswordHash, Rehash: "rehash"}
		change(&s)
		if err := f.StartGrant(t.Context(), s); err == nil {
			t.Fatalf("%s: a grant was started", name)
		} else {
			is(t, err, userstore.ErrConflict)
		}
		_, err := f.GrantByID(t.Context(), s.Grant.ID)
		is(t, err, userstore.ErrNotFound)
		got, err := f.UserByID(t.Context(), u.ID)
		must(t, err)
		equal(t, name+": the user", got, u)
	}

	g := f.newGrant(u)
	g.CreatedAt = f.now.Add(time.Hour)
	must(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash, Rehash: "better"}))
	got, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	want := u
	want.PasswordHash, want.LastLoginAt = "better", stored(g.CreatedAt)
	equal(t, "the user after login", got, want)
	// The same grant a second time is refused, and changes nothing.
	is(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: "better", Rehash: "best"}),
		userstore.ErrConflict)
	got, err = f.UserByID(t.Context(), u.ID)
	must(t, err)
	equal(t, "the user after the second try", got, want)
	f.live(t, g)
	g = f.newGrant(u)
	g.SessionID = ""
	is(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: "better"}), userstore.ErrInvalid)
}

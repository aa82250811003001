package userstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// namedLikeAnID creates an account from before usernames in the shape of an id were refused.
func (w *world) namedLikeAnID(t *testing.T, username string) userstore.User {
	t.Helper()
	key, ok := userstore.UsernameKey(username)
	if !ok {
		t.Fatalf("%q is no username", username)
	}
	hash, err := w.Hasher.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	u := userstore.User{ID: w.NewID(), Email: "mallory@x.test", EmailKey: "mallory@x.test", Username: username,
		UsernameKey:  key,
		PasswordHash: hash, IsActive: true, CreatedAt: w.now, UpdatedAt: w.now, Version: 1}
	if err := w.Store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	return u
}

// A username in the shape of a subject is refused wherever one is set, by the field name that the
// caller uses.
func TestUsernamesWithTheShapeOfASubject(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		alice := w.alice(t)
		refused := []string{
			"AbCdEfGhIjKlMnOpQrStUg", "0a_b1c2d3e4f5g6h7i8j9A",
			"0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0a", "0190A8A4-6D1F-7C3E-9B8A-5F4E3D2C1B0A", "0190a8a46d1f7c3e9b8a5f4e3d2c1b0a",
			"00000000-0000-0000-0000-000000000000", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "507f1f77bcf86cd799439011",
			"175928847299117063",
			"０１９０a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0a", " 0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0a ",
		}
		for range 20 { // our own ids, in any case
			id := w.NewID()
			for !strings.HasPrefix(id, "_") && strings.HasPrefix(id, "-") {
				id = w.NewID()
			}
			refused = append(refused, id, strings.ToLower(id), strings.ToUpper(id))
		}
		for _, name := range refused {
			_, err := w.Register(t.Context(), userstore.NewUser{Email: "bob@x.test", Username: name, Password: password})
			if got := fields(t, err); !slices.Equal(got, []string{"username not_allowed"}) {
				t.Errorf("sign-up as %q: %v", name, got)
			}
			_, err = w.RegisterByOperator(t.Context(),
				userstore.OperatorUser{NewUser: userstore.NewUser{Email: "bob@x.test", Username: name, Password: password}})
			if got := fields(t, err); !slices.Equal(got, []string{"username not_allowed"}) {
				t.Errorf("an operator's %q: %v", name, got)
			}
			rename := func(u *userstore.User) error { u.Username = name; return nil }
			_, err = w.Edit(t.Context(), alice.ID, rename)
			if got := fields(t, err); !slices.Equal(got, []string{"preferred_username not_allowed"}) {
				t.Errorf("a change to %q: %v", name, got)
			}
			_, err = w.EditByOperator(t.Context(), alice.ID, rename)
			if got := fields(t, err); !slices.Equal(got, []string{"preferred_username not_allowed"}) {
				t.Errorf("an operator's change to %q: %v", name, got)
			}
			done, err := (&userstore.Importer{Accounts: w.Accounts, Strict: true}).Import(t.Context(),
				[]userstore.User{{Email: "bob@x.test", Username: name}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := fields(t, done[0].Err); !slices.Equal(got, []string{"preferred_username not_allowed"}) {
				t.Errorf("an import of %q: %v", name, got)
			}
		}
		if _, err := w.Find(t.Context(), "bob@x.test"); !errors.Is(err, userstore.ErrNotFound) {
			t.Errorf("something was stored: %v", err)
		}
		for n, name := range []string{
			"alexander_von_humboldt", "christopher-montgomery", "Maximilian-Mueller1985", "ChristopherMontgomery1", "deadbeef",
			"cafe-babe", "1234567890",
			"0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0g", "the.0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0a",
			"abcdefghijklmnopqrstuvwx", "名無しの権兵衛",
		} {
			email := string(rune('a'+n)) + "@y.test"
			if _, err := w.Register(t.Context(),
				userstore.NewUser{Email: email, Username: name, Password: password}); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

// An account that has such a name from before keeps it: it logs in by the name and can be edited.
func TestAUsernameFromBeforeStays(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		mallory := w.namedLikeAnID(t, "0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0a")
		v, err := w.Authenticate(t.Context(), "", mallory.Username, password, userstore.FirstPartyClientID, nil)
		if err != nil || v.User.ID != mallory.ID {
			t.Errorf("login: %q, %v", v.User.ID, err)
		}
		u, err := w.Edit(t.Context(), mallory.ID, func(u *userstore.User) error { u.Claims.Nickname = "Mal"; return nil })
		if err != nil || u.Username != mallory.Username || u.Claims.Nickname != "Mal" {
			t.Errorf("an edit: %+v, %v", u, err)
		}
		_, err = w.Edit(t.Context(), mallory.ID,
			func(u *userstore.User) error { u.Username = "0190a8a4-6d1f-7c3e-9b8a-5f4e3d2c1b0b"; return nil })
		if got := fields(t, err); !slices.Equal(got, []string{"preferred_username not_allowed"}) {
			t.Errorf("another such name: %v", got)
		}
	})
}

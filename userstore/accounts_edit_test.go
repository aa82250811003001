package userstore_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
)

func TestEdit(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u, err := w.RegisterByOperator(t.Context(),
			userstore.OperatorUser{EmailVerified: true, NewUser: userstore.NewUser{
				Email: "Alice@X.test", Username: "Alice", Password: password,
				Claims: userstore.Claims{GivenName: "Alice", Address: &userstore.Address{Country: "NZ"}}}})
		if err != nil {
			t.Fatal(err)
		}
		edit := func(f func(*userstore.User)) (userstore.User, error) {
			w.now = w.now.Add(time.Second)
			return w.Edit(t.Context(), u.ID, func(u *userstore.User) error { f(u); return nil })
		}
		for _, step := range []struct {
			name  string
			edit  func(*userstore.User)
			check func(userstore.User) bool
		}{
			{"a claim", func(u *userstore.User) { u.Claims.FamilyName = "Liddell" },
				func(u userstore.User) bool {
					return u.Claims.FamilyName == "Liddell" && u.Claims.GivenName == "Alice" && u.EmailVerified
				}},
			{"within the address", func(u *userstore.User) { u.Claims.Address.Locality = "Oxford" },
				func(u userstore.User) bool {
					return *u.Claims.Address == userstore.Address{Country: "NZ", Locality: "Oxford"}
				}},
			{"the address emptied", func(u *userstore.User) { *u.Claims.Address = userstore.Address{} },
				func(u userstore.User) bool { return u.Claims.Address == nil }},
			{"roles", func(u *userstore.User) { u.Roles = []string{"b", "a", "b"} },
				func(u userstore.User) bool { return reflect.DeepEqual(u.Roles, []string{"a", "b"}) }},
			{"the email's case, which is another mailbox to some", func(u *userstore.User) { u.Email = "alice@X.test" },
				func(u userstore.User) bool {
					return u.Email == "alice@X.test" && u.EmailKey == "alice@x.test" && !u.EmailVerified
				}},
			{"verified by an operator", func(u *userstore.User) { u.EmailVerified = true },
				func(u userstore.User) bool { return u.EmailVerified }},
			{"another email, whatever is claimed of it",
				func(u *userstore.User) { u.Email, u.EmailVerified = "Liddell@X.test", true },
				func(u userstore.User) bool { return u.EmailKey == "liddell@x.test" && !u.EmailVerified }},
			{"the username", func(u *userstore.User) { u.Username = "Dodo" },
				func(u userstore.User) bool { return u.Username == "Dodo" && u.UsernameKey == "dodo" }},
			{"no username", func(u *userstore.User) { u.Username = "" },
				func(u userstore.User) bool { return u.Username == "" && u.UsernameKey == "" }},
		} {
			got, err := edit(step.edit)
			if err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if !step.check(got) || !got.UpdatedAt.Equal(w.now) || !got.CreatedAt.Equal(u.CreatedAt) ||
				got.PasswordHash != u.PasswordHash {
				t.Errorf("%s: %+v", step.name, got)
			}
			if stored := w.read(t, u.ID); !reflect.DeepEqual(stored, got) {
				t.Errorf("%s: stored %+v\nanswered %+v", step.name, stored, got)
			}
		}
		if _, _, err := w.login(t, "liddell@x.test", password); err != nil {
			t.Errorf("login by the new email: %v", err)
		}
		if _, _, err := w.login(t, "alice@x.test", password); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("login by the old email: %v", err)
		}

		before := w.read(t, u.ID)
		for name, f := range map[string]func(*userstore.User){
			"nothing": func(*userstore.User) {},
			"the same again": func(u *userstore.User) {
				u.Roles = []string{"b", "a"}
				u.Claims.Address = &userstore.Address{}
			},
			"the email with a space": func(u *userstore.User) { u.Email = " " + u.Email },
		} {
			if got, err := edit(f); err != nil || !reflect.DeepEqual(got, before) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
		for name, f := range map[string]func(*userstore.User){
			"the id":           func(u *userstore.User) { u.ID = "other" },
			"the version":      func(u *userstore.User) { u.Version++ },
			"the password":     func(u *userstore.User) { u.PasswordHash = "" },
			"the activity":     func(u *userstore.User) { u.IsActive = false },
			"when it was made": func(u *userstore.User) { u.CreatedAt = w.now },
			"the last login":   func(u *userstore.User) { u.LastLoginAt = w.now },
		} {
			if _, err := edit(f); err == nil {
				t.Errorf("Edit changed %s", name)
			}
		}
		_, err = edit(func(u *userstore.User) {
			u.Email, u.Username, u.Roles = "", "a b", []string{""}
			u.Claims = userstore.Claims{Website: "javascript:alert(1)", Name: "\x00", PhoneNumberVerified: true}
		})
		want := []string{"email required", "preferred_username invalid", "name invalid", "website invalid",
			"roles invalid", "phone_number_verified not_allowed"}
		if got := fields(t, err); !reflect.DeepEqual(got, want) {
			t.Errorf("faults %v, want %v", got, want)
		}
		refusal := errors.New("changed my mind")
		if _, err := w.Edit(t.Context(), u.ID, func(u *userstore.User) error {
			u.Username = "x"
			return refusal
		}); err != refusal {
			t.Errorf("edit's own error: %v", err)
		}
		if got := w.read(t, u.ID); !reflect.DeepEqual(got, before) {
			t.Errorf("refused, and yet changed: %+v", got)
		}

		if _, err := w.Edit(t.Context(), "nobody", func(*userstore.User) error {
			t.Error("edited nobody")
			return nil
		}); !errors.Is(err, userstore.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
		w.alice(t)
		for field, f := range map[string]func(*userstore.User){
			"email":    func(u *userstore.User) { u.Email = "ALICE@x.test" },
			"username": func(u *userstore.User) { u.Username = "ALICE" },
		} {
			_, err := edit(f)
			var exists *userstore.ExistsError
			if !errors.As(err, &exists) || exists.Field != field {
				t.Errorf("somebody else's %s: %v", field, err)
			}
		}
	})
}

func TestEditPhoneNumber(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		// Edit cannot verify a number; another way can.
		u.Claims.PhoneNumberVerified = true
		if err := w.Store.UpdateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		got, err := w.Edit(t.Context(), u.ID, func(u *userstore.User) error { u.Claims.Gender = "female"; return nil })
		if err != nil || !got.Claims.PhoneNumberVerified {
			t.Errorf("another claim: %+v, %v", got.Claims, err)
		}
		got, err = w.Edit(t.Context(), u.ID, func(u *userstore.User) error {
			u.Claims.PhoneNumber = "+14255551213"
			return nil
		})
		if err != nil || got.Claims.PhoneNumberVerified {
			t.Errorf("another number: %+v, %v", got.Claims, err)
		}
	})
}

func TestEditAgainstOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		var runs int
		meddle := func(upTo int) func(*userstore.User) error {
			runs = 0
			return func(u *userstore.User) error {
				if runs++; runs <= upTo { // another writer comes between our read and our write
					other := *u
					other.Claims.MiddleName += "x"
					if err := w.Store.UpdateUser(t.Context(), other); err != nil {
						return err
					}
				}
				u.Claims.Nickname += "n"
				return nil
			}
		}
		got, err := w.Edit(t.Context(), u.ID, meddle(2))
		if err != nil || runs != 3 || got.Claims.MiddleName != "xx" || got.Claims.Nickname != "n" {
			t.Errorf("beaten twice: %d runs, %+v, %v", runs, got.Claims, err)
		}
		if _, err := w.Edit(t.Context(), u.ID, meddle(8)); !errors.Is(err, userstore.ErrConflict) || runs != 8 {
			t.Errorf("beaten eight times: %d runs, %v", runs, err)
		}
		if stored := w.read(t, u.ID).Claims; stored.MiddleName != strings.Repeat("x", 10) || stored.Nickname != "n" {
			t.Errorf("somebody's edit was lost: %+v", stored)
		}
	})
}

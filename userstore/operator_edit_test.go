package userstore_test

import (
	"testing"

	"github.com/signet-id/signet/userstore"
)

// TestOperatorsDeclareNewAddressesVerified: only operators can, and only explicitly. That the old
// address was verified says nothing about the new one.
func TestOperatorsDeclareNewAddressesVerified(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		edit := func(change func(*userstore.User)) bool {
			t.Helper()
			if _, err := w.EditByOperator(t.Context(), u.ID,
				func(u *userstore.User) error { change(u); return nil }); err != nil {
				t.Fatal(err)
			}
			return w.read(t, u.ID).EmailVerified
		}
		for _, row := range []struct {
			name   string
			change func(*userstore.User)
			want   bool
		}{
			{"the address that there is", func(u *userstore.User) { u.EmailVerified = true }, true},
			{"another one, of which nothing is said", func(u *userstore.User) { u.Email = "b@x.test" }, false},
			{"another one that is declared", func(u *userstore.User) { u.Email, u.EmailVerified = "c@x.test", true }, true},
			{"a third one, declared while the second is verified",
				func(u *userstore.User) { u.Email, u.EmailVerified = "d@x.test", true }, true},
			{"a fourth one, what holds of the third is kept",
				func(u *userstore.User) { kept := u.EmailVerified; u.Email, u.EmailVerified = "e@x.test", kept }, false},
			{"the same, spelt otherwise", func(u *userstore.User) { u.Email = "E@x.test" }, false},
		} {
			if got := edit(row.change); got != row.want {
				t.Errorf("%s: verified is %t", row.name, got)
			}
		}
	})
}

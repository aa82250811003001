package userstore_test

import (
	"context"
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/signet-id/signet/userstore"
)

// The same rules hold wherever a password is set: at sign-up, by a change, by an operator.
func TestU09RulesHoldWhereverAPasswordIsSet(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const leaked = "nobody knows that one"
		w.Service = "login.acme.test"
		asked := 0
		w.BreachRange = func(_ context.Context, prefix string) (string, error) {
			asked++
			digits := fmt.Sprintf("%X", sha1.Sum([]byte(leaked)))
			if prefix != digits[:5] {
				return "", nil
			}
			return digits[5:] + ":7", nil
		}
		u := w.alice(t)
		for refused, code := range map[string]string{
			"aaaaaaaaaaaaaaa":   userstore.CodeTooSimple,
			"passwordpassword":  userstore.CodeTooCommon,
			"alice alice alice": userstore.CodeOwnName,
			"login.acme.test":   userstore.CodeServiceName,
			leaked:              userstore.CodeBreached,
		} {
			asked = 0
			_, err := w.Register(t.Context(), userstore.NewUser{Email: "new@x.test", Username: "alice2", Password: refused,
				Claims: userstore.Claims{GivenName: "Alice"}})
			if got := fields(t, err); !slices.Equal(got, []string{"password " + code}) {
				t.Errorf("U-09 sign-up with %s: %v", code, got)
			}
			err = w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: password}, refused, "")
			if got := fields(t, err); !slices.Equal(got, []string{"new_password " + code}) {
				t.Errorf("U-09 change to %s: %v", code, got)
			}
			err = w.SetPassword(t.Context(), u.ID, refused)
			if got := fields(t, err); !slices.Equal(got, []string{"password " + code}) {
				t.Errorf("U-09 operator sets %s: %v", code, got)
			}
			if want := map[bool]int{true: 3}[code == userstore.CodeBreached]; asked != want {
				t.Errorf("the breach list was asked %d times about %s, want %d", asked, code, want)
			}
		}

		// F-37: no login waits for the breach check, and a stranger's guess is never sent to it.
		asked = 0
		if _, _, err := w.login(t, u.Email, password); err != nil {
			t.Error(err)
		}
		if err := w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: "a wrong current one"}, leaked,
			""); err == nil {
			t.Error("changed with a wrong password")
		}
		if asked != 0 {
			t.Errorf("F-37 asked %d times where nothing is set", asked)
		}
		if strings.Contains(w.log.String(), leaked) {
			t.Error("the log holds the password")
		}
	})
}

package userstore_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

func TestU25ChangePassword(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		_, here, err := w.login(t, u.Email, password)
		if err != nil {
			t.Fatal(err)
		}
		_, there, _ := w.login(t, u.Email, password)
		for name, c := range map[string]struct {
			current, next string
			want          []string
		}{
			"without a new one":        {password, "", []string{"new_password required"}},
			"a short one":              {password, "fourteen chars", []string{"new_password too_short"}},
			"U-06 a long one":          {password, strings.Repeat("p", 1<<20), []string{"new_password too_long"}},
			"U-06 a long current one":  {strings.Repeat("p", 1<<20), changed, []string{"current_password too_long"}},
			"with a control character": {password, changed + "\x00", []string{"new_password invalid"}},
		} {
			before := w.Hasher.Stats()
			if got := fields(
				t, w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: c.current}, c.next, here),
			); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
			if got := w.Hasher.Stats(); got != before {
				t.Errorf("%s: something was hashed", name)
			}
		}
		if err := w.ChangePassword(
			t.Context(), u.ID, userstore.Proof{}, changed, here,
		); !errors.Is(err, userstore.ErrProofRequired) {
			t.Errorf("U-25 without the current one: %v", err)
		}
		w.log.Reset()
		if err := w.ChangePassword(
			t.Context(), u.ID, userstore.Proof{Password: changed}, changed, here,
		); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("U-25 a wrong current one: %v", err)
		}
		if !strings.Contains(w.log.String(), "level=WARN") {
			t.Errorf("U-25 logged %q", w.log)
		}
		if w.read(t, u.ID).PasswordHash != u.PasswordHash || !w.live(t, here) || !w.live(t, there) {
			t.Fatal("U-25 a refused change changed something")
		}

		if err := w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: password}, changed, here); err != nil {
			t.Fatal(err)
		}
		if !w.live(t, here) || w.live(t, there) {
			t.Errorf("afterwards: own session live %v, the other %v", w.live(t, here), w.live(t, there))
		}
		if _, _, err := w.login(t, u.Email, password); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("the old password: %v", err)
		}
		if _, _, err := w.login(t, u.Email, changed); err != nil {
			t.Errorf("the new password: %v", err)
		}
		if err := w.ChangePassword(
			t.Context(), "nobody", userstore.Proof{Password: password}, changed, "",
		); !errors.Is(err, userstore.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
	})
}

// beaten is a store in which another writer is faster than the first SetPassword.
type beaten struct {
	userstore.Store
	first func(ctx context.Context) error
}

func (b *beaten) SetPassword(ctx context.Context, c userstore.PasswordChange, events ...audit.Event) error {
	if f := b.first; f != nil {
		b.first = nil
		if err := f(ctx); err != nil {
			return err
		}
	}
	return b.Store.SetPassword(ctx, c, events...)
}

func TestChangePasswordAgainstOthers(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		store := w.Store
		set := func(password string) func(context.Context) error {
			return func(ctx context.Context) error {
				hash, err := w.Hasher.Hash(ctx, password)
				if err != nil {
					return err
				}
				return store.SetPassword(ctx, userstore.PasswordChange{UserID: u.ID, NewHash: hash, At: w.now})
			}
		}
		w.Store = &beaten{store, set(password)} // as a login does that upgrades the hash
		if err := w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: password}, changed, ""); err != nil {
			t.Errorf("against an upgraded hash: %v", err)
		}
		const third = "another one that was faster"
		w.Store = &beaten{store, set(third)}
		if err := w.ChangePassword(
			t.Context(), u.ID, userstore.Proof{Password: changed}, password, "",
		); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("against a faster change: %v", err)
		}
		if _, _, err := w.login(t, u.Email, third); err != nil {
			t.Errorf("the faster one's password: %v", err)
		}
	})
}

func TestSetPassword(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		_, session, err := w.login(t, u.Email, password)
		if err != nil {
			t.Fatal(err)
		}
		if got := fields(
			t, w.SetPassword(t.Context(), u.ID, "short"),
		); !reflect.DeepEqual(got, []string{"password too_short"}) || !w.live(t, session) {
			t.Errorf("a short one: %v", got)
		}
		if err := w.SetPassword(t.Context(), u.ID, changed); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.login(t, u.Email, changed); err != nil || w.live(t, session) {
			t.Errorf("afterwards: %v, session live %v", err, w.live(t, session))
		}
		if err := w.SetPassword(t.Context(), "nobody", changed); !errors.Is(err, userstore.ErrNotFound) {
			t.Errorf("nobody: %v", err)
		}
	})
}

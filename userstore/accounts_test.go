package userstore_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/signet-id/signet/userstore"
)

func TestRegister(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		if got := w.read(t, u.ID); !reflect.DeepEqual(got, u) {
			t.Errorf("stored %+v\nanswered %+v", got, u)
		}
		if u.Email != "Alice@X.test" || u.EmailKey != "alice@x.test" || u.Username != "Alice" ||
			u.UsernameKey != "alice" {
			t.Errorf("names %q %q %q %q", u.Email, u.EmailKey, u.Username, u.UsernameKey)
		}
		if !u.IsActive || u.IsStaff || u.EmailVerified || u.Roles != nil || !u.CreatedAt.Equal(w.now) ||
			!u.LastLoginAt.IsZero() {
			t.Errorf("state %+v", u)
		}
		if !strings.HasPrefix(u.PasswordHash, "$argon2id$v=19$") || strings.Contains(u.PasswordHash, password) {
			t.Errorf("password stored as %q", u.PasswordHash)
		}

		if _, err := w.Register(
			t.Context(), userstore.NewUser{Email: "noname@x.test", Password: password},
		); err != nil {
			t.Errorf("without a username: %v", err)
		}
		if _, err := w.Register(
			t.Context(), userstore.NewUser{Email: "noname2@x.test", Password: password},
		); err != nil {
			t.Errorf("a second without a username: %v", err)
		}
	})
}

func TestRegisterReportsAllFaultsAndStoresNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		before := w.Hasher.Stats()
		_, err := w.Register(t.Context(), userstore.NewUser{
			Email: "alice", Username: "a@b", Password: "short",
			Claims: userstore.Claims{Name: "\x00", Picture: "javascript:alert(1)", PhoneNumberVerified: true,
				Address: &userstore.Address{Country: "\xff"}},
		})
		want := []string{"email invalid", "username invalid", "name invalid", "picture invalid",
			"address.country invalid",
			"phone_number_verified not_allowed", "password too_short"}
		if got := fields(t, err); !reflect.DeepEqual(got, want) {
			t.Errorf("U-39 Faults %v, want %v", got, want)
		}
		for name, n := range map[string]userstore.NewUser{
			"nothing":                      {},
			"U-06 a password of 1 MiB":     {Email: "long@x.test", Password: strings.Repeat("p", 1<<20)},
			"U-06 a password of 1 KiB + 1": {Email: "long@x.test", Password: strings.Repeat("p", 1025)},
			"the address as the password":  {Email: "alice.of@wonder.test", Password: "Alice.Of@Wonder.Test"},
			"U-39 U+0000 in a name": {Email: "nul@x.test", Password: password,
				Claims: userstore.Claims{GivenName: "a\x00b"}},
			"U-39 U+0000 in the username": {Email: "nul@x.test", Username: "nul\x00", Password: password},
			"U-39 invalid UTF-8 in a name": {Email: "utf@x.test", Password: password,
				Claims: userstore.Claims{FamilyName: "\xc3\x28"}},
			"U-39 1 MiB of text": {Email: "big@x.test", Password: password,
				Claims: userstore.Claims{Nickname: strings.Repeat("a", 1<<20)}},
			"U-39 a script for a website": {Email: "js@x.test", Password: password,
				Claims: userstore.Claims{Website: "JaVaScRiPt:alert(1)"}},
			"a phone number said verified": {Email: "tel@x.test", Password: password,
				Claims: userstore.Claims{PhoneNumber: "+14255551212", PhoneNumberVerified: true}},
			"a password with a newline":    {Email: "nl@x.test", Password: password + "\n"},
			"a password that is not UTF-8": {Email: "pw@x.test", Password: password + "\xff"},
		} {
			_, err := w.Register(t.Context(), n)
			if fields(t, err); strings.Contains(err.Error(), "\x00") || strings.Contains(err.Error(), "wonder.test") {
				t.Errorf("%s: the error repeats the input: %v", name, err)
			}
		}
		if users, err := userstore.FullPage(t.Context(), w.Store, userstore.UserQuery{Limit: 10}); err != nil ||
			len(users) != 0 {
			t.Errorf("%d users were stored, %v", len(users), err)
		}
		if got := w.Hasher.Stats(); got != before {
			t.Errorf("U-06 something was hashed: %+v", got)
		}
	})
}

func TestU39MarkupIsStoredAsTyped(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		claims := userstore.Claims{Name: `<script>alert("x")</script>`,
			Nickname: `'; DROP TABLE users; -- $1 $$ % _ ? \`, Zoneinfo: "Europe/Paris"}
		u, err := w.Register(t.Context(),
			userstore.NewUser{Email: "o'brien@x.test", Password: password, Claims: claims})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.read(t, u.ID).Claims; !reflect.DeepEqual(got, claims) {
			t.Errorf("stored %+v", got)
		}
	})
}

func TestRegisterClosed(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.SignupEnabled = false
		if _, err := w.Register(t.Context(), userstore.NewUser{}); !errors.Is(err, userstore.ErrSignupClosed) {
			t.Errorf("sign-up: %v", err)
		}
		u, err := w.RegisterByOperator(t.Context(), userstore.OperatorUser{
			NewUser: userstore.NewUser{Email: "root@localhost", Password: password},
			Roles:   []string{"admin", "billing", "admin"}, IsStaff: true, EmailVerified: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.read(t, u.ID); !reflect.DeepEqual(got, u) ||
			!reflect.DeepEqual(u.Roles, []string{"admin", "billing"}) || !u.IsStaff || !u.EmailVerified {
			t.Errorf("stored %+v\nanswered %+v", got, u)
		}
		_, err = w.RegisterByOperator(t.Context(), userstore.OperatorUser{
			NewUser: userstore.NewUser{Email: "b@x.test", Password: "short"}, Roles: []string{"Not A Role"}})
		if got := fields(t, err); !reflect.DeepEqual(got, []string{"roles invalid", "password too_short"}) {
			t.Errorf("faults %v", got)
		}
	})
}

func TestU10RegisterExists(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.alice(t)
		before := w.Hasher.Stats()
		for _, email := range []string{
			"alice@x.test", "ALICE@X.TEST", " Alice@x.test", "ａｌｉｃｅ@x.test", "alice@Ｘ.test",
		} {
			_, err := w.Register(t.Context(), userstore.NewUser{Email: email, Username: "somebody", Password: changed})
			var exists *userstore.ExistsError
			if !errors.As(err, &exists) || exists.Field != "email" || !errors.Is(err, userstore.ErrExists) {
				t.Errorf("U-10 %q: %v", email, err)
			}
		}
		if got := w.Hasher.Stats(); got != before {
			t.Errorf("a taken address costs hashes: %+v", got)
		}
		for _, username := range []string{"alice", "ALICE", "ａｌｉｃｅ"} {
			_, err := w.Register(t.Context(),
				userstore.NewUser{Email: newID() + "@x.test", Username: username, Password: changed})
			var exists *userstore.ExistsError
			if !errors.As(err, &exists) || exists.Field != "username" {
				t.Errorf("username %q: %v", username, err)
			}
		}
		for _, email := range []string{"\u0430lice@x.test", "al\u0131ce@x.test", "al\u0130ce@x.test"} {
			u, err := w.Register(t.Context(), userstore.NewUser{Email: email, Password: changed})
			if err != nil {
				t.Errorf("U-10 the look-alike %q: %v", email, err)
			}
			if v, _, err := w.login(t, email, changed); err != nil || v.User.ID != u.ID {
				t.Errorf("U-10 the look-alike %q logs in as %q, %v", email, v.User.Email, err)
			}
		}
		for _, email := range []string{"ali\u200bce@x.test", "alice@x.test."} {
			if got := fields(t, func() error {
				_, err := w.Register(t.Context(), userstore.NewUser{Email: email, Password: changed})
				return err
			}()); got[0] != "email invalid" {
				t.Errorf("U-10 %q: %v", email, got)
			}
		}
		if v, _, err := w.login(t, "alice@x.test", password); err != nil || v.User.Username != "Alice" {
			t.Errorf("U-10 alice: %q, %v", v.User.Email, err)
		}
	})
}

func TestU12ParallelSignups(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		for round := range 5 {
			var all sync.WaitGroup
			created := make(chan userstore.User, 50)
			for i := range 50 {
				email := []string{"Alice", "alice", "ALICE"}[i%3] + string(rune('a'+round)) + "@x.test"
				all.Go(func() {
					u, err := w.Register(t.Context(), userstore.NewUser{Email: email, Password: password})
					var exists *userstore.ExistsError
					switch {
					case err == nil:
						created <- u
					case !errors.As(err, &exists) || exists.Field != "email":
						t.Errorf("U-12 %v", err)
					}
				})
			}
			all.Wait()
			if len(created) != 1 {
				t.Fatalf("U-12 %d sign-ups of one address succeeded", len(created))
			}
			u := <-created
			if got, err := w.Find(t.Context(), u.Email); err != nil || got.ID != u.ID {
				t.Errorf("U-12 the row is %q's, %v", got.ID, err)
			}
		}
		if users, err := userstore.FullPage(t.Context(), w.Store, userstore.UserQuery{Limit: 100}); err != nil ||
			len(users) != 5 {
			t.Errorf("U-12 %d rows, %v", len(users), err)
		}
	})
}

func TestDelete(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		_, session, err := w.login(t, u.Email, password)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Delete(
			t.Context(), u.ID, userstore.Proof{Password: changed},
		); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("U-25 a wrong password: %v", err)
		}
		if err := w.Delete(t.Context(), u.ID, userstore.Proof{}); !errors.Is(err, userstore.ErrProofRequired) {
			t.Errorf("U-25 no password: %v", err)
		}
		if !w.live(t, session) {
			t.Fatal("a refused deletion ended a session")
		}
		if err := w.Delete(t.Context(), u.ID, userstore.Proof{Password: password}); err != nil {
			t.Fatal(err)
		}
		if w.live(t, session) {
			t.Error("U-30 a session outlived its user")
		}
		if _, _, err := w.login(t, u.Email, password); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("U-30 login: %v", err)
		}
		if recreated := w.alice(t); recreated.ID == u.ID || w.live(t, session) {
			t.Error("U-31 the new account is the old one")
		}
	})
}

func TestFind(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		for _, name := range []string{u.ID, "alice", "ALICE", "alice@x.test", "ALICE@X.TEST"} {
			if got, err := w.Find(t.Context(), name); err != nil || got.ID != u.ID {
				t.Errorf("%q: %q, %v", name, got.ID, err)
			}
		}
		for _, name := range []string{
			"", "bob", "bob@x.test", "a@b@c", "x\x00", "\xff", strings.Repeat("a", 1<<20), "' OR ''='",
		} {
			if got, err := w.Find(t.Context(), name); !errors.Is(err, userstore.ErrNotFound) {
				t.Errorf("%.20q: %q, %v", name, got.ID, err)
			}
		}
		// An account that took another's id for its username, when that was possible, is not found
		// in its place.
		w.namedLikeAnID(t, u.ID)
		if got, err := w.Find(t.Context(), u.ID); err != nil || got.ID != u.ID {
			t.Errorf("the id now finds %q, %v", got.Email, err)
		}
	})
}

// An id outlives its account in records and in the audit log, and usernames are compared in lower
// case. A search for a deleted account's id must not find another account.
func TestFindingADeletedAccountByItsID(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		const id = "AbCdEfGhIjKlMnOpQrStUv"
		fresh := w.NewID
		w.NewID = func() string { return id }
		w.alice(t)
		w.NewID = fresh
		mallory := w.namedLikeAnID(t, id)
		if err := w.DeleteByOperator(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{id, strings.ToUpper(id), "A" + strings.ToLower(id[1:])} {
			if got, err := w.Find(t.Context(), name); !errors.Is(err, userstore.ErrNotFound) {
				t.Errorf("%s finds %q, %v", name, got.Email, err)
			}
		}
		for _, name := range []string{strings.ToLower(id), mallory.ID, "MALLORY@x.test"} {
			if got, err := w.Find(t.Context(), name); err != nil || got.ID != mallory.ID {
				t.Errorf("%s finds %q, %v", name, got.Email, err)
			}
		}
	})
}

func TestOverloadedAccountsChangeNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		gone, leave := context.WithCancel(t.Context())
		w.Store = &leaving{w.Store, leave} // the caller's time runs out after the read
		started := w.Hasher.Stats().Started
		for name, act := range map[string]func() error{
			"sign-up": func() error {
				_, err := w.Register(gone, userstore.NewUser{Email: "bob@x.test", Password: password})
				return err
			},
			"login": func() error {
				_, err := w.Authenticate(gone, u.Email, "", password, userstore.FirstPartyClientID, nil)
				return err
			},
			"change": func() error {
				return w.ChangePassword(gone, u.ID, userstore.Proof{Password: password}, changed, "")
			},
			"deletion": func() error { return w.Delete(gone, u.ID, userstore.Proof{Password: password}) },
		} {
			if err := act(); !errors.Is(err, userstore.ErrOverloaded) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := w.Hasher.Stats(); got.Started != started || got.Refused != 4 {
			t.Errorf("%+v", got)
		}
		if users, err := userstore.FullPage(t.Context(), w.Store, userstore.UserQuery{Limit: 10}); err != nil ||
			len(users) != 1 || users[0].PasswordHash != u.PasswordHash {
			t.Errorf("%d users, %v", len(users), err)
		}
	})
}

// leaving is a store that cancels the caller's context after each read, which itself succeeds.
type leaving struct {
	userstore.Store
	leave context.CancelFunc
}

func (l *leaving) UserByLogin(_ context.Context, login userstore.Login) (userstore.User, error) {
	defer l.leave()
	return l.Store.UserByLogin(context.Background(), login)
}

func (l *leaving) UserByID(_ context.Context, id string) (userstore.User, error) {
	defer l.leave()
	return l.Store.UserByID(context.Background(), id)
}

func (l *leaving) LoginView(
	_ context.Context, login userstore.Login, clientID string,
) (userstore.User, bool, userstore.Client, error) {
	defer l.leave()
	return l.Store.LoginView(context.Background(), login, clientID)
}

// TestIDsThatAreMadeCanBeNamedOnACommandLine: an id that begins with - would be taken for a flag.
func TestIDsThatAreMadeCanBeNamedOnACommandLine(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		ids := []string{"--help", "-B", "ok"}
		w.NewID = func() string {
			id := ids[0]
			ids = ids[1:]
			return id
		}
		if u := w.alice(t); u.ID != "ok" {
			t.Errorf("%q", u.ID)
		}
	})
}

package userstore_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	hashes "github.com/signet-id/signet/userstore/password"
)

func TestAuthenticate(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		alice := w.alice(t)
		plain, err := w.Register(t.Context(), userstore.NewUser{Email: "plain@x.test", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		blocked, err := w.Register(t.Context(), userstore.NewUser{Email: "blocked@x.test", Password: password})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Store.SetActive(t.Context(), blocked.ID, false, w.now); err != nil {
			t.Fatal(err)
		}
		nul := strings.Repeat("a", 10) + "\x00" + "@x.test"
		for name, c := range map[string]struct {
			email, username, password string
			user                      string
			err                       error
		}{
			"by email":                         {email: "Alice@X.test", password: password, user: alice.ID},
			"by the email of another spelling": {email: " aLICE@x.TEST", password: password, user: alice.ID},
			"by username":                      {username: "aLiCe", password: password, user: alice.ID},
			"somebody without a username":      {email: "plain@x.test", password: password, user: plain.ID},
			"a wrong password": {email: "alice@x.test", password: password + "!",
				err: userstore.ErrInvalidCredentials},
			"U-07 another case": {email: "alice@x.test", password: strings.ToUpper(password),
				err: userstore.ErrInvalidCredentials},
			"U-07 a trailing space": {email: "alice@x.test", password: password + " ",
				err: userstore.ErrInvalidCredentials},
			"an unknown address": {email: "nobody@x.test", password: password,
				err: userstore.ErrInvalidCredentials},
			"an unknown username": {username: "nobody", password: password, err: userstore.ErrInvalidCredentials},
			"an email as the username": {username: "alice@x.test", password: password,
				err: userstore.ErrInvalidCredentials},
			"a username as the email": {email: "alice", password: password, err: userstore.ErrInvalidCredentials},
			"what is no address": {email: "' OR 1=1 --", password: password,
				err: userstore.ErrInvalidCredentials},
			"U+0000 in the address":  {email: nul, password: password, err: userstore.ErrInvalidCredentials},
			"U+0000 in the username": {username: nul, password: password, err: userstore.ErrInvalidCredentials},
			"invalid UTF-8": {email: "\xff@x.test", password: password,
				err: userstore.ErrInvalidCredentials},
			"an address of 1 MiB": {email: strings.Repeat("a", 1<<20), password: password,
				err: userstore.ErrInvalidCredentials},
			"disabled, wrong password": {email: "blocked@x.test", password: changed,
				err: userstore.ErrInvalidCredentials},
			"disabled, right password": {email: "blocked@x.test", password: password,
				err: userstore.ErrAccountDisabled},
		} {
			before := w.Hasher.Stats().Started
			v, err := w.Authenticate(t.Context(), c.email, c.username, c.password, userstore.FirstPartyClientID, nil)
			if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) || v.User.ID != c.user {
				t.Errorf("%s: %q, %v", name, v.User.ID, err)
			}
			if err != nil && !reflect.DeepEqual(v, userstore.Verified{}) {
				t.Errorf("%s: refused, and yet answered %+v", name, v)
			}
			if err == nil && (v.Client.ID != userstore.FirstPartyClientID || v.Rehash != "") {
				t.Errorf("%s: client %q, rehash %q", name, v.Client.ID, v.Rehash)
			}
			if n := w.Hasher.Stats().Started - before; n != 1 {
				t.Errorf("%s: %d hashes, want 1 whatever the answer", name, n)
			}
		}
	})
}

func TestAuthenticateRefusesBeforeHashing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.alice(t)
		before := w.Hasher.Stats()
		for name, c := range map[string]struct {
			email, username, password string
			want                      []string
		}{
			"nothing":                 {"", "", "", []string{"email required", "password required"}},
			"both names":              {"alice@x.test", "alice", password, []string{"username not_allowed"}},
			"no password":             {"alice@x.test", "", "", []string{"password required"}},
			"U-06 1 KiB + 1":          {"alice@x.test", "", strings.Repeat("p", 1025), []string{"password too_long"}},
			"U-06 1 MiB":              {"nobody@x.test", "", strings.Repeat("p", 1<<20), []string{"password too_long"}},
			"a password not in UTF-8": {"alice@x.test", "", "\xff", []string{"password invalid"}},
		} {
			_, err := w.Authenticate(t.Context(), c.email, c.username, c.password, userstore.FirstPartyClientID, nil)
			if got := fields(t, err); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
		}
		for _, id := range []string{"unknown", "", "\x00"} {
			if _, err := w.Authenticate(
				t.Context(), "alice@x.test", "", password, id, nil,
			); !errors.Is(err, userstore.ErrNotFound) {
				t.Errorf("client %q: %v", id, err)
			}
		}
		refusal := errors.New("not with this client")
		_, err := w.Authenticate(t.Context(), "alice@x.test", "", password, userstore.FirstPartyClientID,
			func(c userstore.Client) error {
				if c.ID != userstore.FirstPartyClientID || !c.FirstParty {
					t.Errorf("asked about %+v", c)
				}
				return refusal
			})
		if err != refusal {
			t.Errorf("a refused client: %v", err)
		}
		if got := w.Hasher.Stats(); got != before {
			t.Errorf("something was hashed or queued: %+v", got)
		}
	})
}

func TestU36WeakerHashIsUpgradedAtLogin(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		w.Hasher = hashes.New(hashes.Params{MemoryKiB: 16, Time: 2, Threads: 1}, 2, 10, time.Minute)
		if _, _, err := w.login(t, u.Email, changed); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Fatalf("wrong password: %v", err)
		}
		if w.read(t, u.ID).PasswordHash != u.PasswordHash {
			t.Error("U-36 a wrong password changed the hash")
		}
		v, _, err := w.login(t, u.Email, password)
		if err != nil || v.Rehash == "" {
			t.Fatalf("U-36 first login after the costs were raised: rehash %q, %v", v.Rehash, err)
		}
		upgraded := w.read(t, u.ID)
		if upgraded.PasswordHash != v.Rehash || !strings.Contains(v.Rehash, "$m=16,t=2,p=1$") {
			t.Errorf("U-36 stored %q", upgraded.PasswordHash)
		}
		if v, _, err := w.login(t, u.Email, password); err != nil || v.Rehash != "" {
			t.Errorf("U-36 second login: rehash %q, %v", v.Rehash, err)
		}
	})
}

func TestU36AbsurdHashInTheDatabase(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		for _, hash := range []string{
			"$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE",
			"$2b$31$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
			password,
		} {
			if err := w.Store.SetPassword(
				t.Context(), userstore.PasswordChange{UserID: u.ID, NewHash: hash, At: w.now},
			); err != nil {
				t.Fatal(err)
			}
			w.log.Reset()
			if _, _, err := w.login(t, u.Email, password); !errors.Is(err, userstore.ErrInvalidCredentials) {
				t.Errorf("U-36 %.20s…: %v", hash, err)
			}
			if line := w.log.String(); !strings.Contains(line, "level=ERROR") || !strings.Contains(line, u.ID) {
				t.Errorf("U-36 the operator is told %q", line)
			}
		}
	})
}

func TestCheckPassword(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		known := userstore.User{ID: u.ID} // as it comes with a grant
		if err := w.CheckPassword(t.Context(), known, password); err != nil {
			t.Error(err)
		}
		if err := w.CheckPassword(t.Context(), known, changed); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("wrong: %v", err)
		}
		if err := w.Store.SetActive(t.Context(), u.ID, false, w.now); err != nil {
			t.Fatal(err)
		}
		if err := w.CheckPassword(t.Context(), known, changed); !errors.Is(err, userstore.ErrInvalidCredentials) {
			t.Errorf("disabled, wrong: %v", err)
		}
		if err := w.CheckPassword(t.Context(), known, password); !errors.Is(err, userstore.ErrAccountDisabled) {
			t.Errorf("disabled, right: %v", err)
		}
	})
}

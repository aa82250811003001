package userstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
	hashes "github.com/signet-id/signet/userstore/password"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

const (
	password = "correct horse battery staple"
	changed  = "purple monkey dishwasher sings"
)

var cheap = hashes.Params{MemoryKiB: 8, Time: 1, Threads: 1}

// world is Accounts on a real store, with a clock that tests move.
type world struct {
	*userstore.Accounts
	now time.Time
	log *bytes.Buffer
}

func newWorld(db userstore.Store) *world {
	w := &world{now: time.Date(2026, 11, 21, 12, 0, 0, 123456000, time.UTC), log: new(bytes.Buffer)}
	w.Accounts = &userstore.Accounts{
		Store:         db,
		Hasher:        hashes.New(cheap, 2, 200, time.Minute),
		Now:           func() time.Time { return w.now },
		NewID:         newID,
		Log:           slog.New(slog.NewTextHandler(w.log, nil)),
		MinPassword:   15,
		SignupEnabled: true,
		Throttle:      userstore.NoThrottle,
	}
	return w
}

func newID() string {
	b := make([]byte, 16)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// onBoth runs fn on either engine, and afterwards searches the log for secrets.
func onBoth(t *testing.T, fn func(t *testing.T, w *world)) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		w := newWorld(db)
		fn(t, w)
		for _, secret := range []string{"alice", "x.test", "horse", "monkey", "argon2id"} {
			if strings.Contains(strings.ToLower(w.log.String()), secret) {
				t.Errorf("the log holds %q:\n%s", secret, w.log)
			}
		}
	})
}

// alice signs up.
func (w *world) alice(t *testing.T) userstore.User {
	t.Helper()
	u, err := w.Register(t.Context(), userstore.NewUser{
		Email: "Alice@X.test", Username: "Alice", Password: password,
		Claims: userstore.Claims{GivenName: "Alice", PhoneNumber: "+14255551212", Address: &userstore.Address{Country: "NZ"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (w *world) read(t *testing.T, id string) userstore.User {
	t.Helper()
	u, err := w.Store.UserByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// login does what the issuer does at a login, and returns the session.
func (w *world) login(t *testing.T, email, password string) (userstore.Verified, string, error) {
	t.Helper()
	v, err := w.Authenticate(t.Context(), email, "", password, userstore.FirstPartyClientID, nil)
	if err != nil {
		return v, "", err
	}
	g := userstore.Grant{SessionID: newID(), UserID: v.User.ID, ClientID: v.Client.ID, Generation: 1,
		AuthTime: w.now, RotatedAt: w.now, CreatedAt: w.now, ExpiresAt: w.now.Add(time.Hour)}
	rand.Read(g.ID[:])
	err = w.Store.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: v.User.PasswordHash, Rehash: v.Rehash})
	if err != nil {
		t.Fatal(err)
	}
	return v, g.SessionID, nil
}

// live reports whether a session's grant is live.
func (w *world) live(t *testing.T, session string) bool {
	t.Helper()
	view, err := w.Store.GrantBySession(t.Context(), session)
	if err != nil && !errors.Is(err, userstore.ErrNotFound) {
		t.Fatal(err)
	}
	return err == nil && view.Grant.RevokedAt.IsZero()
}

// fields lists the faults of a ValidationError, as "field code".
func fields(t *testing.T, err error) []string {
	t.Helper()
	var v *userstore.ValidationError
	if !errors.As(err, &v) {
		t.Fatalf("not a ValidationError: %v", err)
	}
	var out []string
	for _, f := range v.Fields {
		out = append(out, f.Field+" "+f.Code)
	}
	return out
}

func TestRegister(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		if got := w.read(t, u.ID); !reflect.DeepEqual(got, u) {
			t.Errorf("stored %+v\nanswered %+v", got, u)
		}
		if u.Email != "Alice@X.test" || u.EmailKey != "alice@x.test" || u.Username != "Alice" || u.UsernameKey != "alice" {
			t.Errorf("names %q %q %q %q", u.Email, u.EmailKey, u.Username, u.UsernameKey)
		}
		if !u.IsActive || u.IsStaff || u.EmailVerified || u.Roles != nil || !u.CreatedAt.Equal(w.now) || !u.LastLoginAt.IsZero() {
			t.Errorf("state %+v", u)
		}
		if !strings.HasPrefix(u.PasswordHash, "$argon2id$v=19$") || strings.Contains(u.PasswordHash, password) {
			t.Errorf("password stored as %q", u.PasswordHash)
		}

		if _, err := w.Register(t.Context(), userstore.NewUser{Email: "noname@x.test", Password: password}); err != nil {
			t.Errorf("without a username: %v", err)
		}
		if _, err := w.Register(t.Context(), userstore.NewUser{Email: "noname2@x.test", Password: password}); err != nil {
			t.Errorf("a second without a username: %v", err)
		}
	})
}

func TestRegisterReportsAllFaultsAndStoresNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		before := w.Hasher.Stats()
		_, err := w.Register(t.Context(), userstore.NewUser{
			Email: "alice", Username: "a@b", Password: "short",
			Claims: userstore.Claims{Name: "\x00", Picture: "javascript:alert(1)", PhoneNumberVerified: true, Address: &userstore.Address{Country: "\xff"}},
		})
		want := []string{"email invalid", "username invalid", "name invalid", "picture invalid", "address.country invalid",
			"phone_number_verified not_allowed", "password too_short"}
		if got := fields(t, err); !reflect.DeepEqual(got, want) {
			t.Errorf("U-39 faults %v, want %v", got, want)
		}
		for name, n := range map[string]userstore.NewUser{
			"nothing":                      {},
			"U-06 a password of 1 MiB":     {Email: "long@x.test", Password: strings.Repeat("p", 1<<20)},
			"U-06 a password of 1 KiB + 1": {Email: "long@x.test", Password: strings.Repeat("p", 1025)},
			"the address as the password":  {Email: "alice.of@wonder.test", Password: "Alice.Of@Wonder.Test"},
			"U-39 U+0000 in a name":        {Email: "nul@x.test", Password: password, Claims: userstore.Claims{GivenName: "a\x00b"}},
			"U-39 U+0000 in the username":  {Email: "nul@x.test", Username: "nul\x00", Password: password},
			"U-39 invalid UTF-8 in a name": {Email: "utf@x.test", Password: password, Claims: userstore.Claims{FamilyName: "\xc3\x28"}},
			"U-39 1 MiB of text":           {Email: "big@x.test", Password: password, Claims: userstore.Claims{Nickname: strings.Repeat("a", 1<<20)}},
			"U-39 a script for a website":  {Email: "js@x.test", Password: password, Claims: userstore.Claims{Website: "JaVaScRiPt:alert(1)"}},
			"a phone number said verified": {Email: "tel@x.test", Password: password, Claims: userstore.Claims{PhoneNumber: "+14255551212", PhoneNumberVerified: true}},
			"a password with a newline":    {Email: "nl@x.test", Password: password + "\n"},
			"a password that is not UTF-8": {Email: "pw@x.test", Password: password + "\xff"},
		} {
			_, err := w.Register(t.Context(), n)
			if fields(t, err); strings.Contains(err.Error(), "\x00") || strings.Contains(err.Error(), "wonder.test") {
				t.Errorf("%s: the error repeats the input: %v", name, err)
			}
		}
		if users, err := w.Store.ListUsers(t.Context(), userstore.UserQuery{Limit: 10}); err != nil || len(users) != 0 {
			t.Errorf("%d users were stored, %v", len(users), err)
		}
		if got := w.Hasher.Stats(); got != before {
			t.Errorf("U-06 something was hashed: %+v", got)
		}
	})
}

func TestU39MarkupIsStoredAsTyped(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		claims := userstore.Claims{Name: `<script>alert("x")</script>`, Nickname: `'; DROP TABLE users; -- $1 $$ % _ ? \`, Zoneinfo: "Europe/Paris"}
		u, err := w.Register(t.Context(), userstore.NewUser{Email: "o'brien@x.test", Password: password, Claims: claims})
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
		if got := w.read(t, u.ID); !reflect.DeepEqual(got, u) || !reflect.DeepEqual(u.Roles, []string{"admin", "billing"}) || !u.IsStaff || !u.EmailVerified {
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
		for _, email := range []string{"alice@x.test", "ALICE@X.TEST", " Alice@x.test", "ａｌｉｃｅ@x.test", "alice@Ｘ.test"} {
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
			_, err := w.Register(t.Context(), userstore.NewUser{Email: newID() + "@x.test", Username: username, Password: changed})
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
		if users, err := w.Store.ListUsers(t.Context(), userstore.UserQuery{Limit: 100}); err != nil || len(users) != 5 {
			t.Errorf("U-12 %d rows, %v", len(users), err)
		}
	})
}

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
			"a wrong password":                 {email: "alice@x.test", password: password + "!", err: userstore.ErrInvalidCredentials},
			"U-07 another case":                {email: "alice@x.test", password: strings.ToUpper(password), err: userstore.ErrInvalidCredentials},
			"U-07 a trailing space":            {email: "alice@x.test", password: password + " ", err: userstore.ErrInvalidCredentials},
			"an unknown address":               {email: "nobody@x.test", password: password, err: userstore.ErrInvalidCredentials},
			"an unknown username":              {username: "nobody", password: password, err: userstore.ErrInvalidCredentials},
			"an email as the username":         {username: "alice@x.test", password: password, err: userstore.ErrInvalidCredentials},
			"a username as the email":          {email: "alice", password: password, err: userstore.ErrInvalidCredentials},
			"what is no address":               {email: "' OR 1=1 --", password: password, err: userstore.ErrInvalidCredentials},
			"U+0000 in the address":            {email: nul, password: password, err: userstore.ErrInvalidCredentials},
			"U+0000 in the username":           {username: nul, password: password, err: userstore.ErrInvalidCredentials},
			"invalid UTF-8":                    {email: "\xff@x.test", password: password, err: userstore.ErrInvalidCredentials},
			"an address of 1 MiB":              {email: strings.Repeat("a", 1<<20), password: password, err: userstore.ErrInvalidCredentials},
			"disabled, wrong password":         {email: "blocked@x.test", password: changed, err: userstore.ErrInvalidCredentials},
			"disabled, right password":         {email: "blocked@x.test", password: password, err: userstore.ErrAccountDisabled},
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
			if _, err := w.Authenticate(t.Context(), "alice@x.test", "", password, id, nil); !errors.Is(err, userstore.ErrNotFound) {
				t.Errorf("client %q: %v", id, err)
			}
		}
		refusal := errors.New("not with this client")
		_, err := w.Authenticate(t.Context(), "alice@x.test", "", password, userstore.FirstPartyClientID, func(c userstore.Client) error {
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
			if err := w.Store.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, NewHash: hash, At: w.now}); err != nil {
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

func TestEdit(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u, err := w.RegisterByOperator(t.Context(), userstore.OperatorUser{EmailVerified: true, NewUser: userstore.NewUser{
			Email: "Alice@X.test", Username: "Alice", Password: password, Claims: userstore.Claims{GivenName: "Alice", Address: &userstore.Address{Country: "NZ"}}}})
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
			{"another email, whatever is claimed of it", func(u *userstore.User) { u.Email, u.EmailVerified = "Liddell@X.test", true },
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
			if !step.check(got) || !got.UpdatedAt.Equal(w.now) || !got.CreatedAt.Equal(u.CreatedAt) || got.PasswordHash != u.PasswordHash {
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
			"nothing":                func(*userstore.User) {},
			"the same again":         func(u *userstore.User) { u.Roles = []string{"b", "a"}; u.Claims.Address = &userstore.Address{} },
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
		want := []string{"email required", "preferred_username invalid", "name invalid", "website invalid", "roles invalid", "phone_number_verified not_allowed"}
		if got := fields(t, err); !reflect.DeepEqual(got, want) {
			t.Errorf("faults %v, want %v", got, want)
		}
		refusal := errors.New("changed my mind")
		if _, err := w.Edit(t.Context(), u.ID, func(u *userstore.User) error { u.Username = "x"; return refusal }); err != refusal {
			t.Errorf("edit's own error: %v", err)
		}
		if got := w.read(t, u.ID); !reflect.DeepEqual(got, before) {
			t.Errorf("refused, and yet changed: %+v", got)
		}

		if _, err := w.Edit(t.Context(), "nobody", func(*userstore.User) error { t.Error("edited nobody"); return nil }); !errors.Is(err, userstore.ErrNotFound) {
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
		got, err = w.Edit(t.Context(), u.ID, func(u *userstore.User) error { u.Claims.PhoneNumber = "+14255551213"; return nil })
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
			if got := fields(t, w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: c.current}, c.next, here)); !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: %v, want %v", name, got, c.want)
			}
			if got := w.Hasher.Stats(); got != before {
				t.Errorf("%s: something was hashed", name)
			}
		}
		if err := w.ChangePassword(t.Context(), u.ID, userstore.Proof{}, changed, here); !errors.Is(err, userstore.ErrProofRequired) {
			t.Errorf("U-25 without the current one: %v", err)
		}
		w.log.Reset()
		if err := w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: changed}, changed, here); !errors.Is(err, userstore.ErrInvalidCredentials) {
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
		if err := w.ChangePassword(t.Context(), "nobody", userstore.Proof{Password: password}, changed, ""); !errors.Is(err, userstore.ErrNotFound) {
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
		if err := w.ChangePassword(t.Context(), u.ID, userstore.Proof{Password: changed}, password, ""); !errors.Is(err, userstore.ErrInvalidCredentials) {
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
		if got := fields(t, w.SetPassword(t.Context(), u.ID, "short")); !reflect.DeepEqual(got, []string{"password too_short"}) || !w.live(t, session) {
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

func TestDelete(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		_, session, err := w.login(t, u.Email, password)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Delete(t.Context(), u.ID, userstore.Proof{Password: changed}); !errors.Is(err, userstore.ErrInvalidCredentials) {
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

func TestFind(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		u := w.alice(t)
		for _, name := range []string{u.ID, "alice", "ALICE", "alice@x.test", "ALICE@X.TEST"} {
			if got, err := w.Find(t.Context(), name); err != nil || got.ID != u.ID {
				t.Errorf("%q: %q, %v", name, got.ID, err)
			}
		}
		for _, name := range []string{"", "bob", "bob@x.test", "a@b@c", "x\x00", "\xff", strings.Repeat("a", 1<<20), "' OR ''='"} {
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
			"change":   func() error { return w.ChangePassword(gone, u.ID, userstore.Proof{Password: password}, changed, "") },
			"deletion": func() error { return w.Delete(gone, u.ID, userstore.Proof{Password: password}) },
		} {
			if err := act(); !errors.Is(err, userstore.ErrOverloaded) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := w.Hasher.Stats(); got.Started != started || got.Refused != 4 {
			t.Errorf("%+v", got)
		}
		if users, err := w.Store.ListUsers(t.Context(), userstore.UserQuery{Limit: 10}); err != nil || len(users) != 1 || users[0].PasswordHash != u.PasswordHash {
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

func (l *leaving) LoginView(_ context.Context, login userstore.Login, clientID string) (userstore.User, bool, userstore.Client, error) {
	defer l.leave()
	return l.Store.LoginView(context.Background(), login, clientID)
}

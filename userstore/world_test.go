package userstore_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

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
		TokenSecret:   func() ([]byte, error) { return make([]byte, 32), nil },
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
		Claims: userstore.Claims{GivenName: "Alice", PhoneNumber: "+14255551212",
			Address: &userstore.Address{Country: "NZ"}},
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
	err = w.Store.StartGrant(t.Context(),
		userstore.StartGrant{Grant: g, PasswordHash: v.User.PasswordHash, Rehash: v.Rehash,
			Second: userstore.SecondStep{FactorVersion: v.User.FactorVersion}})
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

package sqlstore_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func open(tb testing.TB, url string, o sqlstore.Options) *sqlstore.DB {
	tb.Helper()
	db, err := sqlstore.Open(tb.Context(), url, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

func newUser() userstore.User {
	name := strings.ToLower(rand.Text())
	return userstore.User{ID: name, Email: name + "@x.test", EmailKey: name + "@x.test", PasswordHash: "hash",
		IsActive: true, CreatedAt: now, UpdatedAt: now}
}

func newGrant(u userstore.User) userstore.Grant {
	g := userstore.Grant{SessionID: rand.Text(), UserID: u.ID, ClientID: userstore.FirstPartyClientID,
		Scopes: []string{"profile", "email"},
		AMR:    []string{"pwd"}, Generation: 1, CreatedAt: now, AuthTime: now, RotatedAt: now,
		ExpiresAt: now.Add(720 * time.Hour)}
	rand.Read(g.ID[:])
	return g
}

func create(tb testing.TB, db *sqlstore.DB) (userstore.User, userstore.Grant) {
	tb.Helper()
	u := newUser()
	if err := db.CreateUser(tb.Context(), u); err != nil {
		tb.Fatal(err)
	}
	g := newGrant(u)
	if err := db.StartGrant(tb.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash}); err != nil {
		tb.Fatal(err)
	}
	return u, g
}

func advance(g userstore.Grant, generation int64) userstore.Advance {
	return userstore.Advance{ID: g.ID, Generation: generation, ClientID: g.ClientID, FirstParty: true,
		Now: now.Add(time.Minute), IdleSince: now.Add(-time.Hour)}
}

// unavailable checks that err is a failure of the infrastructure, and no error that could be taken
// for an answer.
func unavailable(tb testing.TB, what string, err error) {
	tb.Helper()
	if !errors.Is(err, userstore.ErrUnavailable) || errors.Is(err, userstore.ErrNotFound) ||
		errors.Is(err, userstore.ErrConflict) || errors.Is(err, userstore.ErrExists) {
		tb.Errorf("%s: %v, want ErrUnavailable", what, err)
	}
}

func within(tb testing.TB, what string, limit time.Duration, fn func()) {
	tb.Helper()
	start := time.Now()
	fn()
	if took := time.Since(start); took > limit {
		tb.Errorf("%s took %s, want at most %s", what, took, limit)
	}
}

func says(tb testing.TB, err error, words ...string) {
	tb.Helper()
	if err == nil {
		tb.Errorf("no error, want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			tb.Errorf("error %q does not say %q", err, w)
		}
	}
}

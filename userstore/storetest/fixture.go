package storetest

import (
	"crypto/rand"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// base is in a zone that is not UTC and has digits finer than a microsecond.
var base = time.Date(2026, 3, 4, 5, 6, 7, 123456789, time.FixedZone("UTC+5:45", 5*3600+45*60))

// stored returns t as a store returns it.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// fixture makes users, clients and grants that differ from each other.
type fixture struct {
	Store
	now time.Time
}

func id() string { return rand.Text() }

func grantID() (g userstore.GrantID) {
	rand.Read(g[:])
	return g
}

func (f *fixture) newUser() userstore.User {
	name := strings.ToLower(id())
	return userstore.User{ID: id(), Email: strings.ToUpper(name) + "@x.test", EmailKey: name + "@x.test",
		PasswordHash: "hash-" + name,
		IsActive:     true, CreatedAt: f.now, UpdatedAt: f.now}
}

// user creates a user and returns it as it is stored.
func (f *fixture) user(t *testing.T) userstore.User {
	t.Helper()
	u := f.newUser()
	must(t, f.CreateUser(t.Context(), u))
	u, err := f.UserByID(t.Context(), u.ID)
	must(t, err)
	return u
}

func (f *fixture) client(t *testing.T, change func(*userstore.Client)) userstore.Client {
	t.Helper()
	c := userstore.Client{ID: id(), Name: "A client", AuthMethod: userstore.AuthNone, FirstParty: true,
		GrantTypes: []string{"refresh_token"}, CreatedAt: f.now}
	if change != nil {
		change(&c)
	}
	must(t, f.CreateClient(t.Context(), c))
	c, err := f.ClientByID(t.Context(), c.ID)
	must(t, err)
	return c
}

func (f *fixture) newGrant(u userstore.User) userstore.Grant {
	return userstore.Grant{ID: grantID(), SessionID: id(), UserID: u.ID, ClientID: userstore.FirstPartyClientID,
		Scopes: []string{"profile", "email"}, AuthTime: f.now, AMR: []string{"pwd"}, Generation: 1,
		RotatedAt: f.now, CreatedAt: f.now, ExpiresAt: f.now.Add(30 * 24 * time.Hour)}
}

// grant logs u in.
func (f *fixture) grant(t *testing.T, u userstore.User, change ...func(*userstore.Grant)) userstore.Grant {
	t.Helper()
	g := f.newGrant(u)
	for _, c := range change {
		c(&g)
	}
	must(t, f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: u.PasswordHash}))
	return g
}

// advance returns the refresh of g's generation that a client would ask for.
func (f *fixture) advance(g userstore.Grant) userstore.Advance {
	return userstore.Advance{ID: g.ID, Generation: g.Generation, ClientID: g.ClientID, FirstParty: true,
		Now: f.now.Add(time.Minute), IdleSince: f.now.Add(-time.Hour)}
}

// dead checks that g can no longer be used.
func (f *fixture) dead(t *testing.T, g userstore.Grant) {
	t.Helper()
	a := f.advance(g)
	v, err := f.GrantByID(t.Context(), g.ID)
	if err == nil {
		if v.Grant.RevokedAt.IsZero() {
			t.Errorf("grant of session %s is not revoked", g.SessionID)
		}
		a.Generation = v.Grant.Generation
	} else {
		is(t, err, userstore.ErrNotFound)
	}
	_, err = f.AdvanceGrant(t.Context(), a)
	is(t, err, userstore.ErrConflict)
	is(t, f.AnswerLate(t.Context(), g.ID, a.Generation, 5), userstore.ErrConflict)
}

// live checks that g can be refreshed, and returns it refreshed.
func (f *fixture) live(t *testing.T, g userstore.Grant) userstore.Grant {
	t.Helper()
	v, err := f.AdvanceGrant(t.Context(), f.advance(g))
	must(t, err)
	return v.Grant
}

func sessionHash() (h userstore.SessionHash) {
	rand.Read(h[:])
	return h
}

func (f *fixture) newSession(u userstore.User) userstore.BrowserSession {
	return userstore.BrowserSession{Hash: sessionHash(), ID: id(), UserID: u.ID, AuthTime: f.now, AMR: []string{"pwd"},
		ACR:       "1",
		CreatedAt: f.now, LastUsedAt: f.now, ExpiresAt: f.now.Add(30 * 24 * time.Hour), UserAgent: "Firefox",
		Address: "2001:db8::1"}
}

// session logs u in at the pages.
func (f *fixture) session(
	t *testing.T, u userstore.User, change ...func(*userstore.StartSession),
) userstore.BrowserSession {
	t.Helper()
	s := userstore.StartSession{Session: f.newSession(u), PasswordHash: u.PasswordHash}
	for _, c := range change {
		c(&s)
	}
	must(t, f.StartSession(t.Context(), s))
	return s.Session
}

// sessionExists checks whether a session exists.
func (f *fixture) sessionExists(t *testing.T, s userstore.BrowserSession, want bool) {
	t.Helper()
	_, _, err := f.BrowserSession(t.Context(), s.Hash, f.now, time.Time{})
	if want {
		must(t, err)
		return
	}
	is(t, err, userstore.ErrNotFound)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is checks that err is the sentinel want and no other one: a store must never return an answer for
// a failure, or the reverse.
func is(t *testing.T, err, want error) {
	t.Helper()
	for _, sentinel := range []error{userstore.ErrNotFound, userstore.ErrExists, userstore.ErrConflict,
		userstore.ErrSpent, userstore.ErrLastAdmin,
		userstore.ErrInvalid, userstore.ErrUnavailable, keys.ErrConflict} {
		if errors.Is(err, sentinel) != (want == sentinel) {
			t.Fatalf("error %v, want %v", err, want)
		}
	}
	if want == nil && err != nil {
		t.Fatalf("error %v, want none", err)
	}
}

func existsIn(t *testing.T, err error, field string) {
	t.Helper()
	is(t, err, userstore.ErrExists)
	var e *userstore.ExistsError
	if !errors.As(err, &e) || e.Field != field {
		t.Fatalf("error %v (%#v), want %s", err, e, field)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

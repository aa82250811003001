package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/keys"
	"github.com/signet-id/signet/userstore"
)

// Operation is a store operation that takes events. Tests call it with two events, or with none.
type Operation struct {
	Name string
	// Prepare creates the rows that the operation changes.
	Prepare func(t *testing.T, store Store) Prepared
	// Once means that the operation cannot be done a second time and then stores no entry.
	Once bool
	// Uncertain means that the operation may have happened when its answer was lost.
	Uncertain bool
}

// Prepared is an operation that is ready to run.
type Prepared struct {
	Do      func(events ...audit.Event) error
	Refused func(events ...audit.Event) error // the same operation where it is refused; nil: it never is
	Done    func() bool                       // reports whether it was done, as the store's reads show
}

// Operations returns all operations that take events.
func Operations() []Operation {
	type (
		events = []audit.Event
		user   = userstore.User
	)
	// one is an operation on an existing user with a session.
	one := func(op func(t *testing.T, f *fixture, u user, g userstore.Grant) Prepared) func(*testing.T, Store) Prepared {
		return func(t *testing.T, store Store) Prepared {
			f := &fixture{Store: store, now: base}
			u := f.user(t)
			return op(t, f, u, f.grant(t, u))
		}
	}
	read := func(t *testing.T, f *fixture, id string) user {
		t.Helper()
		u, err := f.UserByID(t.Context(), id)
		if !errors.Is(err, userstore.ErrNotFound) {
			must(t, err)
		}
		return u
	}
	revoked := func(t *testing.T, f *fixture, g userstore.Grant) bool {
		v, err := f.GrantByID(t.Context(), g.ID)
		must(t, err)
		return !v.Grant.RevokedAt.IsZero()
	}
	return append(factorOperations(), []Operation{
		{Name: "create a user", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			fresh, taken := f.newUser(), f.newUser()
			taken.EmailKey = u.EmailKey
			return Prepared{
				func(e ...audit.Event) error { return f.CreateUser(t.Context(), fresh, e...) },
				func(e ...audit.Event) error { return f.CreateUser(t.Context(), taken, e...) },
				func() bool { return read(t, f, fresh.ID).ID != "" }}
		})},
		{Name: "create users", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			fresh := []user{f.newUser(), f.newUser()}
			return Prepared{
				func(e ...audit.Event) error {
					_, err := f.CreateUsers(t.Context(), fresh, nil, e...)
					return err
				},
				func(e ...audit.Event) error {
					taken, err := f.CreateUsers(t.Context(), []user{u, u}, nil, e...)
					if err == nil && len(taken) == 2 {
						err = userstore.ErrExists
					}
					return err
				},
				func() bool { return read(t, f, fresh[0].ID).ID != "" && read(t, f, fresh[1].ID).ID != "" }}
		})},
		{Name: "update a user", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			u.Claims.Name = "New"
			stale := u
			stale.Version--
			return Prepared{
				func(e ...audit.Event) error { return f.UpdateUser(t.Context(), u, e...) },
				func(e ...audit.Event) error { return f.UpdateUser(t.Context(), stale, e...) },
				func() bool { return read(t, f, u.ID).Claims.Name == "New" }}
		})},
		{Name: "update a user who becomes disabled", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, g userstore.Grant) Prepared {
			u.IsActive = false
			taken := u
			taken.EmailKey = f.user(t).EmailKey
			return Prepared{
				func(e ...audit.Event) error { return f.UpdateUser(t.Context(), u, e...) },
				func(e ...audit.Event) error { return f.UpdateUser(t.Context(), taken, e...) },
				func() bool { return !read(t, f, u.ID).IsActive && revoked(t, f, g) }}
		})},
		{Name: "set a password", Prepare: one(func(t *testing.T, f *fixture, u user, g userstore.Grant) Prepared {
			hash := id()
			return Prepared{
				func(e ...audit.Event) error {
					return f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, OldHash: u.PasswordHash, NewHash: hash, At: f.now}, e...)
				},
				func(e ...audit.Event) error {
					return f.SetPassword(t.Context(), userstore.PasswordChange{UserID: u.ID, OldHash: "other", NewHash: id(), At: f.now}, e...)
				},
				func() bool { return read(t, f, u.ID).PasswordHash == hash && revoked(t, f, g) }}
		})},
		{Name: "redeem a one-time token", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, g userstore.Grant) Prepared {
			token, hash := f.issue(t, u), id()
			return Prepared{
				func(e ...audit.Event) error {
					return f.RedeemToken(t.Context(), userstore.Redemption{ID: token.ID, Kind: token.Kind, NewHash: hash, At: f.now}, e...)
				},
				func(e ...audit.Event) error {
					return f.RedeemToken(t.Context(), userstore.Redemption{ID: id(), Kind: token.Kind, NewHash: hash, At: f.now}, e...)
				},
				func() bool { return read(t, f, u.ID).PasswordHash == hash && revoked(t, f, g) }}
		})},
		operationProve(),
		{Name: "begin a change of address", Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			b, refused := f.newBeginning(u, id()), f.newBeginning(u, id())
			refused.proved = "other"
			return Prepared{
				func(e ...audit.Event) error { return f.begin(t, b, e...) },
				func(e ...audit.Event) error { return f.begin(t, refused, e...) },
				func() bool { return len(f.waits(t, b.message.To)) == 1 && f.isLive(t, b.token.ID) }}
		})},
		{Name: "confirm a change of address", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			c := f.newChange(u, f.begun(t, u, id()).ID)
			refused := c
			refused.From = "other@x.test"
			return Prepared{
				func(e ...audit.Event) error { return f.ConfirmAddressChange(t.Context(), c, e...) },
				func(e ...audit.Event) error { return f.ConfirmAddressChange(t.Context(), refused, e...) },
				func() bool { return read(t, f, u.ID).Email != u.Email && f.isLive(t, c.UndoID) }}
		})},
		{Name: "undo a change of address", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, g userstore.Grant) Prepared {
			_, token := f.changed(t, u, id())
			r := f.newUndoing(token)
			return Prepared{
				func(e ...audit.Event) error { return f.UndoAddressChange(t.Context(), r, e...) },
				func(e ...audit.Event) error { return f.UndoAddressChange(t.Context(), f.newUndoing(id()), e...) },
				func() bool { return read(t, f, u.ID).Email == u.Email && revoked(t, f, g) }}
		})},
		{Name: "withdraw a change of address", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			token := f.begun(t, u, id())
			return Prepared{
				func(e ...audit.Event) error { return f.WithdrawAddressChange(t.Context(), u.ID, f.now, e...) },
				func(e ...audit.Event) error { return f.WithdrawAddressChange(t.Context(), id(), f.now, e...) },
				func() bool { return !f.isLive(t, token.ID) }}
		})},
		{Name: "disable a user", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, g userstore.Grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error { return f.SetActive(t.Context(), u.ID, false, f.now, e...) },
				func(e ...audit.Event) error { return f.SetActive(t.Context(), id(), false, f.now, e...) },
				func() bool { return !read(t, f, u.ID).IsActive && revoked(t, f, g) }}
		})},
		{Name: "enable a user", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			must(t, f.SetActive(t.Context(), u.ID, false, f.now))
			return Prepared{
				func(e ...audit.Event) error { return f.SetActive(t.Context(), u.ID, true, f.now, e...) },
				func(e ...audit.Event) error { return f.SetActive(t.Context(), id(), true, f.now, e...) },
				func() bool { return read(t, f, u.ID).IsActive }}
		})},
		{Name: "delete a user", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error { return f.DeleteUser(t.Context(), u.ID, e...) },
				func(e ...audit.Event) error { return f.DeleteUser(t.Context(), id(), e...) },
				func() bool { return read(t, f, u.ID).ID == "" }}
		})},
		{Name: "create a client", Once: true, Prepare: one(func(t *testing.T, f *fixture, _ user, _ userstore.Grant) Prepared {
			c := userstore.Client{ID: id()}
			return Prepared{
				func(e ...audit.Event) error { return f.CreateClient(t.Context(), c, e...) },
				func(e ...audit.Event) error {
					return f.CreateClient(t.Context(), userstore.Client{ID: userstore.FirstPartyClientID}, e...)
				},
				func() bool { _, err := f.ClientByID(t.Context(), c.ID); return err == nil }}
		})},
		{Name: "update a client", Once: true, Prepare: one(func(t *testing.T, f *fixture, _ user, _ userstore.Grant) Prepared {
			c := f.client(t, nil)
			c.Name = "New"
			return Prepared{
				func(e ...audit.Event) error { return f.UpdateClient(t.Context(), c, e...) },
				func(e ...audit.Event) error {
					return f.UpdateClient(t.Context(), userstore.Client{ID: userstore.FirstPartyClientID, Version: 99}, e...)
				},
				func() bool {
					c, err := f.ClientByID(t.Context(), c.ID)
					must(t, err)
					return c.Name == "New"
				}}
		})},
		{Name: "delete a client", Once: true, Prepare: one(func(t *testing.T, f *fixture, _ user, _ userstore.Grant) Prepared {
			c := f.client(t, nil)
			return Prepared{
				func(e ...audit.Event) error { return f.DeleteClient(t.Context(), c.ID, e...) },
				func(e ...audit.Event) error { return f.DeleteClient(t.Context(), id(), e...) },
				func() bool {
					_, err := f.ClientByID(t.Context(), c.ID)
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "log in at the pages", Once: true, Uncertain: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			old := f.session(t, u)
			s := userstore.StartSession{Session: f.newSession(u), Replaces: old.Hash, PasswordHash: u.PasswordHash}
			other := s
			other.Session, other.PasswordHash = f.newSession(u), "other"
			return Prepared{
				func(e ...audit.Event) error { return f.StartSession(t.Context(), s, e...) },
				func(e ...audit.Event) error { return f.StartSession(t.Context(), other, e...) },
				func() bool {
					_, _, err := f.BrowserSession(t.Context(), s.Session.Hash, f.now, time.Time{})
					return err == nil
				}}
		})},
		{Name: "end a browser session", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			s := f.session(t, u)
			return Prepared{
				func(e ...audit.Event) error { return f.EndSession(t.Context(), s.ID, f.now, e...) }, nil,
				func() bool {
					_, _, err := f.BrowserSession(t.Context(), s.Hash, f.now, time.Time{})
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "revoke a browser session", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			s := f.session(t, u)
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeBrowserSession(t.Context(), u.ID, s.ID, f.now, e...) },
				func(e ...audit.Event) error { return f.RevokeBrowserSession(t.Context(), id(), s.ID, f.now, e...) },
				func() bool {
					_, _, err := f.BrowserSession(t.Context(), s.Hash, f.now, time.Time{})
					return errors.Is(err, userstore.ErrNotFound)
				}}
		})},
		{Name: "save a code", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			c := f.client(t, nil)
			code, void := f.newCode(f.session(t, u), c), f.newCode(f.session(t, f.user(t)), c)
			void.UserID = u.ID
			return Prepared{
				func(e ...audit.Event) error { return f.SaveCode(t.Context(), code, nil, time.Time{}, e...) },
				func(e ...audit.Event) error { return f.SaveCode(t.Context(), void, nil, time.Time{}, e...) },
				func() bool { _, err := f.CodeByHash(t.Context(), code.Hash); return err == nil }}
		})},
		{Name: "save a code with a consent", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			c := f.client(t, nil)
			code, void := f.newCode(f.session(t, u), c), f.newCode(f.session(t, f.user(t)), c)
			void.UserID = u.ID
			save := func(c userstore.Code) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.SaveCode(t.Context(), c, &userstore.Consent{Allowed: []userstore.Allowance{{Scopes: c.Scopes}}}, time.Time{}, e...)
				}
			}
			return Prepared{save(code), save(void), func() bool {
				_, err := f.CodeByHash(t.Context(), code.Hash)
				_, without := f.ConsentOf(t.Context(), u.ID, c.ID)
				if (err == nil) != (without == nil) {
					t.Errorf("half of it: code %v, consent %v", err, without)
				}
				return err == nil
			}}
		})},
		{Name: "redeem a code", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			r := f.redeem(f.code(t, f.session(t, u), f.client(t, nil)))
			late := r
			late.Now = f.now.Add(time.Hour)
			return Prepared{
				func(e ...audit.Event) error { return f.RedeemCode(t.Context(), r, e...) },
				func(e ...audit.Event) error { return f.RedeemCode(t.Context(), late, e...) },
				func() bool { _, err := f.GrantByID(t.Context(), r.Grant.ID); return err == nil }}
		})},
		{Name: "take a consent back", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			c := f.client(t, nil)
			g := f.redeemed(t, f.consented(t, f.session(t, u), c))
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeConsent(t.Context(), u.ID, c.ID, f.now, e...) },
				func(e ...audit.Event) error { return f.RevokeConsent(t.Context(), u.ID, id(), f.now, e...) },
				func() bool { return revoked(t, f, g) }}
		})},
		{Name: "disable a client", Prepare: one(func(t *testing.T, f *fixture, _ user, _ userstore.Grant) Prepared {
			c := f.client(t, nil)
			return Prepared{
				func(e ...audit.Event) error { return f.SetClientActive(t.Context(), c.ID, false, f.now, e...) },
				func(e ...audit.Event) error { return f.SetClientActive(t.Context(), id(), false, f.now, e...) },
				func() bool {
					c, err := f.ClientByID(t.Context(), c.ID)
					must(t, err)
					return !c.DisabledAt.IsZero()
				}}
		})},
		{Name: "log in", Once: true, Uncertain: true, Prepare: one(func(t *testing.T, f *fixture, u user, _ userstore.Grant) Prepared {
			g := f.newGrant(u)
			start := func(hash string, g userstore.Grant) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.StartGrant(t.Context(), userstore.StartGrant{Grant: g, PasswordHash: hash, Events: e})
				}
			}
			return Prepared{start(u.PasswordHash, g), start("other", f.newGrant(u)),
				func() bool { _, err := f.GrantByID(t.Context(), g.ID); return err == nil }}
		})},
		{Name: "answer late", Prepare: one(func(t *testing.T, f *fixture, _ user, g userstore.Grant) Prepared {
			g = f.live(t, g)
			return Prepared{
				func(e ...audit.Event) error { return f.AnswerLate(t.Context(), g.ID, g.Generation, 5, e...) },
				func(e ...audit.Event) error { return f.AnswerLate(t.Context(), g.ID, g.Generation+1, 5, e...) },
				func() bool {
					v, err := f.GrantByID(t.Context(), g.ID)
					must(t, err)
					if v.Grant.LateCount > 2 {
						t.Errorf("counted %d times", v.Grant.LateCount)
					}
					return v.Grant.LateCount > 0
				}}
		})},
		{Name: "revoke a grant", Once: true, Prepare: one(func(t *testing.T, f *fixture, _ user, g userstore.Grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeGrant(t.Context(), g.ID, f.now, e...) }, nil,
				func() bool { return revoked(t, f, g) }}
		})},
		{Name: "revoke a session", Once: true, Prepare: one(func(t *testing.T, f *fixture, u user, g userstore.Grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error { return f.RevokeSession(t.Context(), u.ID, g.SessionID, f.now, e...) },
				func(e ...audit.Event) error { return f.RevokeSession(t.Context(), id(), g.SessionID, f.now, e...) },
				func() bool { return revoked(t, f, g) }}
		})},
		{Name: "revoke a user's grants", Prepare: one(func(t *testing.T, f *fixture, u user, g userstore.Grant) Prepared {
			return Prepared{
				func(e ...audit.Event) error {
					_, err := f.RevokeUserGrants(t.Context(), u.ID, "", f.now, e...)
					return err
				}, nil,
				func() bool { return revoked(t, f, g) }}
		})},
		{Name: "fail an attempt", Prepare: one(func(t *testing.T, f *fixture, _ user, _ userstore.Grant) Prepared {
			r := f.reserve()
			must(t, f.ReserveAttempt(t.Context(), r))
			return Prepared{
				func(e ...audit.Event) error { return f.FailAttempt(t.Context(), r.Attempt, e...) }, nil,
				func() bool { return f.tallies(t, r).Account.Wrong == 1 }}
		})},
		{Name: "change the key ring", Once: true, Prepare: one(func(t *testing.T, f *fixture, _ user, _ userstore.Grant) Prepared {
			version, err := f.RingVersion(t.Context())
			must(t, err)
			change := func(version int64) func(e ...audit.Event) error {
				return func(e ...audit.Event) error {
					return f.ChangeRing(t.Context(), version, keys.Change{RefreshSecret: "x", Events: e})
				}
			}
			return Prepared{change(version), change(version + 1), func() bool {
				now, err := f.RingVersion(t.Context())
				must(t, err)
				return now == version+1
			}}
		})},
		{Name: "record", Prepare: one(func(t *testing.T, f *fixture, _ user, _ userstore.Grant) Prepared {
			var recorded events
			return Prepared{
				func(e ...audit.Event) error {
					recorded = append(recorded, e...)
					return f.Record(t.Context(), e...)
				}, nil,
				func() bool { return len(recorded) > 0 && f.storedEntries(t, recorded[0].Target.ID) > 0 }}
		})},
	}...)
}

// TwoEvents returns two events for an operation, with a target that no other entry has.
func TwoEvents() []audit.Event {
	f := &fixture{now: base}
	target := id()
	e := []audit.Event{f.event(target), f.event(target)}
	e[1].At = e[1].At.Add(time.Second)
	return e
}

// StoredEntries counts the audit entries about the target of events.
func StoredEntries(t *testing.T, store Store, events []audit.Event) int {
	t.Helper()
	return (&fixture{Store: store}).storedEntries(t, events[0].Target.ID)
}

// Every operation that happened has its audit entries, and a refused one has none.
func operationsRecord(t *testing.T, f *fixture) {
	for _, op := range Operations() {
		t.Run(op.Name, func(t *testing.T) {
			p := op.Prepare(t, f.Store)
			if p.Refused != nil {
				refused := TwoEvents()
				if err := p.Refused(refused...); err == nil {
					t.Error("it was not refused")
				}
				equal(t, "entries of a refused operation", StoredEntries(t, f, refused), 0)
			}
			e := TwoEvents()
			must(t, p.Do(e...))
			if !p.Done() {
				t.Error("it was not done")
			}
			got, err := f.ListEvents(t.Context(), userstore.EventQuery{TargetID: e[0].Target.ID, Limit: 10})
			must(t, err)
			want := slices.Clone(e)
			slices.Reverse(want)
			for i := range got {
				if got[i].ID == "" {
					t.Error("an event without an id")
				}
				want[i].ID = got[i].ID
			}
			equal(t, "entries", got, want)

			// The same events are stored once, whatever the second call returns.
			slices.Reverse(got)
			_ = p.Do(got...)
			equal(t, "entries after the second call", StoredEntries(t, f, e), 2)
			again := TwoEvents()
			err = p.Do(again...)
			if op.Once {
				equal(t, "entries of what could not be done a second time", StoredEntries(t, f, again), 0)
			} else {
				must(t, err)
				equal(t, "entries of what was done a second time", StoredEntries(t, f, again), 2)
			}

			plain := op.Prepare(t, f.Store)
			must(t, plain.Do())
			if !plain.Done() && op.Name != "record" {
				t.Error("without events it was not done")
			}
		})
	}
}

// Of many users the created ones have audit entries, each from its own event.
func createUsersRecords(t *testing.T, f *fixture) {
	there := f.user(t)
	var users []userstore.User
	var events []audit.Event
	for i := range 30 {
		u := f.newUser()
		switch i % 10 {
		case 3:
			u.EmailKey = there.EmailKey
		case 6:
			u.EmailKey = users[i-1].EmailKey
		case 9:
			u = there
		}
		users = append(users, u)
		e := f.event(id())
		e.Name = audit.UserImported
		events = append(events, e)
	}
	taken, err := f.CreateUsers(t.Context(), users, nil, events...)
	must(t, err)
	equal(t, "taken", len(taken), 9)
	for i, e := range events {
		want := 1
		if _, ok := taken[i]; ok {
			want = 0
		}
		equal(t, "entries", f.storedEntries(t, e.Target.ID), want)
	}
	for _, wrong := range [][]audit.Event{events[:1], append(events[:30:30], events[0])} {
		_, err = f.CreateUsers(t.Context(), users, nil, wrong...)
		is(t, err, userstore.ErrInvalid)
	}
}

// Events are stored also without an attempt, and also when there was no grant to revoke.
func recordsWithoutChange(t *testing.T, f *fixture) {
	e := TwoEvents()
	must(t, f.FailAttempt(t.Context(), userstore.Attempt{}, e...))
	must(t, f.FailAttempt(t.Context(), userstore.Attempt{}))
	equal(t, "entries", StoredEntries(t, f, e), 2)
	e = TwoEvents()
	u := f.user(t)
	n, err := f.RevokeUserGrants(t.Context(), u.ID, "", f.now, e...)
	must(t, err)
	equal(t, "revoked", n, 0)
	equal(t, "entries", StoredEntries(t, f, e), 2)
}

// Of many simultaneous revocations of one grant, one has an audit entry.
func raceRecord(t *testing.T, f *fixture) {
	for range 10 {
		u := f.user(t)
		g, other := f.grant(t, u), f.grant(t, u)
		target := id()
		together(8, func(i int) {
			if i%2 == 0 {
				if err := f.RevokeGrant(t.Context(), g.ID, f.now, f.event(target)); err != nil {
					t.Error(err)
				}
			} else if err := f.RevokeSession(t.Context(), u.ID, other.SessionID, f.now, f.event(target)); err != nil {
				isAsync(t, err, userstore.ErrNotFound)
			}
		})
		equal(t, "entries", f.storedEntries(t, target), 2)
	}
}

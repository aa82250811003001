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
	return slices.Concat(factorOperations(), userOperations(), clientOperations(), loginOperations(), otherOperations())
}

type (
	user  = userstore.User
	grant = userstore.Grant
)

// onUser is an operation on an existing user with a session.
func onUser(op func(t *testing.T, f *fixture, u user, g grant) Prepared) func(*testing.T, Store) Prepared {
	return func(t *testing.T, store Store) Prepared {
		f := &fixture{Store: store, now: base}
		u := f.user(t)
		return op(t, f, u, f.grant(t, u))
	}
}

// readUser returns the stored user; the zero User if there is none.
func (f *fixture) readUser(t *testing.T, id string) user {
	t.Helper()
	u, err := f.UserByID(t.Context(), id)
	if !errors.Is(err, userstore.ErrNotFound) {
		must(t, err)
	}
	return u
}

// revoked reports whether g is revoked.
func (f *fixture) revoked(t *testing.T, g grant) bool {
	t.Helper()
	v, err := f.GrantByID(t.Context(), g.ID)
	must(t, err)
	return !v.Grant.RevokedAt.IsZero()
}

// otherOperations are those on attempts, on the key ring and on the audit log itself.
func otherOperations() []Operation {
	return []Operation{
		{Name: "fail an attempt", Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			r := f.reserve()
			must(t, f.ReserveAttempt(t.Context(), r))
			return Prepared{
				func(e ...audit.Event) error { return f.FailAttempt(t.Context(), r.Attempt, e...) }, nil,
				func() bool { return f.tallies(t, r).Account.Wrong == 1 }}
		})},
		{Name: "change the key ring", Once: true, Prepare: onUser(func(
			t *testing.T, f *fixture, _ user, _ grant,
		) Prepared {
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
		{Name: "record", Prepare: onUser(func(t *testing.T, f *fixture, _ user, _ grant) Prepared {
			var recorded []audit.Event
			return Prepared{
				func(e ...audit.Event) error {
					recorded = append(recorded, e...)
					return f.Record(t.Context(), e...)
				}, nil,
				func() bool { return len(recorded) > 0 && f.storedEntries(t, recorded[0].Target.ID) > 0 }}
		})},
	}
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

package storetest

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/userstore"
)

// Events returns all entries of a store's audit log, the oldest first.
func Events(tb testing.TB, store userstore.Audit) (all []audit.Event) {
	tb.Helper()
	q := userstore.EventQuery{Limit: 500}
	for {
		page, err := store.ListEvents(tb.Context(), q)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			slices.Reverse(all)
			return all
		}
		q.Before = &page[len(page)-1]
	}
}

// event returns an event about target, which no other entry is about.
func (f *fixture) event(target string) audit.Event {
	return audit.Event{At: stored(f.now), Name: audit.UserUpdated, Outcome: audit.Success,
		Actor: audit.Actor{Type: audit.ByUser, ID: id()}, Target: audit.User(target)}
}

// storedEntries counts the audit entries about a target.
func (f *fixture) storedEntries(t *testing.T, target string) int {
	t.Helper()
	page, err := f.ListEvents(t.Context(), userstore.EventQuery{TargetID: target, Limit: 1000})
	must(t, err)
	return len(page)
}

func auditRoundTrip(t *testing.T, f *fixture) {
	e := audit.Event{ID: id(), At: f.now, Name: audit.UserUpdated, Outcome: audit.Failure, Reason: "last_admin",
		Actor: audit.Actor{Type: audit.ByUser, ID: id()}, Target: audit.Target{Type: audit.OnClient, ID: id()},
		ClientID: "signet", SessionID: "sid", Address: "2001:db8::1", UserAgent: "Zoë's \"browser\"\n", RequestID: "r",
		Changes: []audit.Change{{Field: "roles", Before: "", After: `["admin","ü"]`},
			{Field: "name", Before: "<b>", After: "\u2028"}}}
	want := e
	want.At = stored(e.At)
	must(t, f.Record(t.Context(), e))
	list := func(q userstore.EventQuery) []audit.Event {
		q.Limit = 10
		got, err := f.ListEvents(t.Context(), q)
		must(t, err)
		return got
	}
	equal(t, "event", list(userstore.EventQuery{TargetID: e.Target.ID}), []audit.Event{want})

	// An event with a stored id is not stored again, even if its other fields differ.
	again := e
	again.Reason, again.Actor.ID = "other", "other"
	must(t, f.Record(t.Context(), again, e))
	equal(t, "the same again", list(userstore.EventQuery{TargetID: e.Target.ID}), []audit.Event{want})

	// Each event without an id gets an id of its own, with 128 random bits.
	bare := audit.Event{At: f.now, Actor: audit.Actor{ID: id()}}
	must(t, f.Record(t.Context(), bare, bare))
	must(t, f.Record(t.Context(), bare))
	got := list(userstore.EventQuery{ActorID: bare.Actor.ID})
	ids := map[string]bool{}
	for _, e := range got {
		random, err := base64.RawURLEncoding.DecodeString(e.ID)
		if err != nil || len(random) != 16 {
			t.Errorf("an event's id is %q", e.ID)
		}
		ids[e.ID] = true
		e.ID = ""
		equal(t, "a bare event", e, audit.Event{At: stored(f.now), Actor: bare.Actor})
	}
	equal(t, "events with ids of their own", len(ids), 3)
	equal(t, "the caller's event", bare.ID, "")
	must(t, f.Record(t.Context()))

	_, err := f.ListEvents(t.Context(), userstore.EventQuery{})
	is(t, err, userstore.ErrInvalid)
}

func auditPages(t *testing.T, f *fixture) {
	var all []audit.Event
	for i := range 40 {
		// five share an instant
		e := audit.Event{ID: fmt.Sprintf("%02d", (i*7)%40),
			At:   stored(f.now.Add(time.Duration(i/5) * time.Microsecond)),
			Name: audit.LoginFailed, Outcome: audit.Failure, Actor: audit.Actor{Type: audit.ByNobody}}
		if i%3 == 0 {
			e.Name, e.Actor = audit.LoginSucceeded, audit.Actor{Type: audit.ByUser, ID: "ann"}
		}
		if i%4 == 0 {
			e.Target = audit.User("bob")
		}
		if i%10 == 0 {
			e.Name = audit.KeysRotated
		}
		all = append(all, e)
	}
	must(t, f.Record(t.Context(), all...))
	slices.SortFunc(all, func(a, b audit.Event) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.ID, a.ID)) })
	at := func(n int) time.Time { return stored(f.now.Add(time.Duration(n) * time.Microsecond)) }

	for name, q := range map[string]userstore.EventQuery{
		"all":               {},
		"a frequent name":   {Name: audit.LoginFailed},
		"another":           {Name: audit.LoginSucceeded},
		"a rare name":       {Name: audit.KeysRotated},
		"no such name":      {Name: audit.UserDeleted},
		"an actor":          {ActorID: "ann"},
		"a target":          {TargetID: "bob"},
		"actor and target":  {ActorID: "ann", TargetID: "bob"},
		"actor is target":   {ActorID: "bob"},
		"from":              {From: at(3)},
		"until":             {To: at(3)},
		"between":           {From: at(2), To: at(4)},
		"nothing between":   {From: at(4), To: at(2)},
		"everything at all": {From: at(1), To: at(7), ActorID: "ann", TargetID: "bob", Name: audit.LoginSucceeded},
	} {
		var want []audit.Event
		for _, e := range all {
			if (q.Name == "" || e.Name == q.Name) && (q.ActorID == "" || e.Actor.ID == q.ActorID) &&
				(q.TargetID == "" || e.Target.ID == q.TargetID) &&
				(q.From.IsZero() || !e.At.Before(q.From)) && (q.To.IsZero() || e.At.Before(q.To)) {
				want = append(want, e)
			}
		}
		for _, limit := range []int{1, 3, 39, 40, 1000} {
			q := q
			q.Limit = limit
			var got []audit.Event
			for {
				page, err := f.ListEvents(t.Context(), q)
				must(t, err)
				got = append(got, page...)
				if len(page) < limit {
					break
				}
				q.Before = &page[len(page)-1]
			}
			equal(t, fmt.Sprintf("%s, in pages of %d", name, limit), got, want)
		}
	}
	slices.Reverse(all)
	equal(t, "the whole log", Events(t, f), all)
}

func auditRemoves(t *testing.T, f *fixture) {
	for i := range 10 {
		must(t, f.Record(t.Context(), audit.Event{ID: fmt.Sprint(9 - i),
			At: f.now.Add(time.Duration(i/2) * time.Second)}))
	}
	for _, step := range []struct {
		limit, removed int
		left           string
	}{{3, 3, "7 5 4 3 2 1 0"}, {3, 3, "3 2 1 0"}, {3, 0, "3 2 1 0"}} {
		n, err := f.RemoveEvents(t.Context(), f.now.Add(3*time.Second), step.limit)
		must(t, err)
		equal(t, "removed", n, step.removed)
		var left []string
		for _, e := range Events(t, f) {
			left = append(left, e.ID)
		}
		slices.SortFunc(left, func(a, b string) int { return cmp.Compare(b, a) })
		equal(t, "left", strings.Join(left, " "), step.left)
	}
	for _, limit := range []int{0, -1} {
		_, err := f.RemoveEvents(t.Context(), f.now.Add(time.Hour), limit)
		is(t, err, userstore.ErrInvalid)
	}
}

// An event is stored whatever strings it holds; as a condition such a string finds nothing.
func auditHostile(t *testing.T, f *fixture) {
	fill := func(s string) audit.Event {
		return audit.Event{At: stored(f.now), Name: audit.Name(s), Outcome: audit.Outcome(s), Reason: s,
			Actor: audit.Actor{Type: audit.ActorType(s), ID: s}, Target: audit.Target{Type: audit.TargetType(s), ID: s},
			ClientID: s, SessionID: s, Address: s, UserAgent: s, RequestID: s,
			Changes: []audit.Change{{Field: s, Before: s, After: s}}}
	}
	for _, s := range hostile {
		e := fill(s)
		e.ID = id() + s
		must(t, f.Record(t.Context(), e))
		if len(s) > 500 {
			continue
		}
		got, err := f.ListEvents(t.Context(), userstore.EventQuery{Name: e.Name, ActorID: s, TargetID: s, Limit: 10})
		must(t, err)
		equal(t, "events", got, []audit.Event{e})
	}
	before := len(Events(t, f))
	many := audit.Event{Name: "many", At: stored(f.now)}
	for range 5000 {
		many.Changes = append(many.Changes, audit.Change{Field: strings.Repeat("\x01", 1000),
			Before: strings.Repeat("é", 1000), After: strings.Repeat("\u2028", 1000)})
	}
	must(t, f.Record(t.Context(), many))
	for _, s := range unknownStrings {
		must(t, f.Record(t.Context(), fill(s), audit.Event{ID: s}))
		before += 2
		for _, q := range []userstore.EventQuery{{Name: audit.Name(s)}, {ActorID: s}, {TargetID: s},
			{Before: &audit.Event{ID: s}}} {
			q.Limit = 10
			got, err := f.ListEvents(t.Context(), q)
			must(t, err)
			equal(t, "found by what cannot be stored", len(got), 0)
		}
	}
	all := Events(t, f)
	equal(t, "events", len(all), before+1)
	for _, e := range all {
		if e.Name == "many" && (len(e.Changes) > 100 || e.Changes[len(e.Changes)-1].After == "" ||
			len(e.Changes[0].Field) < 500) {
			t.Errorf("%d changes, the last one %q", len(e.Changes), e.Changes[len(e.Changes)-1])
		}
	}
}

package storetest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/device"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// message returns a message to an address of its own.
func (f *fixture) message() outbox.Message {
	return outbox.Message{ID: id(), Kind: outbox.PasswordSet, UserID: id(), To: id() + "@example.test", Locale: "de-CH",
		At: stored(f.now), EndsAt: stored(f.now.Add(time.Hour)),
		Device: device.Device{Browser: "Firefox", System: "Linux"}}
}

// send stores messages in the outbox, each with an event of its own.
func (f *fixture) send(t *testing.T, messages ...outbox.Message) {
	t.Helper()
	for _, m := range messages {
		e := f.event(id())
		e.Messages = []outbox.Message{m}
		must(t, f.Record(t.Context(), e))
	}
}

// waits returns the waiting messages to an address.
func (f *fixture) waits(t *testing.T, address string) (found []outbox.Waiting) {
	t.Helper()
	var after *outbox.Message
	for {
		page, err := f.ListMessages(t.Context(), after, 100)
		must(t, err)
		for _, w := range page {
			if w.To == address {
				found = append(found, w)
			}
		}
		if len(page) < 100 {
			return found
		}
		after = &page[len(page)-1].Message
	}
}

func (f *fixture) claim(t *testing.T, now time.Time) outbox.Waiting {
	t.Helper()
	w, err := f.ClaimMessage(t.Context(), id(), now, now.Add(2*time.Minute))
	must(t, err)
	return w
}

func (f *fixture) noneDue(t *testing.T, now time.Time) {
	t.Helper()
	_, err := f.ClaimMessage(t.Context(), id(), now, now.Add(time.Minute))
	is(t, err, userstore.ErrNotFound)
}

func outboxRoundTrip(t *testing.T, f *fixture) {
	now := stored(f.now)
	f.noneDue(t, now)
	state, err := f.OutboxState(t.Context())
	must(t, err)
	equal(t, "an empty outbox", state, outbox.State{})

	m, bare := f.message(), outbox.Message{Kind: outbox.EmailSet, To: "ü@example.test", At: now.Add(time.Second),
		EndsAt: now.Add(time.Minute)}
	f.send(t, m, bare, m)
	page, err := f.ListMessages(t.Context(), nil, 10)
	must(t, err)
	if len(page) != 2 || page[1].ID == "" {
		t.Fatalf("%+v", page)
	}
	bare.ID = page[1].ID
	equal(t, "what waits", page, []outbox.Waiting{{Message: m}, {Message: bare}})
	state, err = f.OutboxState(t.Context())
	must(t, err)
	equal(t, "the state", state, outbox.State{Waiting: 2, Oldest: m.At})

	// A lease, a failure, a second attempt, and it was accepted.
	until := now.Add(2 * time.Minute)
	for range 2 {
		w, err := f.ClaimMessage(t.Context(), "lease of "+m.ID, now, until)
		must(t, err)
		if w.ID != m.ID {
			must(t, f.RemoveMessage(t.Context(), w.ID))
			continue
		}
		equal(t, "claimed", w, outbox.Waiting{Message: m, Lease: "lease of " + m.ID, DueAt: until, Attempts: 1})
	}
	f.noneDue(t, until.Add(-time.Microsecond))
	is(t, f.PostponeMessage(t.Context(), m.ID, "another lease", now, "no"), userstore.ErrNotFound)
	is(t, f.PostponeMessage(t.Context(), id(), "lease of "+m.ID, now, "no"), userstore.ErrNotFound)
	due := until.Add(time.Hour)
	must(t, f.PostponeMessage(t.Context(), m.ID, "lease of "+m.ID, due, "no answer in time"))
	equal(t, "postponed", f.waits(t, m.To), []outbox.Waiting{{Message: m, Lease: "lease of " + m.ID, DueAt: due,
		Attempts: 1, Reason: "no answer in time"}})
	f.noneDue(t, due.Add(-time.Microsecond))
	w := f.claim(t, due)
	equal(t, "attempts", w.Attempts, 2)
	must(t, f.RemoveMessage(t.Context(), m.ID))
	must(t, f.RemoveMessage(t.Context(), m.ID))
	is(t, f.PostponeMessage(t.Context(), m.ID, w.Lease, now, "late"), userstore.ErrNotFound)
	equal(t, "gone", len(f.waits(t, m.To)), 0)

	for _, wrong := range []time.Time{now, now.Add(-time.Second)} {
		_, err = f.ClaimMessage(t.Context(), id(), now, wrong)
		is(t, err, userstore.ErrInvalid)
	}
	_, err = f.ListMessages(t.Context(), nil, 0)
	is(t, err, userstore.ErrInvalid)
}

// A killed worker keeps its message until its lease ends. Then another worker sends it, and the first
// one can neither postpone it nor give it up.
func outboxLeases(t *testing.T, f *fixture) {
	m := f.message()
	f.send(t, m)
	first := f.claim(t, f.now)
	f.noneDue(t, f.now.Add(2*time.Minute-time.Microsecond))
	second := f.claim(t, f.now.Add(2*time.Minute))
	if second.ID != m.ID || second.Lease == first.Lease || second.Attempts != 2 {
		t.Fatalf("%+v after %+v", second, first)
	}
	e := f.event(m.UserID)
	is(t, f.PostponeMessage(t.Context(), m.ID, first.Lease, f.now, "late"), userstore.ErrNotFound)
	is(t, f.GiveUpMessage(t.Context(), m.ID, first.Lease, e), userstore.ErrNotFound)
	equal(t, "entries of a worker whose lease has ended", f.storedEntries(t, m.UserID), 0)
	equal(t, "still there", len(f.waits(t, m.To)), 1)
	must(t, f.GiveUpMessage(t.Context(), m.ID, second.Lease, e))
	equal(t, "entries", f.storedEntries(t, m.UserID), 1)
	equal(t, "given up", len(f.waits(t, m.To)), 0)
	is(t, f.GiveUpMessage(t.Context(), m.ID, second.Lease, f.event(m.UserID)), userstore.ErrNotFound)
	equal(t, "entries", f.storedEntries(t, m.UserID), 1)

	// A worker whose message was accepted may remove it after its lease.
	m = f.message()
	f.send(t, m)
	f.claim(t, f.now)
	f.claim(t, f.now.Add(2*time.Minute))
	must(t, f.RemoveMessage(t.Context(), m.ID))
	equal(t, "accepted", len(f.waits(t, m.To)), 0)
}

// Messages that were not tried go before messages that failed, the oldest first. Of those that failed,
// the one that was due earliest goes first.
func outboxOrder(t *testing.T, f *fixture) {
	var all []outbox.Message
	for i := range 25 {
		m := f.message()
		m.At = stored(f.now.Add(time.Duration(i/3) * time.Second)) // three share an instant
		all = append(all, m)
	}
	f.send(t, all...)
	slices.SortFunc(all, func(a, b outbox.Message) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return map[bool]int{true: -1, false: 1}[a.ID < b.ID]
	})
	for _, limit := range []int{1, 3, 24, 25, 100} {
		var got []outbox.Message
		var after *outbox.Message
		for {
			page, err := f.ListMessages(t.Context(), after, limit)
			must(t, err)
			for _, w := range page {
				got = append(got, w.Message)
			}
			if len(page) < limit {
				break
			}
			after = &page[len(page)-1].Message
		}
		equal(t, fmt.Sprintf("in pages of %d", limit), got, all)
	}
	late, early := f.claim(t, f.now), f.claim(t, f.now)
	equal(t, "the oldest", []string{late.ID, early.ID}, []string{all[0].ID, all[1].ID})
	must(t, f.PostponeMessage(t.Context(), late.ID, late.Lease, f.now.Add(20*time.Second), ""))
	must(t, f.PostponeMessage(t.Context(), early.ID, early.Lease, f.now.Add(10*time.Second), ""))
	for _, m := range all[2:] {
		if w := f.claim(t, f.now.Add(time.Minute)); w.Attempts != 1 || w.ID != m.ID {
			t.Fatalf("%+v goes before %+v, which was not tried", w, m)
		}
	}
	equal(t, "then", f.claim(t, f.now.Add(time.Minute)).ID, early.ID)
	equal(t, "then", f.claim(t, f.now.Add(time.Minute)).ID, late.ID)
}

// An operation sends its messages once if it happened, even if it is done again after they were sent.
func operationsSend(t *testing.T, f *fixture) {
	letters := func() ([]audit.Event, []outbox.Message) {
		e := TwoEvents()
		m := []outbox.Message{f.message(), f.message(), f.message()}
		e[0].ID, e[1].ID = id(), id()
		e[0].Messages, e[1].Messages = m[:2], m[2:]
		return e, m
	}
	count := func(t *testing.T, what string, messages []outbox.Message, want int) {
		t.Helper()
		for i, m := range messages {
			if got := f.waits(t, m.To); len(got) != want || want == 1 &&
				!slices.Equal(got, []outbox.Waiting{{Message: m}}) {
				t.Errorf("%s: message %d: %+v", what, i, got)
			}
		}
	}
	for _, op := range Operations() {
		t.Run(op.Name, func(t *testing.T) {
			p := op.Prepare(t, f.Store)
			if p.Refused != nil {
				e, m := letters()
				if err := p.Refused(e...); err == nil {
					t.Error("it was not refused")
				}
				count(t, "refused", m, 0)
			}
			e, m := letters()
			must(t, p.Do(e...))
			count(t, "done", m, 1)
			for _, m := range m {
				must(t, f.RemoveMessage(t.Context(), m.ID)) // sent
			}
			_ = p.Do(e...)
			count(t, "done again", m, 0)
		})
	}
}

// Twelve workers claim at once: while leases hold, no message is claimed by two of them, and all are
// claimed.
func raceOutbox(t *testing.T, f *fixture) {
	const messages = 120
	var all []outbox.Message
	for range messages {
		all = append(all, f.message())
	}
	f.send(t, all...)
	var mu sync.Mutex
	given := map[string]int{}
	together(12, func(i int) {
		for {
			w, err := f.ClaimMessage(t.Context(), id(), f.now, f.now.Add(time.Hour))
			if err != nil {
				isAsync(t, err, userstore.ErrNotFound)
				state, err := f.OutboxState(t.Context())
				if err != nil || state.Waiting == 0 {
					return
				}
				mu.Lock()
				done := len(given) == messages
				mu.Unlock()
				if done {
					return
				}
				continue // the other workers were faster
			}
			mu.Lock()
			given[w.ID]++
			mu.Unlock()
			if i%2 == 0 { // the other workers do nothing, as if they were killed
				if err := f.RemoveMessage(t.Context(), w.ID); err != nil {
					t.Error(err)
				}
			}
		}
	})
	equal(t, "messages that were given", len(given), messages)
	for id, n := range given {
		if n != 1 {
			t.Errorf("%s was given %d times", id, n)
		}
	}
	// The remaining messages can be claimed once more when the leases have ended.
	left, err := f.OutboxState(t.Context())
	must(t, err)
	again := map[string]bool{}
	for range left.Waiting {
		again[f.claim(t, f.now.Add(time.Hour)).ID] = true
	}
	equal(t, "given again", len(again), left.Waiting)
	f.noneDue(t, f.now.Add(time.Hour))
}

// A message with any text is stored, and a name that cannot be stored finds none.
func outboxHostile(t *testing.T, f *fixture) {
	for _, s := range hostile {
		if len(s) > 500 {
			continue
		}
		m := outbox.Message{ID: id() + s, Kind: outbox.Kind(s), UserID: s, To: s, Locale: s, At: stored(f.now),
			EndsAt: stored(f.now)}
		f.send(t, m)
		w := f.claim(t, f.now)
		equal(t, "message", w.Message, m)
		must(t, f.PostponeMessage(t.Context(), m.ID, w.Lease, f.now, s))
		w = f.claim(t, f.now)
		equal(t, "reason", w.Reason, s)
		must(t, f.RemoveMessage(t.Context(), m.ID))
	}
	for _, s := range unknownStrings {
		must(t, f.RemoveMessage(t.Context(), s))
		is(t, f.PostponeMessage(t.Context(), s, s, f.now, ""), userstore.ErrNotFound)
		is(t, f.GiveUpMessage(t.Context(), s, s), userstore.ErrNotFound)
		page, err := f.ListMessages(t.Context(), &outbox.Message{ID: s}, 10)
		must(t, err)
		equal(t, "messages", len(page), 0)
	}
	state, err := f.OutboxState(t.Context())
	must(t, err)
	equal(t, "state", state, outbox.State{})
}

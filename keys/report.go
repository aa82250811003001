package keys

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/jose"
)

// Report is the timeline of the signing keys as data, for a table or for a program: the present
// state and the next events; after a command also its effect.
type Report struct {
	Changed    bool      `json:"changed"`
	Message    string    `json:"message"` // whole sentences for a person
	Now        time.Time `json:"now"`
	Algorithms []string  `json:"algorithms"` // in force, the first is the fallback
	Keys       []KeyInfo `json:"keys"`       // by algorithm in that order, then seq
	Events     []Event   `json:"events"`     // what happens next, soonest first; at one instant in the order of Keys

	// Notice says that the servers run with other parameters than the command; empty: they do not.
	Notice string `json:"notice,omitempty"`

	// For verifiers that cache the key set and do not fetch it again for an unknown kid, after a
	// revocation: until when they may still accept tokens of a revoked key, and refuse tokens of a
	// key that signs sooner than planned.
	AcceptedUntil time.Time `json:"accepted_until,omitzero"`
	RefusedUntil  time.Time `json:"refused_until,omitzero"`
}

// KeyInfo is one key in a Report. Its instants are zero while unknown.
type KeyInfo struct {
	KeyID       string    `json:"kid"` // empty: a key that a dry run did not make
	Algorithm   string    `json:"alg"`
	Seq         int64     `json:"seq"`
	State       State     `json:"state"`
	CreatedAt   time.Time `json:"created_at"`
	ActivateAt  time.Time `json:"activate_at"`
	RetireAt    time.Time `json:"retire_at,omitzero"`
	RemoveAt    time.Time `json:"remove_at,omitzero"`
	RevokedAt   time.Time `json:"revoked_at,omitzero"`
	WipeAt      time.Time `json:"wipe_at,omitzero"`   // when the private half is wiped; zero once it is
	ForgetAt    time.Time `json:"forget_at,omitzero"` // when the public half is deleted
	SealedUnder string    `json:"sealed_under,omitempty"`
}

// Event is something that will happen to a key if nobody intervenes.
type Event struct {
	At        time.Time `json:"at"`
	KeyID     string    `json:"kid"`
	Algorithm string    `json:"alg"`
	What      EventKind `json:"what"`
	Text      string    `json:"text"`
}

// EventKind is a stable name for programs.
type EventKind string

const (
	EventActivate EventKind = "activate" // signs from then on; its successor is made
	EventRetire   EventKind = "retire"   // signs no more
	EventWipe     EventKind = "wipe"     // its private half is wiped
	EventRemove   EventKind = "remove"   // leaves the JWKS
	EventForget   EventKind = "forget"   // its public half is deleted
)

// report describes ring at now.
func report(ring Ring, p Policy, now time.Time) Report {
	r := Report{Now: now, Algorithms: ring.Algorithms, Keys: []KeyInfo{}, Events: []Event{}}
	for _, k := range ring.Keys {
		info := KeyInfo{
			KeyID: k.ID, Algorithm: k.Algorithm, Seq: k.Seq, State: k.State(now),
			CreatedAt: k.CreatedAt, ActivateAt: k.ActivateAt, RetireAt: k.RetireAt, RemoveAt: k.RemoveAt, RevokedAt: k.RevokedAt,
		}
		if id, err := jose.SealedUnder(k.Sealed); err == nil {
			info.SealedUnder = id
		}
		if !k.RetireAt.IsZero() {
			info.ForgetAt = p.forgetAt(&k)
			if k.Sealed != "" || k.ID == "" {
				info.WipeAt = p.wipeAt(&k)
			}
		}
		r.Keys = append(r.Keys, info)
	}
	order := func(alg string) int {
		if i := slices.Index(ring.Algorithms, alg); i >= 0 {
			return i
		}
		return len(ring.Algorithms)
	}
	slices.SortStableFunc(r.Keys, func(a, b KeyInfo) int {
		return cmp.Or(cmp.Compare(order(a.Algorithm), order(b.Algorithm)), cmp.Compare(a.Algorithm, b.Algorithm), cmp.Compare(a.Seq, b.Seq))
	})
	for _, k := range r.Keys {
		r.Events = append(r.Events, events(k)...)
	}
	r.Events = slices.DeleteFunc(r.Events, func(e Event) bool { return !e.At.After(now) })
	slices.SortStableFunc(r.Events, func(a, b Event) int { return a.At.Compare(b.At) })
	return r
}

// events returns all events of a key, past ones included.
func events(k KeyInfo) []Event {
	var events []Event
	add := func(at time.Time, what EventKind, text string) {
		if !at.IsZero() {
			events = append(events, Event{At: at, KeyID: k.KeyID, Algorithm: k.Algorithm, What: what, Text: text})
		}
	}
	if k.RevokedAt.IsZero() {
		if k.RetireAt.IsZero() || k.RetireAt.After(k.ActivateAt) {
			add(k.ActivateAt, EventActivate, "signs from then on, and its successor is made")
			add(k.RetireAt, EventRetire, "signs no more; its tokens still verify")
		}
		add(k.RemoveAt, EventRemove, "leaves the JWKS: all that it signed has expired")
	}
	add(k.WipeAt, EventWipe, "its private half is wiped")
	add(k.ForgetAt, EventForget, "is deleted: its last refresh token has expired")
	return events
}

// sentence says when the key signs.
func sentence(k Key, p Policy, now time.Time) string {
	name := k.ID
	if name == "" {
		name = "a new key"
	}
	switch {
	case reached(k.ActivateAt, now):
		return fmt.Sprintf("%s: %s signs now.", k.Algorithm, name)
	case k.ActivateAt.Equal(k.CreatedAt.Add(p.Propagation)):
		return fmt.Sprintf("%s: %s signs from %s, when it has been published for %s (keys.propagation).",
			k.Algorithm, name, stamp(k.ActivateAt), short(p.Propagation))
	}
	return fmt.Sprintf("%s: %s signs from %s.", k.Algorithm, name, stamp(k.ActivateAt))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// short formats d as 1h and not 1h0m0s.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func sentences(s ...string) string {
	return strings.Join(slices.DeleteFunc(s, func(s string) bool { return s == "" }), " ")
}

package mail_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/delivery"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/mail/mailtest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// office is a store with a worker, and a clock for both.
type office struct {
	*mail.Worker
	db  *sqlstore.DB
	now time.Time
	log *bytes.Buffer
}

func newOffice(t *testing.T, db *sqlstore.DB, way mail.Way) *office {
	t.Helper()
	o := &office{db: db, now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), log: &bytes.Buffer{}}
	o.Worker = &mail.Worker{
		Way:      way,
		Compose:  composer(t),
		Contents: (&userstore.Accounts{Store: db}).Contents,
		Store:    db,
		Now:      func(context.Context) (time.Time, error) { return o.now, nil },
		Log:      slog.New(slog.NewTextHandler(o.log, nil)),
	}
	if err := o.Complete(); err != nil {
		t.Fatal(err)
	}
	return o
}

// post puts a message into the outbox.
func (o *office) post(t *testing.T, to string, kind outbox.Kind) outbox.Message {
	t.Helper()
	m := outbox.Message{
		ID:     server.NewID(),
		Kind:   kind,
		UserID: "user1",
		To:     to,
		Locale: "de-AT",
		At:     o.now,
		EndsAt: o.now.Add(outbox.OfUse),
	}
	e := audit.New(t.Context(), o.now, audit.PasswordSet, audit.User("somebody"))
	e.Messages = []outbox.Message{m}
	if err := o.db.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	return m
}

func (o *office) step(t *testing.T, want int) {
	t.Helper()
	n, err := o.Step(t.Context())
	if err != nil || n != want {
		t.Fatalf("%d messages were taken, want %d: %v\n%s", n, want, err, o.log)
	}
}

func (o *office) waits(t *testing.T) []outbox.Waiting {
	t.Helper()
	list, err := o.db.ListMessages(t.Context(), nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (o *office) givenUp(t *testing.T) []audit.Event {
	t.Helper()
	events, err := o.db.ListEvents(t.Context(), userstore.EventQuery{Name: audit.MailGivenUp, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func messageIDs(t *testing.T, letters []mailtest.Letter) (ids []string) {
	t.Helper()
	for _, l := range letters {
		m, err := netmail.ReadMessage(bytes.NewReader(l.Data))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.Header.Get("Message-ID"))
	}
	return ids
}

// P-15, F-37: what a mail server refuses for now is sent later, with growing waits; what it accepts
// is gone.
func TestP15WorkerSendsLater(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		post := (&mailtest.Server{NoTLS: true}).Start(t)
		o := newOffice(t, db, parse(t, post.URL()))
		o.step(t, 0)
		m := o.post(t, "bob@example.test", outbox.PasswordChanged)
		post.Set(mailtest.Verdicts{Rcpt: refuse(450, 4, 2, 1, "greylisted")})
		begin, last := o.now, time.Duration(0)
		for n := range 12 {
			o.step(t, 1)
			o.step(t, 0)
			w := o.waits(t)
			if len(w) != 1 || w[0].Attempts != n+1 || w[0].Reason != "the mail server answered 450 4.2.1 greylisted" {
				t.Fatalf("%+v", w)
			}
			wait := w[0].DueAt.Sub(o.now)
			if wait < 8*time.Second || wait > 72*time.Minute || n < 8 && wait < last*4/3 {
				t.Errorf("attempt %d, then a wait of %s after one of %s", n+1, wait, last)
			}
			last, o.now = wait, w[0].DueAt
		}
		if o.now.Sub(begin) < 3*time.Hour {
			t.Errorf("12 attempts in %s", o.now.Sub(begin))
		}
		post.Set(mailtest.Verdicts{})
		o.step(t, 1)
		o.step(t, 0)
		if ids := messageIDs(t, post.Letters()); !slices.Equal(ids, []string{"<" + m.ID + "@id.test>"}) ||
			len(o.waits(t)) != 0 {
			t.Errorf("sent %q, and %+v waits", ids, o.waits(t))
		}
		if s := o.Stats(); s != (delivery.Stats{Sent: 1, Failed: 12}) {
			t.Errorf("%+v", s)
		}
		if len(o.givenUp(t)) != 0 {
			t.Error("it was given up, too")
		}
	})
}

// What cannot be sent for as long as it is of use is given up, and what is refused for good at
// once: with a number, a line and an entry.
func TestP15WorkerGivesUp(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		post := (&mailtest.Server{NoTLS: true}).Start(t)
		o := newOffice(t, db, parse(t, post.URL()))
		post.Set(mailtest.Verdicts{Rcpt: func(to string) error {
			if to == "gone@example.test" {
				return mailtest.Refuse(550, 5, 1, 1, "<"+to+"> no such user")
			}
			return mailtest.Refuse(450, 4, 2, 1, "greylisted")
		}})
		o.post(t, "gone@example.test", outbox.EmailSet)
		o.step(t, 1)
		if events := o.givenUp(t); len(events) != 1 || events[0].Reason != "refused" ||
			events[0].Target != audit.User("user1") ||
			events[0].Outcome != audit.Failure ||
			events[0].Actor.Type != audit.BySystem ||
			!slices.Equal(events[0].Changes, []audit.Change{{Field: "message", After: "email_set"}}) {
			t.Errorf("%+v", events)
		}
		if !strings.Contains(o.log.String(), "level=ERROR") ||
			!strings.Contains(o.log.String(), "550 5.1.1 <ADDRESS> no such user") ||
			strings.Contains(o.log.String(), "gone@") {
			t.Errorf("the log: %s", o.log)
		}
		m := o.post(t, "busy@example.test", outbox.PasswordSet)
		attempts := 0
		for ; len(o.waits(t)) > 0 && attempts < 200; attempts++ {
			o.step(t, 1)
			if w := o.waits(t); len(w) > 0 {
				if !w[0].DueAt.Before(m.EndsAt) {
					t.Fatalf("due at %s, of no use since %s", w[0].DueAt, m.EndsAt)
				}
				o.now = w[0].DueAt
			}
		}
		if left := m.EndsAt.Sub(o.now); attempts < 60 || attempts > 120 || left > 72*time.Minute {
			t.Errorf("given up after %d attempts, %s before its end", attempts, left)
		}
		if events := o.givenUp(t); len(events) != 2 || events[0].Reason != "ended" {
			t.Errorf("%+v", events)
		}
		// Nobody was there to send it while it was of use.
		o.post(t, "late@example.test", outbox.PasswordSet)
		o.now = o.now.Add(outbox.OfUse)
		post.Set(mailtest.Verdicts{})
		o.step(t, 1)
		if s := o.Stats(); s.GivenUp != 3 || s.Sent != 0 || len(post.Letters()) != 0 || len(o.givenUp(t)) != 3 {
			t.Errorf("%+v, %d letters", s, len(post.Letters()))
		}
	})
}

// forgetful is a store that breaks when an accepted message is to go.
type forgetful struct {
	userstore.Outbox
	broken bool
}

func (f *forgetful) RemoveMessage(ctx context.Context, id string) error {
	if f.broken {
		return userstore.ErrUnavailable
	}
	return f.Outbox.RemoveMessage(ctx, id)
}

// P-15: only an acceptance that we did not see makes a second copy, and it bears the same
// Message-ID.
func TestP15TheDocumentedSecondCopy(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		post := (&mailtest.Server{NoTLS: true}).Start(t)
		o := newOffice(t, db, parse(t, post.URL()))
		store := &forgetful{Outbox: db, broken: true}
		o.Store = store
		m := o.post(t, "bob@example.test", outbox.PasswordChanged)
		o.step(t, 1) // accepted, and then this replica died
		store.broken = false
		other := newOffice(t, db, parse(t, post.URL()))
		other.now = o.now.Add(2*time.Minute - time.Second)
		other.step(t, 0) // the lease still holds
		other.now = o.now.Add(2 * time.Minute)
		other.step(t, 1)
		other.step(t, 0)
		want := "<" + m.ID + "@id.test>"
		letters := post.Letters()
		if ids := messageIDs(t, letters); !slices.Equal(ids, []string{want, want}) {
			t.Fatalf("sent %q", ids)
		}
		date := func(l mailtest.Letter) string {
			m, err := netmail.ReadMessage(bytes.NewReader(l.Data))
			if err != nil {
				t.Fatal(err)
			}
			return m.Header.Get("Date")
		}
		if date(letters[0]) != date(letters[1]) || len(o.waits(t)) != 0 {
			t.Errorf("%s and %s, and %+v waits", date(letters[0]), date(letters[1]), o.waits(t))
		}
	})
}

// P-15: a replica that is killed while it sends costs its lease, and no message.
func TestP15KilledWhileSending(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		o := newOffice(t, db, mail.Absent)
		m := o.post(t, "bob@example.test", outbox.PasswordChanged)
		// What a killed worker leaves is a claim, and nothing else.
		if _, err := db.ClaimMessage(t.Context(), "of the killed", o.now, o.now.Add(2*time.Minute)); err != nil {
			t.Fatal(err)
		}
		post := (&mailtest.Server{NoTLS: true}).Start(t)
		other := newOffice(t, db, parse(t, post.URL()))
		other.step(t, 0)
		other.now = o.now.Add(2 * time.Minute)
		other.step(t, 1)
		if ids := messageIDs(t, post.Letters()); !slices.Equal(ids, []string{"<" + m.ID + "@id.test>"}) {
			t.Errorf("sent %q", ids)
		}
	})
}

// counted is a way that says when it has sent a letter.
type counted struct {
	mail.Way
	after func()
}

func (c counted) Send(ctx context.Context, l mail.Letter) (string, error) {
	defer c.after()
	return c.Way.Send(ctx, l)
}

// P-15: three replicas at once send each message once.
func TestP15ThreeReplicasSendEachOnce(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		post := (&mailtest.Server{NoTLS: true}).Start(t)
		o := newOffice(t, db, mail.Absent)
		var want []string
		for n := range 40 {
			want = append(
				want,
				"<"+o.post(t, fmt.Sprintf("u%d@example.test", n), outbox.PasswordChanged).ID+"@id.test>",
			)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var sent atomic.Int64
		var running sync.WaitGroup
		for range 3 {
			replica := newOffice(t, db, counted{parse(t, post.URL()), func() {
				if sent.Add(1) == int64(len(want)) {
					stop()
				}
			}})
			replica.Poll = 10 * time.Millisecond
			running.Go(func() { replica.Run(ctx) })
		}
		running.Wait()
		got := messageIDs(t, post.Letters())
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%d letters of %d messages", len(got), len(want))
		}
		if w := o.waits(t); len(w) != 0 {
			t.Errorf("%d still wait", len(w))
		}
	})
}

// What a newer server wrote is left to it, and what has no way at all goes when it is of no use.
func TestWhatCannotBeComposedWaits(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		post := (&mailtest.Server{NoTLS: true}).Start(t)
		o := newOffice(t, db, parse(t, post.URL()))
		o.post(t, "bob@example.test", "reset_password_by_pigeon")
		o.step(t, 1)
		if w := o.waits(t); len(w) != 1 || w[0].Reason != mail.ErrUnknownKind.Error() {
			t.Errorf("%+v", w)
		}
		o.Way = mail.Absent
		o.now = o.now.Add(time.Minute)
		o.step(t, 1)
		o.step(t, 0)
		if w := o.waits(t); len(w) != 1 || !strings.Contains(w[0].Reason, "there is no mail") {
			t.Errorf("%+v", w)
		}
		o.now = o.now.Add(outbox.OfUse)
		o.step(t, 1)
		if len(o.waits(t)) != 0 || len(o.givenUp(t)) != 1 || o.Stats().GivenUp != 1 {
			t.Errorf("%+v, %+v", o.waits(t), o.givenUp(t))
		}
	})
}

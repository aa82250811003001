package mail_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/mail/mailtest"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// mortal is an outbox from the point of view of a replica: once it is killed, nothing of it reaches
// the database any more.
type mortal struct {
	userstore.Outbox
	killed atomic.Bool
}

var errKilled = errors.New("killed")

func (m *mortal) write(do func() error) error {
	if m.killed.Load() {
		return errKilled
	}
	return do()
}

func (m *mortal) PostponeMessage(ctx context.Context, id, lease string, due time.Time, reason string) error {
	return m.write(func() error { return m.Outbox.PostponeMessage(ctx, id, lease, due, reason) })
}

func (m *mortal) RemoveMessage(ctx context.Context, id string) error {
	return m.write(func() error { return m.Outbox.RemoveMessage(ctx, id) })
}

func (m *mortal) GiveUpMessage(ctx context.Context, id, lease string, events ...audit.Event) error {
	return m.write(func() error { return m.Outbox.GiveUpMessage(ctx, id, lease, events...) })
}

// stopped is a way on which a replica is killed: it hands nothing over, and does not return before
// the test says so.
type stopped struct{ began, resume chan struct{} }

func (s *stopped) Send(context.Context, mail.Letter) (string, error) {
	s.began <- struct{}{}
	<-s.resume
	return "", &mail.Fault{Reason: "killed"}
}

// P-15: a replica is killed in the middle of a send. Its message waits in the database all the
// time, is not taken by another replica while the lease holds, and is then sent once, with the same
// Message-ID.
func TestP15KilledInTheMiddleOfASend(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		way := &stopped{make(chan struct{}), make(chan struct{})}
		killed := newOffice(t, db, way)
		store := &mortal{Outbox: db}
		killed.Store = store
		m := killed.post(t, "bob@example.test", outbox.PasswordChanged)
		done := make(chan error)
		go func() { _, err := killed.Step(context.Background()); done <- err }()
		<-way.began
		store.killed.Store(true)

		waiting := killed.waits(t)
		if len(waiting) != 1 || waiting[0].ID != m.ID || waiting[0].Lease == "" ||
			!waiting[0].DueAt.Equal(killed.now.Add(2*time.Minute)) {
			t.Fatalf("P-15 while it is sent: %+v", waiting)
		}
		post := (&mailtest.Server{NoTLS: true}).Start(t)
		other := newOffice(t, db, parse(t, post.URL()))
		other.now = killed.now.Add(2*time.Minute - time.Microsecond)
		other.step(t, 0)
		other.now = killed.now.Add(2 * time.Minute)
		other.step(t, 1)
		close(way.resume)
		<-done
		other.now = other.now.Add(time.Hour)
		other.step(t, 0)
		if ids := messageIDs(t, post.Letters()); !slices.Equal(ids, []string{"<" + m.ID + "@id.test>"}) ||
			len(killed.waits(t)) != 0 {
			t.Errorf("P-15 sent %q, and %+v waits", ids, killed.waits(t))
		}
	})
}

// P-15: what the mail server accepted by its 250 is sent, even if the server dies before the end of
// the connection; what it did not accept is sent again, with the same Message-ID.
func TestP15ServerThatDiesAroundIts250(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		for name, c := range map[string]struct {
			answer string
			sent   bool
		}{
			"after its 250": {"250 mine!", true}, "before its 250": {"!", false}, "in the middle of it": {"25!", false},
		} {
			dying := mailtest.Script(t, func(line string) string {
				switch line {
				case "":
					return "220 hello"
				case "DATA":
					return "354 go on"
				case ".":
					return c.answer
				}
				return "250 fine"
			})
			o := newOffice(t, db, parse(t, dying))
			m := o.post(t, "bob@example.test", outbox.PasswordChanged)
			o.step(t, 1)
			waiting := o.waits(t)
			if c.sent != (len(waiting) == 0) || (o.Stats().Sent == 1) != c.sent || (o.Stats().Failed == 1) == c.sent {
				t.Errorf("P-15 %s: %+v waits, %+v", name, waiting, o.Stats())
			}
			if strings.Contains(o.log.String(), "bob@") {
				t.Errorf("P-15 %s: the log holds the address: %s", name, o.log)
			}
			post := (&mailtest.Server{NoTLS: true}).Start(t)
			other := newOffice(t, db, parse(t, post.URL()))
			other.now = o.now.Add(time.Minute)
			if _, err := other.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			var want []string
			if !c.sent {
				want = []string{"<" + m.ID + "@id.test>"}
			}
			if ids := messageIDs(t, post.Letters()); !slices.Equal(ids, want) || len(o.waits(t)) != 0 {
				t.Errorf("P-15 %s: then sent %q, not %q", name, ids, want)
			}
		}
	})
}

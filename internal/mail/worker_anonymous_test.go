package mail_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/server"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
	"github.com/signet-id/signet/userstore/sqlstore/sqltest"
)

// quoting is a mail server whose answers repeat the recipient, as it was sent and in lower case.
type quoting struct{ refuses, finally bool }

func (q quoting) Send(_ context.Context, l mail.Letter) (string, error) {
	said := "<" + l.To.String() + "> that is " + strings.ToLower(l.To.String())
	if q.refuses {
		return "", &mail.Fault{Final: q.finally, Reason: said, Answer: said}
	}
	return said, nil
}

// The log and the reason of a message that waits hold no address, however the mail server writes it
// and whatever the person typed who asked for the message.
func TestAnswersAreKeptWithoutAddresses(t *testing.T) {
	sqltest.Each(t, func(t *testing.T, db *sqlstore.DB) {
		for name, row := range map[string]struct{ account, typed, part string }{
			"asked for in another case": {"carol@example.test", "CAROL@example.test", "carol@"},
			"an account of capitals":    {"Alice.Liddell@example.test", "alice.liddell@example.test", "liddell@"},
			"a domain beyond ASCII":     {"bob@bücher.example", "bob@bücher.example", "bob@"},
		} {
			for _, way := range []quoting{{}, {refuses: true}, {refuses: true, finally: true}} {
				o := newOffice(t, db, way)
				o.Contents = func(context.Context, outbox.Message) (outbox.Contents, error) {
					return outbox.Contents{To: row.account, Link: "/reset/x", Code: "12345678"}, nil
				}
				r := userstore.MailRequest{
					ID: server.NewID(), Kind: outbox.ResetPassword, At: o.now, EndsAt: o.now.Add(time.Hour),
				}
				m := outbox.Message{ID: r.ID, Kind: r.Kind, To: row.typed, At: r.At, EndsAt: r.EndsAt}
				if err := db.RequestMail(t.Context(), r, nil, m); err != nil {
					t.Fatal(err)
				}
				o.step(t, 1)
				kept := o.log.String()
				for _, w := range o.waits(t) {
					kept += w.Reason
					if err := db.RemoveMessage(t.Context(), w.ID); err != nil {
						t.Fatal(err)
					}
				}
				if !strings.Contains(kept, "<ADDRESS> that is ADDRESS") || strings.Contains(strings.ToLower(kept), row.part) {
					t.Errorf("%s, %+v: %s", name, way, kept)
				}
			}
		}
	})
}

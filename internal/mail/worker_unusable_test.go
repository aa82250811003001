package mail_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signet-id/signet/internal/mail"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore"
)

// backlog is an outbox of messages that are always due.
type backlog struct {
	userstore.Outbox
	mu      sync.Mutex
	claimed int
}

func (s *backlog) ClaimMessage(_ context.Context, lease string, now, _ time.Time) (outbox.Waiting, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed++
	m := outbox.Message{ID: fmt.Sprintf("%032d", s.claimed), Kind: outbox.PasswordChanged, To: "ada@example.test", At: now,
		EndsAt: now.Add(outbox.OfUse)}
	return outbox.Waiting{Message: m, Lease: lease, Attempts: 1}, nil
}

func (s *backlog) PostponeMessage(context.Context, string, string, time.Time, string) error {
	return nil
}
func (s *backlog) RemoveMessage(context.Context, string) error       { return nil }
func (s *backlog) OutboxState(context.Context) (outbox.State, error) { return outbox.State{}, nil }

// sending is a Way that takes a second for each letter.
type sending func() error

func (f sending) Send(context.Context, mail.Letter) (string, error) {
	time.Sleep(time.Second)
	return "", f()
}

// P-15: while the mail server cannot be used, a thousand waiting messages do not become a thousand
// attempts and writes a minute. A fault of one letter slows nothing, and the first letter that is
// accepted ends the pauses.
func TestP15ADeadServerIsNotTriedForEachMessage(t *testing.T) {
	for _, c := range []struct {
		name        string
		fault       func(since time.Duration) error
		least, most int
	}{
		{"unusable", func(time.Duration) error { return &mail.Fault{Server: true, Reason: "connection refused"} }, 6, 14},
		{"letters refused", func(time.Duration) error { return &mail.Fault{Reason: "450 later"} }, 200, 250},
		{"back after half a minute", func(since time.Duration) error {
			if since < 30*time.Second {
				return &mail.Fault{Server: true, Reason: "connection refused"}
			}
			return nil
		}, 60, 130},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, began := &backlog{}, time.Now()
				w := &mail.Worker{
					Way: sending(func() error { return c.fault(time.Since(began)) }), Compose: composer(t), Store: store,
					Contents: func(_ context.Context, m outbox.Message) (outbox.Contents, error) {
						return outbox.Contents{To: m.To}, nil
					},
					Now: func(context.Context) (time.Time, error) { return time.Now(), nil }, Log: slog.New(slog.DiscardHandler),
				}
				ctx, stop := context.WithTimeout(t.Context(), time.Minute)
				defer stop()
				w.Run(ctx)
				if store.claimed < c.least || store.claimed > c.most {
					t.Errorf("%d messages were taken in a minute, want %d to %d", store.claimed, c.least, c.most)
				}
			})
		})
	}
}

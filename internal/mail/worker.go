package mail

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/delivery"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/required"
	"github.com/signet-id/signet/userstore"
)

// Worker sends the messages of the outbox. Fill in the fields, then call Run.
type Worker struct {
	Way     Way       // Absent: nothing is sent, and a waiting message is given up when it ends
	Compose *Composer // not needed by Absent

	// Package server sets these. Contents makes links and codes. It returns
	// userstore.ErrNothingToSend if the message has no recipient.
	Contents func(context.Context, outbox.Message) (outbox.Contents, error)
	Store    userstore.Outbox
	Now      func(context.Context) (time.Time, error) // the database's clock, which all replicas share
	Log      *slog.Logger

	delivery.Limits // as limits, unless set
	delivery.Numbers
}

var (
	limits = delivery.Limits{Lease: 2 * time.Minute, Poll: time.Second, AtOnce: 4}

	// waits are doubled up to an hour.
	waits = []time.Duration{
		10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second,
		320 * time.Second, 640 * time.Second, 1280 * time.Second, 2560 * time.Second, time.Hour,
	}

	words = delivery.Words{
		Sent:         "message sent",
		Dropped:      "message dropped; it has nobody to go to",
		Failed:       "message not sent; it is tried again",
		GivenUp:      "message given up; it is not tried again",
		GivenUpEvent: audit.MailGivenUp,
		Unread:       "the outbox cannot be read; messages wait until it can",
		Unnoted:      "the outcome of a message could not be stored; it is taken again when its lease has ended",
		Uncounted:    "the outbox could not be counted",
	}
)

// Complete returns an error that names the missing parts of a worker.
func (w *Worker) Complete() error {
	if w.Way == Absent {
		return required.Missing(w, "Compose")
	}
	if err := required.Missing(w); err != nil {
		return err
	}
	if err := required.Missing(w.Compose); err != nil {
		return err
	}
	if w.Compose.From == (Address{}) {
		return errors.New("mail.Composer is made without From")
	}
	return nil
}

// Absent is the Way of a server without mail.
var Absent Way = absent{}

const noMail = "there is no mail; set mail.smtp"

type absent struct{}

func (absent) Send(context.Context, Letter) (string, error) {
	return "", &Fault{Reason: noMail}
}

func (w *Worker) sender() *delivery.Sender[outbox.Waiting] {
	return &delivery.Sender[outbox.Waiting]{
		Outbox: letters{w}, Now: w.Now, Log: w.Log, Words: words, Waits: waits,
		Numbers: &w.Numbers, Limits: w.Limits, Defaults: limits,
	}
}

// Run sends until ctx has ended.
func (w *Worker) Run(ctx context.Context) { w.sender().Run(ctx) }

// Step sends all due messages one after the other, and returns how many it claimed.
func (w *Worker) Step(ctx context.Context) (int, error) { return w.sender().Step(ctx) }

// letters is the outbox of messages, which go out as letters.
type letters struct{ *Worker }

func (l letters) Claim(ctx context.Context, lease string, now, until time.Time) (e claimed, err error) {
	m, err := l.Store.ClaimMessage(ctx, lease, now, until)
	return claimed{
		Item: m, Attempts: m.Attempts, Since: m.At, Ends: m.EndsAt,
		About: []any{"message_id", m.ID, "kind", string(m.Kind), "user_id", m.UserID},
	}, err
}

type claimed = delivery.Entry[outbox.Waiting]

func (l letters) Send(ctx context.Context, e claimed) delivery.Outcome {
	m, ended := e.Item, !e.At.Before(e.Ends)
	switch {
	case l.Way == Absent && ended:
		return delivery.Outcome{Verdict: delivery.TooLate, Reason: "there was no mail"}
	case l.Way == Absent:
		return delivery.Outcome{Verdict: delivery.NotTried, Reason: noMail, Due: earlier(e.At.Add(time.Hour), e.Ends)}
	case ended:
		return delivery.Outcome{Verdict: delivery.TooLate, Reason: m.Reason}
	}
	answer, err := l.try(ctx, m.Message)
	switch {
	case errors.Is(err, userstore.ErrNothingToSend): // the address has no account, or none any more
		return delivery.Outcome{Verdict: delivery.Dropped}
	case err == nil:
		return delivery.Outcome{Verdict: delivery.Sent, Answer: answer}
	}
	fault := &Fault{Reason: err.Error()}
	errors.As(err, &fault)
	o := delivery.Outcome{Reason: fault.Reason, Unusable: fault.Server}
	if fault.Final {
		o.Verdict = delivery.Rejected
	}
	return o
}

func (l letters) Remove(ctx context.Context, e claimed) error {
	return l.Store.RemoveMessage(ctx, e.Item.ID)
}

func (l letters) Postpone(ctx context.Context, e claimed, due time.Time, reason string) error {
	return l.Store.PostponeMessage(ctx, e.Item.ID, e.Item.Lease, due, reason)
}

func (l letters) GiveUp(ctx context.Context, e claimed, why, _ string) error {
	event := audit.New(ctx, e.At, audit.MailGivenUp, audit.User(e.Item.UserID)).Failed(why)
	event.Changes = []audit.Change{{Field: "message", After: string(e.Item.Kind)}}
	return l.Store.GiveUpMessage(ctx, e.Item.ID, e.Item.Lease, event)
}

func (l letters) State(ctx context.Context) (delivery.State, error) {
	state, err := l.Store.OutboxState(ctx)
	return delivery.State(state), err
}

// anonymous replaces the addresses in a server's words, in any case: the log holds no addresses.
func anonymous(text string, addresses ...string) string {
	for _, address := range addresses {
		if address == "" {
			continue
		}
		text = strings.ReplaceAll(text, address, "ADDRESS")
		if anyCase, err := regexp.Compile("(?i)" + regexp.QuoteMeta(address)); err == nil { // fails if it is not UTF-8
			text = anyCase.ReplaceAllLiteralString(text, "ADDRESS")
		}
	}
	return text
}

// try composes a letter and sends it. Its results name no address: neither the one that was asked
// for, nor the account's, nor either as the mail server knows it.
func (l letters) try(ctx context.Context, m outbox.Message) (answer string, err error) {
	contents, err := l.Contents(ctx, m)
	switch {
	case errors.Is(err, userstore.ErrNothingToSend):
		return "", err
	case err != nil:
		return "", &Fault{Reason: "the message could not be made; the log of the server says why"}
	}
	letter, err := l.Compose.ComposeWith(m, contents)
	if err != nil {
		return "", &Fault{Reason: anonymous(err.Error(), contents.To, m.To)}
	}
	answer, err = l.Way.Send(ctx, letter)
	addresses := []string{letter.To.String(), contents.To, m.To}
	if err != nil {
		fault := &Fault{Reason: err.Error()}
		errors.As(err, &fault)
		cleaned := *fault
		cleaned.Reason, cleaned.Answer = anonymous(fault.Reason, addresses...), anonymous(fault.Answer, addresses...)
		err = &cleaned
	}
	return anonymous(answer, addresses...), err
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Where describes to people where a Way delivers letters.
func Where(way Way) string {
	switch way := way.(type) {
	case *SMTP:
		return way.String()
	case *Files:
		return strings.TrimSuffix(way.Folder, "/") + "/*.eml"
	}
	return "nowhere"
}

package mail

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/internal/required"
	"github.com/signet-id/signet/userstore"
)

// Worker sends the messages of the outbox. Fill in the fields, then call Run. Workers of several
// replicas share one outbox: a message belongs to one worker until its lease ends. A send takes at
// most half of the lease, so that it has ended before another worker may send the same message.
type Worker struct {
	Way     Way       // Absent: nothing is sent, and a waiting message is given up when it ends
	Compose *Composer // not needed by Absent

	// Package server sets these. Contents makes links and codes. It returns
	// userstore.ErrNothingToSend if the message has no recipient.
	Contents func(context.Context, outbox.Message) (outbox.Contents, error)
	Store    userstore.Outbox
	Now      func(context.Context) (time.Time, error) // the database's clock, which all replicas share
	Log      *slog.Logger

	Lease  time.Duration // 0: two minutes
	Poll   time.Duration // how often to look when nothing was due; 0: a second
	AtOnce int           // how many letters are sent at once; 0: four

	sent, failed, givenUp atomic.Int64
	unusable              atomic.Int64 // how many times in a row the server could not be used
	unusableNow           atomic.Bool  // the last time was since the last pause because of it
	mu                    sync.Mutex
	state                 outbox.State
}

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

type absent struct{}

func (absent) Send(context.Context, Letter) (string, error) {
	return "", &Fault{Reason: "there is no mail; set mail.smtp"}
}

// Stats holds numbers for metrics. Waiting and Oldest are of the whole outbox; the other numbers
// are of this worker since its start.
type Stats struct {
	Waiting               int
	Oldest                time.Time // zero: none waits
	Sent, Failed, GivenUp int64     // Failed: attempts
}

// Stats returns the numbers of now. Those of the outbox may be ten seconds old.
func (w *Worker) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{w.state.Waiting, w.state.Oldest, w.sent.Load(), w.failed.Load(), w.givenUp.Load()}
}

func (w *Worker) lease() time.Duration { return orElse(w.Lease, 2*time.Minute) }

func orElse(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

const (
	// finishWithin is how long the current sends may go on when the server stops: the end of a
	// process must not wait for a slow mail server. Another worker sends again what was cut off.
	finishWithin = 5 * time.Second
	// noteWithin is how long it may take to store the outcome of a send, even after ctx has ended.
	noteWithin = 5 * time.Second
	// countEvery is how old the numbers of metrics may be.
	countEvery = 10 * time.Second
)

// Run sends until ctx has ended.
func (w *Worker) Run(ctx context.Context) {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var under sync.WaitGroup
	defer func() {
		done := make(chan struct{})
		go func() { under.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(finishWithin):
			stop()
			<-done
		}
	}()
	under.Go(func() { w.count(ctx) })
	atOnce := w.AtOnce
	if atOnce <= 0 {
		atOnce = 4
	}
	slots := make(chan struct{}, atOnce)
	quiet := false // a failure of the store was logged
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		// A server that cannot be used is not tried for each message that waits: all would be stored
		// again and again.
		if w.unusableNow.Swap(false) && !pause(ctx, w.pauseAfter(w.unusable.Load())) {
			return
		}
		bounded, cancel := w.bound(sending)
		claimed, err := w.claim(ctx)
		if err == nil {
			quiet = false
			done := make(chan struct{})
			under.Go(func() {
				defer close(done)
				defer func() { <-slots }()
				defer cancel()
				w.send(bounded, claimed)
			})
			if w.unusable.Load() > 0 { // one attempt at a time shows whether the server is back
				select {
				case <-done:
				case <-ctx.Done():
					return
				}
			}
			continue
		}
		cancel()
		<-slots
		if !errors.Is(err, userstore.ErrNotFound) && ctx.Err() == nil && !quiet {
			quiet = true
			w.Log.Warn("the outbox cannot be read; messages wait until it can", "error", err)
		}
		if !pause(ctx, orElse(w.Poll, time.Second)) {
			return
		}
	}
}

// Step sends all due messages one after the other, and returns how many it claimed.
func (w *Worker) Step(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		bounded, cancel := w.bound(ctx)
		claimed, err := w.claim(ctx)
		if err == nil {
			w.send(bounded, claimed)
		}
		cancel()
		switch {
		case errors.Is(err, userstore.ErrNotFound):
			return n, w.countOnce(ctx)
		case err != nil:
			return n, err
		}
	}
}

// claimed is a message with the database's time of the claim.
type claimed struct {
	outbox.Waiting
	at time.Time
}

// bound returns the context of a send. It ends after half of a lease, counted from a moment before
// the claim.
func (w *Worker) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, w.lease()/2)
}

// claim claims a message.
func (w *Worker) claim(ctx context.Context) (c claimed, err error) {
	if c.at, err = w.Now(ctx); err != nil {
		return c, err
	}
	c.Waiting, err = w.Store.ClaimMessage(ctx, rand.Text(), c.at, c.at.Add(w.lease()))
	return c, err
}

// send sends one message and stores the outcome. ctx is that of bound: it ends early only when the
// process must end.
func (w *Worker) send(ctx context.Context, c claimed) {
	log := w.Log.With("message_id", c.ID, "kind", string(c.Kind), "user_id", c.UserID, "attempt", c.Attempts)
	if w.Way == Absent {
		if c.at.Before(c.EndsAt) {
			w.note(ctx, log, func(ctx context.Context) error {
				next := earlier(c.at.Add(time.Hour), c.EndsAt)
				return w.Store.PostponeMessage(ctx, c.ID, c.Lease, next, "there is no mail; set mail.smtp")
			})
			return
		}
		w.giveUp(ctx, log, c, "ended", "there was no mail")
		return
	}
	if !c.at.Before(c.EndsAt) {
		w.giveUp(ctx, log, c, "ended", c.Reason)
		return
	}
	answer, err := w.try(ctx, c)
	if errors.Is(err, userstore.ErrNothingToSend) { // the address has no account, or none any more
		log.Debug("message dropped; it has nobody to go to")
		w.note(ctx, log, func(ctx context.Context) error { return w.Store.RemoveMessage(ctx, c.ID) })
		return
	}
	if err == nil {
		w.sent.Add(1)
		w.unusable.Store(0)
		log.Info("message sent", "answer", answer, "waited", c.at.Sub(c.At).Round(time.Millisecond))
		w.note(ctx, log, func(ctx context.Context) error { return w.Store.RemoveMessage(ctx, c.ID) })
		return
	}
	w.failed.Add(1)
	fault := &Fault{Reason: err.Error()}
	errors.As(err, &fault)
	if fault.Server {
		w.unusable.Add(1)
		w.unusableNow.Store(true)
	} else {
		w.unusable.Store(0)
	}
	reason := fault.Reason
	next := c.at.Add(waitAfter(c.Attempts))
	switch {
	case fault.Final:
		w.giveUp(ctx, log, c, "refused", reason)
	case !next.Before(c.EndsAt):
		w.giveUp(ctx, log, c, "ended", reason)
	default:
		log.Warn("message not sent; it is tried again", "reason", reason, "next", next)
		w.note(ctx, log, func(ctx context.Context) error {
			return w.Store.PostponeMessage(ctx, c.ID, c.Lease, next, reason)
		})
	}
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
func (w *Worker) try(ctx context.Context, c claimed) (answer string, err error) {
	contents, err := w.Contents(ctx, c.Message)
	switch {
	case errors.Is(err, userstore.ErrNothingToSend):
		return "", err
	case err != nil:
		return "", &Fault{Reason: "the message could not be made; the log of the server says why"}
	}
	letter, err := w.Compose.ComposeWith(c.Message, contents)
	if err != nil {
		return "", &Fault{Reason: anonymous(err.Error(), contents.To, c.To)}
	}
	answer, err = w.Way.Send(ctx, letter)
	addresses := []string{letter.To.String(), contents.To, c.To}
	if err != nil {
		fault := &Fault{Reason: err.Error()}
		errors.As(err, &fault)
		cleaned := *fault
		cleaned.Reason, cleaned.Answer = anonymous(fault.Reason, addresses...), anonymous(fault.Answer, addresses...)
		err = &cleaned
	}
	return anonymous(answer, addresses...), err
}

func (w *Worker) giveUp(ctx context.Context, log *slog.Logger, c claimed, why, reason string) {
	system := audit.WithOrigin(ctx, audit.Origin{Actor: audit.Actor{Type: audit.BySystem}})
	e := audit.New(system, c.at, audit.MailGivenUp, audit.User(c.UserID)).Failed(why)
	e.Changes = []audit.Change{{Field: "message", After: string(c.Kind)}}
	w.note(ctx, log, func(ctx context.Context) error {
		err := w.Store.GiveUpMessage(ctx, c.ID, c.Lease, e)
		if err == nil {
			w.givenUp.Add(1)
			log.Error("message given up; it is not tried again", "event", string(e.Name), "why", why, "reason", reason)
		}
		return err
	})
}

// note stores an outcome. If this fails, the message is claimed again when the lease ends. For a
// message that was accepted, this is the only case in which a second copy is sent.
func (w *Worker) note(ctx context.Context, log *slog.Logger, store func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := store(ctx); err != nil && !errors.Is(err, userstore.ErrNotFound) {
		log.Warn("the outcome of a message could not be stored; it is taken again when its lease has ended",
			"error", err)
	}
}

// waitAfter returns the pause after a number of attempts: 10 s, doubled up to an hour, 20 % more or
// less.
func waitAfter(attempts int) time.Duration {
	d := min(10*time.Second<<min(max(attempts-1, 0), 10), time.Hour)
	return jitter(d)
}

// pauseAfter returns the pause before the next message after the server could not be used: Poll,
// doubled up to ten times as long.
func (w *Worker) pauseAfter(times int64) time.Duration {
	poll := orElse(w.Poll, time.Second)
	return min(poll<<min(max(times-1, 0), 4), 10*poll)
}

func jitter(d time.Duration) time.Duration { return d - d/5 + mathrand.N(max(d*2/5, 1)) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(jitter(d)):
		return true
	}
}

// count reads the numbers for metrics every ten seconds.
func (w *Worker) count(ctx context.Context) {
	for {
		if err := w.countOnce(ctx); err != nil && ctx.Err() == nil {
			w.Log.Debug("the outbox could not be counted", "error", err)
		}
		if !pause(ctx, countEvery) {
			return
		}
	}
}

func (w *Worker) countOnce(ctx context.Context) error {
	state, err := w.Store.OutboxState(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = state
	return nil
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

// Package backchannel tells apps that their sessions have ended (OpenID Connect Back-Channel Logout
// 1.0).
//
// The store keeps the sessions of apps. The operation that ends a session also puts it into the
// outbox, in one transaction: see userstore.AppSession. So no request waits for an app, and no
// logout is forgotten. Senders of several replicas share the outbox. A session belongs to one sender
// until its lease ends; a send takes at most half of the lease, so that it has ended before another
// sender may tell the same app.
//
// A sender that dies between the answer of the app and its own commit makes the only doubles: the
// app hears twice, with one jti.
package backchannel

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/required"
	"github.com/signet-id/signet/userstore"
)

// Sender sends logout tokens. Fill in the fields, then call Run.
type Sender struct {
	// Post sends a form and returns the status of the answer; an error means that there was none. It is
	// that of the guarded client (outbound.Client): apps choose the addresses.
	Post func(ctx context.Context, address string, form url.Values) (status int, err error)

	// Package server sets these.
	Store   userstore.AppSessions
	Clients Clients
	Token   func(userstore.AppSession, userstore.Client) (string, error) // signs a logout token
	Now     func(context.Context) (time.Time, error)                     // the database's clock, which all replicas share
	Log     *slog.Logger

	Lease  time.Duration // 0: thirty seconds
	Poll   time.Duration // how often to look when nothing was due; 0: half a second
	AtOnce int           // how many apps are told at once; 0: eight

	sent, failed, givenUp atomic.Int64

	mu    sync.Mutex
	state userstore.AppSessionsState
}

// Clients is the part of userstore.Clients that a Sender needs.
type Clients interface {
	ClientByID(ctx context.Context, id string) (userstore.Client, error)
}

// Complete returns an error that names the missing parts of a sender.
func (s *Sender) Complete() error { return required.Missing(s) }

// Stats holds numbers for metrics. Waiting and Oldest are of the whole outbox; the other numbers are
// of this sender since its start.
type Stats struct {
	Waiting               int
	Oldest                time.Time // zero: none waits
	Sent, Failed, GivenUp int64     // Failed: attempts
}

// Stats returns the numbers of now. Those of the outbox may be ten seconds old.
func (s *Sender) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{s.state.Waiting, s.state.Oldest, s.sent.Load(), s.failed.Load(), s.givenUp.Load()}
}

const (
	// ofOneClient is how many sends to one client go on at once, of all replicas: a slow app must not
	// take the places of others.
	ofOneClient = 2
	// triedFor is how long an app is tried. Its own session has ended by then, or its user has long
	// noticed.
	triedFor = 24 * time.Hour
	// longestRest is how long the other sessions of an app wait when its server does not answer. So a
	// dead app costs an attempt or two a minute, however many sessions wait.
	longestRest = time.Minute
	// mostRefusals is how often an app may refuse a session (4xx) until it is given up: a key that it has
	// not fetched yet, a clock or a fault of its own may be mended in minutes.
	mostRefusals = 5

	finishWithin = 5 * time.Second // how long the current sends may go on when the server stops
	noteWithin   = 5 * time.Second // how long it may take to store an outcome, even after ctx has ended
	countEvery   = 10 * time.Second
)

func (s *Sender) lease() time.Duration { return orElse(s.Lease, 30*time.Second) }

func orElse(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Run sends until ctx has ended. Then it claims no more, and finishes the current sends.
func (s *Sender) Run(ctx context.Context) {
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
	under.Go(func() { s.count(ctx) })
	atOnce := s.AtOnce
	if atOnce <= 0 {
		atOnce = 8
	}
	slots := make(chan struct{}, atOnce)
	quiet := false // a failure of the store was logged
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		bounded, cancel := s.bound(sending)
		c, err := s.claim(ctx)
		if err == nil {
			quiet = false
			under.Go(func() {
				defer func() { <-slots }()
				defer cancel()
				s.send(bounded, c)
			})
			continue
		}
		cancel()
		<-slots
		if !errors.Is(err, userstore.ErrNotFound) && ctx.Err() == nil && !quiet {
			quiet = true
			s.Log.Warn("the outbox of logouts cannot be read; apps are told when it can", "error", err)
		}
		if !pause(ctx, orElse(s.Poll, 500*time.Millisecond)) {
			return
		}
	}
}

// Step tells all apps that are due, one after the other, and returns how many sessions it claimed.
func (s *Sender) Step(ctx context.Context) (int, error) {
	for n := 0; ; n++ {
		bounded, cancel := s.bound(ctx)
		c, err := s.claim(ctx)
		if err == nil {
			s.send(bounded, c)
		}
		cancel()
		switch {
		case errors.Is(err, userstore.ErrNotFound):
			return n, s.countOnce(ctx)
		case err != nil:
			return n, err
		}
	}
}

// claimed is an ended session with the database's time of the claim.
type claimed struct {
	userstore.EndedAppSession
	at time.Time
}

// bound returns the context of a send. It ends after half of a lease, counted from a moment before
// the claim.
func (s *Sender) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.lease()/2)
}

func (s *Sender) claim(ctx context.Context) (c claimed, err error) {
	if c.at, err = s.Now(ctx); err != nil {
		return c, err
	}
	c.EndedAppSession, err = s.Store.ClaimEndedAppSession(ctx, rand.Text(), c.at, c.at.Add(s.lease()), ofOneClient)
	return c, err
}

// send tells one app and stores the outcome. ctx is that of bound: it ends early only when the
// process must end.
func (s *Sender) send(ctx context.Context, c claimed) {
	log := s.Log.With("client_id", c.ClientID, "user_id", c.UserID, "session_id", c.SessionID, "attempt", c.Attempts)
	f := s.try(ctx, c)
	switch {
	case f == nil:
		s.sent.Add(1)
		log.Info("app told of a logout", "waited", c.at.Sub(c.EndedAt).Round(time.Millisecond))
		s.note(ctx, log, func(ctx context.Context) error { return s.Store.ForgetAppSession(ctx, c.SessionID) })
		return
	case f.nobody:
		log.Debug("logout dropped; its client is gone or does not hear of logouts")
		s.note(ctx, log, func(ctx context.Context) error { return s.Store.ForgetAppSession(ctx, c.SessionID) })
		return
	}
	s.failed.Add(1)
	next := c.at.Add(waitAfter(c.Attempts))
	var rest time.Time
	if f.server {
		if rest = c.at.Add(longestRest); next.Before(rest) {
			rest = next
		}
	}
	switch {
	case f.refused && c.Attempts >= mostRefusals:
		s.giveUp(ctx, log, c, "refused", f.reason)
	case !next.Before(c.EndedAt.Add(triedFor)) && c.Attempts > 1:
		s.giveUp(ctx, log, c, "ended", f.reason)
	default:
		log.Warn("app not told of a logout; it is tried again", "reason", f.reason, "next", next)
		s.note(ctx, log, func(ctx context.Context) error {
			return s.Store.PostponeAppSession(ctx, c.SessionID, c.Lease, next, rest, f.reason)
		})
	}
}

// fault says why an app was not told.
type fault struct {
	nobody  bool   // there is nobody to tell
	refused bool   // the app answered that it will not
	server  bool   // the app's server did not answer, or answered that it cannot
	reason  string // a sentence without the token and without the app's address
}

func (s *Sender) try(ctx context.Context, c claimed) *fault {
	if !c.Heard {
		return &fault{nobody: true}
	}
	client, err := s.Clients.ClientByID(ctx, c.ClientID)
	switch {
	case errors.Is(err, userstore.ErrNotFound) || err == nil && client.BackchannelLogoutURI == "":
		return &fault{nobody: true}
	case err != nil:
		return &fault{reason: "the client could not be read"}
	}
	token, err := s.Token(c.AppSession, client)
	if err != nil {
		s.Log.Warn("no logout token can be signed", "error", err)
		return &fault{reason: "no logout token could be signed"}
	}
	status, err := s.Post(ctx, client.BackchannelLogoutURI, url.Values{"logout_token": {token}})
	if err != nil {
		return &fault{server: true, reason: "no answer: " + cause(err)}
	}
	return faultOf(status)
}

// cause returns the reason of an error of the guarded client without the address, whose query may
// hold a secret of the app.
func cause(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "it took too long"
	}
	return err.Error()
}

func (s *Sender) giveUp(ctx context.Context, log *slog.Logger, c claimed, why, reason string) {
	system := audit.WithOrigin(ctx, audit.Origin{Actor: audit.Actor{Type: audit.BySystem}})
	e := audit.New(system, c.at, audit.LogoutGivenUp, audit.User(c.UserID)).Failed(why)
	e.ClientID, e.SessionID = c.ClientID, c.SessionID
	e.Changes = []audit.Change{{Field: "answer", After: reason}}
	s.note(ctx, log, func(ctx context.Context) error {
		err := s.Store.GiveUpAppSession(ctx, c.SessionID, c.Lease, e)
		if err == nil {
			s.givenUp.Add(1)
			log.Error("logout given up; the app is not told", "event", string(e.Name), "why", why, "reason", reason)
		}
		return err
	})
}

// note stores an outcome. If this fails, the session is claimed again when the lease ends. For an app
// that was told, this is the only case in which it hears twice.
func (s *Sender) note(ctx context.Context, log *slog.Logger, store func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWithin)
	defer cancel()
	if err := store(ctx); err != nil && !errors.Is(err, userstore.ErrNotFound) {
		log.Warn("the outcome of a logout could not be stored; it is taken again when its lease has ended",
			"error", err)
	}
}

// waits are the pauses after each attempt; the last one goes on.
var waits = []time.Duration{
	time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

func waitAfter(attempts int) time.Duration {
	return jitter(waits[min(max(attempts-1, 0), len(waits)-1)])
}

func jitter(d time.Duration) time.Duration { return d - d/5 + mathrand.N(max(d*2/5, 1)) }

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(jitter(d)):
		return true
	}
}

// count reads the numbers for metrics every ten seconds.
func (s *Sender) count(ctx context.Context) {
	for {
		if err := s.countOnce(ctx); err != nil && ctx.Err() == nil {
			s.Log.Debug("the outbox of logouts could not be counted", "error", err)
		}
		if !pause(ctx, countEvery) {
			return
		}
	}
}

func (s *Sender) countOnce(ctx context.Context) error {
	state, err := s.Store.AppSessionsState(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
	return nil
}

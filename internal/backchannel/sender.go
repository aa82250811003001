// Package backchannel tells apps that their sessions have ended (OpenID Connect Back-Channel Logout
// 1.0).
//
// The store keeps the sessions of apps. The operation that ends a session also puts it into the
// outbox, in one transaction: see userstore.AppSession. So no request waits for an app, and no logout
// is forgotten. Package delivery says how the outbox is worked off. An app that is told twice hears
// one jti.
package backchannel

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/delivery"
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

	delivery.Limits // as limits, unless set
	delivery.Numbers
}

// Clients is the part of userstore.Clients that a Sender needs.
type Clients interface {
	ClientByID(ctx context.Context, id string) (userstore.Client, error)
}

// Complete returns an error that names the missing parts of a sender.
func (s *Sender) Complete() error { return required.Missing(s) }

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
)

var (
	limits = delivery.Limits{Lease: 30 * time.Second, Poll: 500 * time.Millisecond, AtOnce: 8}

	waits = []time.Duration{
		time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
	}

	words = delivery.Words{
		Sent:         "app told of a logout",
		Dropped:      "logout dropped; its client is gone or does not hear of logouts",
		Failed:       "app not told of a logout; it is tried again",
		GivenUp:      "logout given up; the app is not told",
		GivenUpEvent: audit.LogoutGivenUp,
		Unread:       "the outbox of logouts cannot be read; apps are told when it can",
		Unnoted:      "the outcome of a logout could not be stored; it is taken again when its lease has ended",
		Uncounted:    "the outbox of logouts could not be counted",
	}
)

func (s *Sender) sender() *delivery.Sender[*ended] {
	return &delivery.Sender[*ended]{
		Outbox: logouts{s}, Now: s.Now, Log: s.Log, Words: words, Waits: waits,
		Numbers: &s.Numbers, Limits: s.Limits, Defaults: limits,
	}
}

// Run tells apps until ctx has ended.
func (s *Sender) Run(ctx context.Context) { s.sender().Run(ctx) }

// Step tells all apps that are due, one after the other, and returns how many sessions it claimed.
func (s *Sender) Step(ctx context.Context) (int, error) { return s.sender().Step(ctx) }

// logouts is the outbox of the ended sessions whose apps have to be told.
type logouts struct{ *Sender }

// ended is a session of the outbox.
type ended struct {
	userstore.EndedAppSession
	silent bool // at this attempt the app's server did not answer, or answered that it cannot
}

type claimed = delivery.Entry[*ended]

func (l logouts) Claim(ctx context.Context, lease string, now, until time.Time) (claimed, error) {
	e, err := l.Store.ClaimEndedAppSession(ctx, lease, now, until, ofOneClient)
	c := claimed{
		Item: &ended{EndedAppSession: e}, Attempts: e.Attempts, Since: e.EndedAt, Ends: e.EndedAt.Add(triedFor),
		About: []any{"client_id", e.ClientID, "user_id", e.UserID, "session_id", e.SessionID},
	}
	if e.Attempts == 1 { // after an outage of ours each app is tried a second time
		c.Ends = now.Add(triedFor)
	}
	return c, err
}

func (l logouts) Send(ctx context.Context, e claimed) delivery.Outcome {
	f := l.try(ctx, e.Item.EndedAppSession)
	switch {
	case f == nil:
		return delivery.Outcome{Verdict: delivery.Sent}
	case f.nobody:
		return delivery.Outcome{Verdict: delivery.Dropped}
	case f.refused && e.Attempts >= mostRefusals:
		return delivery.Outcome{Verdict: delivery.Rejected, Reason: f.reason}
	}
	e.Item.silent = f.server
	return delivery.Outcome{Reason: f.reason}
}

func (l logouts) Remove(ctx context.Context, e claimed) error {
	return l.Store.ForgetAppSession(ctx, e.Item.SessionID)
}

// Postpone lets the other sessions of a silent app rest, too.
func (l logouts) Postpone(ctx context.Context, e claimed, due time.Time, reason string) error {
	var rest time.Time
	if e.Item.silent {
		if rest = e.At.Add(longestRest); due.Before(rest) {
			rest = due
		}
	}
	return l.Store.PostponeAppSession(ctx, e.Item.SessionID, e.Item.Lease, due, rest, reason)
}

func (l logouts) GiveUp(ctx context.Context, e claimed, why, reason string) error {
	event := audit.New(ctx, e.At, audit.LogoutGivenUp, audit.User(e.Item.UserID)).Failed(why)
	event.ClientID, event.SessionID = e.Item.ClientID, e.Item.SessionID
	event.Changes = []audit.Change{{Field: "answer", After: reason}}
	return l.Store.GiveUpAppSession(ctx, e.Item.SessionID, e.Item.Lease, event)
}

func (l logouts) State(ctx context.Context) (delivery.State, error) {
	state, err := l.Store.AppSessionsState(ctx)
	return delivery.State(state), err
}

// fault says why an app was not told.
type fault struct {
	nobody  bool   // there is nobody to tell
	refused bool   // the app answered that it will not
	server  bool   // the app's server did not answer, or answered that it cannot
	reason  string // a sentence without the token and without the app's address
}

func (l logouts) try(ctx context.Context, e userstore.EndedAppSession) *fault {
	if !e.Heard {
		return &fault{nobody: true}
	}
	client, err := l.Clients.ClientByID(ctx, e.ClientID)
	switch {
	case errors.Is(err, userstore.ErrNotFound) || err == nil && client.BackchannelLogoutURI == "":
		return &fault{nobody: true}
	case err != nil:
		return &fault{reason: "the client could not be read"}
	}
	token, err := l.Token(e.AppSession, client)
	if err != nil {
		l.Log.Warn("no logout token can be signed", "error", err)
		return &fault{reason: "no logout token could be signed"}
	}
	status, err := l.Post(ctx, client.BackchannelLogoutURI, url.Values{"logout_token": {token}})
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

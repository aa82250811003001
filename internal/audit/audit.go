// Package audit is what the audit log is made of: what happened, who did it to whom, from
// where, and what came of it.
//
// An Event is made where the rule is (accounts, issuer, keys) and stored by the store in the
// transaction of the act it tells of: there is no act without its event, and no event of an act
// that did not happen. What is the same for everything that one request or one command does, its
// Origin, travels in the context, for it is a fact of the request.
//
// Events never hold a secret: no password, token, code, cookie, key or hash, nor a name that
// somebody typed who could not prove to be anybody; people type passwords there.
package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/signet-id/signet/internal/outbox"
)

// Event is one entry of the audit log.
type Event struct {
	// ID is 128 random bits in base64url and orders events of one instant. A store fills it in
	// where it is empty.
	ID string
	At time.Time // filled in by whoever makes the event; microseconds

	Name    Name
	Outcome Outcome
	Reason  string // a stable snake_case word for why; may be empty

	Actor     Actor  // who did it
	Target    Target // to whom or what; may be empty
	ClientID  string // through which client; may be empty
	SessionID string // the sid of the session that it is about; may be empty

	Address   string // network address of the request; empty on the command line
	UserAgent string
	RequestID string

	// Changes of the target, for an event that changed something that can be told.
	Changes []Change

	// Messages that the act causes. They are no part of the entry: a store puts them into the outbox in the
	// transaction in which it adds this event to the log, and only if it does.
	Messages []outbox.Message
}

// Name says what happened. It never changes once published; docs/operators.md lists them.
type Name string

const (
	UserCreated  Name = "user_created"
	UserImported Name = "user_imported"
	UserUpdated  Name = "user_updated" // roles, activity and profile: Changes
	UserDeleted  Name = "user_deleted"

	PasswordChanged Name = "password_changed" // by its owner, who proved the one before
	PasswordSet     Name = "password_set"     // by an admin or operator
	PasswordReset   Name = "password_reset"   // by the owner of the address, who had a message
	PasswordRefused Name = "password_refused" // somebody signed in did not know the current password

	UserInvited   Name = "user_invited"   // by an admin or operator, to set the first password
	EmailVerified Name = "email_verified" // by the owner of the address

	UsersExported Name = "users_exported"

	LoginSucceeded Name = "login_succeeded"
	LoginFailed    Name = "login_failed"
	RateLimited    Name = "rate_limited"   // told once per budget and while, not once per request
	SignupRefused  Name = "signup_refused" // somebody asked for what an account has: it tells of that account
	AdminRefused   Name = "admin_refused"  // what only admins may do, and what would leave none

	SessionRevoked  Name = "session_revoked" // logout, or one session ended from elsewhere
	SessionsRevoked Name = "sessions_revoked"

	RefreshReplayed Name = "refresh_replay"   // the grant is revoked
	RefreshLate     Name = "refresh_late"     // answered all the same
	GenerationAhead Name = "generation_ahead" // the store has lost writes; the grant is revoked
	CodeReplayed    Name = "code_replay"      // an authorization code came back with all that belongs to it; the grant is revoked

	ClientCreated       Name = "client_created"
	ClientUpdated       Name = "client_updated" // activity too: Changes
	ClientDeleted       Name = "client_deleted"
	ClientSecretRotated Name = "client_secret_rotated"
	ClientAuthFailed    Name = "client_auth_failed" // a wrong client secret or assertion: sampled, as RateLimited is

	ConsentGranted Name = "consent_granted" // a user allowed a client something
	ConsentRevoked Name = "consent_revoked"
	GrantStarted   Name = "grant_started" // a client redeemed a code

	MailGivenUp Name = "mail_given_up" // a message to a user was not sent, and is not tried again

	KeysRotated   Name = "keys_rotated"
	KeysRevoked   Name = "keys_revoked"
	KeysRewrapped Name = "keys_rewrapped"
	KeysChanged   Name = "keys_changed" // by the schedule, or by a configuration
)

// TooMany is the reason of a SessionRevoked that made room for a new session.
const TooMany = "too_many"

// Outcome is what came of it.
type Outcome string

const (
	Success Outcome = "success"
	Failure Outcome = "failure"
)

// ActorType is what kind of somebody an actor is.
type ActorType string

const (
	ByNobody   ActorType = "anonymous" // nobody was proved
	ByUser     ActorType = "user"      // ID is the subject; admins are users
	ByClient   ActorType = "client"    // ID is the client id
	ByOperator ActorType = "operator"  // at the command line; ID is the system's name of who ran it
	BySystem   ActorType = "system"    // this server, of itself
)

// Actor is who did something.
type Actor struct {
	Type ActorType
	ID   string
}

// TargetType is what kind of thing a target is.
type TargetType string

const (
	OnUser   TargetType = "user"
	OnClient TargetType = "client"
	OnKey    TargetType = "key"
)

// Target is to whom or what something was done.
type Target struct {
	Type TargetType
	ID   string
}

// User is the target that a subject names.
func User(id string) Target { return Target{OnUser, id} }

// Change is one thing that is different now. Values are text as the API shows them; what must not
// be told (a password) is not a Change.
type Change struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Origin is what is the same for all that one request or one command does.
type Origin struct {
	Actor     Actor
	SessionID string // of the actor, when there is one
	ClientID  string
	Address   string // by which attempts are counted, too
	UserAgent string
	RequestID string
}

type originKey struct{}

// WithOrigin notes in ctx where what is done under it comes from.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf is the origin noted in ctx; without one, an actor that nobody proved to be.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	if o.Actor.Type == "" {
		o.Actor.Type = ByNobody
	}
	return o
}

// As is ctx with an actor who has been proved since, and the rest of its origin.
func As(ctx context.Context, actor Actor, clientID, sessionID string) context.Context {
	o := OriginOf(ctx)
	o.Actor, o.ClientID, o.SessionID = actor, clientID, sessionID
	return WithOrigin(ctx, o)
}

// New is an event of ctx's origin that succeeded.
func New(ctx context.Context, at time.Time, name Name, target Target) Event {
	o := OriginOf(ctx)
	return Event{
		At: at.UTC().Truncate(time.Microsecond), Name: name, Outcome: Success, Target: target,
		Actor: o.Actor, ClientID: o.ClientID, SessionID: o.SessionID,
		Address: o.Address, UserAgent: o.UserAgent, RequestID: o.RequestID,
	}
}

// Failed is e as a failure for a reason.
func (e Event) Failed(reason string) Event {
	e.Outcome, e.Reason = Failure, reason
	return e
}

// Log writes e as a line of the log as well, for those who watch logs: by ids, without the values of
// changes, at Warn for what an operator wants to see. A nil log is none.
func (e Event) Log(ctx context.Context, log *slog.Logger) {
	if log == nil {
		return
	}
	level := slog.LevelInfo
	switch e.Name {
	case RefreshReplayed, CodeReplayed, GenerationAhead, RefreshLate, PasswordSet, PasswordReset, PasswordRefused, UserDeleted, RateLimited, KeysRevoked:
		level = slog.LevelWarn
	}
	if e.Outcome == Failure && e.Name != LoginFailed && e.Name != SignupRefused { // people forget what they have
		level = slog.LevelWarn
	}
	attrs := make([]slog.Attr, 0, 10)
	attrs = append(attrs, slog.String("event", string(e.Name)), slog.String("outcome", string(e.Outcome)),
		slog.String("actor_type", string(e.Actor.Type)))
	for _, a := range []struct{ name, value string }{
		{"reason", e.Reason}, {"actor_id", e.Actor.ID}, {string(e.Target.Type) + "_id", e.Target.ID}, {"by_client_id", e.ClientID},
		{"session_id", e.SessionID}, {"address", e.Address}, {"request_id", e.RequestID},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.name, a.value))
		}
	}
	log.LogAttrs(ctx, level, string(e.Name), attrs...)
}

// Stored passes on the error of an act that stores events with itself and, when there is none, logs them: what is in the
// log has happened.
//
//	return audit.Stored(ctx, log, store.DeleteUser(ctx, id, e), e)
func Stored(ctx context.Context, log *slog.Logger, err error, events ...Event) error {
	if err != nil {
		return err
	}
	for _, e := range events {
		e.Log(ctx, log)
	}
	return nil
}

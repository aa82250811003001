// Package audit defines the entries of the audit log: what happened, who did it to whom, from
// where, and with what outcome.
//
// The package that holds the rule (accounts, issuer, keys) makes an Event, and the store writes it
// in the transaction of the change that it records: there is no change without its event, and no
// event of a change that did not happen. An Origin holds what all events of one request or command
// share, and travels in the context.
//
// Events never hold a secret: no password, token, code, cookie, key or hash. Nor do they hold a
// name that was typed without proof of identity, because people type passwords into that field.
package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/signet-id/signet/internal/outbox"
)

// Event is one entry of the audit log.
type Event struct {
	// ID is 128 random bits in base64url, and orders events of one instant. A store fills it in if
	// it is empty.
	ID string
	At time.Time // set by the maker of the event; in microseconds

	Name    Name
	Outcome Outcome
	Reason  string // a stable snake_case word for why; may be empty

	Actor     Actor  // who did it
	Target    Target // to whom or what it was done; may be empty
	ClientID  string // through which client; may be empty
	SessionID string // the sid of the session concerned; may be empty

	Address   string // network address of the request; empty on the command line
	UserAgent string
	RequestID string

	// Changes lists the changed fields of the target, without those whose values are secret.
	Changes []Change

	// Messages that the operation causes. They are no part of the entry: a store adds them to the
	// outbox in the transaction that adds this event to the log, and only if it adds the event.
	Messages []outbox.Message
}

// Name says what happened. A published name never changes; docs/operators.md lists them all.
type Name string

const (
	UserCreated  Name = "user_created"
	UserImported Name = "user_imported"
	UserUpdated  Name = "user_updated" // roles, activity and profile: Changes
	UserDeleted  Name = "user_deleted"

	PasswordChanged Name = "password_changed" // by its owner, who proved the old one
	PasswordSet     Name = "password_set"     // by an admin or operator
	PasswordReset   Name = "password_reset"   // by the owner of the address, with the message
	PasswordRefused Name = "password_refused" // a signed-in user did not know the current password

	UserInvited   Name = "user_invited"   // by an admin or operator, to set the first password
	EmailVerified Name = "email_verified" // by the owner of the address

	EmailChangeRequested Name = "email_change_requested" // a user asked for a message to a new address
	EmailChangeWithdrawn Name = "email_change_withdrawn"
	EmailChanged         Name = "email_changed"       // by the owner of the account and of the new address
	EmailChangeUndone    Name = "email_change_undone" // by the owner of the address before, who set a password

	FactorAdded       Name = "factor_added"   // an authenticator app or a passkey: Changes
	FactorRemoved     Name = "factor_removed" // by its owner, or by an admin or operator: Changes
	FactorRefused     Name = "factor_refused" // a wrong code or passkey, beside the right password
	PasskeyRenamed    Name = "passkey_renamed"
	RecoveryCodesMade Name = "recovery_codes_made" // in the place of those before
	RecoveryCodeUsed  Name = "recovery_code_used"
	BrowserTrusted    Name = "browser_trusted" // logins in it need no second factor for a while
	BrowserTrustEnded Name = "browser_trust_ended"

	UsersExported Name = "users_exported"

	LoginSucceeded Name = "login_succeeded"
	LoginFailed    Name = "login_failed"
	RateLimited    Name = "rate_limited"   // sampled: once per budget and interval, not once per request
	SignupRefused  Name = "signup_refused" // the name is taken, so the answer reveals an account
	AdminRefused   Name = "admin_refused"  // an act for admins only, or one that would leave no admin

	SessionRevoked  Name = "session_revoked" // by logout, or from another session
	SessionsRevoked Name = "sessions_revoked"
	GrantsRevoked   Name = "grants_revoked" // all of them, of everybody

	RefreshReplayed Name = "refresh_replay"   // the grant is revoked
	RefreshLate     Name = "refresh_late"     // answered all the same
	GenerationAhead Name = "generation_ahead" // the store has lost writes; the grant is revoked
	CodeReplayed    Name = "code_replay"      // a used code came again with valid parameters; the grant is revoked

	ClientCreated       Name = "client_created"
	ClientUpdated       Name = "client_updated" // activity too: Changes
	ClientDeleted       Name = "client_deleted"
	ClientSecretRotated Name = "client_secret_rotated"
	ClientAuthFailed    Name = "client_auth_failed" // a wrong client secret or assertion: sampled, as RateLimited is

	RegistrationTokenCreated Name = "registration_token_created" // an initial access token
	RegistrationTokenRevoked Name = "registration_token_revoked"

	ConsentGranted Name = "consent_granted" // a user allowed a client something
	ConsentRevoked Name = "consent_revoked"
	GrantStarted   Name = "grant_started" // a client redeemed a code

	DeviceAllowed Name = "device_allowed" // a user allowed the device that showed the code which the user typed
	DeviceDenied  Name = "device_denied"

	MailGivenUp Name = "mail_given_up" // a message to a user was not sent, and is not tried again

	LogoutGivenUp Name = "logout_given_up" // an app was not told that a session has ended, and is not tried again

	KeysRotated   Name = "keys_rotated"
	KeysRevoked   Name = "keys_revoked"
	KeysRewrapped Name = "keys_rewrapped"
	KeysChanged   Name = "keys_changed" // by the schedule, or by a configuration

	// StoreRecovered: an operator ended every session, because the store was restored or its
	// key-encryption key is lost.
	StoreRecovered Name = "store_recovered"
)

// TooMany is the reason of a SessionRevoked event that made room for a new session.
const TooMany = "too_many"

// Outcome says whether the act succeeded.
type Outcome string

const (
	Success Outcome = "success"
	Failure Outcome = "failure"
)

// ActorType is the kind of an actor.
type ActorType string

const (
	ByNobody   ActorType = "anonymous" // no identity was proved
	ByUser     ActorType = "user"      // ID is the subject; admins are users
	ByClient   ActorType = "client"    // ID is the client id
	ByOperator ActorType = "operator"  // at the command line; ID is the operating system's user name
	BySystem   ActorType = "system"    // this server, on its own

	ByRegistrationToken ActorType = "registration_token" // the holder of an initial access token; ID names it
)

// Actor is the user, client or operator that did something.
type Actor struct {
	Type ActorType
	ID   string
}

// TargetType is the kind of a target.
type TargetType string

const (
	OnUser   TargetType = "user"
	OnClient TargetType = "client"
	OnKey    TargetType = "key"

	OnRegistrationToken TargetType = "registration_token"
)

// Target is the account, client or key that something was done to.
type Target struct {
	Type TargetType
	ID   string
}

// User returns the target for a user's id.
func User(id string) Target { return Target{OnUser, id} }

// Change is one changed field. Values are text as the API shows it; a secret (a password) is never
// a Change.
type Change struct {
	Field  string `json:"field"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// Differing returns the fields of next whose values differ from those of old, which lists the same
// fields in the same order.
func Differing(old, next []Change) (out []Change) {
	for i, c := range next {
		if c.Before = old[i].After; c.Before != c.After {
			out = append(out, c)
		}
	}
	return out
}

// Origin holds what all events of one request or command share.
type Origin struct {
	Actor     Actor
	SessionID string // of the actor, when there is one
	ClientID  string
	Address   string // throttling counts attempts by it, too
	UserAgent string
	RequestID string
}

type originKey struct{}

// WithOrigin returns ctx with the origin of the events that are made under it.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns the origin of ctx. Without one, the actor is anonymous.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	if o.Actor.Type == "" {
		o.Actor.Type = ByNobody
	}
	return o
}

// As returns ctx with an actor that has been proved since, and the rest of its origin.
func As(ctx context.Context, actor Actor, clientID, sessionID string) context.Context {
	o := OriginOf(ctx)
	o.Actor, o.ClientID, o.SessionID = actor, clientID, sessionID
	return WithOrigin(ctx, o)
}

// New returns an event of ctx's origin that succeeded.
func New(ctx context.Context, at time.Time, name Name, target Target) Event {
	o := OriginOf(ctx)
	return Event{
		At: at.UTC().Truncate(time.Microsecond), Name: name, Outcome: Success, Target: target,
		Actor: o.Actor, ClientID: o.ClientID, SessionID: o.SessionID,
		Address: o.Address, UserAgent: o.UserAgent, RequestID: o.RequestID,
	}
}

// Failed returns e as a failure for a reason.
func (e Event) Failed(reason string) Event {
	e.Outcome, e.Reason = Failure, reason
	return e
}

// Log also writes e as a line of the log. The line has ids but not the values of changes, and level
// Warn for events that need an operator's attention. A nil log writes nothing.
func (e Event) Log(ctx context.Context, log *slog.Logger) {
	if log == nil {
		return
	}
	level := slog.LevelInfo
	switch e.Name {
	case RefreshReplayed, CodeReplayed, GenerationAhead, RefreshLate, PasswordSet, PasswordReset, PasswordRefused,
		EmailChangeUndone, FactorRemoved, RecoveryCodeUsed, UserDeleted, RateLimited, KeysRevoked, StoreRecovered:
		level = slog.LevelWarn
	}
	if e.Outcome == Failure && e.Name != LoginFailed && e.Name != SignupRefused { // these are everyday mistakes
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

// Stored returns the error of a change that stores events with itself. Without an error it logs the
// events: everything in the log has happened.
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

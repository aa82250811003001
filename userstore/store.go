package userstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// The errors of a Store, to be compared with errors.Is. Anything else is an
// infrastructure failure, which a caller may only report as such.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrConflict = errors.New("changed by somebody else")
	// ErrLastAdmin: the act would leave no enabled user with the role admin. Nothing changed.
	ErrLastAdmin = errors.New("this is the last admin")
	// ErrInvalid: no engine can hold the value (U+0000, not UTF-8, far too long).
	// Rules above refuse such input by field; this is the net below them. A
	// look-up by such a value is ErrNotFound.
	ErrInvalid = errors.New("the value cannot be stored")
	// ErrUnavailable wraps every infrastructure failure of a store: callers answer 503.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrUnwritable is an ErrUnavailable of a store that answers and takes no writes.
	ErrUnwritable = fmt.Errorf("%w for writing", ErrUnavailable)
)

// ExistsError is an ErrExists that names the member: email, username, client_id, or id.
type ExistsError struct{ Field string }

func (e *ExistsError) Error() string        { return fmt.Sprintf("%s already exists", e.Field) }
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// Acts that are worth one take the events of the audit log that tell of them. They are stored in
// the same transaction, if the act happened and once, however often it was begun again.

// Users moves user rows. Each method is one atomic act.
type Users interface {
	CreateUser(ctx context.Context, u User, events ...audit.Event) error // ErrExists, as *ExistsError
	// CreateUsers inserts many in one transaction and leaves out those whose id, email or
	// username is taken, also by one before it in users. taken tells for each of these who has it.
	// ErrConflict, with whatever was free inserted, when that one was deleted meanwhile.
	// events are none, or one for each of users: stored if that one was inserted.
	CreateUsers(ctx context.Context, users []User, events ...audit.Event) (taken map[int]User, err error)
	// UsersLike finds, for each of users by index, who has its id, else its email, else its username.
	UsersLike(ctx context.Context, users []User) (map[int]User, error)
	UserByID(ctx context.Context, id string) (User, error)
	// UserByLogin finds by canonical email, or by canonical username.
	UserByLogin(ctx context.Context, l Login) (User, error)
	// UpdateUser replaces every column but password and version of u.ID, if
	// its version is still u.Version; the row's becomes u.Version+1. A user who is disabled by it
	// has all grants revoked, at u.UpdatedAt. ErrConflict, ErrExists, ErrNotFound, ErrLastAdmin.
	UpdateUser(ctx context.Context, u User, events ...audit.Event) error
	// SetPassword stores a hash and revokes the user's grants but one, and ends the browser sessions but that which this
	// one came of. ErrNotFound, ErrConflict: another hash than OldHash is stored.
	SetPassword(ctx context.Context, c PasswordChange, events ...audit.Event) error
	// SetActive enables or disables; disabling revokes all grants and ends all browser sessions. One who is
	// so already stays as they are, and nothing is told. ErrNotFound, ErrLastAdmin, ErrConflict: disabled
	// again meanwhile.
	SetActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error
	// DeleteUser takes everything that is kept in the user's name along, but the audit log.
	// ErrNotFound, ErrLastAdmin.
	DeleteUser(ctx context.Context, id string, events ...audit.Event) error
	// ListUsers is a page of the users that q asks for, by (created_at, id), oldest first.
	ListUsers(ctx context.Context, q UserQuery) ([]User, error)
}

// UserQuery asks for a page of users. The zero value of a condition is none.
type UserQuery struct {
	After *User  // the last one of the page before; of it CreatedAt and ID count
	Limit int    // at least 1
	Text  string // stands in the canonical email address or username, or is the id
	Role  string // one that they have
	State State
}

// State is a condition on activity.
type State int

const (
	AnyState State = iota
	Enabled
	Disabled
)

// PasswordChange is a new password hash of a user.
type PasswordChange struct {
	UserID      string
	OldHash     string // that must still be stored; empty: whatever is
	NewHash     string
	KeepSession string // the session id of the one grant that is not revoked; empty: none is kept
	At          time.Time
}

// Login is how a user names an account; exactly one is set, canonical.
type Login struct{ EmailKey, UsernameKey string }

// Clients moves client rows.
type Clients interface {
	// UpdateClient replaces every column but activity, creation and version of c.ID, if its version is still
	// c.Version; the row's becomes c.Version+1. ErrConflict, ErrNotFound.
	UpdateClient(ctx context.Context, c Client, events ...audit.Event) error
	// DeleteClient takes its grants, codes and consents along: a client made again under this id
	// inherits nothing. After an error other than ErrNotFound it may be disabled; delete it again. ErrNotFound.
	DeleteClient(ctx context.Context, id string, events ...audit.Event) error
	// ListClients pages by (created_at, id), oldest first. after is the last client of the page before.
	ListClients(ctx context.Context, after *Client, limit int) ([]Client, error)
	// RedirectOrigin tells whether an enabled client has a redirect URI of that origin (scheme://host[:port]).
	RedirectOrigin(ctx context.Context, origin string) (bool, error)
	// UseAssertion remembers until then that a client used a client assertion's jti. ErrExists: it did before.
	UseAssertion(ctx context.Context, clientID, jti string, now, until time.Time) error
	CreateClient(ctx context.Context, c Client, events ...audit.Event) error // ErrExists
	ClientByID(ctx context.Context, id string) (Client, error)
	SetClientActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error // disabling revokes all grants
	// ClientsWithAlgorithm lists the ids of all clients, disabled ones included, whose IDTokenAlg is alg.
	ClientsWithAlgorithm(ctx context.Context, alg string) ([]string, error)
}

// Grants moves grant rows.
type Grants interface {
	// LoginView is the one read of a login: the client, and the user if there is one
	// (known tells). ErrNotFound: no such client.
	LoginView(ctx context.Context, l Login, clientID string) (u User, known bool, c Client, err error)
	// StartGrant is the one batch of a login: records last_login_at, stores the
	// upgraded hash if there is one, and inserts g, all on condition that user and
	// client are enabled and the password hash is still s.PasswordHash. ErrConflict otherwise.
	// It gives back s.Attempt and remembers its network, on condition that g was inserted.
	// Beside g there stay of the user's live grants MaxGrantsPerClient-1 of g's client, and
	// MaxGrantsPerUser-1 in all; others are deleted: first those that were not rotated since
	// s.IdleSince, then those without a refresh token, then those that were never refreshed, then
	// those whose refresh is longest ago. An audit entry is stored for each that was live and had a
	// refresh token. Of the revoked ones the youngest MaxRevokedPerUser stay.
	StartGrant(ctx context.Context, s StartGrant) error
	// AdvanceGrant is a refresh in one conditional statement: see Advance. ErrConflict
	// when no row met every condition; nothing changed then. Of the view's User only ID
	// and Roles are filled, of its Client only ID, FirstParty, AuthMethod,
	// GrantTypes, IDTokenAlg, IDTokenClaims, Resources and Scopes.
	AdvanceGrant(ctx context.Context, a Advance) (GrantView, error)
	// GrantByID and GrantBySession read a grant with its user and client. ErrNotFound.
	GrantByID(ctx context.Context, id GrantID) (GrantView, error)
	GrantBySession(ctx context.Context, sessionID string) (GrantView, error)
	// AnswerLate records that generation g-1 came late: sets late_gen to the row's
	// generation (late_count 1) or counts one more, on condition that the row's generation
	// is still generation, it is live, late_gen is not generation-1 and late_count is
	// under max for it. ErrConflict otherwise.
	AnswerLate(ctx context.Context, id GrantID, generation int64, max int64, events ...audit.Event) error
	// RevokeGrant is idempotent; revoking what is gone is no error.
	RevokeGrant(ctx context.Context, id GrantID, now time.Time, events ...audit.Event) error
	// RevokeSession revokes a user's grant by its public id. ErrNotFound when that user has no live one.
	RevokeSession(ctx context.Context, userID, sessionID string, now time.Time, events ...audit.Event) error
	// RevokeUserGrants revokes all of a user's but keep (a session id; may be empty), and counts them.
	// It ends the user's browser sessions but the one that keep came of.
	// The events are stored also when there were none: somebody wanted it so.
	RevokeUserGrants(ctx context.Context, userID, keep string, now time.Time, events ...audit.Event) (int, error)
	// ListGrants lists a user's live grants, newest first, at most a thousand. idleSince: grants not rotated since are not live.
	ListGrants(ctx context.Context, userID string, now, idleSince time.Time) ([]Grant, error)
	// RemoveExpired deletes at most limit grants that ended before now, and counts them.
	RemoveExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// StartGrant is what a successful login writes.
type StartGrant struct {
	Grant        Grant
	PasswordHash string // the hash that was verified
	Rehash       string // its replacement, when parameters rose; empty: none

	Attempt  Attempt   // given back; zero: none
	Remember time.Time // until when the attempt's network is remembered under Attempt.Own

	IdleSince time.Time // grants not rotated since are not live; zero: all are

	Events []audit.Event // stored with the grant
}

// Advance moves a grant from Generation to Generation+1 at Now, if the row is of that
// generation, is ClientID's, is not revoked or expired, was rotated after IdleSince, and its
// user and client are enabled (and, with FirstParty, the client public and first-party).
type Advance struct {
	ID         GrantID
	Generation int64
	ClientID   string
	FirstParty bool
	Now        time.Time
	IdleSince  time.Time
}

// GrantView is a grant with what must hold around it for it to be of use.
type GrantView struct {
	Grant  Grant
	User   User // without PasswordHash
	Client Client
}

// Attempts moves the rows that throttling counts.
type Attempts interface {
	// ReserveAttempt counts an attempt in each of its budgets if each has room for it by its
	// Limit; however many are asked for at once, no budget lets more in. ErrConflict when one
	// has none, and nothing changed then. After any other error it may be reserved.
	ReserveAttempt(ctx context.Context, r Reserve) error
	// Tallies reads what counts against the budgets of r at r.At.
	Tallies(ctx context.Context, r Reserve) (Tallies, error)
	// SettleAttempt records that an attempt was wrong: it is not pending any more. The events are
	// stored whether or not there is such an attempt; the zero one is none.
	SettleAttempt(ctx context.Context, a Attempt, events ...audit.Event) error
	// ReturnAttempt makes an attempt as if it had never been. It is idempotent.
	ReturnAttempt(ctx context.Context, a Attempt) error
	// RemoveExpiredAttempts deletes at most limit attempts that count for nothing at now, and as
	// many networks that are not remembered any longer, and counts them.
	RemoveExpiredAttempts(ctx context.Context, now time.Time, limit int) (int, error)
}

// Codes moves authorization codes.
type Codes interface {
	// SaveCode stores a code, and the consent with it if there is one (merged, resource by resource, into what is there),
	// on condition that the code's browser session is live at c.CreatedAt and not idle since idleSince, its user is
	// the code's, and user and client are enabled. Saving a code again that is there unused, under the same
	// hash, is no error. ErrConflict: a condition failed, also when c.ByConsent and there is
	// no consent. ErrExists: it was used already.
	SaveCode(ctx context.Context, c Code, consent *Consent, idleSince time.Time, events ...audit.Event) error
	// CodeByHash reads a code, used, expired or neither. ErrNotFound, also when it is void: its client was
	// disabled or deleted since, or, of one that was not used, its browser session has ended or the consent
	// behind it was taken back.
	CodeByHash(ctx context.Context, hash CodeHash) (CodeView, error)
	// RedeemCode marks a code used and inserts its grant (with the client's epoch, bound to the user's row as
	// StartGrant is, and the bounds of grants kept), in one transaction, on condition that the code is unused and unexpired at r.Now, and
	// user and client are enabled, and it is not void. The grant is of the code's browser session. ErrConflict
	// otherwise: read it and judge anew.
	RedeemCode(ctx context.Context, r Redeem, events ...audit.Event) error
	// RemoveExpiredCodes deletes at most limit codes, browser sessions and assertions each that ended before now
	// (codes that were used: an hour before, so that a replay is known as one), and counts them.
	RemoveExpiredCodes(ctx context.Context, now time.Time, limit int) (int, error)
}

// BrowserSessions moves the sessions of browsers.
type BrowserSessions interface {
	// UserForLogin is LoginView without a client.
	UserForLogin(ctx context.Context, l Login) (u User, known bool, err error)
	// StartSession is the one batch of a login at the pages: as StartGrant, for a browser
	// session. ErrConflict when user or password changed meanwhile.
	StartSession(ctx context.Context, s StartSession, events ...audit.Event) error
	// BrowserSession reads a session that is live at now and was used since idleSince, of an enabled user, with the user,
	// but for PasswordHash. ErrNotFound.
	BrowserSession(ctx context.Context, hash SessionHash, now, idleSince time.Time) (BrowserSession, User, error)
	// TouchSession records a use.
	TouchSession(ctx context.Context, hash SessionHash, now time.Time) error
	// EndSession ends a browser session and revokes the grants that came of it and do not hold
	// offline_access. Idempotent.
	EndSession(ctx context.Context, id string, now time.Time, events ...audit.Event) error
	// RevokeBrowserSession is EndSession for one of a user's by its public id. ErrNotFound.
	RevokeBrowserSession(ctx context.Context, userID, id string, now time.Time, events ...audit.Event) error
	// ListBrowserSessions lists a user's live ones, newest first.
	ListBrowserSessions(ctx context.Context, userID string, now, idleSince time.Time) ([]BrowserSession, error)
}

// Consents moves consents; SaveCode makes them.
type Consents interface {
	// ConsentOf is what a user allowed a client, by resource. ErrNotFound.
	ConsentOf(ctx context.Context, userID, clientID string) (Consent, error)
	// ListConsents is what a user allowed whom, newest first: one for each client.
	ListConsents(ctx context.Context, userID string) ([]Consent, error)
	// RevokeConsent forgets it, deletes unused codes and revokes the client's grants of this user. ErrNotFound.
	RevokeConsent(ctx context.Context, userID, clientID string, now time.Time, events ...audit.Event) error
}

// Audit keeps the audit log, which only grows until it is old.
type Audit interface {
	// Record stores events of which no other act takes care. One that is there already, by At
	// and ID, is left as it is.
	Record(ctx context.Context, events ...audit.Event) error
	// ListEvents is a page of the log, the newest first, by (at, id).
	ListEvents(ctx context.Context, q EventQuery) ([]audit.Event, error)
	// RemoveEvents deletes at most limit events from before then, the oldest first, and counts them.
	RemoveEvents(ctx context.Context, before time.Time, limit int) (int, error)
}

// EventQuery asks for a page of the audit log. The zero value of a condition is none.
type EventQuery struct {
	Before *audit.Event // the last one of the page before; of it At and ID count
	Limit  int          // at least 1

	Name     audit.Name
	ActorID  string
	TargetID string
	From, To time.Time // From <= At < To
}

// Outbox keeps the messages that wait to be sent. They come in with the events of the acts that cause them:
// audit.Event.Messages.
type Outbox interface {
	// ClaimMessage takes a message that is due at now for the holder of lease, until then: nobody else is given it
	// before. Every lease is a new random text. ErrNotFound: none is due.
	ClaimMessage(ctx context.Context, lease string, now, until time.Time) (outbox.Waiting, error)
	// PostponeMessage notes why a message could not be sent, and when it is due again. ErrNotFound: the message is
	// gone, or somebody else's by now.
	PostponeMessage(ctx context.Context, id, lease string, due time.Time, reason string) error
	// RemoveMessage forgets a message that was accepted, whoever holds it by now. It is idempotent.
	RemoveMessage(ctx context.Context, id string) error
	// GiveUpMessage forgets a message that is not sent. ErrNotFound: it is gone, or somebody else's by now.
	GiveUpMessage(ctx context.Context, id, lease string, events ...audit.Event) error
	// ListMessages is a page of what waits, the oldest first, by (at, id). after is the last one of the page before.
	ListMessages(ctx context.Context, after *outbox.Message, limit int) ([]outbox.Waiting, error)
	OutboxState(ctx context.Context) (outbox.State, error)
}

// OneTimeTokens keeps what people ask for by mail, and the tokens that they get. No token is stored: see OneTimeToken.
type OneTimeTokens interface {
	// RequestMail stores a request and, if every one of limits has room among the requests of the same budget, puts m
	// into the outbox. Nothing tells which. m's id is the request's. Asking again with the same id does nothing.
	RequestMail(ctx context.Context, r MailRequest, limits []Limit, m outbox.Message) error
	// TryCode counts a try of a request's code. ErrConflict: there is no such request of the kind, it has ended at now, or
	// so many were tried.
	TryCode(ctx context.Context, id string, kind outbox.Kind, now time.Time, most int) error
	// ReturnTry makes one try as if it had never been.
	ReturnTry(ctx context.Context, id string) error
	// IssueToken stores a token of a user who is enabled, ends the older tokens of this kind and user, and binds it to what
	// is known of the user now. The address is the user's own. A token that is there already stays as it is.
	// ErrConflict: there is no such token that is live, and none may be sent.
	IssueToken(ctx context.Context, t OneTimeToken) error
	// OneTimeToken reads a token, live or not at now, with its user. ErrNotFound.
	OneTimeToken(ctx context.Context, id string, now time.Time) (OneTimeToken, User, error)
	// RedeemToken spends a token and does what it is for, in one act. ErrConflict: it is not live.
	RedeemToken(ctx context.Context, r Redemption, events ...audit.Event) error
	// RemoveExpiredTokens deletes at most limit tokens and as many requests that ended before now, and counts them.
	RemoveExpiredTokens(ctx context.Context, now time.Time, limit int) (int, error)
}

// Store is everything: what an engine implements and the contract suite tests.
type Store interface {
	Users
	Clients
	Grants
	Attempts
	Codes
	BrowserSessions
	Consents
	Audit
	Outbox
	OneTimeTokens
	Ping(ctx context.Context) error
	// Now is the database's clock, the only SQL that reads one.
	Now(ctx context.Context) (time.Time, error)
}

package userstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// The errors of a Store, to be compared with errors.Is. Any other error is an infrastructure
// failure, and a caller may only report it as one.
var (
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrConflict = errors.New("changed by somebody else")
	// ErrLastAdmin: the call would leave no enabled user with the role admin. Nothing changed.
	ErrLastAdmin = errors.New("this is the last admin")
	// ErrInvalid: no engine can hold the value (U+0000, not UTF-8, far too long). The rules above
	// refuse such input by field; this error is the net below them. A look-up by such a value
	// returns ErrNotFound.
	ErrInvalid = errors.New("the value cannot be stored")
	// ErrUnavailable wraps every infrastructure failure of a store. Callers answer 503.
	ErrUnavailable = errors.New("the store is unavailable")
	// ErrUnwritable is an ErrUnavailable of a store that answers reads but takes no writes.
	ErrUnwritable = fmt.Errorf("%w for writing", ErrUnavailable)
)

// ExistsError is an ErrExists that names the field: email, username, client_id, or id.
type ExistsError struct{ Field string }

func (e *ExistsError) Error() string        { return fmt.Sprintf("%s already exists", e.Field) }
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// Methods that deserve an audit entry take their events and store them in the same transaction,
// exactly once and only if the change happened.

// Users stores accounts. Each method is atomic.
type Users interface {
	CreateUser(ctx context.Context, u User, events ...audit.Event) error // ErrExists, as *ExistsError
	// CreateUsers inserts users in one transaction and leaves out each one whose id, email or
	// username is taken, also by an earlier one in users. taken holds, by index, the account that
	// has it. events are empty, or one for each of users, and an event is stored if its user was
	// inserted. factors are second factors, by the index of their user, and are stored if that user was
	// inserted. ErrConflict: an account that held a name was deleted meanwhile; the free ones were
	// inserted.
	CreateUsers(
		ctx context.Context, users []User, factors map[int]FirstFactors, events ...audit.Event,
	) (taken map[int]User, err error)
	// UsersLike finds, for each of users by index, the account that has its id, else its email,
	// else its username.
	UsersLike(ctx context.Context, users []User) (map[int]User, error)
	UserByID(ctx context.Context, id string) (User, error)
	// UserByLogin finds an account by canonical email or by canonical username.
	UserByLogin(ctx context.Context, l Login) (User, error)
	// UpdateUser replaces every column of u.ID but password and version, if the row's version is
	// still u.Version, and makes that u.Version+1. If it disables the user, it revokes all grants
	// at u.UpdatedAt. If u has an address that is reserved for it, tokens that undo later changes
	// end. ErrConflict, ErrExists, ErrNotFound, ErrLastAdmin.
	UpdateUser(ctx context.Context, u User, events ...audit.Event) error
	// SetPassword stores a hash. It revokes every grant of the user but one, and ends every browser
	// session but the one that this grant came from. ErrNotFound; ErrConflict: the stored hash is
	// not OldHash.
	SetPassword(ctx context.Context, c PasswordChange, events ...audit.Event) error
	// UpgradeHash replaces the hash old of an enabled user by another one of the same password: nothing
	// ends that a new password would end. ErrConflict: the stored hash is neither of them, or there is no
	// such user.
	UpgradeHash(ctx context.Context, userID, old, upgraded string) error
	// SetActive enables or disables an account. Disabling revokes all grants and ends all browser
	// sessions. If the account is in that state already, nothing changes and no event is stored.
	// ErrNotFound, ErrLastAdmin; ErrConflict: the account was disabled again meanwhile.
	SetActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error
	// DeleteUser deletes the account and everything kept in the user's name, except the audit log.
	// ErrNotFound, ErrLastAdmin.
	DeleteUser(ctx context.Context, id string, events ...audit.Event) error
	// ListUsers returns a page of the users that match q, by (created_at, id), oldest first. A
	// search that no index serves gives up after a while: it returns whom it has found until then,
	// perhaps nobody, and where to go on.
	ListUsers(ctx context.Context, q UserQuery) (UserPage, error)
}

// UserQuery selects a page of users. A condition with its zero value does not apply.
type UserQuery struct {
	After *User  // the last user of the page before; only CreatedAt and ID are read
	Limit int    // at least 1
	Text  string // part of the canonical email address or username, or the whole id or pairwise subject
	Role  string // a role that the user has
	State State
}

// UserPage is a page of users, and the place in the list behind which the next one begins.
type UserPage struct {
	Users []User
	Next  *User // only CreatedAt and ID are read; nil: there are no more
}

// UserPages yields the pages of the users that match q, one after the other. An error ends them.
func UserPages(ctx context.Context, store Users, q UserQuery) iter.Seq2[UserPage, error] {
	return func(yield func(UserPage, error) bool) {
		for more := true; more; more = q.After != nil {
			page, err := store.ListUsers(ctx, q)
			if !yield(page, err) || err != nil {
				return
			}
			q.After = page.Next
		}
	}
}

// FullPage asks for pages until it has q.Limit users, or there are no more.
func FullPage(ctx context.Context, store Users, q UserQuery) (users []User, err error) {
	for {
		page, err := store.ListUsers(ctx, q)
		if err != nil {
			return nil, err
		}
		users = append(users, page.Users...)
		q.After = page.Next
		if q.Limit -= len(page.Users); q.After == nil || q.Limit == 0 {
			return users, nil
		}
	}
}

// State is a condition on whether the account is enabled.
type State int

const (
	AnyState State = iota
	Enabled
	Disabled
)

// KeepAll, in the place of a session id, ends no session. It cannot be an id, which is base64url.
const KeepAll = "*"

// PasswordChange is a new password hash of a user.
type PasswordChange struct {
	UserID      string
	OldHash     string // the hash that must still be stored; empty: any
	NewHash     string
	KeepSession string // the session id of the one grant, or browser session, that does not end; KeepAll: none ends; empty: all end
	// BySession is the id of the browser session that makes the change. What was proved in it under
	// OldHash holds on; what was proved in other sessions does not prove the owner any more.
	BySession string
	At        time.Time
}

// Login names an account at login. Exactly one field is set, in canonical form.
type Login struct{ EmailKey, UsernameKey string }

// Clients stores clients.
type Clients interface {
	// UpdateClient replaces every column of c.ID but activity, creation and version, if the row's
	// version is still c.Version, and makes that c.Version+1. ErrConflict, ErrNotFound.
	UpdateClient(ctx context.Context, c Client, events ...audit.Event) error
	// DeleteClient deletes a client with its grants, codes and consents: a client that is made
	// again under this id inherits nothing. ErrNotFound. After any other error the client may be
	// disabled; delete it again.
	DeleteClient(ctx context.Context, id string, events ...audit.Event) error
	// WithdrawClient is DeleteClient for a client that deletes itself (RFC 7592 section 2.3). When a
	// step fails the client is as enabled as before, so that it may ask again, which a disabled one
	// may not. ErrNotFound.
	WithdrawClient(ctx context.Context, id string, events ...audit.Event) error
	// ListClients returns a page of clients by (created_at, id), oldest first. after is the last
	// client of the page before.
	ListClients(ctx context.Context, after *Client, limit int) ([]Client, error)
	// RedirectOrigin reports whether an enabled client has a redirect URI of that origin
	// (scheme://host[:port]).
	RedirectOrigin(ctx context.Context, origin string) (bool, error)
	// UseAssertion records until then that a client used the jti of a client assertion. ErrExists:
	// the client used it before.
	UseAssertion(ctx context.Context, clientID, jti string, now, until time.Time) error
	CreateClient(ctx context.Context, c Client, events ...audit.Event) error // ErrExists
	ClientByID(ctx context.Context, id string) (Client, error)
	// SetClientActive enables or disables a client. Disabling revokes all grants.
	SetClientActive(ctx context.Context, id string, active bool, now time.Time, events ...audit.Event) error
	// ClientsWithAlgorithm returns the uses of an algorithm by all clients, disabled ones included,
	// ordered by id: see Client.AlgorithmUses.
	ClientsWithAlgorithm(ctx context.Context, alg string) ([]AlgorithmUse, error)
}

// Grants stores grants.
type Grants interface {
	// LoginView is the one read of a login. It returns the client, and the user if known.
	// ErrNotFound: no such client.
	LoginView(ctx context.Context, l Login, clientID string) (u User, known bool, c Client, err error)
	// StartGrant is the one batch of a login. It records last_login_at, stores the upgraded hash if
	// there is one, and inserts g, all on condition that user and client are enabled and the
	// password hash is still s.PasswordHash, and the second step is proved if there is one. ErrConflict
	// otherwise; ErrSpent. If g was inserted, it also
	// returns s.Attempt and remembers the attempt's network. Beside g the user keeps at most
	// MaxGrantsPerClient-1 live grants of g's client and MaxGrantsPerUser-1 in all. The others are
	// deleted, in this order: grants not rotated since s.IdleSince, grants without a refresh token,
	// grants that were never refreshed, grants whose last refresh is the oldest. An audit entry is
	// stored for each deleted grant that was live and had a refresh token. The newest
	// MaxRevokedPerUser revoked grants are kept.
	StartGrant(ctx context.Context, s StartGrant) error
	// AdvanceGrant is a refresh in one conditional statement: see Advance. ErrConflict when no row
	// met every condition; nothing changed then. The view holds what tokens need: of the Grant all
	// but Nonce, LateGeneration, LateCount, CreatedAt, BrowserSession, JKT, UserAgent and Address,
	// of the User ID and Roles, of the Client ID, FirstParty, IDTokenAlg, IDTokenClaims, Resources,
	// Scopes and Kind.
	AdvanceGrant(ctx context.Context, a Advance) (GrantView, error)
	// GrantByID and GrantBySession read a grant with its user and client. ErrNotFound.
	GrantByID(ctx context.Context, id GrantID) (GrantView, error)
	GrantBySession(ctx context.Context, sessionID string) (GrantView, error)
	// AnswerLate records that generation g-1 came late. It sets late_gen to the row's generation
	// (late_count 1) or adds one to the count, on condition that the row's generation is still
	// generation, the grant is live, late_gen is not generation-1, and late_count is under max for
	// it. ErrConflict otherwise.
	AnswerLate(ctx context.Context, id GrantID, generation int64, max int64, events ...audit.Event) error
	// RevokeGrant revokes a grant and ends its app session. It is idempotent: a missing grant is no
	// error.
	RevokeGrant(ctx context.Context, id GrantID, now time.Time, events ...audit.Event) error
	// RevokeByClient is RevokeGrant for the grant's own client, which gives its tokens back (RFC 7009).
	// Whether the app's session ends is the app's affair: the app session lives on.
	RevokeByClient(ctx context.Context, id GrantID, now time.Time, events ...audit.Event) error
	// RevokeSession revokes a user's grant by its public id. ErrNotFound: the user has no live
	// grant of that id.
	RevokeSession(ctx context.Context, userID, sessionID string, now time.Time, events ...audit.Event) error
	// RevokeUserGrants revokes all grants of a user but keep (a session id, of a grant or a browser
	// session; may be empty), and returns their number. It ends the user's browser sessions but keep
	// or the one that keep came from.
	// The events are stored even when there was nothing to revoke, because the revocation was asked
	// for.
	RevokeUserGrants(ctx context.Context, userID, keep string, now time.Time, events ...audit.Event) (int, error)
	// ListGrants returns a user's live grants, newest first, at most a thousand. Grants not rotated
	// since idleSince are not live.
	ListGrants(ctx context.Context, userID string, now, idleSince time.Time) ([]Grant, error)
	// RemoveExpired deletes at most limit grants that ended before now, and returns their number.
	RemoveExpired(ctx context.Context, now time.Time, limit int) (int, error)
}

// StartGrant is what a successful login writes.
type StartGrant struct {
	Grant        Grant
	PasswordHash string // the hash that was verified
	Rehash       string // its replacement, when the hash parameters were raised; empty: none
	Second       SecondStep

	Attempt  Attempt   // returned to its budgets; zero: none
	Remember time.Time // when the attempt's network ceases to be remembered under Attempt.Own

	IdleSince    time.Time // grants not rotated since are not live; zero: all are live
	NoAppSession bool      // the client as this login read it has no logout URI; see AppSession

	Events []audit.Event // stored with the grant
}

// Advance moves a grant from Generation to Generation+1 at Now. The row must have that generation,
// belong to ClientID, be neither revoked nor expired, and have been rotated after IdleSince. The grant
// of a public client must be bound to the key JKT, or to none: then it is bound to JKT from now on. Its
// user and client must be enabled and, with FirstParty, the client public and first-party. The user
// must have the second factor that the policy SecondFactor wants.
type Advance struct {
	ID         GrantID
	Generation int64
	ClientID   string
	FirstParty bool
	Now        time.Time
	IdleSince  time.Time
	JKT        string // the thumbprint of the key that the request proves to have; empty: none

	SecondFactor SecondFactorPolicy
}

// GrantView is a grant with the user and the client that it depends on.
type GrantView struct {
	Grant  Grant
	User   User // without PasswordHash
	Client Client
}

// Attempts stores the attempts that throttling counts.
type Attempts interface {
	// ReserveAttempt counts an attempt in each of its budgets, if the Limit of each has room for
	// it. No number of concurrent calls gets more attempts into a budget. ErrConflict: a budget has
	// no room, and nothing changed. After any other error the attempt may be reserved.
	ReserveAttempt(ctx context.Context, r Reserve) error
	// Tallies reads what counts against the budgets of r at r.At.
	Tallies(ctx context.Context, r Reserve) (Tallies, error)
	// FailAttempt records that an attempt was wrong, so that it is no longer pending. The events
	// are stored whether or not the attempt exists; the zero attempt is none.
	FailAttempt(ctx context.Context, a Attempt, events ...audit.Event) error
	// ReturnAttempt removes an attempt from its budgets, as if it had never been made. It is
	// idempotent.
	ReturnAttempt(ctx context.Context, a Attempt) error
	// RemoveExpiredAttempts deletes at most limit attempts that no longer count at now, and as many
	// networks that are no longer remembered, and returns their number.
	RemoveExpiredAttempts(ctx context.Context, now time.Time, limit int) (int, error)
}

// Codes stores authorization codes.
type Codes interface {
	// SaveCode stores a code, and merges consent, if there is one, resource by resource into the
	// stored consent. Conditions: the code's browser session is live at c.CreatedAt and was used
	// since idleSince, it belongs to the code's user, and user and client are enabled. Saving an
	// unused code again under the same hash is no error. ErrConflict: a condition failed, or
	// c.ByConsent is set and there is no consent. ErrExists: the code was used already. c.Begins, if
	// there is one, is inserted in the same transaction as the code, and bound as in RedeemCode.
	// If c.Answers names a device authorization, it waits at c.CreatedAt, is the client's, and its
	// CodeHash is c.Hash; it is allowed in the same transaction.
	SaveCode(ctx context.Context, c Code, consent *Consent, idleSince time.Time, events ...audit.Event) error
	// CodeByHash reads a code, whether used, expired or neither. ErrNotFound: there is no such
	// code, or the code is void. A code is void once its client was disabled or deleted; an unused
	// code also once its browser session has ended or the consent behind it was revoked.
	CodeByHash(ctx context.Context, hash CodeHash) (CodeView, error)
	// RedeemCode marks a code used and inserts its grant in one transaction. The grant gets the
	// client's epoch and the code's browser session, and is bound to the user's row and to the
	// bounds of kept grants as in StartGrant. A grant that began with the code is not inserted but
	// goes on: with the generation and the end that r.Grant has, and rotated at r.Now. Conditions:
	// the code is unused, unexpired at r.Now and not void, user and client are enabled, and a grant
	// that began with the code is live. ErrConflict otherwise: read the code and decide again.
	RedeemCode(ctx context.Context, r Redeem, events ...audit.Event) error
	// RemoveExpiredCodes deletes at most limit codes, browser sessions, assertions, DPoP proofs,
	// pushed requests and device authorizations each that ended before now, and returns their number. Used codes, and
	// those with a grant, are kept for an hour longer, so that a replay is recognised.
	RemoveExpiredCodes(ctx context.Context, now time.Time, limit int) (int, error)
}

// BrowserSessions stores the login sessions of browsers.
type BrowserSessions interface {
	// UserForLogin is LoginView without a client.
	UserForLogin(ctx context.Context, l Login) (u User, known bool, err error)
	// StartSession is the one batch of a login at the hosted pages. It works as StartGrant does,
	// for a browser session. ErrConflict: user or password changed meanwhile.
	StartSession(ctx context.Context, s StartSession, events ...audit.Event) error
	// BrowserSession reads a session that is live at now and was used since idleSince, and its user
	// without PasswordHash: the session has the PasswordMark instead. The user is enabled. ErrNotFound.
	BrowserSession(ctx context.Context, hash SessionHash, now, idleSince time.Time) (BrowserSession, User, error)
	// TouchSession records that a session was used.
	TouchSession(ctx context.Context, hash SessionHash, now time.Time) error
	// EndSession ends a browser session and the app sessions that came from it, and revokes the grants
	// that came from it and do not hold offline_access. It is idempotent.
	EndSession(ctx context.Context, id string, now time.Time, events ...audit.Event) error
	// ListAppSessions returns the app sessions of a browser session that have not ended, newest first.
	ListAppSessions(ctx context.Context, browserSession string) ([]AppSession, error)
	// RevokeBrowserSession is EndSession for a session of a user, by its public id. ErrNotFound.
	RevokeBrowserSession(ctx context.Context, userID, id string, now time.Time, events ...audit.Event) error
	// ListBrowserSessions returns a user's live browser sessions, newest first.
	ListBrowserSessions(ctx context.Context, userID string, now, idleSince time.Time) ([]BrowserSession, error)
}

// Consents stores consents. SaveCode creates them.
type Consents interface {
	// ConsentOf returns what a user allowed a client, by resource. ErrNotFound.
	ConsentOf(ctx context.Context, userID, clientID string) (Consent, error)
	// ListConsents returns the consents of a user, newest first, one for each client.
	ListConsents(ctx context.Context, userID string) ([]Consent, error)
	// RevokeConsent deletes the consent and unused codes, and revokes the client's grants of this
	// user. ErrNotFound.
	RevokeConsent(ctx context.Context, userID, clientID string, now time.Time, events ...audit.Event) error
}

// Audit stores the audit log. Entries are only added, and removed when they are old.
type Audit interface {
	// Record stores events that no other method stores. An event that is there already, by At and
	// ID, stays as it is.
	Record(ctx context.Context, events ...audit.Event) error
	// ListEvents returns a page of the log, newest first, by (at, id).
	ListEvents(ctx context.Context, q EventQuery) ([]audit.Event, error)
	// RemoveEvents deletes at most limit events from before then, oldest first, and returns their
	// number.
	RemoveEvents(ctx context.Context, before time.Time, limit int) (int, error)
	// TendEventMonths makes room for the events of the next months, and removes whole months that
	// ended before then (zero: none), where the engine keeps events by month. It returns the time
	// before which RemoveEvents is to remove what is left: events from then on go with their month.
	TendEventMonths(ctx context.Context, now, before time.Time) (rest time.Time, err error)
}

// EventQuery selects a page of the audit log. A condition with its zero value does not apply.
type EventQuery struct {
	Before *audit.Event // the last event of the page before; only At and ID are read
	Limit  int          // at least 1

	Name     audit.Name
	ActorID  string
	TargetID string
	From, To time.Time // From <= At < To
}

// Outbox keeps the messages that wait to be sent. An operation stores its messages together with
// its events: audit.Event.Messages.
type Outbox interface {
	// ClaimMessage claims a message that is due at now for the holder of lease. No other caller gets
	// it before until. Each lease is a new random string. ErrNotFound: no message is due.
	ClaimMessage(ctx context.Context, lease string, now, until time.Time) (outbox.Waiting, error)
	// PostponeMessage stores why a message could not be sent, and when it is due again. ErrNotFound:
	// the message is gone, or claimed under another lease.
	PostponeMessage(ctx context.Context, id, lease string, due time.Time, reason string) error
	// RemoveMessage removes a message that was accepted, under any lease. It is idempotent.
	RemoveMessage(ctx context.Context, id string) error
	// GiveUpMessage removes a message that was not sent. ErrNotFound: the message is gone, or claimed
	// under another lease.
	GiveUpMessage(ctx context.Context, id, lease string, events ...audit.Event) error
	// ListMessages returns a page of the waiting messages, the oldest first, ordered by (at, id).
	// after is the last message of the page before.
	ListMessages(ctx context.Context, after *outbox.Message, limit int) ([]outbox.Waiting, error)
	OutboxState(ctx context.Context) (outbox.State, error)
}

// OneTimeTokens stores the requests for messages, and the tokens that the messages carry. The
// tokens themselves are not stored: see OneTimeToken.
type OneTimeTokens interface {
	// RequestMail stores a request. It also puts m into the outbox if each of limits has room among
	// the requests of the same budget. The result does not show which happened. The id of m is that of
	// the request. A second call with the same id does nothing.
	RequestMail(ctx context.Context, r MailRequest, limits []Limit, m outbox.Message) error
	// TakeMailRoom stores r as a request whose message goes out with another operation, if each of
	// limits has room among the requests of the same budget. It reports whether r is stored.
	TakeMailRoom(ctx context.Context, r MailRequest, limits []Limit) (bool, error)
	// TryCode counts a try of the code of a request. ErrConflict: there is no such request of this
	// kind, it has ended at now, or most tries were counted.
	TryCode(ctx context.Context, id string, kind outbox.Kind, now time.Time, most int) error
	// ReturnTry takes back one try.
	ReturnTry(ctx context.Context, id string) error
	// IssueToken stores a token of an enabled user, ends the older tokens of this kind and user, and
	// binds the token to the present state of the user. The address is the user's own. A token that is
	// already stored stays as it is. ErrConflict: no such token is live, and none may be sent.
	IssueToken(ctx context.Context, t OneTimeToken) error
	// OneTimeToken reads a token, live or not at now, with its user. ErrNotFound.
	OneTimeToken(ctx context.Context, id string, now time.Time) (OneTimeToken, User, error)
	// RedeemToken spends a token and makes its change, in one transaction. ErrConflict: the token is
	// not live.
	RedeemToken(ctx context.Context, r Redemption, events ...audit.Event) error
	// InvitedUntil returns when the open invitations of users without a password end, by user id: of
	// invitations that wait in the outbox, and of live tokens.
	InvitedUntil(ctx context.Context, ids []string, now time.Time) (map[string]time.Time, error)
	// RemoveExpiredTokens deletes at most limit tokens, as many requests and as many pending sign-ups
	// that ended before now. It returns how many rows it deleted.
	RemoveExpiredTokens(ctx context.Context, now time.Time, limit int) (int, error)
}

// AddressChanges changes the addresses of accounts. The address before is reserved for the account
// while the change can be undone: for another account, CreateUser, CreateUsers and UpdateUser treat
// it as taken.
type AddressChanges interface {
	// BeginAddressChange is RequestMail that also stores t, a token for the address t.Address, if m
	// went into the outbox. The token ends the older ones of its kind and user. ErrConflict: the
	// user is disabled or has another password hash than proved; nothing was stored.
	BeginAddressChange(ctx context.Context, r MailRequest, limits []Limit, m outbox.Message, t OneTimeToken,
		proved string, events ...audit.Event) error
	// ConfirmAddressChange spends a token of BeginAddressChange: the account gets the new address,
	// which is verified, the other tokens of the user end, and a token is stored that undoes the
	// change, if c.UndoID names one. ErrConflict: the token is not live, the user's address is not
	// c.From, or another account has the new address or a reservation of it.
	ConfirmAddressChange(ctx context.Context, c AddressChange, events ...audit.Event) error
	// AddressReserved reports whether an address is reserved for the user at now.
	AddressReserved(ctx context.Context, userID, addressKey string, now time.Time) (bool, error)
	// UndoAddressChange spends a token that undoes a change. The account gets the address from
	// before that change back, verified, with the new password; what it is signed in with ends, and
	// so do consents given since the change and the user's other tokens, but for those that undo
	// earlier changes. ErrConflict: the token is not live, or another account has the address.
	UndoAddressChange(ctx context.Context, r Redemption, events ...audit.Event) error
	// WithdrawAddressChange ends the user's live token of BeginAddressChange. ErrNotFound: there is
	// none.
	WithdrawAddressChange(ctx context.Context, userID string, now time.Time, events ...audit.Event) error
}

// Recoveries end what must not outlive the restoring of a store or the loss of its secrets.
type Recoveries interface {
	// EndAccess ends, for one account, everything that lets anybody in without its password and its
	// factors: grants, browser sessions, trusted browsers, recovery codes, one-time tokens, setups of
	// factors, and the factors that a message could bring back. Password, passkeys and authenticator
	// app stay. ErrNotFound.
	EndAccess(ctx context.Context, userID string, now time.Time) error
	// ForgetWaiting deletes what waits for somebody's next step: codes, device authorizations, pushed
	// requests, pending sign-ups, messages that were not sent yet, and initial access tokens of
	// registrations.
	ForgetWaiting(ctx context.Context, events ...audit.Event) error
}

// Store is everything that an engine implements and the contract suite tests.
type Store interface {
	Users
	Clients
	Grants
	Attempts
	Codes
	PushedRequests
	DPoPProofs
	Devices
	BrowserSessions
	AppSessions
	Consents
	Subjects
	Audit
	Outbox
	OneTimeTokens
	Factors
	PendingSignups
	AddressChanges
	Registrations
	Recoveries
	StatusLists
	Ping(ctx context.Context) error
	// Now returns the database's clock. No other SQL reads a clock.
	Now(ctx context.Context) (time.Time, error)
}

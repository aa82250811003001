package userstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// Verified is a user who proved a password, and what StartGrant needs.
type Verified struct {
	User   User
	Client Client
	Rehash string // set when the stored hash should be replaced
	Signup bool   // set by the caller: this login is made by the form of a sign-up

	Proved []ProvedFactor // what was proved, and when
	Second SecondStep
	// Continues: what was proved only adds to a session of the user, and alone logs nobody in.
	Continues bool

	reservation *reservation
	inPlace     *reservation  // of a code where no password was proved
	code        *countedCode  // nil: none was counted
	undoing     string        // token of an undoing, which asks for a factor from before; empty: none
	events      []audit.Event // stored with the login, beside its own
}

// SessionProofs are the proofs of v as a session keeps them: with what the user's password and factors
// are after the login.
func (v Verified) SessionProofs() []ProvedFactor {
	u := v.User
	if v.Rehash != "" {
		u.PasswordHash = v.Rehash
	}
	proofs := slices.Clone(v.Proved)
	for i := range proofs {
		proofs[i].FactorVersion, proofs[i].PasswordMark = u.FactorVersion, u.PasswordMark()
	}
	return proofs
}

// impossibleKey is a key that no account can have. A login with an impossible name takes the same
// way, and the same time, as one with an unknown name.
const impossibleKey = "?"

// Authenticate checks email or username (exactly one) and password. It makes one read, and takes
// the same time for unknown users. The client is returned whether disabled or not: its rules are
// the issuer's. checkClient (may be nil) runs after the read and before any hashing, and may
// refuse. The caller passes the result to StartGrant, Refuse or Release.
//
// ErrInvalidCredentials, ErrAccountDisabled, ErrEmailNotVerified (as *NotVerifiedError),
// ErrSecondFactor (as *SecondFactorError), ErrSetupRequired (as *SetupRequiredError), ErrOverloaded, ErrRateLimited (as *RateLimitedError);
// ErrNotFound: no such client; ValidationError for input that is wrong for any account: both names
// or none, a password that is empty, over password.MaxBytes or not UTF-8.
func (a *Accounts) Authenticate(
	ctx context.Context, email, username, password, clientID string, checkClient func(Client) error,
) (Verified, error) {
	return a.authenticate(ctx, email, username, password, func(l Login) (User, bool, Client, error) {
		return a.Store.LoginView(ctx, l, clientID)
	}, checkClient)
}

// authenticate is Authenticate with the function that reads the user, and the client if there is
// one.
func (a *Accounts) authenticate(
	ctx context.Context, email, username, password string,
	view func(Login) (User, bool, Client, error), checkClient func(Client) error,
) (_ Verified, err error) {
	defer func() { a.Counts.login(err) }()
	var fs Faults
	login, name := Login{}, email+username
	switch {
	case email != "" && username != "":
		fs.Add("username", Fault{CodeNotAllowed, "Send either email or username, not both."})
	case email != "":
		login.EmailKey = impossibleKey
		if key, ok := EmailKey(email); ok {
			login.EmailKey, name = key, key
		}
	case username != "":
		login.UsernameKey = impossibleKey
		if key, ok := UsernameKey(username); ok {
			login.UsernameKey, name = key, key
		}
	default:
		fs.Add("email", Fault{CodeRequired, "An email address or a username is needed."})
	}
	fs.Add("password", checkTyped(password))
	if err := fs.Err(); err != nil {
		return Verified{}, err
	}

	u, known, client, err := view(login)
	if err != nil {
		return Verified{}, err
	}
	if checkClient != nil {
		if err := checkClient(client); err != nil {
			return Verified{}, err
		}
	}
	target, reason := audit.User(u.ID), "wrong_password"
	switch {
	case !known:
		u = User{} // without a hash, Verify spends the time and returns false
		target, reason = audit.Target{}, "unknown_user"
	case u.PasswordHash == "":
		reason = "no_password"
	}
	if a.Hasher.Full() { // checked before anything is written: this attempt cannot be made
		return Verified{}, ErrOverloaded
	}
	reservation, err := a.Throttle.admit(ctx, a.now, subject(u, known, name), target)
	if err != nil {
		return Verified{}, err
	}
	ok, stale, err := a.Hasher.Verify(ctx, u.PasswordHash, password)
	if err == nil && !ok {
		e := audit.New(ctx, a.now(), audit.LoginFailed, target).Failed(reason)
		e.ClientID = client.ID
		a.reportUnusable(ctx, u)
		return Verified{}, a.recordWrongPassword(ctx, reservation, e)
	}
	now := a.now() // after the hashing
	v := Verified{
		User: u, Client: client, Proved: []ProvedFactor{{Factor: FactorPassword, At: now}},
		Second: SecondStep{FactorVersion: u.FactorVersion}, reservation: reservation,
	}
	switch {
	case err == nil && !u.IsActive:
		return Verified{}, a.refuse(ctx, v, "account_disabled", ErrAccountDisabled)
	case err == nil && !u.EmailVerified && a.Verification == VerificationRequired:
		unverified := &NotVerifiedError{UserID: u.ID, Email: u.Email, emailKey: u.EmailKey}
		return Verified{}, a.refuse(ctx, v, "email_not_verified", unverified)
	}
	if err == nil {
		v, err = a.secondStep(ctx, v, now)
	}
	if stale && waits(err) {
		return Verified{}, a.upgradeHash(ctx, v.User, password, err)
	}
	if err == nil && stale {
		// A full queue must not fail this login; the next login can upgrade the hash.
		if v.Rehash, err = a.Hasher.Hash(ctx, password); errors.Is(err, ErrOverloaded) {
			err = nil
		}
	}
	if err != nil {
		a.Release(ctx, v)
		return Verified{}, err
	}
	return v, nil
}

// StartGrant stores g for the user whom Authenticate verified. The store's one batch of a login
// also returns the attempt and remembers the network. Grants not rotated since idleSince are not
// live. ErrConflict, and any error of the store.
func (a *Accounts) StartGrant(ctx context.Context, v Verified, g Grant, idleSince time.Time) error {
	self := audit.Actor{Type: audit.ByUser, ID: v.User.ID} // proved by the password
	e := audit.New(audit.As(ctx, self, g.ClientID, g.SessionID), g.CreatedAt, audit.LoginSucceeded, audit.User(v.User.ID))
	s := StartGrant{
		Grant: g, PasswordHash: v.User.PasswordHash, Rehash: v.Rehash, Second: v.Second, IdleSince: idleSince,
		NoAppSession: v.Client.ID == g.ClientID && !v.Client.HasLogoutURI(),
		Events:       append([]audit.Event{e}, v.events...),
	}
	if v.reservation != nil {
		s.Attempt = v.reservation.attempt
		s.Remember = s.Attempt.At.Add(rememberedFor)
	}
	err := a.Store.StartGrant(ctx, s)
	if err == nil {
		v.reservation.markReturned()
	}
	err = a.afterSecond(ctx, v, err)
	a.Counts.loginEnded(v, err)
	return audit.Stored(ctx, a.Log, err, s.Events...)
}

// Release returns the attempt of a login that did not complete although its proofs were right.
// After StartGrant it does nothing to a login, so it may be deferred.
func (a *Accounts) Release(ctx context.Context, v Verified) {
	a.uncount(ctx, v)
	v.inPlace.giveBack(ctx) // a right code, also of a proof that is complete
	v.reservation.giveBack(ctx)
}

// Refuse ends a login that is not allowed although its password was right. It returns the attempt
// and records the reason, a stable snake_case word, in the audit log. It returns answer, or the
// error of the audit log: there is no refusal without its entry.
func (a *Accounts) Refuse(ctx context.Context, v Verified, reason string, answer error) error {
	a.Counts.loginNotAllowed()
	return a.refuse(ctx, v, reason, answer)
}

func (a *Accounts) refuse(ctx context.Context, v Verified, reason string, answer error) error {
	a.Release(ctx, v)
	e := audit.New(ctx, a.now(), audit.LoginFailed, audit.User(v.User.ID)).Failed(reason)
	e.ClientID = v.Client.ID
	return a.recordRefusal(ctx, e, answer)
}

// recordRefusal records e and returns answer, or the error when e could not be recorded.
func (a *Accounts) recordRefusal(ctx context.Context, e audit.Event, answer error) error {
	kept, cancel := Uncancelled(ctx)
	defer cancel()
	if err := audit.Stored(ctx, a.Log, a.Store.Record(kept, e), e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return answer
}

// RecordAdminRefused records that the actor of ctx asked for something that only admins may do.
// Entries are sampled per user and written in the background. Without a throttle nothing is
// recorded.
func (a *Accounts) RecordAdminRefused(ctx context.Context) {
	e := audit.New(ctx, a.now(), audit.AdminRefused, audit.Target{}).Failed("insufficient_scope")
	key := sha256.Sum256([]byte(e.Reason + " " + e.Actor.ID))
	if counts, _ := a.Throttle.counts(); !counts {
		return
	}
	a.Throttle.adminRefusals.record(ctx, a.Throttle.Store, a.Log, BudgetKey(key[:16]), e)
}

// recordLastAdmin returns err, and first records in the audit log when err is ErrLastAdmin.
func (a *Accounts) recordLastAdmin(ctx context.Context, userID string, err error) error {
	if !errors.Is(err, ErrLastAdmin) {
		return err
	}
	return a.recordRefusal(ctx, audit.New(ctx, a.now(), audit.AdminRefused, audit.User(userID)).Failed("last_admin"), err)
}

// recordWrongPassword counts a wrong password and records it in one transaction, and returns
// ErrInvalidCredentials. If that fails, the caller does not learn whether the guess was right, and
// the attempt counts once its pending time is over.
func (a *Accounts) recordWrongPassword(ctx context.Context, h *reservation, e audit.Event) error {
	if h == nil {
		return a.recordRefusal(ctx, e, ErrInvalidCredentials)
	}
	if err := audit.Stored(ctx, a.Log, h.fail(ctx, e), e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return ErrInvalidCredentials
}

// verifyPassword checks a password against the same budgets as logins, so that a stolen session
// offers no way around them.
func (a *Accounts) verifyPassword(ctx context.Context, u User, password string) error {
	if a.Hasher.Full() {
		return ErrOverloaded
	}
	reservation, err := a.Throttle.admit(ctx, a.now, subject(u, true, ""), audit.User(u.ID))
	if err != nil {
		return err
	}
	defer reservation.giveBack(ctx) // does nothing after a wrong password
	ok, _, err := a.Hasher.Verify(ctx, u.PasswordHash, password)
	switch {
	case err != nil:
		return err
	case !ok:
		// A signed-in user does not know the password: the session may be stolen.
		a.reportUnusable(ctx, u)
		e := audit.New(ctx, a.now(), audit.PasswordRefused, audit.User(u.ID)).Failed("wrong_password")
		return a.recordWrongPassword(ctx, reservation, e)
	case !u.IsActive:
		return ErrAccountDisabled
	}
	return nil
}

// reportUnusable logs, for the operator, a stored hash that no password can match. Its owner only
// learns that the password is wrong.
func (a *Accounts) reportUnusable(ctx context.Context, u User) {
	if a.Log != nil && u.PasswordHash != "" && a.Hasher.Accept(u.PasswordHash) != nil {
		a.Log.ErrorContext(ctx, "stored password hash is unreadable or of absurd cost; set a new password", "user_id", u.ID)
	}
}

package userstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// Verified is a user who proved a password, and what StartGrant needs.
type Verified struct {
	User   User
	Client Client
	Rehash string // set when the stored hash should be replaced

	held *held
}

// nobody is a key that no account can have. A login that names nobody possible goes the
// way of one that names nobody known, and takes the same time.
const nobody = "?"

// Authenticate checks email or username (exactly one) and password with one
// read, in the same time for unknown users. ErrInvalidCredentials,
// ErrAccountDisabled, ErrOverloaded, ErrRateLimited (as *RateLimitedError), ErrNotFound: no such client; ValidationError for what is
// wrong whoever asks: both names or none, a password that is empty, over password.MaxBytes or not UTF-8. The client is
// returned as it is, disabled or not: its rules are the issuer's.
// checkClient (may be nil) runs after the read and before any hashing, and may refuse.
// What is verified has to be given to StartGrant, to Refuse, or to Release.
func (a *Accounts) Authenticate(ctx context.Context, email, username, password, clientID string, checkClient func(Client) error) (Verified, error) {
	return a.authenticate(ctx, email, username, password, func(l Login) (User, bool, Client, error) {
		return a.Store.LoginView(ctx, l, clientID)
	}, checkClient)
}

// authenticate is Authenticate with the read that finds the user, and the client if there is one.
func (a *Accounts) authenticate(ctx context.Context, email, username, password string, view func(Login) (User, bool, Client, error), checkClient func(Client) error) (Verified, error) {
	var fs faults
	login, name := Login{}, email+username
	switch {
	case email != "" && username != "":
		fs.add("username", fault{CodeNotAllowed, "Send either email or username, not both."})
	case email != "":
		login.EmailKey = nobody
		if key, ok := EmailKey(email); ok {
			login.EmailKey, name = key, key
		}
	case username != "":
		login.UsernameKey = nobody
		if key, ok := UsernameKey(username); ok {
			login.UsernameKey, name = key, key
		}
	default:
		fs.add("email", fault{CodeRequired, "An email address or a username is needed."})
	}
	fs.add("password", presented(password))
	if err := fs.err(); err != nil {
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
		u = User{} // without a hash: Verify spends the time and says no
		target, reason = audit.Target{}, "unknown_user"
	case u.PasswordHash == "":
		reason = "no_password"
	}
	if a.Hasher.Full() { // before anything is written of an attempt that cannot be made
		return Verified{}, ErrOverloaded
	}
	held, err := a.Throttle.admit(ctx, a.now, subject(u, known, name), target)
	if err != nil {
		return Verified{}, err
	}
	ok, stale, err := a.Hasher.Verify(ctx, u.PasswordHash, password)
	if err == nil && !ok {
		e := audit.New(ctx, a.now(), audit.LoginFailed, target).Failed(reason)
		e.ClientID = client.ID
		a.reportUnusable(ctx, u)
		return Verified{}, a.wrong(ctx, held, e)
	}
	v := Verified{User: u, Client: client, held: held}
	switch {
	case err == nil && !u.IsActive:
		return Verified{}, a.Refuse(ctx, v, "account_disabled", ErrAccountDisabled)
	case err == nil && stale:
		// The next login is as good a moment: no login fails for want of a slot here.
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

// StartGrant makes g of what Authenticate verified: the store's one batch of a login, in which the
// attempt is given back and the network remembered. Grants not rotated since idleSince are not live. ErrConflict, and
// what the store says.
func (a *Accounts) StartGrant(ctx context.Context, v Verified, g Grant, idleSince time.Time) error {
	self := audit.Actor{Type: audit.ByUser, ID: v.User.ID} // proved by now
	e := audit.New(audit.As(ctx, self, g.ClientID, g.SessionID), g.CreatedAt, audit.LoginSucceeded, audit.User(v.User.ID))
	s := StartGrant{Grant: g, PasswordHash: v.User.PasswordHash, Rehash: v.Rehash, IdleSince: idleSince, Events: []audit.Event{e}}
	if v.held != nil {
		s.Attempt = v.held.attempt
		s.Remember = s.Attempt.At.Add(rememberedFor)
	}
	err := a.Store.StartGrant(ctx, s)
	if err == nil {
		v.held.returned()
	}
	return audit.Stored(ctx, a.Log, err, e)
}

// Release gives back the attempt of a login that came to nothing, though its password was
// right. After StartGrant it does nothing, so that it may be deferred.
func (a *Accounts) Release(ctx context.Context, v Verified) { v.held.back(ctx) }

// Refuse ends a login that may not be, though its password was right: the attempt is given back,
// and the audit log told why, in a stable snake_case word. It returns the answer, or why the
// audit log could not be told: there is no refusal without its event.
func (a *Accounts) Refuse(ctx context.Context, v Verified, reason string, answer error) error {
	v.held.back(ctx)
	e := audit.New(ctx, a.now(), audit.LoginFailed, audit.User(v.User.ID)).Failed(reason)
	e.ClientID = v.Client.ID
	return a.refused(ctx, e, answer)
}

// refused records e and returns answer; what failed of it instead, when e could not be recorded.
func (a *Accounts) refused(ctx context.Context, e audit.Event, answer error) error {
	kept, cancel := Uncancelled(ctx)
	defer cancel()
	if err := audit.Stored(ctx, a.Log, a.Store.Record(kept, e), e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return answer
}

// NotAdmin notes in the audit log that whom ctx names asked for what only admins may do: of each
// user once in a while, and nobody waits for it. Where nothing is counted, nothing is noted.
func (a *Accounts) NotAdmin(ctx context.Context) {
	e := audit.New(ctx, a.now(), audit.AdminRefused, audit.Target{}).Failed("insufficient_scope")
	key := sha256.Sum256([]byte(e.Reason + " " + e.Actor.ID))
	if counts, _ := a.Throttle.counts(); !counts {
		return
	}
	a.Throttle.intruders.tell(ctx, a.Throttle.Store, a.Log, BudgetKey(key[:16]), e)
}

// keepsAdmins is err, which an act ended with, once the audit log knows if it would have taken the last admin.
func (a *Accounts) keepsAdmins(ctx context.Context, userID string, err error) error {
	if !errors.Is(err, ErrLastAdmin) {
		return err
	}
	return a.refused(ctx, audit.New(ctx, a.now(), audit.AdminRefused, audit.User(userID)).Failed("last_admin"), err)
}

// wrong counts a wrong password and records it, in one, and says ErrInvalidCredentials. Whose guess
// could not be recorded does not hear what came of it; the attempt counts when its time is over.
func (a *Accounts) wrong(ctx context.Context, h *held, e audit.Event) error {
	if h == nil {
		return a.refused(ctx, e, ErrInvalidCredentials)
	}
	if err := audit.Stored(ctx, a.Log, h.wrong(ctx, e), e); err != nil {
		return fmt.Errorf("record %s: %w", e.Name, err)
	}
	return ErrInvalidCredentials
}

// match checks a password against the budgets that logins have, so that a stolen session
// is no way around them.
func (a *Accounts) match(ctx context.Context, u User, password string) error {
	if a.Hasher.Full() {
		return ErrOverloaded
	}
	held, err := a.Throttle.admit(ctx, a.now, subject(u, true, ""), audit.User(u.ID))
	if err != nil {
		return err
	}
	defer held.back(ctx) // but when it was wrong
	ok, _, err := a.Hasher.Verify(ctx, u.PasswordHash, password)
	switch {
	case err != nil:
		return err
	case !ok:
		// Somebody signed in does not know the password: it may be a stolen session.
		a.reportUnusable(ctx, u)
		return a.wrong(ctx, held, audit.New(ctx, a.now(), audit.PasswordRefused, audit.User(u.ID)).Failed("wrong_password"))
	case !u.IsActive:
		return ErrAccountDisabled
	}
	return nil
}

// reportUnusable tells the operator of a stored hash that no password can match, since
// its owner is told only that the password is wrong.
func (a *Accounts) reportUnusable(ctx context.Context, u User) {
	if a.Log != nil && u.PasswordHash != "" && a.Hasher.Accept(u.PasswordHash) != nil {
		a.Log.ErrorContext(ctx, "stored password hash is unreadable or of absurd cost; set a new password", "user_id", u.ID)
	}
}

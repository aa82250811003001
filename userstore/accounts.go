package userstore

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
	"github.com/signet-id/signet/userstore/password"
)

// Errors of Accounts, beside those of the store and of the Hasher.
var (
	// ErrInvalidCredentials: unknown user, wrong password or no password, alike.
	ErrInvalidCredentials = errors.New("invalid credentials")
	// ErrAccountDisabled is said only after the right password.
	ErrAccountDisabled = errors.New("account disabled")
	// ErrOverloaded: too many passwords are checked already, or too many attempts wait for the throttle; nothing was hashed.
	ErrOverloaded = password.ErrOverloaded
	// ErrSignupClosed: accounts.signup is off.
	ErrSignupClosed = errors.New("sign-up is closed")
)

// Verification says whether new accounts prove their address.
type Verification string

const (
	VerificationOptional Verification = ""    // they are asked to
	VerificationOff      Verification = "off" // nobody is asked at sign-up; whoever wants to may ask for a message
)

// Accounts holds the rules of accounts once; engines only move rows. Fill the fields, then
// use it from any number of goroutines.
type Accounts struct {
	Store       Store
	Hasher      *password.Hasher
	Now         func() time.Time
	NewID       func() string // 128 random bits, base64url
	Log         *slog.Logger  // nil: nothing is logged
	MinPassword int           // characters; 0: 15, what NIST asks of a password that is the only factor
	Service     string        // what people call the service, such as the issuer's host and port; no password consists of it
	// BreachRange answers SUFFIX:COUNT lines for the first five digits of a SHA-1, as
	// api.pwnedpasswords.com/range does. How it gets them is its affair: no network is used from
	// here. nil: no password is checked.
	BreachRange func(ctx context.Context, prefix string) (string, error)
	// NoMail: nothing sends messages, so that none are written. Without it users are told by mail what happened to
	// their account.
	NoMail        bool
	SignupEnabled bool // for Register; RegisterByOperator ignores it
	// Throttle counts guesses and sign-ups. Without one every check of a secret and every sign-up fails; NoThrottle lets
	// all of them through.
	Throttle *Throttle
	// Verification is what sign-ups have to prove. Without mail it is of no effect.
	Verification Verification
	// TokenSecret is the key of the one-time tokens that go to people by mail; the same on all replicas.
	TokenSecret func() ([]byte, error)

	proved provedSecrets // of clients
}

// NewUser is what a sign-up says.
type NewUser struct {
	Email    string
	Username string // may be empty
	Password string
	Claims   Claims
}

// Register creates an account and returns it. ValidationError, ErrExists (as
// *ExistsError), ErrSignupClosed, ErrOverloaded, ErrRateLimited.
func (a *Accounts) Register(ctx context.Context, n NewUser) (User, error) {
	if !a.SignupEnabled {
		return User{}, ErrSignupClosed
	}
	u, err := a.register(ctx, OperatorUser{NewUser: n}, a.Throttle)
	if exists := (*ExistsError)(nil); errors.As(err, &exists) {
		return User{}, a.taken(ctx, n, exists)
	}
	return u, err
}

// taken is err, which a sign-up ended with, once the audit log knows of which account it told. How
// often that can be the budget of sign-ups says.
func (a *Accounts) taken(ctx context.Context, n NewUser, err *ExistsError) error {
	var l Login
	switch err.Field {
	case "email":
		l.EmailKey, _ = EmailKey(n.Email)
	case "username":
		l.UsernameKey, _ = UsernameKey(n.Username)
	default:
		return err
	}
	e := audit.New(ctx, a.now(), audit.SignupRefused, audit.Target{}).Failed("user_exists")
	switch u, err := a.Store.UserByLogin(ctx, l); {
	case err == nil:
		e.Target = audit.User(u.ID)
	case !errors.Is(err, ErrNotFound): // gone since
		return err
	}
	return a.refused(ctx, e, err)
}

// OperatorUser is an account as an operator makes it.
type OperatorUser struct {
	NewUser
	Roles         []string
	IsStaff       bool
	EmailVerified bool
	Invite        bool // instead of a password: the user is sent a message to set one
}

// RegisterByOperator is Register for the command line: also when sign-up is closed.
func (a *Accounts) RegisterByOperator(ctx context.Context, n OperatorUser) (User, error) {
	return a.register(ctx, n, NoThrottle) // an operator signs up as many as are needed
}

func (a *Accounts) register(ctx context.Context, n OperatorUser, t *Throttle) (_ User, err error) {
	now := a.now()
	u := User{
		ID:            nameable(a.NewID),
		Email:         n.Email,
		Username:      n.Username,
		EmailVerified: n.EmailVerified,
		Claims:        n.Claims,
		IsActive:      true,
		IsStaff:       n.IsStaff,
		Roles:         slices.Clone(n.Roles),
		CreatedAt:     now,
		UpdatedAt:     now,
		Version:       1,
	}
	var fs faults
	u.normalise(&fs, "username", "")
	if u.Claims.PhoneNumberVerified {
		fs.add("phone_number_verified", fault{CodeNotAllowed, "A phone number cannot be declared verified."})
	}
	switch {
	case !n.Invite:
		fs.add("password", chosen(n.Password, a.minPassword(), u, a.Service))
	case n.Password != "":
		fs.add("password", fault{CodeNotAllowed, "An invited user chooses the password; leave it out."})
	case a.NoMail:
		fs.add("invite", fault{CodeNotAllowed, "There is no mail to invite anybody by."})
	}
	if err := fs.err(); err != nil {
		return User{}, err
	}

	// What counts is what told something or left something: an address that is taken, a new account.
	held, err := t.admitSignup(ctx, a.now)
	if err != nil {
		return User{}, err
	}
	defer func() {
		if err != nil && !errors.Is(err, ErrExists) {
			held.back(ctx)
		}
	}()

	// Asked first, so that signing up a known address over and over takes no hash slot from
	// logins. The unique index has the last word.
	switch _, err := a.Store.UserByLogin(ctx, Login{EmailKey: u.EmailKey}); {
	case err == nil:
		return User{}, &ExistsError{Field: "email"}
	case !errors.Is(err, ErrNotFound):
		return User{}, err
	}
	events := []audit.Event{audit.New(ctx, now, audit.UserCreated, audit.User(u.ID))}
	events[0].Changes = given(u)
	if n.Invite {
		events = append(events, a.invitation(ctx, u))
	} else {
		fs.add("password", a.breached(ctx, n.Password))
		if err := fs.err(); err != nil {
			return User{}, err
		}
		if u.PasswordHash, err = a.Hasher.Hash(ctx, n.Password); err != nil {
			return User{}, err
		}
	}
	if err := audit.Stored(ctx, a.Log, a.Store.CreateUser(ctx, u, events...), events...); err != nil {
		return User{}, err
	}
	return u, nil
}

// Edit changes a user by a function that is run on a fresh copy, again when
// somebody else was faster. What edit leaves is normalised and validated, and stored
// only if it differs. A new email address is unverified, a new phone number too.
//
// Password and identity have their own methods, and activity is not the user's own to change: what
// edit does to those is an error. ValidationError, ErrNotFound, ErrExists (as *ExistsError),
// ErrLastAdmin, ErrConflict after eight attempts, and whatever edit returns.
func (a *Accounts) Edit(ctx context.Context, userID string, edit func(*User) error) (User, error) {
	return a.edit(ctx, userID, func(u *User) error {
		active := u.IsActive
		if err := edit(u); err != nil {
			return err
		}
		if u.IsActive != active {
			return errors.New("edit account: activity is not changed by Edit")
		}
		return nil
	}, false)
}

// EditByOperator is Edit for operators and admins, who may change activity with the rest: whom it
// disables has no sessions any more. They may also declare a new email address verified.
func (a *Accounts) EditByOperator(ctx context.Context, userID string, edit func(*User) error) (User, error) {
	return a.edit(ctx, userID, edit, true)
}

func (a *Accounts) edit(ctx context.Context, userID string, edit func(*User) error, operator bool) (User, error) {
	var edited User
	err := retry(ctx, edits, "edit account", func() error {
		old, err := a.Store.UserByID(ctx, userID)
		if err != nil {
			return err
		}
		old.tidy()
		u := old.clone()
		if err := edit(&u); err != nil {
			return err
		}
		declared := false
		if operator && u.Email != old.Email && u.EmailVerified {
			// That of the new address, or only what the old one left? An edit that declares it does
			// so of an account that was not verified, too.
			probe := old.clone()
			probe.EmailVerified = false
			if err := edit(&probe); err != nil {
				return err
			}
			declared = probe.EmailVerified
		}
		if err := a.settle(old, &u); err != nil {
			return err
		}
		u.EmailVerified = u.EmailVerified || declared
		if reflect.DeepEqual(old, u) {
			edited = old
			return nil
		}
		u.UpdatedAt = a.now()
		e := audit.New(ctx, u.UpdatedAt, audit.UserUpdated, audit.User(u.ID))
		e.Changes = changes(old, u)
		if u.Email != old.Email {
			kind := outbox.EmailChanged
			if operator {
				kind = outbox.EmailSet
			}
			e.Messages = a.notice(kind, old, u.UpdatedAt) // to the address that it was
		}
		if err := audit.Stored(ctx, a.Log, a.Store.UpdateUser(ctx, u, e), e); err != nil {
			return a.keepsAdmins(ctx, u.ID, err)
		}
		u.Version++
		edited = u
		return nil
	})
	return edited, err
}

// settle makes of what an edit left something that may be stored.
func (a *Accounts) settle(old User, u *User) error {
	if u.ID != old.ID || u.Version != old.Version || u.PasswordHash != old.PasswordHash ||
		!u.CreatedAt.Equal(old.CreatedAt) || !u.LastLoginAt.Equal(old.LastLoginAt) {
		return errors.New("edit account: id, version, password and their times are not changed by Edit")
	}
	var fs faults
	u.normalise(&fs, "preferred_username", old.UsernameKey)
	// By what was typed and not by key: two addresses can share a key (straße@, strasse@)
	// and still be two mailboxes, of which one was verified.
	if u.Email != old.Email {
		u.EmailVerified = false
	}
	if u.Claims.PhoneNumber != old.Claims.PhoneNumber {
		u.Claims.PhoneNumberVerified = false
	} else if u.Claims.PhoneNumberVerified && !old.Claims.PhoneNumberVerified {
		fs.add("phone_number_verified", fault{CodeNotAllowed, "A phone number cannot be declared verified."})
	}
	return fs.err()
}

// Find reads a user as an operator names one: by email when name holds an @, else by id, else by
// username. ErrNotFound. What may be an id of ours names a username letter for letter only: else
// whoever took a deleted account's id for a username, in lower case as usernames are compared, would
// be found in its place. New usernames have no such shape.
func (a *Accounts) Find(ctx context.Context, name string) (User, error) {
	if strings.Contains(name, "@") {
		key, ok := EmailKey(name)
		if !ok {
			return User{}, ErrNotFound
		}
		return a.Store.UserByLogin(ctx, Login{EmailKey: key})
	}
	// Postgres refuses such text, as an error of the store.
	if name == "" || strings.Contains(name, "\x00") || !utf8.ValidString(name) {
		return User{}, ErrNotFound
	}
	u, err := a.Store.UserByID(ctx, name)
	if !errors.Is(err, ErrNotFound) {
		return u, err
	}
	key, ok := UsernameKey(name)
	if !ok || key != name && (likeSubject(name, key) || ourLength.MatchString(key)) {
		return User{}, ErrNotFound
	}
	return a.Store.UserByLogin(ctx, Login{UsernameKey: key})
}

// normalise fills in the keys and validates everything but the password. nameField is
// what the caller calls the username. had is the key of the username that the account has already, and may keep.
func (u *User) normalise(fs *faults, nameField, had string) {
	u.tidy()
	display, key, f := canonicalEmail(u.Email)
	if fs.add("email", f); f == (fault{}) {
		u.Email, u.EmailKey = display, key
	}
	u.UsernameKey = ""
	if u.Username != "" {
		display, key, f := canonicalUsername(u.Username)
		if f == (fault{}) && key != had && likeSubject(display, key) {
			f = errLikeSubject
		}
		if fs.add(nameField, f); f == (fault{}) {
			u.Username, u.UsernameKey = display, key
		}
	}
	u.Claims.validate(fs)
	fs.add("roles", validRoles(u.Roles))
}

// tidy gives what is a set, or nothing at all, one form.
func (u *User) tidy() {
	slices.Sort(u.Roles)
	u.Roles = slices.Compact(u.Roles)
	if len(u.Roles) == 0 {
		u.Roles = nil
	}
	if u.Claims.Address != nil && *u.Claims.Address == (Address{}) {
		u.Claims.Address = nil
	}
}

// clone shares nothing with u.
func (u User) clone() User {
	u.Roles = slices.Clone(u.Roles)
	if u.Claims.Address != nil {
		address := *u.Claims.Address
		u.Claims.Address = &address
	}
	return u
}

// nameable makes an id that begins with a letter or digit: on a command line one that begins with
// a dash looks like a flag.
func nameable(newID func() string) string {
	for {
		if id := newID(); !strings.HasPrefix(id, "-") && !strings.HasPrefix(id, "_") {
			return id
		}
	}
}

// now has the precision of the store, so that what is returned is what will be read.
func (a *Accounts) now() time.Time { return a.Now().UTC().Truncate(time.Microsecond) }

// MinPasswordLength is how many characters a password must have at least.
func (a *Accounts) MinPasswordLength() int { return a.minPassword() }

func (a *Accounts) minPassword() int {
	if a.MinPassword <= 0 {
		return 15
	}
	return a.MinPassword
}

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
	"github.com/signet-id/signet/internal/webauthn"
	"github.com/signet-id/signet/userstore/password"
)

// The errors of Accounts, in addition to those of the Store and the Hasher.
var (
	// ErrInvalidCredentials: the user is unknown, the password is wrong, or the account has no
	// password. The three look alike.
	ErrInvalidCredentials = errors.New("invalid credentials")
	// ErrAccountDisabled is returned only after the right password.
	ErrAccountDisabled = errors.New("account disabled")
	// ErrOverloaded: too many passwords are being checked, or too many attempts wait for the
	// throttle. Nothing was hashed.
	ErrOverloaded = password.ErrOverloaded
	// ErrEmailNotVerified is returned only after the right password, as *NotVerifiedError.
	ErrEmailNotVerified = errors.New("the email address is not verified")
	// ErrSignupClosed: accounts.signup is off.
	ErrSignupClosed = errors.New("sign-up is closed")
)

// Verification says whether new accounts prove their address.
type Verification string

const (
	VerificationOptional Verification = ""         // a sign-up sends a message that asks for the proof
	VerificationOff      Verification = "off"      // a sign-up sends no message; users may still ask for one
	VerificationRequired Verification = "required" // a sign-up is pending until the proof, and nobody signs in without
)

// Accounts holds the rules of accounts, once for all engines. Fill in the fields, then use it from
// any number of goroutines.
type Accounts struct {
	Store       Store
	Hasher      *password.Hasher
	Now         func() time.Time
	NewID       func() string // 128 random bits, base64url
	Log         *slog.Logger  // nil: nothing is logged
	Counts      *Counts       // of logins and sign-ups; nil: nothing is counted
	MinPassword int           // in characters; 0: 15, as NIST requires of a password that is the only factor
	// Service is the name that people know the service by, such as the issuer's host and port. No
	// password may consist of it.
	Service string
	// BreachRange returns SUFFIX:COUNT lines for the first five digits of a SHA-1, as
	// api.pwnedpasswords.com/range does. This package itself uses no network. nil: breaches are not
	// checked.
	BreachRange func(ctx context.Context, prefix string) (string, error)
	// NoMail is true if no messages are sent; then none are stored. Otherwise users learn by mail
	// what happened to their account.
	NoMail bool
	// NotifyNewDevice sends users a message about a login at the pages in a browser that the throttle
	// does not remember for them. Without mail it has no effect.
	NotifyNewDevice bool
	SignupEnabled   bool // for Register; RegisterByOperator ignores it
	// Throttle counts guesses and sign-ups. If it is missing, every check of a secret and every
	// sign-up fails; NoThrottle lets all of them through.
	Throttle *Throttle
	// Verification is what sign-ups have to prove. Without mail only VerificationRequired is of effect:
	// then nobody can prove an address.
	Verification Verification
	// SecondFactor says who has to have a second factor.
	SecondFactor SecondFactorPolicy
	// TokenSecret is the key of the one-time tokens that go to people by mail; the same on all replicas.
	TokenSecret func() ([]byte, error)
	// AppKey seals the secrets of authenticator apps, and RecoveryKey is the key of the MACs of
	// recovery codes; the same on all replicas.
	AppKey, RecoveryKey func() ([]byte, error)
	FactorIssuer        string // the name of the service in an authenticator app
	// Passkeys verifies passkeys; nil: browsers make none for this issuer (see webauthn.New).
	Passkeys *webauthn.RelyingParty

	proved provedSecrets // of clients, verified by this process
}

// NewUser holds the input of a sign-up.
type NewUser struct {
	Email    string
	Username string // may be empty
	Password string
	Claims   Claims
	Language string // that the person reads, for a message to an address without an account
	Browser  string // the secret cookie of the browser; empty: none
}

// Register creates an account and returns it. ValidationError, ErrExists (as
// *ExistsError), ErrSignupClosed, ErrOverloaded, ErrRateLimited.
func (a *Accounts) Register(ctx context.Context, n NewUser) (User, error) {
	return a.registerWith(ctx, n, nil)
}

func (a *Accounts) registerWith(ctx context.Context, n NewUser, messages messagesTo) (User, error) {
	if !a.SignupEnabled {
		return User{}, ErrSignupClosed
	}
	if a.Verification == VerificationRequired {
		return User{}, errors.New("userstore: an account needs a proved address here; use SignUp")
	}
	u, err := a.register(ctx, OperatorUser{NewUser: n}, a.Throttle, messages)
	if exists := (*ExistsError)(nil); errors.As(err, &exists) {
		return User{}, a.recordTaken(ctx, n, exists)
	}
	return u, err
}

// messagesTo returns the messages that are stored together with a new account.
type messagesTo func(ctx context.Context, u User) ([]outbox.Message, error)

// recordTaken records in the audit log which account a sign-up revealed by ending with err, and
// returns err. The budget of sign-ups bounds how often that can happen.
func (a *Accounts) recordTaken(ctx context.Context, n NewUser, err *ExistsError) error {
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
	case !errors.Is(err, ErrNotFound): // ErrNotFound: deleted meanwhile
		return err
	}
	return a.recordRefusal(ctx, e, err)
}

// OperatorUser holds the input of an operator who creates an account.
type OperatorUser struct {
	NewUser
	Roles         []string
	IsStaff       bool
	EmailVerified bool
	Invite        bool // instead of a password: the user is sent a message to set one
}

// RegisterByOperator is Register for the command line. It also works when sign-up is closed.
func (a *Accounts) RegisterByOperator(ctx context.Context, n OperatorUser) (User, error) {
	return a.register(ctx, n, NoThrottle, nil) // an operator creates as many accounts as are needed
}

// newUser makes a user of what a sign-up or an operator typed, and validates it.
func (a *Accounts) newUser(n OperatorUser, now time.Time) (User, error) {
	u := User{
		ID:            CommandLineID(a.NewID),
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
	var fs Faults
	u.normalise(&fs, "username", "")
	if u.Claims.PhoneNumberVerified {
		fs.Add("phone_number_verified", Fault{CodeNotAllowed, "A phone number cannot be declared verified."})
	}
	switch {
	case !n.Invite:
		fs.Add("password", checkNew(n.Password, a.minPassword(), u, a.Service))
	case n.Password != "":
		fs.Add("password", Fault{CodeNotAllowed, "An invited user chooses the password; leave it out."})
	case a.NoMail:
		fs.Add("invite", Fault{CodeNotAllowed, "There is no mail to invite anybody by."})
	}
	return u, fs.Err()
}

func (a *Accounts) register(
	ctx context.Context, n OperatorUser, t *Throttle, messages messagesTo,
) (_ User, err error) {
	now := a.now()
	u, err := a.newUser(n, now)
	if err != nil {
		return User{}, err
	}

	// A sign-up counts if it revealed a taken address or created an account.
	reservation, err := t.admitSignup(ctx, a.now)
	if err != nil {
		return User{}, err
	}
	defer func() {
		if err != nil && !errors.Is(err, ErrExists) {
			reservation.giveBack(ctx)
		}
	}()

	// Read first, so that repeated sign-ups with a known address take no hash slot from logins. The
	// unique index decides in the end.
	switch _, err := a.Store.UserByLogin(ctx, Login{EmailKey: u.EmailKey}); {
	case err == nil:
		return User{}, &ExistsError{Field: "email"}
	case !errors.Is(err, ErrNotFound):
		return User{}, err
	}
	events := []audit.Event{audit.New(ctx, now, audit.UserCreated, audit.User(u.ID))}
	events[0].Changes = privileges(u)
	if n.Invite {
		events = append(events, a.invitation(ctx, u))
	} else if u.PasswordHash, err = a.hashNew(ctx, n.Password); err != nil {
		return User{}, err
	}
	if messages != nil {
		if events[0].Messages, err = messages(ctx, u); err != nil {
			return User{}, err
		}
	}
	if err := audit.Stored(ctx, a.Log, a.Store.CreateUser(ctx, u, events...), events...); err != nil {
		return User{}, err
	}
	return u, nil
}

// hashNew hashes the password of a new account, which no breach may know.
func (a *Accounts) hashNew(ctx context.Context, password string) (string, error) {
	var fs Faults
	fs.Add("password", a.checkBreach(ctx, password))
	if err := fs.Err(); err != nil {
		return "", err
	}
	return a.Hasher.Hash(ctx, password)
}

// Edit changes a user by running edit on a fresh copy, and again if another writer was faster. The
// result is normalised, validated, and stored only if it differs. A new email address or phone
// number is unverified.
//
// Password and identity have methods of their own, and a user may not change whether the account is
// active: Edit returns an error if edit changes any of these. ValidationError, ErrNotFound,
// ErrExists (as *ExistsError), ErrLastAdmin, ErrConflict after eight attempts, and any error of
// edit.
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

// EditByOperator is Edit for operators and admins. They may also disable the account, which ends
// its sessions, enable it, and declare a new email address verified.
func (a *Accounts) EditByOperator(ctx context.Context, userID string, edit func(*User) error) (User, error) {
	return a.edit(ctx, userID, edit, true)
}

func (a *Accounts) edit(ctx context.Context, userID string, edit func(*User) error, operator bool) (User, error) {
	var edited User
	err := Retry(ctx, editTries, "edit account", func() error {
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
			// EmailVerified may be left over from the old address. The edit declares the new
			// address verified only if it also sets the flag on an account that was not verified.
			probe := old.clone()
			probe.EmailVerified = false
			if err := edit(&probe); err != nil {
				return err
			}
			declared = probe.EmailVerified
		}
		if err := a.checkEdit(old, &u); err != nil {
			return err
		}
		u.EmailVerified = u.EmailVerified || declared
		u.FactorsVouched = vouched(old, u, operator)
		if reflect.DeepEqual(old, u) {
			edited = old
			return nil
		}
		u.UpdatedAt = a.now()
		e := audit.New(ctx, u.UpdatedAt, audit.UserUpdated, audit.User(u.ID))
		e.Changes = changes(old, u)
		if u.Email != old.Email {
			if operator { // to the old address
				e.Messages = a.notice(outbox.EmailSet, old, u.UpdatedAt)
			} else if e.Messages, err = a.ownNotice(ctx, outbox.EmailChanged, old, u.UpdatedAt); err != nil {
				return err
			}
		}
		if err := audit.Stored(ctx, a.Log, a.Store.UpdateUser(ctx, u, e), e); err != nil {
			return a.recordLastAdmin(ctx, u.ID, err)
		}
		u.Version++
		edited = u
		return nil
	})
	return edited, err
}

// vouched returns User.FactorsVouched after an edit. Only an operator who changes the address
// vouches for second factors, and only for those of an account whose address was proved or vouched for
// before: a stranger may have made any other one. A user could move the account to the address of
// another person, whose proof has to take all factors away.
func vouched(old, u User, operator bool) bool {
	switch {
	case u.EmailVerified || !u.SecondFactor:
		return false
	case u.Email == old.Email:
		return old.FactorsVouched
	}
	return operator && (old.EmailVerified || old.FactorsVouched)
}

// checkEdit normalises and validates what an edit left in u.
func (a *Accounts) checkEdit(old User, u *User) error {
	if u.ID != old.ID || u.Version != old.Version || u.PasswordHash != old.PasswordHash ||
		!u.CreatedAt.Equal(old.CreatedAt) || !u.LastLoginAt.Equal(old.LastLoginAt) {
		return errors.New("edit account: id, version, password and their times are not changed by Edit")
	}
	var fs Faults
	u.normalise(&fs, "preferred_username", old.UsernameKey)
	// Compare what was typed and not the keys: two addresses can share a key (straße@, strasse@)
	// and still be two mailboxes, of which only one was verified.
	if u.Email != old.Email {
		u.EmailVerified = false
	}
	if u.Claims.PhoneNumber != old.Claims.PhoneNumber {
		u.Claims.PhoneNumberVerified = false
	} else if u.Claims.PhoneNumberVerified && !old.Claims.PhoneNumberVerified {
		fs.Add("phone_number_verified", Fault{CodeNotAllowed, "A phone number cannot be declared verified."})
	}
	return fs.Err()
}

// Find reads the user that an operator names: by email when name holds an @, else by id, else by a
// pairwise subject, else by username. ErrNotFound. A name that may be an id of ours matches a username only letter for
// letter. Usernames are compared in lower case, so otherwise an account could take a deleted
// account's id for its username and be found in its place. New usernames cannot have the shape of
// an id.
func (a *Accounts) Find(ctx context.Context, name string) (User, error) {
	if strings.Contains(name, "@") {
		key, ok := EmailKey(name)
		if !ok {
			return User{}, ErrNotFound
		}
		return a.Store.UserByLogin(ctx, Login{EmailKey: key})
	}
	// Postgres refuses such text with an error of the store.
	if name == "" || strings.Contains(name, "\x00") || !utf8.ValidString(name) {
		return User{}, ErrNotFound
	}
	u, err := a.Store.UserByID(ctx, name)
	if errors.Is(err, ErrNotFound) {
		u, err = a.Store.UserBySubject(ctx, name)
	}
	if !errors.Is(err, ErrNotFound) {
		return u, err
	}
	key, ok := UsernameKey(name)
	if !ok || key != name && (likeSubject(name, key) || idLength.MatchString(key)) {
		return User{}, ErrNotFound
	}
	return a.Store.UserByLogin(ctx, Login{UsernameKey: key})
}

// normalise fills in the keys and validates everything but the password. nameField is the caller's
// name of the username field. had is the key of the account's present username, which the account
// may keep.
func (u *User) normalise(fs *Faults, nameField, had string) {
	u.tidy()
	display, key, f := canonicalEmail(u.Email)
	if fs.Add("email", f); f == (Fault{}) {
		u.Email, u.EmailKey = display, key
	}
	u.UsernameKey = ""
	if u.Username != "" {
		display, key, f := canonicalUsername(u.Username)
		if f == (Fault{}) && key != had && likeSubject(display, key) {
			f = errLikeSubject
		}
		if fs.Add(nameField, f); f == (Fault{}) {
			u.Username, u.UsernameKey = display, key
		}
	}
	u.Claims.validate(fs)
	fs.Add("roles", validRoles(u.Roles))
}

// tidy sorts the roles, and gives empty roles and an empty address one form.
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

// clone returns a copy that shares nothing with u.
func (u User) clone() User {
	u.Roles = slices.Clone(u.Roles)
	if u.Claims.Address != nil {
		address := *u.Claims.Address
		u.Claims.Address = &address
	}
	return u
}

// CommandLineID returns a new id that begins with a letter or digit: on a command line, an id that
// begins with a dash looks like a flag.
func CommandLineID(newID func() string) string {
	for {
		if id := newID(); !strings.HasPrefix(id, "-") && !strings.HasPrefix(id, "_") {
			return id
		}
	}
}

// now returns the time in the precision of the store, so that returned and stored times are equal.
func (a *Accounts) now() time.Time { return a.Now().UTC().Truncate(time.Microsecond) }

// MinPasswordLength returns the least number of characters of a password.
func (a *Accounts) MinPasswordLength() int { return a.minPassword() }

func (a *Accounts) minPassword() int {
	if a.MinPassword <= 0 {
		return 15
	}
	return a.MinPassword
}

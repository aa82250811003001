package userstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

const (
	signupLasts = 7 * 24 * time.Hour

	// sameForm is how long a second sign-up from one browser with one address counts as the form of
	// the first, sent twice. So long the budget of the address has no second message anyway.
	sameForm = MailEvery

	// passwordsTried bounds how many pending sign-ups of an address a password is compared with.
	passwordsTried = 5
)

// SignedUp is what a sign-up led to.
type SignedUp struct {
	User    User   // zero: there is no account yet
	Handle  string // for the code of the message, and to keep the password; empty: no message is sent
	Pending bool   // the account is made when the address is proved
}

// SignUp creates an account, or a pending sign-up where addresses have to be proved first. A pending
// sign-up is stored whether or not the address has an account, and the result does not show which.
// ValidationError, ErrExists (as *ExistsError; of a pending sign-up only for the username),
// ErrSignupClosed, ErrOverloaded, ErrRateLimited.
func (a *Accounts) SignUp(ctx context.Context, n NewUser) (SignedUp, error) {
	if a.Verification == VerificationRequired {
		handle, err := a.signUpPending(ctx, n)
		a.Counts.signUp(signUpPending, err)
		return SignedUp{Handle: handle, Pending: true}, err
	}
	var handle string
	u, err := a.registerWith(ctx, n, func(ctx context.Context, u User) (m []outbox.Message, err error) {
		m, handle, err = a.firstVerification(ctx, u)
		return m, err
	})
	a.Counts.signUp(signUpCreated, err)
	if err != nil {
		return SignedUp{}, err
	}
	return SignedUp{User: u, Handle: handle}, nil
}

// signUpPending does the same for every address, the hash of the password included: how long it
// takes tells nothing.
func (a *Accounts) signUpPending(ctx context.Context, n NewUser) (handle string, err error) {
	if !a.SignupEnabled {
		return "", ErrSignupClosed
	}
	u, err := a.newUser(OperatorUser{NewUser: n}, a.now())
	if err != nil {
		return "", err
	}
	// A sign-up counts if it revealed a taken username or was stored.
	reservation, err := a.Throttle.admitSignup(ctx, a.now)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil && !errors.Is(err, ErrExists) {
			reservation.giveBack(ctx)
		}
	}()
	if u.UsernameKey != "" {
		switch _, err := a.Store.UserByLogin(ctx, Login{UsernameKey: u.UsernameKey}); {
		case err == nil:
			return "", a.recordTaken(ctx, n, &ExistsError{Field: "username"})
		case !errors.Is(err, ErrNotFound):
			return "", err
		}
	}
	hash, err := a.hashNew(ctx, n.Password)
	if err != nil {
		return "", err
	}
	secret, err := a.oneTime()
	if err != nil {
		return "", err
	}
	now := a.now()
	p := PendingSignup{
		ID: CommandLineID(a.NewID), Email: u.Email, EmailKey: u.EmailKey,
		Username: u.Username, UsernameKey: u.UsernameKey, PasswordHash: hash, Claims: u.Claims,
		Language: n.Language, Browser: secret.browser(n.Browser),
		At: now, EndsAt: now.Add(signupLasts),
	}
	if u.Claims.Locale != "" {
		p.Language = u.Claims.Locale
	}
	r := secret.request(p.ID, outbox.VerifyEmail, u.EmailKey, now)
	m := outbox.Message{ID: p.ID, Kind: r.Kind, To: u.Email, Locale: p.Language, At: r.At, EndsAt: r.EndsAt}
	id, err := a.Store.SavePendingSignup(ctx, p, now.Add(-sameForm), r, mailLimits, m)
	if err != nil {
		return "", fmt.Errorf("store a pending sign-up: %w", err)
	}
	return secret.handle(outbox.VerifyEmail, bySignup, id, ""), nil
}

// signupContents makes what a message says that concerns a pending sign-up: of an address without an
// account, or of a sign-up with the address of an account, which its owner is told. u and known are
// the result of looking for the account. ok is false if the message concerns an account.
func (a *Accounts) signupContents(
	ctx context.Context, secret oneTimeSecret, m outbox.Message, key string, u User, known error,
) (c outbox.Contents, ok bool, err error) {
	if known != nil && !errors.Is(known, ErrNotFound) {
		return c, false, known
	}
	p, err := a.Store.PendingSignup(ctx, m.ID, m.At)
	switch {
	case err != nil && !errors.Is(err, ErrNotFound):
		return c, false, err
	case known == nil && err != nil: // the message was asked for, and not by a sign-up
		return c, false, nil
	case known == nil:
		c = outbox.Contents{Kind: outbox.AccountExists, To: u.Email, Locale: u.Claims.Locale, Link: "/forgot"}
		if c.Locale == "" {
			c.Locale = p.Language
		}
		return c, true, nil
	case err != nil: // of several sign-ups the newest; whose password is kept shows at the proof
		newest, err := a.Store.PendingSignups(ctx, key, BrowserKey{}, m.At, 1)
		if err != nil || len(newest) == 0 {
			return c, false, err
		}
		p = newest[0]
	}
	err = a.Store.IssueSignupToken(ctx, p.ID, OneTimeToken{ID: m.ID, At: m.At, EndsAt: m.EndsAt})
	if errors.Is(err, ErrConflict) {
		return c, false, ErrNothingToSend
	}
	// To the address of the sign-up: what a stranger typed may have the same key and be another mailbox.
	return outbox.Contents{
		To: p.Email, Locale: p.Language,
		Link: pageOf[m.Kind] + secret.link(m.Kind, m.ID), Code: secret.code(m.Kind, m.ID),
	}, true, err
}

// Proved is what the proof of an address led to.
type Proved struct {
	User User
	Made bool // the account was made by this proof
	// Typed is when the account's password was typed by the person who holds the handle that was
	// presented, so that this person may be signed in; zero: it is not known that this was so.
	Typed time.Time
}

// presentSignup finds the pending sign-up of a token.
func (a *Accounts) presentSignup(ctx context.Context, id string, now time.Time) (OneTimeToken, *PendingSignup, error) {
	p, err := a.Store.PendingSignupByToken(ctx, id, now)
	if err != nil {
		return OneTimeToken{}, nil, err
	}
	return OneTimeToken{ID: id, Kind: outbox.VerifyEmail, Live: true}, &p, nil
}

// makeAccount makes the account of a pending sign-up. The token proves the address; the handle of a
// sign-up, or its password, shows which sign-up with this address is the owner's. Otherwise a new
// password is needed, for a stranger may have signed up with the address.
func (a *Accounts) makeAccount(ctx context.Context, p presentedToken, by Owner) (made Proved, err error) {
	defer func() { a.returnTryAfter(ctx, p, err) }()
	if !a.SignupEnabled {
		return Proved{}, ErrSignupClosed
	}
	s, known, err := a.ownSignup(ctx, p, by)
	if err != nil {
		return Proved{}, err
	}
	now := a.now()
	u := User{
		ID: CommandLineID(a.NewID), Email: p.pending.Email, EmailKey: p.pending.EmailKey, EmailVerified: true,
		Username: s.Username, UsernameKey: s.UsernameKey, PasswordHash: s.PasswordHash, Claims: s.Claims,
		IsActive: true, CreatedAt: now, UpdatedAt: now, Version: 1,
	}
	if known {
		made.Typed = s.At
	}
	if by.NewPassword != "" {
		if u.PasswordHash, err = a.hashFor(ctx, u, by.NewPassword); err != nil {
			return Proved{}, err
		}
		if known {
			made.Typed = now
		}
	}
	for {
		e := audit.New(asOwner(ctx, u.ID), now, audit.UserCreated, audit.User(u.ID))
		e.Changes = privileges(u)
		err = audit.Stored(ctx, a.Log, a.Store.CreateProvedUser(ctx, p.token.ID, u, e), e)
		exists, ok := errors.AsType[*ExistsError](err)
		switch {
		case ok && exists.Field == "username" && u.Username != "":
			// Another account took the name meanwhile. A person who proved the address is not turned
			// away for it, and chooses another name in the account.
			u.Username, u.UsernameKey = "", ""
			continue
		case ok: // an operator made an account with this address
			return Proved{}, ErrTokenInvalid
		case err != nil:
			return Proved{}, invalid(err)
		}
		a.Counts.signUp(signUpConfirmed, nil)
		made.User, made.Made = u, true
		return made, nil
	}
}

// ownSignup returns the pending sign-up whose profile and password the account gets. known reports
// whether a handle shows that the sign-up is the person's own.
func (a *Accounts) ownSignup(ctx context.Context, p presentedToken, by Owner) (_ PendingSignup, known bool, err error) {
	if p.from == bySignup && p.pending.ID == p.token.ID {
		return *p.pending, true, nil
	}
	id, ok, err := a.readSignupHandle(by.SignupHandle)
	if err != nil {
		return PendingSignup{}, false, err
	}
	if ok {
		s, err := a.Store.PendingSignup(ctx, id, a.now())
		if err == nil && s.EmailKey == p.pending.EmailKey {
			return s, true, nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return PendingSignup{}, false, err
		}
	}
	switch {
	case by.NewPassword != "":
		return *p.pending, false, nil
	case by.Password != "":
		s, err := a.signupByPassword(ctx, *p.pending, by.Password)
		return s, false, err
	}
	return PendingSignup{}, false, ErrNewPassword
}

// signupByPassword returns the sign-up with the address of p that brought this password: p itself, or
// one of the newest. The budget is that of a login's name.
func (a *Accounts) signupByPassword(ctx context.Context, p PendingSignup, password string) (PendingSignup, error) {
	var fs Faults
	fs.Add("password", checkTyped(password))
	if err := fs.Err(); err != nil {
		return PendingSignup{}, err
	}
	if a.Hasher.Full() {
		return PendingSignup{}, ErrOverloaded
	}
	others, err := a.Store.PendingSignups(ctx, p.EmailKey, BrowserKey{}, a.now(), passwordsTried)
	if err != nil {
		return PendingSignup{}, err
	}
	reservation, err := a.Throttle.admit(ctx, a.now, subject(User{}, false, p.EmailKey), audit.Target{})
	if err != nil {
		return PendingSignup{}, err
	}
	defer reservation.giveBack(ctx) // does nothing after a wrong password
	for i, s := range append([]PendingSignup{p}, others...) {
		if i > 0 && s.ID == p.ID {
			continue
		}
		ok, _, err := a.Hasher.Verify(ctx, s.PasswordHash, password)
		if err != nil || ok {
			return s, err
		}
	}
	e := audit.New(ctx, a.now(), audit.PasswordRefused, audit.Target{}).Failed("wrong_password")
	return PendingSignup{}, a.recordWrongPassword(ctx, reservation, e)
}

// NotVerifiedError is an ErrEmailNotVerified of a person who typed the right password.
type NotVerifiedError struct {
	UserID, Email string
	emailKey      string
}

func (e *NotVerifiedError) Error() string        { return ErrEmailNotVerified.Error() }
func (e *NotVerifiedError) Is(target error) bool { return target == ErrEmailNotVerified }

// VerificationAfterPassword asks for the message with which the owner of an account proves its
// address, after a NotVerifiedError. With the handle the password is kept. ErrRateLimited.
func (a *Accounts) VerificationAfterPassword(
	ctx context.Context, e *NotVerifiedError, browser string,
) (handle string, err error) {
	return a.storeRequest(ctx, outbox.VerifyEmail, byPassword, e.Email, e.emailKey, browser)
}

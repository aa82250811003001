package userstore

import (
	"context"
	"crypto/hmac"
	"errors"
	"time"
)

// The errors of second factors.
var (
	// ErrSecondFactor: the password is right, and the account has a second factor. Returned as
	// *SecondFactorError.
	ErrSecondFactor = errors.New("a second factor is needed")
	// ErrFactorRefused: the code is wrong, used or none of this account's, or the passkey is not.
	ErrFactorRefused = errors.New("the code or passkey is not right")
	// ErrCodesBlocked: MaxWrongCodes codes in a row were wrong. A passkey or a recovery code helps.
	ErrCodesBlocked = errors.New("too many wrong codes of the authenticator app")
	// ErrStepOver: password, factors or the account changed since the first step, or its time is over.
	ErrStepOver = errors.New("the login has to begin again")
)

// SecondFactorError is an ErrSecondFactor. No session, login or network exists before the last step.
type SecondFactorError struct {
	User    User      // with PasswordHash
	Client  Client    // of Authenticate
	At      time.Time // when the password was proved
	Methods []string  // by which the second step can be taken
}

func (e *SecondFactorError) Error() string        { return ErrSecondFactor.Error() }
func (e *SecondFactorError) Is(target error) bool { return target == ErrSecondFactor }

// ErrSetupRequired: the password is right, and the policy wants a second factor that the account does
// not have. Returned as *SetupRequiredError.
var ErrSetupRequired = errors.New("a second factor has to be set up")

// SetupRequiredError is an ErrSetupRequired. No session, login or network exists.
type SetupRequiredError struct {
	User   User // with PasswordHash
	Client Client
	At     time.Time
}

func (e *SetupRequiredError) Error() string        { return ErrSetupRequired.Error() }
func (e *SetupRequiredError) Is(target error) bool { return target == ErrSetupRequired }

// secondStep decides whether the login of v, whose password was proved at now, is complete. If not,
// it returns the attempt.
func (a *Accounts) secondStep(ctx context.Context, v Verified, now time.Time) (Verified, error) {
	switch {
	case a.MustHaveSecondFactor(v.User):
		v.reservation.giveBack(ctx)
		return v, &SetupRequiredError{v.User, v.Client, now}
	case !v.User.SecondFactor:
		return v, nil
	}
	hash, ok, err := a.trusted(ctx, v.User, now)
	switch {
	case err != nil:
		return v, err
	case !ok:
		have, err := a.Store.SecondFactors(ctx, v.User.ID)
		if errors.Is(err, ErrNotFound) { // deleted meanwhile
			err = ErrConflict
		}
		if err != nil {
			return v, err
		}
		v.reservation.giveBack(ctx)
		return v, &SecondFactorError{v.User, v.Client, now, have.Methods(a.Passkeys != nil)}
	}
	v.Second.Proved, v.Second.Use = true, FactorUse{Trusted: hash, At: now}
	return v, nil
}

// waits reports whether err is that of a login that waits for its second step.
func waits(err error) bool {
	return errors.Is(err, ErrSecondFactor) || errors.Is(err, ErrSetupRequired)
}

// upgradeHash replaces the hash of a right password that was stored under old parameters, and returns
// waiting, the error of a login that waits for its second step, with the new hash. It cannot be done by
// that step, at which the password is not known. Other logins of the account that wait end with the old
// hash. ErrConflict: the password changed meanwhile.
func (a *Accounts) upgradeHash(ctx context.Context, u User, password string, waiting error) error {
	hash, err := a.Hasher.Hash(ctx, password)
	switch {
	case errors.Is(err, ErrOverloaded): // the next login can do it
		return waiting
	case err != nil:
		return err
	}
	if err := a.Store.UpgradeHash(ctx, u.ID, u.PasswordHash, hash); err != nil {
		return err
	}
	if e, ok := errors.AsType[*SecondFactorError](waiting); ok {
		e.User.PasswordHash = hash
	}
	if e, ok := errors.AsType[*SetupRequiredError](waiting); ok {
		e.User.PasswordHash = hash
	}
	return waiting
}

// SecondLogin is a login that waits for its second step.
type SecondLogin struct {
	UserID        string
	PasswordMark  []byte
	FactorVersion int64
	At            time.Time // when the password was proved
	ClientID      string    // for the audit log
}

// holds reports whether u has the password that the login proved, and factors of this version.
func (l SecondLogin) holds(u User, factorVersion int64) bool {
	return u.FactorVersion == factorVersion && hmac.Equal(u.PasswordMark(), l.PasswordMark)
}

// AuthenticateSecond takes the second step of a login. The caller passes the result to StartGrant or
// StartSession, or to Release. ErrStepOver, ErrFactorRefused, ErrCodesBlocked, ErrAccountDisabled,
// ErrEmailNotVerified (as *NotVerifiedError), ErrOverloaded, ErrRateLimited, and any error of the
// store.
func (a *Accounts) AuthenticateSecond(ctx context.Context, l SecondLogin, p FactorProof) (_ Verified, err error) {
	defer func() { a.Counts.login(err) }()
	u, err := a.userOfStep(ctx, l.UserID)
	switch {
	case err != nil:
		return Verified{}, err
	case !l.holds(u, l.FactorVersion):
		return Verified{}, ErrStepOver
	}
	v := Verified{User: u, Client: Client{ID: l.ClientID}, Proved: []ProvedFactor{{Factor: FactorPassword, At: l.At}}}
	if err := a.mayLogIn(ctx, v); err != nil {
		return Verified{}, err
	}
	return a.proveFactor(ctx, v, p)
}

// AuthenticateAgain proves a second factor of a user who is logged in. Alone it logs nobody in: the
// caller passes the result to StartSession, which adds it to the session that is replaced, or to
// Release. Errors as of AuthenticateSecond.
func (a *Accounts) AuthenticateAgain(ctx context.Context, userID string, p FactorProof) (_ Verified, err error) {
	defer func() { a.Counts.login(err) }()
	u, err := a.userOfStep(ctx, userID)
	switch {
	case err != nil:
		return Verified{}, err
	case !u.IsActive:
		return Verified{}, ErrAccountDisabled
	}
	return a.proveFactor(ctx, Verified{User: u, Continues: true}, p)
}

// AuthenticateSetUp completes a login that waited until its user had set up a second factor: by, which
// was proved when it was set up. The handle of the login is spent with it. Errors as of
// AuthenticateSecond.
func (a *Accounts) AuthenticateSetUp(ctx context.Context, l SecondLogin, by ProvedFactor, h Handle) (_ Verified, err error) {
	defer func() { a.Counts.login(err) }()
	u, err := a.userOfStep(ctx, l.UserID)
	switch {
	case err != nil:
		return Verified{}, err
	case !u.IsActive:
		return Verified{}, ErrAccountDisabled
	// The change that set the factor up is the only one since the password was proved.
	case !u.SecondFactor || !l.holds(u, l.FactorVersion+1):
		return Verified{}, ErrStepOver
	}
	use := FactorUse{Handles: []Handle{h}, At: a.now()}
	v := Verified{
		User: u, Proved: []ProvedFactor{{Factor: FactorPassword, At: l.At}, by},
		Second: SecondStep{FactorVersion: u.FactorVersion, Proved: true, Use: use},
	}
	if err := a.mayLogIn(ctx, v); err != nil {
		return Verified{}, err
	}
	// Nothing is guessed here. By the attempt the browser is remembered, and a new one is told by mail.
	v.reservation, err = a.Throttle.admitPasskey(ctx, a.now, subject(u, true, ""))
	return v, err
}

// UserOfSetup reads the user of a login that waits until the user has set up a second factor.
// ErrStepOver, ErrAccountDisabled, and any error of the store.
func (a *Accounts) UserOfSetup(ctx context.Context, l SecondLogin) (User, error) {
	u, err := a.userOfStep(ctx, l.UserID)
	switch {
	case err != nil:
		return User{}, err
	case !u.IsActive:
		return User{}, ErrAccountDisabled
	case u.SecondFactor || !l.holds(u, l.FactorVersion):
		return User{}, ErrStepOver
	}
	return u, nil
}

// userOfStep reads the user of a login that waits. ErrStepOver: deleted meanwhile.
func (a *Accounts) userOfStep(ctx context.Context, userID string) (User, error) {
	u, err := a.Store.UserByID(ctx, userID)
	if errors.Is(err, ErrNotFound) {
		err = ErrStepOver
	}
	return u, err
}

// mayLogIn refuses a user whose proofs are right, and who may not log in.
func (a *Accounts) mayLogIn(ctx context.Context, v Verified) error {
	switch u := v.User; {
	case !u.IsActive:
		return a.refuse(ctx, v, "account_disabled", ErrAccountDisabled)
	case !u.EmailVerified && a.Verification == VerificationRequired:
		unverified := &NotVerifiedError{UserID: u.ID, Email: u.Email, emailKey: u.EmailKey}
		return a.refuse(ctx, v, "email_not_verified", unverified)
	}
	return nil
}

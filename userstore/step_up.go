package userstore

import (
	"context"
	"errors"
)

// AuthenticateAgain proves a second factor of a user who is logged in. Alone it logs nobody in: the
// caller passes the result to StartSession, which adds it to the session that is replaced, or to
// Release. Errors as of AuthenticateSecond.
func (a *Accounts) AuthenticateAgain(ctx context.Context, userID string, p FactorProof) (Verified, error) {
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
func (a *Accounts) AuthenticateSetUp(ctx context.Context, l SecondLogin, by ProvedFactor, h Handle) (Verified, error) {
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

package userstore

import (
	"context"
	"crypto/hmac"
	"errors"
)

// AuthenticateAgain proves a second factor of a user who is logged in. Alone it logs nobody in: the
// caller passes the result to StartSession, which adds it to the session that is replaced, or to
// Release. Errors as of AuthenticateSecond.
func (a *Accounts) AuthenticateAgain(ctx context.Context, userID string, p FactorProof) (Verified, error) {
	u, err := a.userOfStep(ctx, userID)
	if err != nil {
		return Verified{}, err
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
	// The change that set the factor up is the only one since the password was proved.
	case u.FactorVersion != l.FactorVersion+1 || !u.SecondFactor || !hmac.Equal(u.PasswordMark(), l.PasswordMark):
		return Verified{}, ErrStepOver
	}
	use := FactorUse{Handles: []Handle{h}, At: a.now()}
	v := Verified{
		User: u, Proved: []ProvedFactor{{Method: ByPassword, At: l.At}, by},
		Second: SecondStep{FactorVersion: u.FactorVersion, Proved: true, Use: use},
	}
	if err := a.mayLogIn(ctx, v); err != nil {
		return Verified{}, err
	}
	// Nothing is guessed here. By the attempt the browser is remembered, and a new one is told by mail.
	v.reservation, err = a.Throttle.admitPasskey(ctx, a.now, subject(u, true, ""))
	return v, err
}

func (a *Accounts) userOfStep(ctx context.Context, userID string) (User, error) {
	u, err := a.Store.UserByID(ctx, userID)
	switch {
	case errors.Is(err, ErrNotFound):
		return User{}, ErrStepOver
	case err != nil:
		return User{}, err
	case !u.IsActive:
		return User{}, ErrAccountDisabled
	}
	return u, nil
}

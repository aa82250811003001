package userstore

import (
	"context"
	"errors"
	"time"
)

// ErrProofRequired: no proof was sent, or an earlier proof does not hold any more.
var ErrProofRequired = errors.New("a recent proof is required")

// ProofLasts is how long a proof holds. The age of an access token never counts: a stolen token is as
// fresh as its owner's.
const ProofLasts = 10 * time.Minute

// Proof shows that the owner of an account is asking, and not the holder of a stolen token: the
// password, or an earlier proof. Of an account with a second factor the password alone is no proof. If
// there are both, both have to be right. The zero value proves nothing.
type Proof struct {
	Password string
	// Earlier reports whether an earlier proof is of this user as stored now, of the second factor
	// where the user has one; nil: there is no earlier proof.
	Earlier func(User) bool
}

// Prove reads a user and checks the proof. The user has the password hash that was proved, so that
// an act can be bound to it. ErrProofRequired, ErrInvalidCredentials, ErrAccountDisabled, ErrOverloaded,
// ErrRateLimited, ErrNotFound, ValidationError on current_password.
func (a *Accounts) Prove(ctx context.Context, userID string, p Proof) (User, error) {
	var fs Faults
	if err := p.check(&fs); err != nil {
		return User{}, err
	}
	if err := fs.Err(); err != nil {
		return User{}, err
	}
	u, err := a.Store.UserByID(ctx, userID)
	if err != nil {
		return User{}, err
	}
	return u, a.proves(ctx, u, p)
}

// EditProved is Edit, which demands the proof where the edit changes the email address or the username:
// either of them could move the account. With mail it refuses another address: see
// BeginEmailChange. What is wrong with the edit by itself is said before; whether an address is
// taken only after the proof. Errors of Edit and of Prove.
func (a *Accounts) EditProved(ctx context.Context, userID string, p Proof, edit func(*User) error) (User, error) {
	var proved User // as the user was when the proof was checked
	return a.Edit(ctx, userID, func(u *User) error {
		before := u.clone()
		if err := edit(u); err != nil {
			return err
		}
		after := u.clone()
		if err := a.checkEdit(before, &after); err != nil {
			return err
		}
		if after.Email != before.Email && !a.NoMail {
			return changeByMail()
		}
		switch {
		case after.Email == before.Email && after.Username == before.Username:
			return nil
		case proved.ID != "" && proved.PasswordHash == before.PasswordHash &&
			proved.FactorVersion == before.FactorVersion: // another edit was faster
			return nil
		}
		var fs Faults
		if err := p.check(&fs); err != nil {
			return err
		}
		if err := fs.Err(); err != nil {
			return err
		}
		if err := a.proves(ctx, before, p); err != nil {
			return err
		}
		proved = before
		return nil
	})
}

// changeByMail refuses an edit of the address where there is mail.
func changeByMail() error {
	var fs Faults
	fs.Add("email", Fault{CodeNotAllowed,
		"An address is changed by a message to the new one: send it to POST /v1/profile/email."})
	return fs.Err()
}

// check judges a proof without the account: whether there is one, and what is wrong with its text.
func (p Proof) check(fs *Faults) error {
	switch {
	case p.Password != "":
		fs.Add("current_password", checkTyped(p.Password))
	case p.Earlier == nil:
		return ErrProofRequired
	}
	return nil
}

// proves checks a proof against the account as it is stored.
func (a *Accounts) proves(ctx context.Context, u User, p Proof) error {
	switch {
	case p.Earlier == nil && u.SecondFactor, p.Earlier != nil && !p.Earlier(u):
		return ErrProofRequired
	case p.Earlier == nil || p.Password != "":
		return a.verifyPassword(ctx, u, p.Password)
	case !u.IsActive:
		return ErrAccountDisabled
	}
	return nil
}

package userstore

import (
	"context"
	"errors"
	"log/slog"
)

// Verified is a user who proved a password, and what StartGrant needs.
type Verified struct {
	User   User
	Client Client
	Rehash string // set when the stored hash should be replaced
}

// nobody is a key that no account can have. A login that names nobody possible goes the
// way of one that names nobody known, and takes the same time.
const nobody = "?"

// Authenticate checks email or username (exactly one) and password with one
// read, in the same time for unknown users. ErrInvalidCredentials,
// ErrAccountDisabled, ErrOverloaded, ErrNotFound: no such client; ValidationError for what is
// wrong whoever asks: both names or none, a password that is empty, over MaxPassword or not UTF-8. The client is
// returned as it is, disabled or not: its rules are the issuer's.
// checkClient (may be nil) runs after the read and before any hashing, and may refuse.
func (a *Accounts) Authenticate(ctx context.Context, email, username, password, clientID string, checkClient func(Client) error) (Verified, error) {
	var fs faults
	login := Login{}
	switch {
	case email != "" && username != "":
		fs.add("username", fault{CodeNotAllowed, "Send either email or username, not both."})
	case email != "":
		login.EmailKey = nobody
		if key, ok := EmailKey(email); ok {
			login.EmailKey = key
		}
	case username != "":
		login.UsernameKey = nobody
		if key, ok := UsernameKey(username); ok {
			login.UsernameKey = key
		}
	default:
		fs.add("email", fault{CodeRequired, "An email address or a username is needed."})
	}
	fs.add("password", presented(password))
	if err := fs.err(); err != nil {
		return Verified{}, err
	}

	u, known, client, err := a.Store.LoginView(ctx, login, clientID)
	if err != nil {
		return Verified{}, err
	}
	if checkClient != nil {
		if err := checkClient(client); err != nil {
			return Verified{}, err
		}
	}
	if !known {
		u = User{} // without a hash: Verify spends the time and says no
	}
	ok, stale, err := a.Hasher.Verify(ctx, u.PasswordHash, password)
	switch {
	case err != nil:
		return Verified{}, err
	case !ok:
		a.reportUnusable(ctx, u)
		return Verified{}, ErrInvalidCredentials
	case !u.IsActive:
		return Verified{}, ErrAccountDisabled
	}
	v := Verified{User: u, Client: client}
	if stale {
		// The next login is as good a moment: no login fails for want of a slot here.
		v.Rehash, err = a.Hasher.Hash(ctx, password)
		if err != nil && !errors.Is(err, ErrOverloaded) {
			return Verified{}, err
		}
	}
	return v, nil
}

// CheckPassword proves the password of a known user, whom it reads again (users that come
// with a grant carry no hash). ErrInvalidCredentials, ErrAccountDisabled, ErrOverloaded,
// ErrNotFound, ValidationError on current_password.
func (a *Accounts) CheckPassword(ctx context.Context, u User, password string) error {
	_, err := a.prove(ctx, u.ID, password)
	return err
}

// prove reads a user and checks that the caller knows the password.
func (a *Accounts) prove(ctx context.Context, userID, password string) (User, error) {
	var fs faults
	fs.add("current_password", presented(password))
	if err := fs.err(); err != nil {
		return User{}, err
	}
	u, err := a.Store.UserByID(ctx, userID)
	if err != nil {
		return User{}, err
	}
	return u, a.match(ctx, u, password)
}

func (a *Accounts) match(ctx context.Context, u User, password string) error {
	ok, _, err := a.Hasher.Verify(ctx, u.PasswordHash, password)
	switch {
	case err != nil:
		return err
	case !ok:
		// Somebody signed in does not know the password: worth a line, for it may be a stolen session.
		a.event(ctx, slog.LevelWarn, "wrong current password", u.ID)
		a.reportUnusable(ctx, u)
		return ErrInvalidCredentials
	case !u.IsActive:
		return ErrAccountDisabled
	}
	return nil
}

// reportUnusable tells the operator of a stored hash that no password can match, since
// its owner is told only that the password is wrong.
func (a *Accounts) reportUnusable(ctx context.Context, u User) {
	if u.PasswordHash != "" && a.Hasher.Accept(u.PasswordHash) != nil {
		a.event(ctx, slog.LevelError, "stored password hash is unreadable or of absurd cost; set a new password", u.ID)
	}
}

package userstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// ErrNewPassword means that the address is proved, but not that its owner made the account. Without
// a new password, another person who made the account could still sign in.
var ErrNewPassword = errors.New("a new password is needed")

// Owner shows that the person who proves an address also owns the account, by one of the first
// three fields. NewPassword replaces them: then all grants and sessions of the account end.
type Owner struct {
	UserID       string // of a session or access token
	SignupHandle string // returned by the sign-up
	Password     string
	NewPassword  string
}

// AskVerification asks for a message with which the owner of an address proves it. It treats all
// addresses alike, as ForgotPassword does.
func (a *Accounts) AskVerification(ctx context.Context, email, browser string) (handle string, err error) {
	return a.requestMail(ctx, outbox.VerifyEmail, byRequest, email, browser)
}

// firstVerification returns the message that verifies the address of a new account, to be stored
// together with the account, and the handle for its code. The handle keeps the password: see Owner.
// If the address has had its messages, there is none.
func (a *Accounts) firstVerification(ctx context.Context, u User) (m []outbox.Message, handle string, err error) {
	if a.NoMail || a.Verification == VerificationOff || u.EmailVerified {
		return nil, "", nil
	}
	secret, err := a.oneTime()
	if err != nil {
		return nil, "", err
	}
	const kind = outbox.VerifyEmail
	r := secret.request(CommandLineID(a.NewID), kind, u.EmailKey, a.now())
	room, err := a.Store.TakeMailRoom(ctx, r, mailLimits)
	if err != nil {
		return nil, "", fmt.Errorf("count %s: %w", kind, err)
	}
	if room {
		m = []outbox.Message{{ID: r.ID, Kind: kind, To: u.Email, At: r.At, EndsAt: r.EndsAt}}
	}
	return m, secret.handle(kind, bySignup, r.ID, ""), nil
}

// VerifyEmail proves the address of an account, or of a pending sign-up, whose account it makes.
// Errors: ErrTokenInvalid, ErrNewPassword, ErrInvalidCredentials, ErrRateLimited, ErrOverloaded,
// ErrSignupClosed, ValidationError.
func (a *Accounts) VerifyEmail(ctx context.Context, m Mailed, by Owner) (Proved, error) {
	p, err := a.present(ctx, outbox.VerifyEmail, m, by.NewPassword)
	if err != nil {
		return Proved{}, err
	}
	if p.pending != nil {
		return a.makeAccount(ctx, p, by)
	}
	if by.NewPassword == "" {
		if err := a.owns(ctx, p, by); err != nil {
			a.returnTry(ctx, p)
			return Proved{}, err
		}
	}
	proved := Proved{User: p.user}
	if by.NewPassword == "" && p.from == byPassword {
		proved.Typed = p.token.At
	}
	proved.User.EmailVerified = true
	return proved, a.redeem(ctx, p, by.NewPassword, m.Second, audit.EmailVerified)
}

// owns returns nil if by shows that the account is the caller's.
func (a *Accounts) owns(ctx context.Context, p presentedToken, by Owner) error {
	if p.user.PasswordHash == "" {
		return ErrNewPassword
	}
	if p.from == bySignup || p.from == byPassword || by.UserID != "" && by.UserID == p.user.ID {
		return nil
	}
	id, ok, err := a.readSignupHandle(by.SignupHandle)
	if err != nil {
		return err
	}
	if ok {
		first, _, err := a.Store.OneTimeToken(ctx, id, a.now())
		if err == nil && first.UserID == p.user.ID {
			return nil
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if by.Password != "" {
		return a.verifyPassword(ctx, p.user, by.Password)
	}
	return ErrNewPassword
}

// readSignupHandle returns the id in the handle of a sign-up; ok is false for any other text.
func (a *Accounts) readSignupHandle(text string) (id string, ok bool, err error) {
	if text == "" {
		return "", false, nil
	}
	secret, err := a.oneTime()
	if err != nil {
		return "", false, err
	}
	id, from, ok := secret.readHandle(outbox.VerifyEmail, text, "")
	return id, ok && from == bySignup, nil
}

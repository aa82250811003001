package userstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// Mailed is what somebody presents of a message: Token, the end of its link; or Code, with the Handle that the request
// for the message was answered with.
type Mailed struct {
	Token, Handle, Code string

	session string // that the handle is bound to; empty: none
}

// ErrNothingToSend: the message has no recipient, or none any more. It is dropped without a word.
var ErrNothingToSend = errors.New("there is nothing to send")

// ForgotPassword asks for a message with which the owner of an address sets a new password. The answer is a handle for the
// message's code, and is the same whether or not the address has an account; whether a message is sent is decided later,
// where no stranger can measure it. ValidationError on email, ErrRateLimited: of the caller's network.
func (a *Accounts) ForgotPassword(ctx context.Context, email string) (handle string, err error) {
	return a.requestMail(ctx, outbox.ResetPassword, byRequest, email)
}

// requestMail stores a request for a message to an address, as it is done for every address.
func (a *Accounts) requestMail(ctx context.Context, kind outbox.Kind, from origin, email string) (handle string, err error) {
	display, key, f := canonicalEmail(email)
	var fs faults
	fs.add("email", f)
	if err := fs.err(); err != nil {
		return "", err
	}
	reservation, err := a.Throttle.admitMail(ctx, a.now)
	if err != nil {
		return "", err
	}
	if handle, err = a.storeRequest(ctx, kind, from, display, key); err != nil {
		reservation.giveBack(ctx)
	}
	return handle, err
}

// storeRequest is the one act that every request is, whatever the address.
func (a *Accounts) storeRequest(ctx context.Context, kind outbox.Kind, from origin, display, key string) (handle string, err error) {
	secret, err := a.oneTime()
	if err != nil {
		return "", err
	}
	now := a.now()
	r := MailRequest{ID: commandLineID(a.NewID), Kind: kind, Budget: secret.budget(key), At: now, EndsAt: now.Add(lasts[kind])}
	m := outbox.Message{ID: r.ID, Kind: kind, To: display, At: r.At, EndsAt: r.EndsAt}
	if err := a.Store.RequestMail(ctx, r, mailLimits, m); err != nil {
		return "", fmt.Errorf("ask for %s: %w", kind, err)
	}
	return secret.handle(kind, from, r.ID, ""), nil
}

// Contents makes what a message of the outbox says beside its text, at the moment when it is sent. For a message that
// somebody asked for it looks up the account, and makes the token. ErrNothingToSend.
func (a *Accounts) Contents(ctx context.Context, m outbox.Message) (outbox.Contents, error) {
	page, ok := pageOf[m.Kind]
	if !ok { // a notice
		return outbox.Contents{To: m.To, Locale: m.Locale}, nil
	}
	secret, err := a.oneTime()
	if err != nil {
		return outbox.Contents{}, err
	}
	if m.Kind == outbox.ChangeEmail || m.Kind == outbox.UndoEmail {
		return a.changeContents(ctx, secret, m)
	}
	key, ok := EmailKey(m.To)
	if !ok {
		return outbox.Contents{}, ErrNothingToSend
	}
	u, err := a.Store.UserByLogin(ctx, Login{EmailKey: key})
	switch {
	case errors.Is(err, ErrNotFound):
		return outbox.Contents{}, ErrNothingToSend
	case err != nil:
		return outbox.Contents{}, err
	case !u.IsActive, m.Kind == outbox.VerifyEmail && u.EmailVerified, m.UserID != "" && m.UserID != u.ID,
		m.Kind == outbox.Invite && u.PasswordHash != "":
		return outbox.Contents{}, ErrNothingToSend
	}
	err = a.Store.IssueToken(ctx, OneTimeToken{ID: m.ID, Kind: m.Kind, UserID: u.ID, AddressKey: key, At: m.At, EndsAt: m.EndsAt})
	if errors.Is(err, ErrConflict) {
		return outbox.Contents{}, ErrNothingToSend
	}
	c := outbox.Contents{To: u.Email, Locale: u.Claims.Locale, Link: page + secret.link(m.Kind, m.ID)}
	if m.Kind != outbox.Invite { // nobody holds a handle
		c.Code = secret.code(m.Kind, m.ID)
	}
	// To the address that the account has: what a stranger typed may have the same key and be another mailbox.
	return c, err
}

// ErrHasPassword: only an account without a password can be invited to set one.
var ErrHasPassword = errors.New("the account has a password")

// ErrNoMail: nothing sends messages.
var ErrNoMail = errors.New("there is no mail")

// Invite sends a message with which the owner of an account without a password sets the first one. A newer one ends the one
// before. ErrNotFound, ErrNoMail, ErrHasPassword, ErrAccountDisabled.
func (a *Accounts) Invite(ctx context.Context, userID string) error {
	u, err := a.Store.UserByID(ctx, userID)
	switch {
	case err != nil:
		return err
	case a.NoMail:
		return ErrNoMail
	case u.PasswordHash != "":
		return ErrHasPassword
	case !u.IsActive:
		return ErrAccountDisabled
	}
	e := a.invitation(ctx, u)
	return audit.Stored(ctx, a.Log, a.Store.Record(ctx, e), e)
}

// invitation is the entry of the audit log that carries the message.
func (a *Accounts) invitation(ctx context.Context, u User) audit.Event {
	now := a.now()
	e := audit.New(ctx, now, audit.UserInvited, audit.User(u.ID))
	e.Messages = []outbox.Message{{ID: commandLineID(a.NewID), Kind: outbox.Invite, UserID: u.ID, To: u.Email, Locale: u.Claims.Locale, At: now, EndsAt: now.Add(inviteLasts)}}
	return e
}

// AcceptInvitation sets the first password of an account by the link of an invitation, which proves the address, too.
// ErrTokenInvalid, ErrOverloaded, ValidationError.
func (a *Accounts) AcceptInvitation(ctx context.Context, token, next string) error {
	p, err := a.present(ctx, outbox.Invite, Mailed{Token: token}, next)
	if err != nil {
		return err
	}
	return a.redeem(ctx, p, next, audit.PasswordReset)
}

// ResetPassword sets a new password by what a message brought, and ends whatever the account was signed in with. The
// message proves the address, too. ErrTokenInvalid, ErrOverloaded, ValidationError.
func (a *Accounts) ResetPassword(ctx context.Context, m Mailed, next string) error {
	p, err := a.present(ctx, outbox.ResetPassword, m, next)
	if err != nil {
		return err
	}
	return a.redeem(ctx, p, next, audit.PasswordReset)
}

// ErrNewPassword: the address is proved, but not that the account was made by the same person. Without a new password the
// one who made it would keep a way in.
var ErrNewPassword = errors.New("a new password is needed")

// Owner is what shows that whoever proves an address also has the account: any one of the first three. NewPassword stands in for
// them: then whatever the account was signed in with has ended.
type Owner struct {
	UserID       string // of a session or access token
	SignupHandle string // that the sign-up was answered with
	Password     string
	NewPassword  string
}

// AskVerification asks for a message with which the owner of an address proves it, as ForgotPassword does for a password.
func (a *Accounts) AskVerification(ctx context.Context, email string) (handle string, err error) {
	return a.requestMail(ctx, outbox.VerifyEmail, byRequest, email)
}

// FirstVerification asks for the message about the address of a new account. It is no part of the sign-up, which has
// happened: when it fails, the person asks again. The handle keeps the password: see Owner.
func (a *Accounts) FirstVerification(ctx context.Context, u User) (handle string) {
	if a.NoMail || a.Verification == VerificationOff || u.EmailVerified {
		return ""
	}
	handle, err := a.storeRequest(ctx, outbox.VerifyEmail, bySignup, u.Email, u.EmailKey)
	if err != nil && a.Log != nil {
		a.Log.WarnContext(ctx, "the message to a new account could not be stored; its owner has to ask for another", "user_id", u.ID, "error", err)
	}
	return handle
}

// VerifyEmail proves the address of an account. ErrTokenInvalid, ErrNewPassword, ErrInvalidCredentials, ErrRateLimited,
// ErrOverloaded, ValidationError.
func (a *Accounts) VerifyEmail(ctx context.Context, m Mailed, by Owner) error {
	p, err := a.present(ctx, outbox.VerifyEmail, m, by.NewPassword)
	if err != nil {
		return err
	}
	if by.NewPassword == "" {
		if err := a.owns(ctx, p, by); err != nil {
			a.returnTry(ctx, p)
			return err
		}
	}
	return a.redeem(ctx, p, by.NewPassword, audit.EmailVerified)
}

// owns is nil for whoever has the account whose address is proved.
func (a *Accounts) owns(ctx context.Context, p presentedToken, by Owner) error {
	if p.user.PasswordHash == "" {
		return ErrNewPassword
	}
	if p.from == bySignup || by.UserID != "" && by.UserID == p.user.ID {
		return nil
	}
	if by.SignupHandle != "" {
		secret, err := a.oneTime()
		if err != nil {
			return err
		}
		if id, from, ok := secret.readHandle(outbox.VerifyEmail, by.SignupHandle, ""); ok && from == bySignup {
			first, _, err := a.Store.OneTimeToken(ctx, id, a.now())
			if err == nil && first.UserID == p.user.ID {
				return nil
			}
			if err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
	}
	if by.Password != "" {
		return a.verifyPassword(ctx, p.user, by.Password)
	}
	return ErrNewPassword
}

// presented is a token that somebody presented, and its user.
type presentedToken struct {
	token OneTimeToken
	user  User
	from  origin // of the handle
	tried bool   // a try of a code was counted
}

// present finds the token of what somebody presents. It refuses alike what is wrong, what is over, and what never was. A
// new password that no account may have is refused before a try is counted; next may be empty.
func (a *Accounts) present(ctx context.Context, kind outbox.Kind, m Mailed, next string) (p presentedToken, err error) {
	var fs faults
	switch {
	case m.Token != "" && (m.Handle != "" || m.Code != ""):
		fs.add("token", fault{CodeNotAllowed, "Send either token, or handle and code."})
	case m.Token == "" && m.Handle == "":
		fs.add("token", fault{CodeRequired, "Send token, or handle and code."})
	case m.Token == "" && m.Code == "":
		fs.add("code", fault{CodeRequired, "Send the code of the message."})
	}
	if next != "" {
		fs.add("new_password", checkNew(next, a.minPassword(), User{}, a.Service))
	}
	if err := fs.err(); err != nil {
		return p, err
	}
	if next != "" {
		fs.add("new_password", a.checkBreach(ctx, next))
		if err := fs.err(); err != nil {
			return p, err
		}
	}
	secret, err := a.oneTime()
	if err != nil {
		return p, err
	}
	now := a.now()
	id, ok := secret.readLink(kind, m.Token)
	if m.Token == "" {
		if id, p.from, ok = secret.readHandle(kind, m.Handle, m.session); ok {
			if err := a.Store.TryCode(ctx, id, kind, now, codeTries); err != nil {
				return p, invalid(err)
			}
			p.tried = true
		}
	}
	if !ok {
		return p, ErrTokenInvalid
	}
	p.token, p.user, err = a.Store.OneTimeToken(ctx, id, now)
	if m.Token == "" && !secret.isCode(kind, id, m.Code) && err == nil {
		err = ErrTokenInvalid
	}
	if err == nil && (p.token.Kind != kind || !p.token.Live) {
		err = ErrTokenInvalid
	}
	return p, invalid(err)
}

// invalid makes one answer of all that a store says of a token that is not there or not of use.
func invalid(err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		return ErrTokenInvalid
	}
	return err
}

// asOwner returns ctx with the user as the actor, whom a link or code has proved.
func asOwner(ctx context.Context, userID string) context.Context {
	o := audit.OriginOf(ctx)
	return audit.As(ctx, audit.Actor{Type: audit.ByUser, ID: userID}, o.ClientID, o.SessionID)
}

// returnTry gives back the try of a code that was right and led to nothing. When it cannot be given back, fewer are left.
func (a *Accounts) returnTry(ctx context.Context, p presentedToken) {
	if p.tried {
		kept, cancel := Uncancelled(ctx)
		defer cancel()
		_ = a.Store.ReturnTry(kept, p.token.ID)
	}
}

// redeem spends a token, with a new password or without. A try that was right is given back if nothing came of it.
func (a *Accounts) redeem(ctx context.Context, p presentedToken, next string, name audit.Name) (err error) {
	defer func() {
		if err != nil && !errors.Is(err, ErrTokenInvalid) {
			a.returnTry(ctx, p)
		}
	}()
	r := Redemption{ID: p.token.ID, Kind: p.token.Kind}
	if next != "" {
		var fs faults
		fs.add("new_password", checkNew(next, a.minPassword(), p.user, a.Service))
		if err := fs.err(); err != nil {
			return err
		}
		if r.NewHash, err = a.Hasher.Hash(ctx, next); err != nil {
			return err
		}
	}
	r.At = a.now()
	e := audit.New(asOwner(ctx, p.user.ID), r.At, name, audit.User(p.user.ID))
	verified := p.user
	verified.EmailVerified = true
	e.Changes = changes(p.user, verified)
	if next != "" {
		e.Messages = a.notice(outbox.PasswordChanged, p.user, r.At)
	}
	return audit.Stored(ctx, a.Log, invalid(a.Store.RedeemToken(ctx, r, e)), e)
}

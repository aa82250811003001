package userstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// Mailed is what a person presents of a message: Token, which ends its link, or Code together with
// the Handle that the request for the message returned.
type Mailed struct {
	Token, Handle, Code string
	// Second shows a second factor of an account that has one: see ErrSecondFactor. The zero value
	// shows nothing.
	Second FactorProof

	session string // that the handle is bound to; empty: none
}

// ErrNothingToSend means that the message has no recipient, or none any more. It is dropped
// silently.
var ErrNothingToSend = errors.New("there is nothing to send")

// ForgotPassword asks for a message with which the owner of an address sets a new password. It
// returns a handle for the message's code, with or without an account at the address: the worker
// decides later whether a message is sent, and no stranger can measure that. browser is the cookie
// of the browser that asks, so that a form that is sent twice at once asks for one message; empty:
// none. Errors: ValidationError on email, and ErrRateLimited for the caller's network.
func (a *Accounts) ForgotPassword(ctx context.Context, email, browser string) (handle string, err error) {
	return a.requestMail(ctx, outbox.ResetPassword, byRequest, email, browser)
}

// requestMail stores a request for a message to an address, known or unknown.
func (a *Accounts) requestMail(
	ctx context.Context, kind outbox.Kind, from origin, email, browser string,
) (handle string, err error) {
	display, key, f := canonicalEmail(email)
	var fs Faults
	fs.Add("email", f)
	if err := fs.Err(); err != nil {
		return "", err
	}
	return a.storeRequest(ctx, kind, from, display, key, browser)
}

// storeRequest writes the same rows for every address, if the caller's network may ask for messages.
func (a *Accounts) storeRequest(
	ctx context.Context, kind outbox.Kind, from origin, display, key, browser string,
) (handle string, err error) {
	w := wantedMail{kind: kind, from: from, address: key, browser: browser}
	return a.askForMail(ctx, w, func(r MailRequest) error {
		m := outbox.Message{ID: r.ID, Kind: kind, To: display, At: r.At, EndsAt: r.EndsAt}
		return a.Store.RequestMail(ctx, r, mailLimits, m)
	})
}

// wantedMail is a message that a person asks for.
type wantedMail struct {
	kind    outbox.Kind
	from    origin
	address string   // key
	browser string   // that asks: see Accounts.requestID
	parts   []string // of the request, beside the address
	session string   // in which alone the handle is of use; empty: in any
}

// askForMail lets store write a request for a message, if the caller's network may ask for messages. It
// returns the handle with which the caller refers to the request.
func (a *Accounts) askForMail(
	ctx context.Context, w wantedMail, store func(MailRequest) error,
) (handle string, err error) {
	secret, err := a.oneTime()
	if err != nil {
		return "", err
	}
	reservation, err := a.Throttle.admitMail(ctx, a.now)
	if err != nil {
		return "", err
	}
	now := a.now()
	id := a.requestID(secret, w.kind, w.browser, now, append([]string{w.address}, w.parts...)...)
	r := secret.request(id, w.kind, w.address, now)
	if err := store(r); err != nil {
		reservation.giveBack(ctx)
		return "", fmt.Errorf("ask for %s: %w", w.kind, err)
	}
	return secret.handle(w.kind, w.from, r.ID, w.session), nil
}

// Contents makes the parts of a message that are not stored, just before the message is sent. For a
// message that a person asked for, it looks up the account and issues the token. Error:
// ErrNothingToSend.
func (a *Accounts) Contents(ctx context.Context, m outbox.Message) (outbox.Contents, error) {
	page, ok := pageOf[m.Kind]
	if !ok {
		return a.noticeContents(ctx, m)
	}
	secret, err := a.oneTime()
	if err != nil {
		return outbox.Contents{}, err
	}
	if m.Kind == outbox.ChangeEmail || m.Kind == outbox.UndoEmail || m.Kind == outbox.FactorAdded {
		return a.changeContents(ctx, secret, m)
	}
	key, ok := EmailKey(m.To)
	if !ok {
		return outbox.Contents{}, ErrNothingToSend
	}
	u, err := a.Store.UserByLogin(ctx, Login{EmailKey: key})
	if m.Kind == outbox.VerifyEmail {
		if c, ok, err := a.signupContents(ctx, secret, m, key, u, err); ok || err != nil {
			return c, err
		}
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return outbox.Contents{}, ErrNothingToSend
	case err != nil:
		return outbox.Contents{}, err
	case !u.IsActive, m.Kind == outbox.VerifyEmail && u.EmailVerified, m.UserID != "" && m.UserID != u.ID,
		m.Kind == outbox.Invite && u.PasswordHash != "", m.Kind == outbox.FactorCode && !a.NeedsMailbox(u):
		return outbox.Contents{}, ErrNothingToSend
	}
	err = a.Store.IssueToken(ctx, OneTimeToken{
		ID: m.ID, Kind: m.Kind, UserID: u.ID, AddressKey: key, At: m.At, EndsAt: m.EndsAt,
	})
	if errors.Is(err, ErrConflict) {
		return outbox.Contents{}, ErrNothingToSend
	}
	c := outbox.Contents{To: u.Email, Locale: u.Claims.Locale}
	if page != "" {
		c.Link = page + secret.link(m.Kind, m.ID)
	}
	if m.Kind != outbox.Invite { // an operator's invitation returns no handle
		c.Code = secret.code(m.Kind, m.ID)
	}
	// The recipient is the address of the account: an address that a stranger typed may have the
	// same key and be another mailbox.
	return c, err
}

// ErrHasPassword means that an invitation is refused: it is for accounts without a password.
var ErrHasPassword = errors.New("the account has a password")

// ErrNoMail means that this server sends no messages.
var ErrNoMail = errors.New("there is no mail")

// Invite sends a message with which the owner of an account without a password sets the first one.
// A newer invitation ends the older one. Errors: ErrNotFound, ErrNoMail, ErrHasPassword,
// ErrAccountDisabled.
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

// invitation returns the audit entry that carries the message.
func (a *Accounts) invitation(ctx context.Context, u User) audit.Event {
	now := a.now()
	e := audit.New(ctx, now, audit.UserInvited, audit.User(u.ID))
	e.Messages = []outbox.Message{{
		ID: CommandLineID(a.NewID), Kind: outbox.Invite, UserID: u.ID, To: u.Email, Locale: u.Claims.Locale,
		At: now, EndsAt: now.Add(inviteLasts),
	}}
	return e
}

// AcceptInvitation sets the first password of an account by the link of an invitation. The link
// also proves the address. Errors as of ResetPassword.
func (a *Accounts) AcceptInvitation(ctx context.Context, m Mailed, next string) error {
	p, err := a.present(ctx, outbox.Invite, m, next)
	if err != nil {
		return err
	}
	return a.redeem(ctx, p, next, m.Second, audit.PasswordReset)
}

// ResetPassword sets a new password by the link or code of a message, and ends all grants and
// sessions of the account. The message also proves the address. Where the account has a second factor,
// the mailbox alone does not do: ErrSecondFactor (as *SecondFactorError) asks for m.Second, and the
// token, the proof and the new password are spent together. Other errors: ErrTokenInvalid,
// ErrFactorRefused, ErrCodesBlocked, ErrStepOver, ErrRateLimited, ErrOverloaded, ValidationError.
func (a *Accounts) ResetPassword(ctx context.Context, m Mailed, next string) error {
	p, err := a.present(ctx, outbox.ResetPassword, m, next)
	if err != nil {
		return err
	}
	return a.redeem(ctx, p, next, m.Second, audit.PasswordReset)
}

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

// presentedToken is a token that a person presented, with its user.
type presentedToken struct {
	token   OneTimeToken
	user    User
	pending *PendingSignup // instead of a user
	from    origin         // of the handle
	tried   bool           // a try of the code was counted
}

// present finds the token of m. It refuses wrong, ended and unknown tokens alike. A new password
// that no account may have costs no try of the code; next may be empty.
func (a *Accounts) present(ctx context.Context, kind outbox.Kind, m Mailed, next string) (p presentedToken, err error) {
	var fs Faults
	switch {
	case m.Token != "" && (m.Handle != "" || m.Code != ""):
		fs.Add("token", Fault{CodeNotAllowed, "Send either token, or handle and code."})
	case m.Token == "" && m.Handle == "":
		fs.Add("token", Fault{CodeRequired, "Send token, or handle and code."})
	case m.Token == "" && m.Code == "":
		fs.Add("code", Fault{CodeRequired, "Send the code of the message."})
	}
	if next != "" {
		fs.Add("new_password", checkNew(next, a.minPassword(), User{}, a.Service))
	}
	if err := fs.Err(); err != nil {
		return p, err
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
	if kind == outbox.VerifyEmail && errors.Is(err, ErrNotFound) {
		p.token, p.pending, err = a.presentSignup(ctx, id, now)
	}
	if m.Token == "" && !secret.isCode(kind, id, m.Code) && err == nil {
		err = ErrTokenInvalid
	}
	if err == nil && (p.token.Kind != kind || !p.token.Live) {
		err = ErrTokenInvalid
	}
	if err != nil || next == "" {
		return p, invalid(err)
	}
	// The list of breaches is asked only now: strangers must not make this server send requests.
	fs.Add("new_password", a.checkBreach(ctx, next))
	if err = fs.Err(); err != nil {
		a.returnTry(ctx, p)
	}
	return p, err
}

// invalid returns ErrTokenInvalid for a store's errors about a token that is missing or unusable.
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

// returnTry gives back the try of a right code that had no effect. If that fails, fewer tries are
// left.
func (a *Accounts) returnTry(ctx context.Context, p presentedToken) {
	if p.tried {
		kept, cancel := Uncancelled(ctx)
		defer cancel()
		_ = a.Store.ReturnTry(kept, p.token.ID)
	}
}

// returnTryAfter gives back the try if the token may still be presented after err.
func (a *Accounts) returnTryAfter(ctx context.Context, p presentedToken, err error) {
	if err != nil && !errors.Is(err, ErrTokenInvalid) {
		a.returnTry(ctx, p)
	}
}

// hashFor hashes the new_password of u, which present has already checked without the account.
func (a *Accounts) hashFor(ctx context.Context, u User, next string) (string, error) {
	var fs Faults
	fs.Add("new_password", checkNew(next, a.minPassword(), u, a.Service))
	if err := fs.Err(); err != nil {
		return "", err
	}
	return a.Hasher.Hash(ctx, next)
}

// redeem spends a token, with a new password or without. If that fails, the try of the right code
// is given back.
func (a *Accounts) redeem(
	ctx context.Context, p presentedToken, next string, second FactorProof, name audit.Name,
) (err error) {
	defer func() { a.returnTryAfter(ctx, p, err) }()
	r := Redemption{ID: p.token.ID, Kind: p.token.Kind, UserID: p.user.ID, Unproved: p.user.anybodys()}
	var v Verified
	if next != "" {
		if v, err = a.provesSecond(ctx, p, second); err != nil {
			return err
		}
		defer func() { a.Release(ctx, v) }()
		r.Second = v.Second
		if r.NewHash, err = a.hashFor(ctx, p.user, next); err != nil {
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
	events := append([]audit.Event{e}, v.events...)
	if r.Unproved && next != "" {
		gone, err := a.Store.SecondFactors(ctx, p.user.ID)
		if err != nil {
			return err
		}
		if gone.any() {
			events = append(events, a.removal(ctx, p.user, gone, r.At))
		}
		revoked, err := a.consentsRevoked(ctx, p.user.ID, time.Time{}, r.At)
		if err != nil {
			return err
		}
		events = append(events, revoked...)
	}
	err = a.afterSecond(ctx, v, a.Store.RedeemToken(ctx, r, events...))
	return audit.Stored(ctx, a.Log, invalid(err), events...)
}

// consentsRevoked returns the audit entries for the consents that a user gave or changed since a
// time, and that end with a redemption.
func (a *Accounts) consentsRevoked(
	ctx context.Context, userID string, since, at time.Time,
) (events []audit.Event, err error) {
	consents, err := a.Store.ListConsents(ctx, userID)
	for _, c := range consents {
		if !c.UpdatedAt.Before(since) {
			of := audit.Target{Type: audit.OnClient, ID: c.ClientID}
			events = append(events, audit.New(asOwner(ctx, userID), at, audit.ConsentRevoked, of))
		}
	}
	return events, err
}

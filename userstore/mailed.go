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

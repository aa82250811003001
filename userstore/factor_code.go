package userstore

import (
	"context"

	"github.com/signet-id/signet/internal/outbox"
)

// Setting up the first second factor asks the mailbox as well: a person who has only the password of an
// account must not bind the account to another device.

// NeedsMailbox reports whether u proves the mailbox by a code before a second factor is set up. An
// account that has one proves that instead.
func (a *Accounts) NeedsMailbox(u User) bool { return !a.NoMail && !u.SecondFactor }

// RequestFactorCode sends a code to the address of u, who has proved the password. The answer is a
// handle for the code, of use in the session only. Two requests of a session within a minute are one.
// ErrNoMail, ErrRateLimited for the caller's network, and the errors of BeginApp.
func (a *Accounts) RequestFactorCode(ctx context.Context, u User, session string) (handle string, err error) {
	if a.NoMail {
		return "", ErrNoMail
	}
	if err := a.MaySetUpFactor(u); err != nil {
		return "", err
	}
	if u.SecondFactor {
		return "", ErrConflict
	}
	const kind = outbox.FactorCode
	w := wantedMail{
		kind: kind, from: bySession, address: u.EmailKey, browser: session, parts: []string{u.ID}, session: session,
	}
	return a.askForMail(ctx, w, func(r MailRequest) error {
		m := outbox.Message{
			ID: r.ID, Kind: kind, UserID: u.ID, To: u.Email, Locale: u.Claims.Locale, At: r.At, EndsAt: r.EndsAt,
		}
		return a.Store.RequestMail(ctx, r, mailLimits, m)
	})
}

// CheckFactorCode spends the code of the message that RequestFactorCode asked for in the session.
// ErrTokenInvalid, ValidationError.
func (a *Accounts) CheckFactorCode(ctx context.Context, u User, session, handle, code string) error {
	var fs Faults
	if handle == "" {
		fs.Add("handle", Fault{CodeRequired, "Send the handle of the request for the code."})
	}
	if code == "" {
		fs.Add("mail_code", Fault{CodeRequired, "Send the code of the message."})
	}
	if err := fs.Err(); err != nil {
		return err
	}
	p, err := a.present(ctx, outbox.FactorCode, Mailed{Handle: handle, Code: code, session: session}, "")
	switch {
	case err != nil:
		return err
	case p.from != bySession || p.user.ID != u.ID:
		return ErrTokenInvalid
	}
	r := Redemption{ID: p.token.ID, Kind: p.token.Kind, At: a.now()}
	err = invalid(a.Store.RedeemToken(ctx, r))
	a.returnTryAfter(ctx, p, err)
	return err
}

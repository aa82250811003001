package userstore

import (
	"context"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// A message opens its account only together with a second factor where the account has one: a stolen
// mailbox alone takes no such account. The store refuses a redemption that forgets it.

// shows reports whether the person sent a proof.
func (p FactorProof) shows() bool { return p.Code != "" || p.RecoveryCode != "" || p.Passkey != nil }

// undoes reports whether a token undoes an act: then only factors from before the act are a proof.
func (t OneTimeToken) undoes() bool {
	return t.Kind == outbox.UndoEmail || t.Kind == outbox.FactorAdded
}

// anybodys reports whether another person than the owner of the address may have made the account, and
// set up what it has: the address is not proved, and no operator vouches for the second factors.
func (u User) anybodys() bool { return !u.EmailVerified && !(u.SecondFactor && u.FactorsVouched) }

// any reports whether there is a second factor: recovery codes alone are none.
func (s SecondFactors) any() bool { return s.App != nil || len(s.Passkeys) > 0 }

// olderThan returns what of s was there before the act that t undoes.
func (s SecondFactors) olderThan(t OneTimeToken) (older SecondFactors) {
	if s.App != nil && s.App.CreatedAt.Before(t.At) {
		older.App = s.App
	}
	for _, p := range s.Passkeys {
		if p.CreatedAt.Before(t.At) {
			older.Passkeys = append(older.Passkeys, p)
		}
	}
	if s.RecoveryCodes > 0 && s.RecoverySince.Before(t.At) {
		older.RecoveryCodes = s.RecoveryCodes
	}
	return older
}

// newerThan returns the app and the passkeys of s that came with the act that t undoes, or since.
func (s SecondFactors) newerThan(t OneTimeToken) (newer SecondFactors) {
	if s.App != nil && !s.App.CreatedAt.Before(t.At) {
		newer.App = s.App
	}
	for _, p := range s.Passkeys {
		if !p.CreatedAt.Before(t.At) {
			newer.Passkeys = append(newer.Passkeys, p)
		}
	}
	return newer
}

// secondOf returns what a second step beside p can be taken with; needed: it has to be taken.
func (a *Accounts) secondOf(ctx context.Context, p presentedToken) (have SecondFactors, needed bool, err error) {
	undoes := p.token.undoes()
	if !undoes && (!p.user.SecondFactor || p.user.anybodys()) {
		return have, false, nil // an address that is proved only now takes the factors of before away
	}
	have, err = a.Store.SecondFactors(ctx, p.user.ID)
	if err != nil || !undoes {
		return have, true, err
	}
	have = have.olderThan(p.token)
	return have, p.token.SecondFactor || have.any(), nil
}

// provesSecond checks the second factor that has to come with a token. The caller spends what it
// returns together with the token, and releases it.
func (a *Accounts) provesSecond(ctx context.Context, p presentedToken, proof FactorProof) (Verified, error) {
	have, needed, err := a.secondOf(ctx, p)
	switch {
	case err != nil || !needed:
		return Verified{User: p.user}, err
	case !proof.shows():
		return Verified{}, &SecondFactorError{User: p.user, At: a.now(), Methods: have.Methods(a.Passkeys != nil)}
	case proof.RecoveryCode == "" && proof.Passkey == nil && have.App == nil:
		return Verified{}, ErrFactorRefused
	}
	return a.proveFactor(ctx, Verified{User: p.user}, proof)
}

// MailedSecond returns by which methods the second step beside m can be taken; needed is false if there
// is none, or m is not right. It changes nothing.
func (a *Accounts) MailedSecond(
	ctx context.Context, kind outbox.Kind, m Mailed,
) (methods []string, needed bool, err error) {
	p, err := a.present(ctx, kind, m, "")
	switch {
	case errors.Is(err, ErrTokenInvalid):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	}
	a.returnTry(ctx, p)
	have, needed, err := a.secondOf(ctx, p)
	return have.Methods(a.Passkeys != nil), needed, err
}

// RemoveAddedFactor removes a second factor by the link of the message about it, with the factors and
// recovery codes that came since, and sets a new password: whoever added the factor knew the old one.
// What the account is signed in with ends. A second factor from before is asked for. Errors as of
// ResetPassword.
func (a *Accounts) RemoveAddedFactor(ctx context.Context, m Mailed, next string) error {
	p, err := a.present(ctx, outbox.FactorAdded, m, next)
	if err != nil {
		return err
	}
	v, err := a.provesSecond(ctx, p, m.Second)
	if err != nil {
		return err
	}
	defer func() { a.Release(ctx, v) }()
	r := Redemption{ID: p.token.ID, Kind: p.token.Kind, UserID: p.user.ID, Second: v.Second}
	if r.NewHash, err = a.hashFor(ctx, p.user, next); err != nil {
		return err
	}
	r.At = a.now()
	reset := audit.New(asOwner(ctx, p.user.ID), r.At, audit.PasswordReset, audit.User(p.user.ID))
	reset.Messages = a.notice(outbox.PasswordChanged, p.user, r.At)
	gone, err := a.Store.SecondFactors(ctx, p.user.ID)
	if err != nil {
		return err
	}
	removed := a.removal(ctx, p.user, gone.newerThan(p.token), r.At)
	events := append([]audit.Event{removed, reset}, v.events...)
	err = a.afterSecond(ctx, v, a.Store.RemoveAddedFactor(ctx, r, events...))
	return audit.Stored(ctx, a.Log, invalid(err), events...)
}

// removal is the audit entry of the second factors that a message takes from u, with the notice of it.
func (a *Accounts) removal(ctx context.Context, u User, gone SecondFactors, at time.Time) audit.Event {
	e := audit.New(asOwner(ctx, u.ID), at, audit.FactorRemoved, audit.User(u.ID))
	if gone.App != nil {
		e.Changes = append(e.Changes, audit.Change{Field: MethodApp, Before: gone.App.ID})
	}
	for _, key := range gone.Passkeys {
		e.Changes = append(e.Changes, audit.Change{Field: MethodPasskey, Before: key.ID})
	}
	e.Messages = a.notice(outbox.FactorRemoved, u, at)
	return e
}

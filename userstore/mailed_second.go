package userstore

import (
	"context"
	"errors"
	"slices"
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
	if !undoes {
		have, err = a.Store.SecondFactors(ctx, p.user.ID)
		return have, true, err
	}
	have, err = a.Store.HeldFactors(ctx, p.token.ID)
	return have, p.token.SecondFactor || have.any(), err
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
	v := Verified{User: p.user}
	if p.token.undoes() {
		v.undoing = p.token.ID
	}
	proof.Session = byMessages
	return a.proveFactor(ctx, v, proof)
}

// factorsFor reads the second factors that may be shown for v: at an undoing, those from before the act.
func (a *Accounts) factorsFor(ctx context.Context, v Verified) (SecondFactors, error) {
	if v.undoing != "" {
		return a.Store.HeldFactors(ctx, v.undoing)
	}
	return a.Store.SecondFactors(ctx, v.User.ID)
}

// recoveryCodeFor reports whether one of the codes that may be shown for v has one of these MACs.
func (a *Accounts) recoveryCodeFor(ctx context.Context, v Verified, macs [][]byte) (bool, error) {
	if v.undoing != "" {
		return a.Store.HeldRecoveryCode(ctx, v.undoing, macs)
	}
	return a.Store.HasRecoveryCode(ctx, v.User.ID, macs)
}

// undone returns the audit entries of the second factors that an undoing takes from u, and gives back.
func (a *Accounts) undone(ctx context.Context, u User, t OneTimeToken, at time.Time) (events []audit.Event, err error) {
	have, err := a.Store.SecondFactors(ctx, u.ID)
	if err != nil {
		return nil, err
	}
	held, err := a.Store.HeldFactors(ctx, t.ID)
	if err != nil {
		return nil, err
	}
	if gone := have.newerThan(t); gone.any() {
		events = append(events, a.removal(ctx, u, gone, at))
	}
	if back := held.without(have); back.any() {
		e := audit.New(asOwner(ctx, u.ID), at, audit.FactorAdded, audit.User(u.ID))
		for _, c := range back.named() {
			e.Changes = append(e.Changes, audit.Change{Field: c.Field, After: c.Before})
		}
		events = append(events, e)
	}
	return events, nil
}

// without returns the app and the passkeys of s that are not in other.
func (s SecondFactors) without(other SecondFactors) (rest SecondFactors) {
	if s.App != nil && (other.App == nil || other.App.ID != s.App.ID) {
		rest.App = s.App
	}
	for _, p := range s.Passkeys {
		if !slices.ContainsFunc(other.Passkeys, func(o Passkey) bool { return o.ID == p.ID }) {
			rest.Passkeys = append(rest.Passkeys, p)
		}
	}
	return rest
}

// named returns the app and the passkeys of s as what an audit entry says of their removal.
func (s SecondFactors) named() (all []audit.Change) {
	if s.App != nil {
		all = append(all, audit.Change{Field: MethodApp, Before: s.App.ID})
	}
	for _, key := range s.Passkeys {
		all = append(all, audit.Change{Field: MethodPasskey, Before: key.ID})
	}
	return all
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
// What the account is signed in with ends. A second factor from before is asked for, also if it was
// removed since; then it is there again, with all of before. Errors as of ResetPassword.
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
	events, err := a.undone(ctx, p.user, p.token, r.At)
	if err != nil {
		return err
	}
	events = append(append(events, reset), v.events...)
	err = a.afterSecond(ctx, v, a.Store.RemoveAddedFactor(ctx, r, events...))
	return audit.Stored(ctx, a.Log, invalid(err), events...)
}

// removal is the audit entry of the second factors that a message takes from u, with the notice of it.
func (a *Accounts) removal(ctx context.Context, u User, gone SecondFactors, at time.Time) audit.Event {
	e := audit.New(asOwner(ctx, u.ID), at, audit.FactorRemoved, audit.User(u.ID))
	e.Changes = gone.named()
	e.Messages = a.notice(outbox.FactorRemoved, u, at)
	return e
}

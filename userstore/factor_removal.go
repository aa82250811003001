package userstore

import (
	"context"

	"github.com/signet-id/signet/internal/audit"
	"github.com/signet-id/signet/internal/outbox"
)

// RemovedFactors names what a removal is about: exactly one of them.
type RemovedFactors struct {
	App     bool
	Passkey string // id
	All     bool
}

// RemoveFactors removes second factors of u, who was read with the proof, or by an operator (operator
// is true; then the policy does not matter). ErrNotFound: the account has no such factor;
// ErrLastFactor; ErrConflict.
func (a *Accounts) RemoveFactors(ctx context.Context, u User, r RemovedFactors, operator bool, keep string) error {
	have, err := a.Store.SecondFactors(ctx, u.ID)
	if err != nil {
		return err
	}
	left := len(have.Passkeys)
	if have.App != nil {
		left++
	}
	c := changeByOwner(ctx, u, a.now(), keep)
	if operator { // who has no proof of the owner
		c = FactorChange{UserID: u.ID, Version: have.Version, At: c.At, KeepSession: keep, Final: true}
	}
	e := audit.New(ctx, c.At, audit.FactorRemoved, audit.User(u.ID))
	remove := func(kind, id string) { e.Changes = append(e.Changes, audit.Change{Field: kind, Before: id}) }
	has := false
	if have.App != nil && (r.App || r.All) {
		has, c.RemoveApp, left = true, true, left-1
		remove(MethodApp, have.App.ID)
	}
	for _, p := range have.Passkeys {
		if r.All || r.Passkey != "" && p.ID == r.Passkey {
			has, left = true, left-1
			c.RemovePasskeys = append(c.RemovePasskeys, p.ID)
			remove(MethodPasskey, p.ID)
		}
	}
	switch {
	case !has:
		return ErrNotFound
	case !operator && have.Version != u.FactorVersion:
		return ErrConflict
	}
	if !operator && left == 0 {
		without := u
		without.SecondFactor = false
		if a.MustHaveSecondFactor(without) || u.PasswordHash == "" {
			return ErrLastFactor
		}
	}
	switch {
	case operator && left == 0:
		e.Messages = a.notice(outbox.FactorsReset, u, c.At)
	case operator:
		e.Messages = a.notice(outbox.FactorRemoved, u, c.At)
	default:
		if e.Messages, err = a.ownNotice(ctx, outbox.FactorRemoved, u, c.At); err != nil {
			return err
		}
	}
	return audit.Stored(ctx, a.Log, a.Store.ChangeFactors(ctx, c, e), e)
}

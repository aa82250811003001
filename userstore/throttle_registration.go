package userstore

import (
	"context"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// registrations is what the reasons of refused registrations begin with.
const registrations = "registrations"

// AdmitRegistration lets one registration through that needs no token. It counts at once, against the
// budgets of its network, of the block around that, and of all networks; the caller gives it back if
// no client was stored.
func (t *Throttle) AdmitRegistration(
	ctx context.Context, now func() time.Time,
) (giveBack func(context.Context), err error) {
	if counts, err := t.counts(); !counts || t.RegistrationsPerNetwork <= 0 && t.Registrations <= 0 {
		return func(context.Context) {}, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	var r Reserve
	if t.Registrations > 0 {
		r.Own, r.Strangers = k.key("no network is remembered for registrations"), k.key(registrations)
		r.OwnLimit, r.StrangersLimit = signupsLimit(t.Registrations), signupsLimit(t.Registrations)
	}
	if n := t.RegistrationsPerNetwork; n > 0 {
		r.Network, r.NetworkLimit = k.key(registrations, networkOf(ctx)), signupsLimit(n)
		r.Block = k.key(registrations+" block", block(audit.OriginOf(ctx).Address))
		r.BlockLimit = signupsLimit(networksOfBlock * n)
	}
	h, err := t.reserve(ctx, now, r, 0, audit.Target{}, registrations)
	return h.giveBack, err
}

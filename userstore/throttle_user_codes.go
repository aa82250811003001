package userstore

import (
	"context"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// The limits of wrong user codes of the device flow (RFC 8628 section 5.1). A code is 12 of 20
// letters, so there are 20^12 = 2^51.8 codes, and it lives for 10 minutes. Every window here is
// longer than that.
//
// Each guess counts in one budget of all networks and sessions together: one of people who are
// logged in, one of all others. So at most 2 * 2,000 = 2^12 wrong codes are looked up in the life
// of a code, however many networks, browsers and accounts an attacker has, and whatever the
// operator configures. A given code is hit with a probability of 2^12 / 2^51.8 = 2^-39.8, and any
// of 200 codes that live at the same time with less than 2^-32 (D-16).
//
// A small number of guessers must not use up the budget of all. A browser is refused after 10 wrong
// codes, its network and the block around that after as many as wrong passwords, with which they
// are counted. A browser costs an attacker nothing, and a botnet has thousands of blocks, so an
// attacker can still use up the budget of everybody who is not logged in. People who log in first
// are not refused then, nor when others behind their NAT have guessed: they are counted by their
// account alone, and 200 accounts would have to guess to use up their budget.
var (
	userCodeLimit  = Limit{Free: 10, Window: 15 * time.Minute}
	userCodesLimit = Limit{Free: 2000, Window: 15 * time.Minute}
)

// What the reasons of refused user codes are called.
const (
	userCodes      = "user_codes"
	userCodesInAll = "user_codes_in_all"
)

// UserCodeGuesser is who typed a user code.
type UserCodeGuesser struct {
	UserID  string // empty: no user is logged in
	Browser string // the secret of the browser's device cookie
}

// TryUserCode lets find look up a user code, and counts the guess unless find reports that the code
// was right. A find that fails is no guess. ErrRateLimited (as *RateLimitedError), ErrOverloaded or
// the store's error: find was not called.
func (t *Throttle) TryUserCode(
	ctx context.Context, now func() time.Time, by UserCodeGuesser, find func() (right bool, err error),
) error {
	reservations, err := t.admitUserCode(ctx, now, by)
	if err != nil {
		return err
	}
	defer giveAllBack(ctx, reservations) // does nothing after a wrong code
	right, err := find()
	if err != nil || right {
		return err
	}
	for _, h := range reservations {
		if err := h.fail(ctx); err != nil {
			return err
		}
	}
	return nil
}

// admitUserCode reserves an attempt in the budgets of by, then one in the budget of all.
func (t *Throttle) admitUserCode(
	ctx context.Context, now func() time.Time, by UserCodeGuesser,
) (reservations []*reservation, err error) {
	if counts, err := t.counts(); !counts {
		return nil, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	kind, name, target := "browser", by.Browser, audit.Target{}
	if by.UserID != "" {
		kind, name, target = "account", by.UserID, audit.User(by.UserID)
	}
	if name == "" {
		return nil, errors.New("userstore: a user code of neither a user nor a browser")
	}
	own := k.unremembered(userCodeLimit, userCodes, kind, name)
	if by.UserID == "" {
		t.countFailures(ctx, k, &own)
	}
	all := k.unremembered(userCodesLimit, userCodesInAll, kind)
	h, err := t.reserve(ctx, now, own, pendingFor, target, userCodes)
	if err != nil {
		return nil, err
	}
	reservations = append(reservations, h)
	if h, err = t.reserve(ctx, now, all, pendingFor, audit.Target{}, userCodesInAll); err != nil {
		giveAllBack(ctx, reservations)
		return nil, err
	}
	return append(reservations, h), nil
}

// unremembered returns an attempt in one budget that is the same for all networks.
func (k budgetKeys) unremembered(l Limit, name ...string) Reserve {
	return Reserve{
		Attempt:  Attempt{Own: k.key(append(name, "no network is remembered")...), Strangers: k.key(name...)},
		OwnLimit: l, StrangersLimit: l,
	}
}

func giveAllBack(ctx context.Context, reservations []*reservation) {
	for _, h := range reservations {
		h.giveBack(ctx)
	}
}

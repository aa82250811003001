package userstore

import (
	"context"
	"errors"
	"time"

	"github.com/signet-id/signet/internal/audit"
)

// MaxWrongCodes bounds all guesses at an account, and a person who uses it up takes the codes of the
// authenticator app from the owner. A person without the password must not get that far: the holder of a
// stolen session or token, or of a stolen mailbox, has a limit far below. All messages to an account
// share one limit, because the holder of the mailbox can ask for one message after another.

// inPlaceLimit bounds the wrong codes of an app in one session, or with the messages to one account. It
// has no Step: the owner uses a passkey, a recovery code or a new login instead.
var inPlaceLimit = Limit{Free: 10, Window: 30 * 24 * time.Hour}

// byMessages stands in FactorProof.Session for any message to the account.
const byMessages = "messages"

// admitInPlace lets one code through that comes with a session or a message in the place of the
// password. The caller counts it as wrong or returns it. ErrCodesBlocked: too many were wrong.
func (a *Accounts) admitInPlace(ctx context.Context, v Verified, session string) (*reservation, error) {
	if len(v.Proved) > 0 { // the password was right
		return nil, nil
	}
	if session == "" {
		return nil, errors.New("userstore: a code of an app with neither a password, a session nor a message")
	}
	t := a.Throttle
	if counts, err := t.counts(); !counts {
		return nil, err
	}
	k, err := t.keys()
	if err != nil {
		return nil, err
	}
	r := Reserve{
		Attempt: Attempt{
			Own: k.key("codes in a place of the owner", v.User.ID, session), Strangers: k.key("codes in place", v.User.ID, session),
		},
		OwnLimit: inPlaceLimit, StrangersLimit: inPlaceLimit,
	}
	h, err := t.reserve(ctx, a.now, r, pendingFor, audit.User(v.User.ID), "codes")
	if errors.Is(err, ErrRateLimited) {
		err = ErrCodesBlocked
	}
	return h, err
}

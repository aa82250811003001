package userstore

import (
	"context"
	"errors"
	"strconv"

	"github.com/signet-id/signet/internal/audit"
)

// Recovery says what has to end in every account.
type Recovery struct {
	// Restored: the store is a copy of an earlier time. What waited for somebody's next step then is
	// forgotten, too: messages that were sent since would be sent again.
	Restored bool
	Reason   string           // of the audit entry
	Report   func(done int64) // told after each account
}

// Recovered is what a recovery found.
type Recovered struct {
	Accounts      int64
	WithoutFactor int64  // have no second factor: one that was set up later is not in a restored store
	Apps          []User // have an authenticator app
	// OnlyApps are those of Apps that have no passkey.
	OnlyApps []User
}

// recoveryPage is how many accounts are read at once.
const recoveryPage = 500

// Recover ends, for every account, everything that lets anybody in without its password and its
// factors. No account needs less at its next login than before. A recovery that was interrupted is
// begun again: what was ended stays ended.
func (a *Accounts) Recover(ctx context.Context, r Recovery) (done Recovered, err error) {
	for page, err := range UserPages(ctx, a.Store, UserQuery{Limit: recoveryPage}) {
		if err != nil {
			return done, err
		}
		for n := range page.Users {
			if err := a.recoverUser(ctx, page.Users[n], &done); err != nil {
				return done, err
			}
			r.Report(done.Accounts)
		}
	}
	e := audit.New(ctx, a.Now(), audit.StoreRecovered, audit.Target{})
	e.Reason = r.Reason
	e.Changes = []audit.Change{{Field: "accounts", After: strconv.FormatInt(done.Accounts, 10)}}
	if r.Restored {
		// A place that was given away, or revoked, since the backup would be given away again.
		if err := a.Store.RevokePlaces(ctx, a.Now(), PlacesSkipped); err != nil {
			return done, err
		}
		err = a.Store.ForgetWaiting(ctx, e)
	} else {
		err = a.Store.Record(ctx, e)
	}
	return done, audit.Stored(ctx, a.Log, err, e)
}

func (a *Accounts) recoverUser(ctx context.Context, u User, done *Recovered) error {
	switch err := a.Store.EndAccess(ctx, u.ID, a.Now()); {
	case errors.Is(err, ErrNotFound): // deleted meanwhile
		return nil
	case err != nil:
		return err
	}
	done.Accounts++
	if !u.SecondFactor {
		done.WithoutFactor++
		return nil
	}
	have, err := a.Store.SecondFactors(ctx, u.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case have.App == nil:
		return nil
	}
	done.Apps = append(done.Apps, u)
	if len(have.Passkeys) == 0 {
		done.OnlyApps = append(done.OnlyApps, u)
	}
	return nil
}

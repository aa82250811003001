package userstore

import (
	"context"
	"errors"
)

// ErrNoSuchFactor: the account has no such second factor.
var ErrNoSuchFactor = errors.New("the account has no such second factor")

// RemoveFactorsByOperator removes the second factor factorID of a user, or all of them if factorID
// is empty, and signs the user out everywhere: the device with the factor may be stolen. The policy
// does not matter: a user who must have a second factor sets up another one at the next login.
// ErrNotFound: there is no such user; ErrNoSuchFactor.
func (a *Accounts) RemoveFactorsByOperator(ctx context.Context, userID, factorID string) error {
	return Retry(ctx, ActTries, "remove second factors", func() error {
		u, err := a.Store.UserByID(ctx, userID)
		if err != nil {
			return err
		}
		which := RemovedFactors{All: true}
		if factorID != "" {
			have, err := a.Store.SecondFactors(ctx, userID)
			if err != nil {
				return err
			}
			which = RemovedFactors{Passkey: factorID}
			if have.App != nil && have.App.ID == factorID {
				which = RemovedFactors{App: true}
			}
		}
		err = a.RemoveFactors(ctx, u, which, true, "")
		if errors.Is(err, ErrNotFound) { // of the factor, or of a user who was deleted meanwhile
			if _, err := a.Store.UserByID(ctx, userID); err != nil {
				return err
			}
			return ErrNoSuchFactor
		}
		return err
	})
}

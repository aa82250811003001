package userstore

import "context"

// devicesOfNetwork is how many device authorizations a network may ask for beside each sign-up: the
// people of an office share a network, and their command lines log in more often than they sign up.
const devicesOfNetwork = 10

// AdmitDevice counts a device authorization of a client that proves nothing, against the budgets of
// its network and of the block around that: ten times as many as sign-ups. ErrRateLimited,
// ErrOverloaded.
func (a *Accounts) AdmitDevice(ctx context.Context) error {
	_, err := a.Throttle.admitFrom(ctx, a.now, "devices", devicesOfNetwork)
	return err
}

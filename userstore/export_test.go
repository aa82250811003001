package userstore

import "context"

// CheckPassword is provePassword alone.
func (a *Accounts) CheckPassword(ctx context.Context, u User, password string) error {
	_, err := a.provePassword(ctx, u.ID, password)
	return err
}

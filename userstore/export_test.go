package userstore

import "context"

// CheckPassword is Prove of a password.
func (a *Accounts) CheckPassword(ctx context.Context, u User, password string) error {
	_, err := a.Prove(ctx, u.ID, Proof{Password: password})
	return err
}

package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func (a *app) usersVerifyEmail() *cobra.Command {
	return &cobra.Command{
		Use:   "verify-email USER",
		Short: "Declare a user's email address verified",
		Long: `Declare a user's email address verified. ` + userHelp + `

No message is sent. An address that is verified already stays so.`,
		Args: oneUser,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
				if _, err := accounts.EditByOperator(ctx, u.ID, verifyAddress(u.Email)); err != nil {
					return explainUser(err)
				}
				return a.showChanged(ctx, accounts, u.ID, "The email address %s is verified.")
			})
		}),
	}
}

// verifyAddress is an edit that declares an address verified. It refuses another address, which the
// user may have set since the operator's name for the user was looked up.
func verifyAddress(address string) func(*userstore.User) error {
	return func(u *userstore.User) error {
		if u.Email != address {
			return fmt.Errorf("the address was just changed from %s to %s, and was not declared verified; "+
				"look at it and try again", printable.Text(address), printable.Text(u.Email))
		}
		u.EmailVerified = true
		return nil
	}
}

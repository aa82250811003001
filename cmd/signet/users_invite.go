package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

// errNoMail refuses an invitation that nothing would send.
var errNoMail = errors.New("there is no mail; set mail.smtp")

// usersInvite puts the message into the outbox; a running server sends it.
func (a *app) usersInvite() *cobra.Command {
	return &cobra.Command{
		Use:   "invite USER",
		Short: "Invite a user without a password to set one",
		Long: `Invite a user without a password to set one, also again. ` + userHelp + `

A running server sends the message to the user's address. Its link works for seven days,
and a newer one ends the one before.`,
		Args: oneUser,
		RunE: action(func(ctx context.Context, args []string) error {
			return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
				err := accounts.Invite(ctx, u.ID)
				switch {
				case errors.Is(err, userstore.ErrHasPassword):
					return errors.New("the account has a password; its owner can ask for a new one on the login page")
				case errors.Is(err, userstore.ErrNoMail):
					return errNoMail
				case errors.Is(err, userstore.ErrAccountDisabled):
					return errors.New("the account is disabled; enable it first: signet users enable")
				case err != nil:
					return explainUser(err)
				}
				return a.showChanged(ctx, accounts, u.ID, "%s is sent a message to set a password.")
			})
		}),
	}
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signet-id/signet/cmd/signet/internal/terminal"
	"github.com/signet-id/signet/internal/printable"
	"github.com/signet-id/signet/userstore"
	"github.com/signet-id/signet/userstore/sqlstore"
)

func (a *app) usersDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "delete USER",
		Short: "Delete an account for good, with everything kept in its name",
		Long: `Delete an account for good, with everything kept in its name but the audit log. ` + userHelp + `

Sessions end at once. The email address and username are free again; the id never comes back. To
keep somebody out, and the account, there is "signet users disable". A terminal is asked
first; programs say --yes.`,
		Args: oneUser,
		RunE: action(func(ctx context.Context, args []string) error {
			if !isTerminal(a.in) && !yes {
				return misusef("there is no terminal to ask whether to delete the account; give --yes if that is meant")
			}
			return a.withUser(ctx, args[0], func(accounts *userstore.Accounts, _ *sqlstore.DB, u userstore.User) error {
				if !yes {
					sure, err := terminal.Confirm(a.in, a.err, fmt.Sprintf("Delete %s (%s) and everything kept in its name?", printable.Text(u.Email), u.ID))
					if err != nil {
						return err
					}
					if !sure {
						return errors.New("nothing was done")
					}
				}
				if err := accounts.DeleteByOperator(ctx, u.ID); err != nil {
					return explainUser(err)
				}
				if a.asJSON {
					return a.printJSON(struct {
						Deleted string `json:"deleted"`
					}{u.ID})
				}
				_, err := fmt.Fprintln(a.out, printable.Text(u.Email)+" is deleted. "+tokensRemain)
				return err
			})
		}),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
